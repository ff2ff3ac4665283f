#pragma once

#include <functional>

namespace tempest::bench {

/// Does `work` in a process of its own, whose TMPDIR is a folder that this one removes with all
/// that is in it: also if the work is ended by a signal, together with what it has started. Gives
/// the work's exit code, or 128 and the number of the signal that ended it. To be called before
/// there is any thread.
int run_apart(const std::function<int()>& work);

}  // namespace tempest::bench
