#include "tempest/base/ids.hpp"

#include <catch2/catch.hpp>
#include <set>
#include <string>

using namespace tempest;

TEST_CASE("An incarnation is written as 32 digits and read back") {
  const Incarnation incarnation{0x0123456789abcdef, 0xfedcba9876543210};
  CHECK(to_string(incarnation) == "0123456789abcdeffedcba9876543210");
  CHECK(to_string(Incarnation{}) == std::string(32, '0'));
  CHECK(parse_incarnation(to_string(incarnation)) == incarnation);
}

TEST_CASE("What is not an incarnation is not read as one") {
  const std::string good(32, 'a');
  REQUIRE(parse_incarnation(good));
  CHECK_FALSE(parse_incarnation(""));
  CHECK_FALSE(parse_incarnation(good.substr(1)));
  CHECK_FALSE(parse_incarnation(good + "a"));
  CHECK_FALSE(parse_incarnation("g" + good.substr(1)));
  CHECK_FALSE(parse_incarnation(good.substr(1) + " "));
  CHECK_FALSE(parse_incarnation("+" + good.substr(1)));
}

TEST_CASE("A packed id is unpacked to itself") {
  const MessageId id{7, 0x80000001};
  CHECK(id.packed() == 0x80000001'00000007);
  CHECK(MessageId::unpack(id.packed()) == id);
  // Neighbouring slots of one generation are neighbouring numbers: runs are made of these.
  CHECK(MessageId{8, 0x80000001}.packed() == id.packed() + 1);
}

TEST_CASE("Every role has a name of its own") {
  std::set<std::string> names;
  for (const Role role :
       {Role::broker, Role::source, Role::pipeline, Role::task, Role::stats, Role::operator_}) {
    names.insert(to_string(role));
  }
  CHECK(names.size() == 6);
}
