#pragma once

#include <string>
#include <string_view>

namespace tempest::builtin {

/// Appends `bytes` as a JSON string, with its quotes. False: they are not UTF-8; what was appended
/// by then is of no use.
bool append_json_string(std::string_view bytes, std::string& text);

/// How bytes stand in a JSON object.
struct JsonText {
  std::string name;
  std::string text;
};
/// As they are under this name; what is not UTF-8 in base64, under the name with "_base64".
JsonText json_text(std::string name, std::string_view bytes);

}  // namespace tempest::builtin
