#include "tempest/base/result.hpp"

#include <catch2/catch.hpp>
#include <memory>
#include <set>
#include <string>

using namespace tempest;

TEST_CASE("A result holds a value or an error") {
  Result<std::string> good(std::string("x"));
  REQUIRE(good.ok());
  CHECK(*good == "x");
  CHECK(good->size() == 1);
  const Result<std::string> bad(Error{ErrorCode::io, "no"});
  REQUIRE_FALSE(bad);
  CHECK(bad.error().code == ErrorCode::io);
  CHECK(bad.error().message == "no");
}

TEST_CASE("A value that cannot be copied can be taken out") {
  Result<std::unique_ptr<int>> result(std::make_unique<int>(5));
  const std::unique_ptr<int> taken = std::move(result).value();
  CHECK(*taken == 5);
}

TEST_CASE("A result without a value is good by default") {
  CHECK(Result<void>().ok());
  const Result<void> bad(Error{ErrorCode::limit, "too many"});
  CHECK_FALSE(bad.ok());
  CHECK(bad.error().message == "too many");
}

TEST_CASE("Every error code has a name of its own") {
  std::set<std::string> names;
  for (int code = 0; code <= static_cast<int>(ErrorCode::internal); ++code) {
    names.insert(to_string(static_cast<ErrorCode>(code)));
  }
  CHECK(names.size() == 11);
}
