#include "tempest/builtin/lines_sink.hpp"

#include <fcntl.h>
#include <signal.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include <catch2/catch.hpp>
#include <cstdio>
#include <filesystem>
#include <functional>
#include <sstream>
#include <string>
#include <thread>
#include <vector>

#include "tempest/builtin/sink_factory.hpp"
#include "tempest/builtin/sink_task.hpp"
#include "tests/support/temporary_folder.hpp"
#include "tests/unit/builtin/recording_context.hpp"

using namespace tempest;
using Catch::Matchers::Contains;
using tempest::builtin::LinesSink;
using tempest::test::TemporaryFolder;

namespace {

Result<void> write(Sink& sink, std::vector<Message> messages) {
  return sink.write(messages);
}

/// Does `work` in a process of its own; its exit code says if that returned true.
pid_t in_process(const std::function<bool()>& work) {
  const pid_t child = ::fork();
  if (child == 0) ::_exit(work() ? 0 : 1);
  return child;
}

bool ended_well(pid_t child) {
  int status = 0;
  return ::waitpid(child, &status, 0) == child && WIFEXITED(status) && WEXITSTATUS(status) == 0;
}

/// Writes `count` lines of one letter, each longer than a pipe takes whole.
bool write_long_lines(const std::string& path, char letter, int count) {
  LinesSink sink(path, true);
  const std::string line(9'000, letter);
  if (!sink.open()) return false;
  for (int i = 0; i < count; ++i) {
    if (!write(sink, {line})) return false;
  }
  return true;
}

/// How many lines there are, each of one letter; -1 if letters are mixed.
int count_whole_lines(const std::string& text) {
  std::istringstream lines(text);
  int count = 0;
  for (std::string line; std::getline(lines, line); ++count) {
    if (line != std::string(9'000, line.empty() ? ' ' : line[0])) return -1;
  }
  return count;
}

std::string read_to_end(int descriptor) {
  std::string text;
  std::string part(1 << 16, '\0');
  for (ssize_t count = 1; count > 0;) {
    count = ::read(descriptor, part.data(), part.size());
    if (count > 0) text.append(part, 0, static_cast<std::size_t>(count));
  }
  return text;
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

TEST_CASE("a last line without an end is not glued to the next message") {
  const TemporaryFolder folder;
  folder.write("out", "by hand");
  LinesSink sink(folder.path("out"), true);
  REQUIRE(sink.open());
  REQUIRE(write(sink, {"one"}));
  CHECK(folder.read("out") == "by hand\none\n");
  // Also when another process dies within a line, later.
  std::ofstream(folder.path("out"), std::ios::app) << "torn";
  REQUIRE(write(sink, {"two"}));
  CHECK(folder.read("out") == "by hand\none\ntorn\ntwo\n");
}

TEST_CASE("a file that was put aside or removed is left for the one at its path") {
  const TemporaryFolder folder;
  const bool appends = GENERATE(true, false);
  LinesSink sink(folder.path("out"), appends);
  REQUIRE(sink.open());
  REQUIRE(write(sink, {"one"}));
  REQUIRE(std::rename(folder.path("out").c_str(), folder.path("out.1").c_str()) == 0);
  REQUIRE(write(sink, {"two"}));
  folder.write("new", "made by others\n");
  REQUIRE(std::rename(folder.path("new").c_str(), folder.path("out").c_str()) == 0);
  REQUIRE(write(sink, {"three"}));
  CHECK(folder.read("out.1") == "one\n");
  CHECK(folder.read("out") == "made by others\nthree\n");
  std::filesystem::remove(folder.path("out"));
  REQUIRE(write(sink, {"four"}));
  CHECK(folder.read("out") == "four\n");
}

TEST_CASE("once it has been open, whatever keeps a file from being written is waited for") {
  const TemporaryFolder folder;
  REQUIRE(::mkdir(folder.path("sub").c_str(), 0755) == 0);
  LinesSink sink(folder.path("sub/out"), true);
  REQUIRE(sink.open());
  REQUIRE(write(sink, {"one"}));
  std::filesystem::remove_all(folder.path("sub"));
  CHECK(write(sink, {"two"}).error().code == ErrorCode::unavailable);
  REQUIRE(::mkdir(folder.path("sub").c_str(), 0755) == 0);
  REQUIRE(write(sink, {"two"}));
  CHECK(folder.read("sub/out") == "two\n");
}

TEST_CASE("several processes do not write their lines into each other's") {
  const TemporaryFolder folder;
  constexpr int kLines = 200;
  std::vector<pid_t> children;
  std::string text;
  SECTION("to a file") {
    for (const char letter : {'a', 'b', 'c'}) {
      children.push_back(
          in_process([&] { return write_long_lines(folder.path("out"), letter, kLines); }));
    }
    for (const pid_t child : children) CHECK(ended_well(child));
    text = folder.read("out");
  }
  SECTION("to one standard output, a pipe") {
    int ends[2];
    REQUIRE(::pipe(ends) == 0);
    for (const char letter : {'a', 'b', 'c'}) {
      children.push_back(in_process([&] {
        ::dup2(ends[1], STDOUT_FILENO);
        return write_long_lines("-", letter, kLines);
      }));
    }
    ::close(ends[1]);
    text = read_to_end(ends[0]);
    ::close(ends[0]);
    for (const pid_t child : children) CHECK(ended_well(child));
  }
  CHECK(count_whole_lines(text) == 3 * kLines);
}

TEST_CASE("what a full disk takes of a line is taken back") {
  const TemporaryFolder folder;
  const bool to_standard_output = GENERATE(false, true);
  const std::string path = folder.path("out");
  CHECK(ended_well(in_process([&] {
    ::signal(SIGXFSZ, SIG_IGN);
    if (to_standard_output) {
      // As `> out` does, without O_APPEND.
      ::dup2(::open(path.c_str(), O_WRONLY | O_CREAT, 0644), STDOUT_FILENO);
    }
    rlimit limit{10'000, RLIM_INFINITY};
    if (::setrlimit(RLIMIT_FSIZE, &limit) != 0) return false;
    LinesSink sink(to_standard_output ? "-" : path, true);
    const std::string line(900, 'x');
    if (!sink.open()) return false;
    int written = 0;
    Result<void> result;
    while ((result = write(sink, {line}))) ++written;
    if (written != 11 || result.error().code != ErrorCode::unavailable) return false;
    if (std::filesystem::file_size(path) != 11 * 901) return false;
    limit.rlim_cur = RLIM_INFINITY;
    if (::setrlimit(RLIMIT_FSIZE, &limit) != 0) return false;
    return write(sink, {line}).ok() && std::filesystem::file_size(path) == 12 * 901;
  })));
}

TEST_CASE("a payload with a line break fails alone, or is escaped") {
  const TemporaryFolder folder;
  test::RecordingContext context;
  SECTION("it fails alone") {
    auto sink = std::make_unique<LinesSink>(folder.path("out"), true);
    CHECK(write(*sink, {"a\nb"}).error().code == ErrorCode::fail);
    builtin::SinkTask task(std::move(sink));
    REQUIRE(task.open({}));
    const std::vector<Message> messages = {"one", "a\nb", "two"};
    const std::vector<Context*> contexts(3, &context);
    const auto results = task.handle_batch(messages, contexts);
    REQUIRE(results.size() == 3);
    CHECK(results[0].ok());
    CHECK(results[1].error().code == ErrorCode::fail);
    CHECK_THAT(results[1].error().message, Contains("line break"));
    CHECK(results[2].ok());
    CHECK(folder.read("out") == "one\ntwo\n");
  }
  SECTION("it is escaped") {
    LinesSink sink(folder.path("out"), true, LinesSink::LineBreaks::escape);
    REQUIRE(write(sink, {"a\nb\r\\n", "plain"}));
    CHECK(folder.read("out") == "a\\nb\\r\\\\n\nplain\n");
  }
}

TEST_CASE("a pipe that nobody reads is waited for") {
  const TemporaryFolder folder;
  REQUIRE(::mkfifo(folder.path("pipe").c_str(), 0600) == 0);
  LinesSink sink(folder.path("pipe"), true);
  CHECK(sink.open().error().code == ErrorCode::unavailable);
  const int reader = ::open(folder.path("pipe").c_str(), O_RDONLY | O_NONBLOCK | O_CLOEXEC);
  REQUIRE(sink.open());
  REQUIRE(write(sink, {"one"}));
  std::string text(100, '\0');
  CHECK(::read(reader, text.data(), text.size()) == 4);
  ::close(reader);
}
