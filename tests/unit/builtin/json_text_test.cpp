#include "tempest/builtin/json_text.hpp"

#include "tempest/base/utf8.hpp"

#include <catch2/catch.hpp>

namespace tempest::builtin {

TEST_CASE("text stands in JSON as it is, other bytes in base64 under a name that says so") {
  const JsonText text = json_text("payload", "gr\xc3\xbc\xc3\x9f dich");
  CHECK(text.name == "payload");
  CHECK(text.text == "gr\xc3\xbc\xc3\x9f dich");
  const JsonText bytes = json_text("payload", "\xff\x01");
  CHECK(bytes.name == "payload_base64");
  CHECK(bytes.text == "/wE=");
  CHECK(is_utf8(""));
  CHECK_FALSE(is_utf8("\xc3"));
}

}  // namespace tempest::builtin
