#include "tempest/base/json_nesting.hpp"

namespace tempest {

bool nests_deeper(std::string_view json, std::size_t most) {
  std::size_t depth = 0;
  bool is_quoted = false;
  for (std::size_t at = 0; at < json.size(); ++at) {
    const char byte = json[at];
    if (is_quoted) {
      if (byte == '\\') ++at;
      is_quoted = byte != '"';
    } else if (byte == '"') {
      is_quoted = true;
    } else if (byte == '{' || byte == '[') {
      if (++depth > most) return true;
    } else if ((byte == '}' || byte == ']') && depth > 0) {
      --depth;
    }
  }
  return false;
}

}  // namespace tempest
