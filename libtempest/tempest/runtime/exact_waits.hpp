#pragma once

namespace tempest::runtime {

/// The waits of this thread, and of those it starts from now on, end when they are due. Linux lets
/// others sleep up to 50 us longer, to save wake-ups (prctl(2), PR_SET_TIMERSLACK).
void wait_exactly_in_this_thread();

}  // namespace tempest::runtime
