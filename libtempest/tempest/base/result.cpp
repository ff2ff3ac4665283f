#include "tempest/base/result.hpp"

namespace tempest {

const char* to_string(ErrorCode code) {
  switch (code) {
    case ErrorCode::invalid_argument:
      return "invalid_argument";
    case ErrorCode::configuration:
      return "configuration";
    case ErrorCode::not_found:
      return "not_found";
    case ErrorCode::unavailable:
      return "unavailable";
    case ErrorCode::timeout:
      return "timeout";
    case ErrorCode::io:
      return "io";
    case ErrorCode::protocol:
      return "protocol";
    case ErrorCode::limit:
      return "limit";
    case ErrorCode::retry:
      return "retry";
    case ErrorCode::fail:
      return "fail";
    case ErrorCode::internal:
      return "internal";
  }
  return "internal";
}

}  // namespace tempest
