#include "tempest/runtime/version.hpp"

namespace tempest::runtime {

std::string version() {
  return TEMPEST_VERSION;
}

}  // namespace tempest::runtime
