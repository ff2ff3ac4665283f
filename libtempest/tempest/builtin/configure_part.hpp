#pragma once

#include <exception>
#include <string>

#include "tempest/base/exception_text.hpp"
#include "tempest/base/result.hpp"

namespace tempest::builtin {

/// Calls a library's own configure(). What it throws is an error too; each says whose it is:
/// `source "feed:Ticker": the interval must be above 0`.
template <typename Call>
Result<void> configure_part(const char* what, const std::string& type, Call call) {
  const std::string whose = std::string(what) + " \"" + type + "\": ";
  try {
    Result<void> configured = call();
    if (configured) return {};
    Error error = configured.error();
    error.message = whose + error.message;
    return error;
  } catch (const std::exception& exception) {
    return Error{ErrorCode::configuration, whose + "configure() threw: " + text_of(exception)};
  } catch (...) {
    return Error{ErrorCode::configuration, whose + "configure() threw something unknown"};
  }
}

}  // namespace tempest::builtin
