#pragma once

#include <optional>
#include <string>
#include <string_view>

namespace tempest {

/// With the digits of RFC 4648, section 4, padded.
std::string base64(std::string_view bytes);

/// The bytes again; nothing if `text` is not what base64() gives.
std::optional<std::string> from_base64(std::string_view text);

}  // namespace tempest
