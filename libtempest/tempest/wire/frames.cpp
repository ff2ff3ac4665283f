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
    case FailureKind::coordinator_lost:
      return "coordinator_lost";
    case FailureKind::unroutable:
      return "unroutable";
    case FailureKind::expired:
      return "expired";
  }
  return "unknown";
}

}  // namespace tempest::wire
