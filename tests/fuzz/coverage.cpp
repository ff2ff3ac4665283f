#include <cstddef>
#include <cstring>

#include "input.hpp"

// The counters of the edges that an execution took, by the linker's names for where they begin and
// end. This file is built without any: the compiler's own names for the two would give way.
// NOLINTBEGIN(bugprone-reserved-identifier,cert-dcl37-c,cert-dcl51-cpp)
extern "C" {
extern char __start___sancov_cntrs;
extern char __stop___sancov_cntrs;
}

namespace tempest::fuzz {

void forget_coverage() {
  std::memset(&__start___sancov_cntrs, 0,
              static_cast<std::size_t>(&__stop___sancov_cntrs - &__start___sancov_cntrs));
}

}  // namespace tempest::fuzz
// NOLINTEND(bugprone-reserved-identifier,cert-dcl37-c,cert-dcl51-cpp)
