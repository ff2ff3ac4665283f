#pragma once

#include <span>
#include <string>
#include <string_view>

#include "tempest/base/result.hpp"

namespace tempest::builtin {

/// "unknown source type "redis_steam"; did you mean "redis_stream"? There are ...". `what` is
/// "source type" and the like. Of code `configuration`.
Error unknown_name(std::string_view what, std::string_view word,
                   std::span<const std::string> candidates);

}  // namespace tempest::builtin
