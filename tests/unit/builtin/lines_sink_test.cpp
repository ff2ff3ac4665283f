#include "tempest/builtin/lines_sink.hpp"

#include <unistd.h>

#include <catch2/catch.hpp>
#include <filesystem>
#include <sstream>
#include <string>
#include <thread>
#include <vector>

#include "tempest/builtin/sink_factory.hpp"
#include "tests/support/temporary_folder.hpp"

using namespace tempest;
using Catch::Matchers::Contains;
using tempest::builtin::LinesSink;
using tempest::test::TemporaryFolder;

namespace {

Result<void> write(Sink& sink, std::vector<Message> messages) {
  return sink.write(messages);
}

}  // namespace

TEST_CASE("a lines sink appends each payload as a line") {
  const TemporaryFolder folder;
  folder.write("out", "before\n");
  LinesSink sink(folder.path("out"), true);
  REQUIRE(sink.open());
  REQUIRE(write(sink, {"one", "", "two"}));
  CHECK(folder.read("out") == "before\none\n\ntwo\n");
}

TEST_CASE("a lines sink that does not append empties the file once in a process") {
  const TemporaryFolder folder;
  folder.write("out", "before\n");
  {
    LinesSink first(folder.path("out"), false);
    LinesSink second(folder.path("./out"), false);
    REQUIRE(first.open());
    REQUIRE(write(first, {"one"}));
    REQUIRE(second.open());
    REQUIRE(write(second, {"two"}));
  }
  LinesSink third(folder.path("out"), false);
  REQUIRE(third.open());
  REQUIRE(write(third, {"three"}));
  CHECK(folder.read("out") == "one\ntwo\nthree\n");
}

TEST_CASE("lines of several threads do not mix") {
  const TemporaryFolder folder;
  const std::string path = folder.path("out");
  std::vector<std::thread> threads;
  for (char name = 'a'; name < 'e'; ++name) {
    threads.emplace_back([path, name] {
      LinesSink sink(path, true);
      const std::string line(200, name);
      if (!sink.open()) return;
      for (int i = 0; i < 50; ++i) {
        if (!write(sink, std::vector<Message>(20, Message(line)))) return;
      }
    });
  }
  for (std::thread& thread : threads) thread.join();
  std::istringstream lines(folder.read("out"));
  std::size_t count = 0;
  bool mixed = false;
  for (std::string line; std::getline(lines, line); ++count) {
    mixed = mixed || line != std::string(200, line[0]);
  }
  CHECK(count == 4 * 50 * 20);
  CHECK_FALSE(mixed);
}

TEST_CASE("a lines sink's payloads may be larger than one write") {
  const TemporaryFolder folder;
  const std::string large(3'000'000, 'x');
  LinesSink sink(folder.path("out"), true);
  REQUIRE(sink.open());
  REQUIRE(write(sink, {large, "small", large}));
  CHECK(folder.read("out") == large + "\nsmall\n" + large + "\n");
}

TEST_CASE("a file that cannot be opened is reported by its name") {
  LinesSink sink("/nonexistent/out", true);
  const auto opened = sink.open();
  REQUIRE_FALSE(opened);
  CHECK(opened.error().code == ErrorCode::io);
  CHECK_THAT(opened.error().message, Contains("\"/nonexistent/out\"") && Contains("No such file"));
}

TEST_CASE("a full disk is an error that passes") {
  if (!std::filesystem::exists("/dev/full")) return;
  LinesSink sink("/dev/full", true);
  REQUIRE(sink.open());
  const auto written = write(sink, {"line"});
  REQUIRE_FALSE(written);
  CHECK(written.error().code == ErrorCode::unavailable);
}

TEST_CASE("a sink is made of what an endpoint says, or refused with the reason") {
  const TemporaryFolder folder;
  Endpoint endpoint;
  endpoint.type = "null";
  auto null = builtin::create_sink(endpoint);
  REQUIRE(null);
  REQUIRE((*null)->open());
  CHECK(write(**null, {"gone"}));

  endpoint.type = "lines";
  CHECK(builtin::create_sink(endpoint).error().code == ErrorCode::configuration);
  endpoint.type = "redis_stream";
  CHECK_THAT(builtin::create_sink(endpoint).error().message, Contains("key"));
  endpoint.settings.set("key", {std::string("k")});
  CHECK(builtin::create_sink(endpoint));
  endpoint.settings.set("uri", {std::string("http://x")});
  CHECK_FALSE(builtin::create_sink(endpoint));
  endpoint.type = "nul";
  CHECK_THAT(builtin::create_sink(endpoint).error().message, Contains("did you mean \"null\"?"));
}
