#include "tempest/link/link.hpp"

namespace tempest::link {

const char* to_string(LostReason reason) {
  switch (reason) {
    case LostReason::lease:
      return "lease";
    case LostReason::incarnation:
      return "incarnation";
    case LostReason::reset:
      return "reset";
    case LostReason::left:
      return "left";
    case LostReason::closed:
      return "closed";
  }
  return "unknown";
}

}  // namespace tempest::link
