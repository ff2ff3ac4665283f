#include "tempest/builtin/json_text.hpp"

#include <nlohmann/json.hpp>

#include "tempest/base/base64.hpp"

namespace tempest::builtin {

bool is_utf8(std::string_view bytes) {
  try {
    static_cast<void>(nlohmann::json(bytes).dump());
    return true;
  } catch (const nlohmann::json::type_error&) {
    return false;
  }
}

JsonText json_text(std::string name, std::string_view bytes) {
  if (is_utf8(bytes)) return {std::move(name), std::string(bytes)};
  return {std::move(name) + "_base64", base64(bytes)};
}

}  // namespace tempest::builtin
