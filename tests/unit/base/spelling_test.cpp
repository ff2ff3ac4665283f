#include "tempest/base/spelling.hpp"

#include <catch2/catch.hpp>
#include <vector>

using tempest::nearest_name;

namespace {

const std::vector<std::string> kNames = {"timeout", "policy", "max_attempts", "dead_letter"};

}  // namespace

TEST_CASE("the nearest name is found over each kind of slip") {
  CHECK(nearest_name("tmeout", kNames) == "timeout");    // left out
  CHECK(nearest_name("timeoout", kNames) == "timeout");  // put in
  CHECK(nearest_name("timeouz", kNames) == "timeout");   // taken for another
  CHECK(nearest_name("itmeout", kNames) == "timeout");   // swapped: one edit, not two
  CHECK(nearest_name("max_atempt", kNames) == "max_attempts");
  CHECK(nearest_name("policy", kNames) == "policy");
}

TEST_CASE("nothing is suggested for a word that is near to nothing") {
  CHECK_FALSE(nearest_name("backoff", kNames));
  CHECK_FALSE(nearest_name("", kNames));
  CHECK_FALSE(nearest_name("x", std::vector<std::string>{}));
}

TEST_CASE("a third of the word's letters may differ, and no more") {
  const std::vector<std::string> one = {"abcdef"};
  CHECK(nearest_name("abcdxy", one) == "abcdef");
  CHECK_FALSE(nearest_name("abcxyz", one));
}

TEST_CASE("a short word may differ in one letter but must share one") {
  CHECK(nearest_name("ab", std::vector<std::string>{"ac"}) == "ac");
  CHECK_FALSE(nearest_name("a", std::vector<std::string>{"b"}));
}

TEST_CASE("the nearer of two is suggested, and the first of equals") {
  CHECK(nearest_name("count", std::vector<std::string>{"mount", "counts", "count"}) == "count");
  CHECK(nearest_name("rout", std::vector<std::string>{"root", "rour"}) == "root");
}
