#include "tempest/wire/frames.hpp"

namespace tempest::wire {

const char* to_string(FailureKind kind) {
  switch (kind) {
    case FailureKind::error:
      return "error";
    case FailureKind::timeout:
      return "timeout";
    case FailureKind::task_timeout:
      return "task_timeout";
    case FailureKind::worker_lost:
      return "worker_lost";
    case FailureKind::expired:
      return "expired";
    case FailureKind::too_large:
      return "too_large";
    case FailureKind::never_done:
      return "never_done";
    case FailureKind::too_many:
      return "too_many";
  }
  return "unknown";
}

}  // namespace tempest::wire
