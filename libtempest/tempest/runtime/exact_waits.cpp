#include "tempest/runtime/exact_waits.hpp"

#include <sys/prctl.h>

namespace tempest::runtime {

void wait_exactly_in_this_thread() {
  constexpr unsigned long kSlack_ns = 1;
  ::prctl(PR_SET_TIMERSLACK, kSlack_ns, 0, 0, 0);
}

}  // namespace tempest::runtime
