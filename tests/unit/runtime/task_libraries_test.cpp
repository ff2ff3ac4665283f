#include "tempest/runtime/task_libraries.hpp"

#include <catch2/catch.hpp>
#include <string>
#include <vector>

using Catch::Matchers::Contains;
using tempest::ErrorCode;
using tempest::runtime::LibraryPart;
using tempest::runtime::TaskLibraries;

namespace {

const std::string kFolder = TEST_LIBRARY_FOLDER;

struct Local : tempest::Task {
  tempest::Result<void> handle(const tempest::Message& /*message*/,
                               tempest::Context& /*context*/) override {
    return {};
  }
};

class Emitted : public tempest::Context {
 public:
  void emit(const tempest::Message& message, std::string_view /*output*/) override {
    payloads.emplace_back(message.payload);
  }
  std::string_view task() const override { return "task"; }
  std::string_view origin() const override { return "source"; }
  std::uint32_t attempt() const override { return 1; }

  std::vector<std::string> payloads;
};

}  // namespace

TEMPEST_TASKS(local, Local)

TEST_CASE("a task library is found by its file name on the search path") {
  TaskLibraries libraries;
  REQUIRE(libraries.load("libfixture_good.so", {"/nowhere", kFolder}));
  auto task = libraries.create("fixture_good:Echo");
  REQUIRE(task);
  Emitted context;
  REQUIRE((*task)->handle("hello", context));
  CHECK(context.payloads == std::vector<std::string>{"hello"});
}

TEST_CASE("a task library is found by its bare name, by its path, and below a search path") {
  for (const std::string& name : {std::string("fixture_good"), kFolder + "/libfixture_good.so",
                                  std::string("tests/libfixture_good.so")}) {
    CAPTURE(name);
    TaskLibraries libraries;
    REQUIRE(libraries.load(name, {"/nowhere:" + kFolder, kFolder + "/.."}));
    CHECK(libraries.check("fixture_good:Refuse"));
  }
}

TEST_CASE("loading a task library twice is success") {
  TaskLibraries libraries;
  REQUIRE(libraries.load("fixture_good", {kFolder}));
  REQUIRE(libraries.load(kFolder + "/libfixture_good.so", {}));
  CHECK(libraries.library_names() == std::vector<std::string>{"fixture_good"});
}

TEST_CASE("a library that is nowhere is reported with what was searched") {
  TaskLibraries libraries;
  const auto loaded = libraries.load("libnone_such.so", {"/one", "/two"});
  REQUIRE_FALSE(loaded);
  CHECK(loaded.error().code == ErrorCode::configuration);
  CHECK_THAT(loaded.error().message, Contains("cannot find the task library \"libnone_such.so\"") &&
                                         Contains("/one/libnone_such.so") &&
                                         Contains("/two/libnone_such.so") &&
                                         Contains("--library-path"));
}

TEST_CASE("a library whose name is misspelt is reported with the nearest that is there") {
  TaskLibraries libraries;
  const auto loaded = libraries.load("fixture_god", {"/nowhere", kFolder});
  REQUIRE_FALSE(loaded);
  CHECK_THAT(loaded.error().message, Contains("did you mean \"libfixture_good.so\"?"));
}

TEST_CASE("a library of another interface version is refused before it is looked at") {
  TaskLibraries libraries;
  const auto loaded = libraries.load("fixture_old", {kFolder});
  REQUIRE_FALSE(loaded);
  CHECK(loaded.error().code == ErrorCode::configuration);
  CHECK_THAT(loaded.error().message,
             Contains("libfixture_old.so") && Contains("build the library again"));
}

TEST_CASE("a shared library without tasks is refused with what it lacks") {
  TaskLibraries libraries;
  const auto loaded = libraries.load("fixture_none", {kFolder});
  REQUIRE_FALSE(loaded);
  CHECK_THAT(loaded.error().message, Contains("tempest_library_fixture_none") &&
                                         Contains("TEMPEST_TASKS(fixture_none, ...)"));
}

TEST_CASE("a file that is no library, or not called as one, is refused") {
  TaskLibraries libraries;
  const auto text = libraries.load("/etc/passwd", {});
  REQUIRE_FALSE(text);
  CHECK_THAT(text.error().message, Contains("lib<name>.so"));
  CHECK_FALSE(libraries.load("", {}));
}

TEST_CASE("a task that a library lacks is reported with the nearest name") {
  TaskLibraries libraries;
  REQUIRE(libraries.load("fixture_good", {kFolder}));
  const auto task = libraries.create("fixture_good:Ecko");
  REQUIRE_FALSE(task);
  CHECK_THAT(task.error().message, Contains("has no task \"Ecko\"") &&
                                       Contains("did you mean \"fixture_good:Echo\"?") &&
                                       Contains("fixture_good:Refuse"));
}

TEST_CASE("a library that was not loaded is reported with the nearest name") {
  TaskLibraries libraries;
  CHECK_THAT(libraries.check("fixture:Echo").error().message, Contains("`libraries`"));
  REQUIRE(libraries.load("fixture_good", {kFolder}));
  CHECK_THAT(libraries.check("fixture_god:Echo").error().message,
             Contains("did you mean \"fixture_good\"?"));
  CHECK_FALSE(libraries.check("Echo"));
  CHECK_FALSE(libraries.check(":Echo"));
  CHECK_FALSE(libraries.check("fixture_good:"));
}

TEST_CASE("a constructor that throws is an error of the task that was asked for") {
  TaskLibraries libraries;
  REQUIRE(libraries.load("fixture_good", {kFolder}));
  const auto task = libraries.create("fixture_good:Explode");
  REQUIRE_FALSE(task);
  CHECK_THAT(task.error().message, Contains("fixture_good:Explode"));
}

TEST_CASE("a library that is linked in is used as one that was loaded") {
  TaskLibraries libraries;
  REQUIRE(libraries.add(tempest_library_local()));
  REQUIRE(libraries.add(tempest_library_local()));
  CHECK(libraries.names(LibraryPart::task) == std::vector<std::string>{"local:Local"});
  CHECK(libraries.create("local:Local"));
}

TEST_CASE("two libraries of one name are refused") {
  const tempest::TaskLibrary other = {tempest::TaskLibrary::kAbi, "local", nullptr, 0};
  TaskLibraries libraries;
  REQUIRE(libraries.add(tempest_library_local()));
  CHECK_THAT(libraries.add(&other).error().message, Contains("two task libraries"));
  CHECK_FALSE(libraries.add(nullptr));
}

TEST_CASE("a library's sources and sinks are found as its tasks are") {
  TaskLibraries libraries;
  REQUIRE(libraries.load("fixture_good", {kFolder}));
  const auto source = libraries.create_source("fixture_good:Feed");
  REQUIRE(source);
  CHECK((*source)->describe({}) == "fed");
  const auto sink = libraries.create_sink("fixture_good:Keep");
  REQUIRE(sink);
  CHECK((*sink)->open());
  CHECK(libraries.names(LibraryPart::source) == std::vector<std::string>{"fixture_good:Feed"});
  CHECK(libraries.names(LibraryPart::sink) == std::vector<std::string>{"fixture_good:Keep"});
}

TEST_CASE("what is of another kind than the one asked for is told so") {
  TaskLibraries libraries;
  REQUIRE(libraries.load("fixture_good", {kFolder}));
  CHECK(libraries.create("fixture_good:Feed").error().message ==
        "\"fixture_good:Feed\" is a source, and no task");
  CHECK(libraries.create_source("fixture_good:Keep").error().message ==
        "\"fixture_good:Keep\" is a sink, and no source");
  CHECK_THAT(libraries.create_source("fixture_good:Fead").error().message,
             Contains("has no source \"Fead\"") && Contains("did you mean \"fixture_good:Feed\"?"));
  REQUIRE(libraries.add(tempest_library_local()));
  CHECK_THAT(libraries.check("local:Any", LibraryPart::sink).error().message,
             Contains("it has no sinks"));
}
