#include "tempest/base/settings.hpp"

#include <catch2/catch.hpp>

using namespace tempest;
using namespace std::chrono_literals;

namespace {

Settings sample() {
  Settings inner;
  inner.set("depth", {std::int64_t{2}});
  Settings settings;
  settings.set("name", {std::string("split")});
  settings.set("count", {std::int64_t{7}});
  settings.set("share", {0.5});
  settings.set("append", {true});
  settings.set("wait", {std::string("250ms")});
  settings.set("room", {std::string("64KiB")});
  settings.set("inner", {inner});
  settings.set("items", {Settings::List{{std::string("a")}, {std::int64_t{1}}}});
  return settings;
}

}  // namespace

TEST_CASE("settings give back what was set") {
  const Settings settings = sample();
  CHECK(settings.text("name") == "split");
  CHECK(settings.integer("count") == 7);
  CHECK(settings.number("share") == 0.5);
  CHECK(settings.boolean("append"));
  CHECK(settings.duration("wait") == 250ms);
  CHECK(settings.size_bytes("room") == 65'536);
  CHECK(settings.table("inner").integer("depth") == 2);
  REQUIRE(settings.list("items").size() == 2);
  CHECK(std::get<std::string>(settings.list("items")[0].data) == "a");
}

TEST_CASE("a key that is not there gives the fallback") {
  const Settings settings;
  CHECK_FALSE(settings.has("name"));
  CHECK(settings.text("name", "x") == "x");
  CHECK(settings.integer("count", 3) == 3);
  CHECK(settings.number("share", 0.25) == 0.25);
  CHECK(settings.boolean("append", true));
  CHECK(settings.duration("wait", 1s) == 1s);
  CHECK(settings.size_bytes("room", 9) == 9);
  CHECK(settings.table("inner").values().empty());
  CHECK(settings.list("items").empty());
}

TEST_CASE("a value of another type gives the fallback") {
  const Settings settings = sample();
  CHECK(settings.text("count", "x") == "x");
  CHECK(settings.integer("name", 3) == 3);
  CHECK(settings.integer("share", 3) == 3);
  CHECK(settings.boolean("name", true));
  CHECK(settings.duration("count", 1s) == 1s);
  CHECK(settings.duration("name", 1s) == 1s);
  CHECK(settings.size_bytes("share", 9) == 9);
  CHECK(settings.table("name").values().empty());
  CHECK(settings.list("inner").empty());
}

TEST_CASE("an integer is a number, and a number of bytes unless it is negative") {
  Settings settings = sample();
  settings.set("debt", {std::int64_t{-1}});
  CHECK(settings.number("count") == 7.0);
  CHECK(settings.size_bytes("count") == 7);
  CHECK(settings.size_bytes("debt", 5) == 5);
}

TEST_CASE("a text that is a number, true or false is one as well") {
  Settings settings;
  settings.set("count", {std::string("-12")});
  settings.set("share", {std::string("0.25")});
  settings.set("append", {std::string("true")});
  settings.set("keep", {std::string("false")});
  settings.set("words", {std::string("12 words")});
  CHECK(settings.integer("count", 1) == -12);
  CHECK(settings.number("count") == -12.0);
  CHECK(settings.number("share") == 0.25);
  CHECK(settings.boolean("append"));
  CHECK_FALSE(settings.boolean("keep", true));
  CHECK(settings.integer("words", 7) == 7);
  CHECK(settings.integer("share", 7) == 7);
  CHECK(settings.boolean("words", true));
}

TEST_CASE("setting a key again replaces its value") {
  Settings settings = sample();
  settings.set("count", {std::int64_t{8}});
  CHECK(settings.integer("count") == 8);
}
