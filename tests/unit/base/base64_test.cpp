#include "tempest/base/base64.hpp"

#include <catch2/catch.hpp>

using namespace tempest;

TEST_CASE("bytes come back from base64 as they were") {
  std::string bytes;
  for (int i = 0; i < 300; ++i) {
    CHECK(from_base64(base64(bytes)) == bytes);
    bytes += static_cast<char>(i * 37);
  }
  CHECK(base64("foobar") == "Zm9vYmFy");
  CHECK(from_base64("Zm9vYg==") == "foob");
}

TEST_CASE("what is no base64 gives nothing") {
  for (const char* text : {"Zm9vY", "Zm9vYg=", "Zm9vYg", "Zm9vYh==", "Zm9*", "=", "Zm9v\n"}) {
    CAPTURE(text);
    CHECK_FALSE(from_base64(text));
  }
}
