#include "tempest/base/utf8.hpp"

#include <catch2/catch.hpp>
#include <string>

#include "tempest/base/json_nesting.hpp"
#include "tempest/base/limits.hpp"

using namespace tempest;

TEST_CASE("a name is UTF-8 without control characters, and not too long") {
  CHECK(is_name(""));
  CHECK(is_name("task@host:17"));
  CHECK(is_name("gr\xc3\xbc\xc3\x9f"));
  CHECK(is_name(std::string(kMaxNameBytes, 'x')));
  for (const std::string& wrong :
       {std::string("\xff"), std::string("a\nb"), std::string("\x1b[1m"), std::string("\x7f"),
        std::string("\xed\xa0\x80"), std::string(1, '\0'), std::string(kMaxNameBytes + 1, 'x')}) {
    CAPTURE(wrong);
    CHECK_FALSE(is_name(wrong));
  }
}

TEST_CASE("how deep JSON is nested is known without reading it") {
  CHECK_FALSE(nests_deeper("[[]]", 2));
  CHECK(nests_deeper("[[[", 2));
  CHECK_FALSE(nests_deeper(R"({"a":"[[[\"[[["})", 2));
  CHECK_FALSE(nests_deeper("[][][][]", 1));
  CHECK_FALSE(nests_deeper("]]]", 0));
}
