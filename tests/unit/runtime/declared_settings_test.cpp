#include "tempest/runtime/declared_settings.hpp"

#include <catch2/catch.hpp>
#include <fstream>
#include <string>

#include "tempest/runtime/topology_libraries.hpp"
#include "tests/support/temporary_folder.hpp"

using namespace tempest;
using namespace tempest::runtime;
using Catch::Matchers::Contains;

namespace {

Declarations window() {
  Declarations about;
  about.setting("window", Setting::duration, "5m", "")
      .setting("size", Setting::size, "64KiB", "")
      .setting("share", Setting::number, "0.5", "")
      .setting("strict", Setting::boolean, "false", "")
      .setting("words", Setting::texts, "", "")
      .required("limit", Setting::integer, "")
      .choice("mode", {"sliding", "tumbling"}, "");
  return about;
}

Settings settings_of(std::vector<std::pair<std::string, Settings::Value>> values) {
  Settings settings;
  for (auto& [key, value] : values) settings.set(key, std::move(value));
  return settings;
}

std::string fault(const Declarations& declarations, const Settings& config) {
  const auto checked = with_declared(declarations, "\"x:Y\"", config);
  return checked ? "" : checked.error().message;
}

/// All that is wrong with a topology that uses fixture_good's tasks.
std::string faults_of(const std::string& text) {
  test::TemporaryFolder folder;
  const std::string file = folder.write("t.toml", text);
  std::vector<Diagnostic> diagnostics;
  TopologyReferences references;
  load_topology(file, diagnostics, &references);
  TaskLibraries libraries;
  check_libraries(references, file, {TEST_LIBRARY_FOLDER}, libraries, diagnostics);
  for (Diagnostic& diagnostic : diagnostics) diagnostic.file = "t.toml";
  return joined(diagnostics);
}

const std::string kHead =
    "name = \"t\"\nlibraries = [\"fixture_good\"]\n[source]\ntype = \"generator\"\n[[task]]\n"
    "name = \"a\"\nuses = \"fixture_good:Window\"\n";

}  // namespace

TEST_CASE("declared settings are given with their fallbacks and in their types") {
  const auto checked = with_declared(
      window(), "\"x:Y\"",
      settings_of({{"limit", {std::string("12")}}, {"strict", {std::string("true")}}}));
  REQUIRE(checked);
  CHECK(checked->integer("limit") == 12);
  CHECK(checked->duration("window") == std::chrono::minutes(5));
  CHECK(checked->size_bytes("size") == 65536);
  CHECK(checked->number("share") == 0.5);
  CHECK(checked->boolean("strict"));
  CHECK(checked->text("mode") == "sliding");
  CHECK_FALSE(checked->has("words"));
}

TEST_CASE("a config table at odds with what is declared is refused with every fault") {
  CHECK(fault(window(), {}) == "\"x:Y\": missing key 'limit' in [config]");
  CHECK(fault(window(), settings_of({{"limit", {std::int64_t{1}}},
                                     {"windw", {std::string("5m")}},
                                     {"mode", {std::string("slidng")}}})) ==
        "\"x:Y\": 'mode' in [config]: unknown value \"slidng\"; did you mean \"sliding\"?; unknown "
        "key 'windw' in [config]; did you mean 'window'?");
  CHECK_THAT(fault(window(), settings_of({{"limit", {true}}})), Contains("expected an integer"));
}

TEST_CASE("a class that declares nothing takes any table, one that declares none takes no key") {
  const Settings config = settings_of({{"any", {std::string("5m")}}});
  const auto kept = with_declared({}, "\"x:Y\"", config);
  REQUIRE(kept);
  CHECK(kept->text("any") == "5m");
  Declarations none;
  none.no_settings();
  CHECK(fault(none, config) == "\"x:Y\": unknown key 'any' in [config]");
  CHECK(fault(none, {}).empty());
}

TEST_CASE("a declaration that is wrong itself is told so") {
  Declarations wrong_fallback;
  wrong_fallback.setting("window", Setting::duration, "five", "");
  CHECK_THAT(fault(wrong_fallback, {}), Contains("with a wrong fallback"));
  Declarations twice;
  twice.setting("a", Setting::text, "", "").required("a", Setting::text, "");
  CHECK_THAT(fault(twice, {}), Contains("declares the setting \"a\" twice"));
}

TEST_CASE("a topology's config tables and edges are checked against what its tasks declare") {
  CHECK(faults_of(kHead + "config = { limit = 3, window = \"${NONE_SET:1m}\" }\n"
                          "[[task]]\nname = \"b\"\nuses = \"drop\"\nafter = [\"a:late\"]\n")
            .empty());
  CHECK(faults_of(kHead + "config = { windw = \"5m\" }\n") ==
        "t.toml:8:10: missing key 'limit' in [task.config]\n"
        "t.toml:8:12: unknown key 'windw' in [task.config]; did you mean 'window'?");
  CHECK(faults_of(kHead) == "t.toml:7:8: missing key 'limit' in [task.config]");
  CHECK(faults_of(kHead + "config = { limit = \"${NONE_SET:many}\", mode = \"x\" }\n") ==
        "t.toml:8:20: 'limit' in [task.config]: expected an integer, got \"many\"\n"
        "t.toml:8:47: 'mode' in [task.config]: unknown value \"x\"; there are \"sliding\" or "
        "\"tumbling\"");
  CHECK(
      faults_of(kHead + "config.limit = 1\n[[task]]\nname = \"b\"\nuses = \"drop\"\n"
                        "after = [\"a:eror\"]\n") ==
      "t.toml:12:10: 'after' in [[task]]: task 'a' (\"fixture_good:Window\") has no output 'eror'; "
      "did you mean 'error'?");
}

TEST_CASE("a built-in task has no output by a name, and one that declares none may have any") {
  const std::string head =
      "name = \"t\"\nlibraries = [\"fixture_good\"]\n[source]\ntype = \"generator\"\n[[task]]\n"
      "name = \"a\"\n";
  const std::string edge = "[[task]]\nname = \"b\"\nuses = \"drop\"\nafter = [\"a:x\"]\n";
  CHECK(faults_of(head + "uses = \"identity\"\n" + edge) ==
        "t.toml:11:10: 'after' in [[task]]: task 'a' (\"identity\") has no output 'x'; it emits "
        "without a name only: write \"a\"");
  CHECK(faults_of(head + "uses = \"fixture_good:Echo\"\nconfig = { any = 1 }\n" + edge).empty());
}

TEST_CASE("a constructor that throws an exception without a text is an error with a place") {
  CHECK(
      faults_of("name = \"t\"\nlibraries = [\"fixture_good\"]\n[source]\ntype = \"generator\"\n"
                "[[task]]\nname = \"a\"\nuses = \"fixture_good:ExplodeSilently\"\n") ==
      "t.toml:7:8: the constructor of \"fixture_good:ExplodeSilently\" threw: an exception without "
      "a text (its what() returns null)");
}
