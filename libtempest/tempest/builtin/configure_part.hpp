#pragma once

#include <exception>
#include <string>

#include "tempest/base/exception_text.hpp"
#include "tempest/base/result.hpp"
#include "tempest/base/settings.hpp"
#include "tempest/runtime/declared_settings.hpp"

namespace tempest::builtin {

/// Calls a library's own configure(), as `call(settings)`, with what its `config` table is by its
/// own declarations. What it throws is an error too; each says whose it is: `source "feed:Ticker":
/// the interval must be above 0`.
template <typename Part, typename Call>
Result<void> configure_part(const char* what, const std::string& type, const Part& part,
                            const Settings& config, Call call) {
  const std::string name = std::string(what) + " \"" + type + "\"";
  const std::string whose = name + ": ";
  try {
    Declarations declared;
    part.declare(declared);
    const auto settings = runtime::with_declared(declared, name, config);
    if (!settings) return settings.error();
    Result<void> configured = call(*settings);
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
