#include <hiredis/hiredis.h>
#include <signal.h>
#include <time.h>

#include <memory>
#include <string>
#include <vector>

#include "bench/ceiling/ceiling.hpp"
#include "bench/ceiling/role_processes.hpp"
#include "tempest/runtime/redis.hpp"

namespace tempest::ceiling {

Result<Numbers> redis(const Settings& /*settings*/) {
  return Error{ErrorCode::unavailable, "not yet"};
}

}  // namespace tempest::ceiling
