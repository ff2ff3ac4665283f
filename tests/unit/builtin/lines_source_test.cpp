#include "tempest/builtin/lines_source.hpp"

#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <catch2/catch.hpp>
#include <string>
#include <string_view>
#include <vector>

#include "tempest/base/limits.hpp"
#include "tests/support/temporary_folder.hpp"

using namespace tempest;
using namespace std::chrono_literals;
using Catch::Matchers::Contains;
using tempest::builtin::LinesSource;
using tempest::test::TemporaryFolder;
using Lines = std::vector<std::string>;

namespace {

struct Read {
  Lines lines;
  std::vector<SourceToken> tokens;
  std::uint64_t lost = 0;
};

/// Everything, some messages at a time.
Read read_all(LinesSource& source, std::size_t max_messages = 3) {
  Read read;
  for (SourceBatch batch; !batch.ended;) {
    batch = {};
    REQUIRE(source.poll(max_messages, 0ms, batch));
    CHECK(batch.size() <= max_messages);
    for (const SourceMessage& message : batch.messages()) {
      read.lines.emplace_back(message.payload);
      read.tokens.push_back(message.token);
    }
    read.lost += batch.lost;
  }
  return read;
}

Lines lines_of(const std::string& content) {
  const TemporaryFolder folder;
  LinesSource source(folder.write("in", content));
  REQUIRE(source.open());
  return read_all(source).lines;
}

/// The writing end of a pipe that a source reads.
class Pipe {
 public:
  explicit Pipe(const std::string& path) {
    REQUIRE(::mkfifo(path.c_str(), 0600) == 0);
    // Both ways, so that it opens before anybody reads.
    fd_ = ::open(path.c_str(), O_RDWR | O_CLOEXEC);
    REQUIRE(fd_ >= 0);
  }
  ~Pipe() { close(); }
  void write(std::string_view text) {
    REQUIRE(::write(fd_, text.data(), text.size()) == static_cast<ssize_t>(text.size()));
  }
  void close() {
    if (fd_ >= 0) ::close(fd_);
    fd_ = -1;
  }

 private:
  int fd_ = -1;
};

}  // namespace

TEST_CASE("a lines source gives each line of a file, in order") {
  CHECK(lines_of("one\ntwo\nthree\nfour\n") == Lines{"one", "two", "three", "four"});
  CHECK(lines_of("").empty());
}

TEST_CASE("the last line counts without a newline, and an empty line is a message") {
  CHECK(lines_of("one\n\n\ntwo") == Lines{"one", "", "", "two"});
  CHECK(lines_of("\n") == Lines{""});
  CHECK(lines_of("x") == Lines{"x"});
}

TEST_CASE("all bytes but the newline are kept") {
  const std::string bytes("\0\xff\r\t\x1b", 5);
  CHECK(lines_of(bytes + "\n" + bytes) == Lines{bytes, bytes});
}

TEST_CASE("a line's token is its number, and so is what it is called") {
  const TemporaryFolder folder;
  LinesSource source(folder.write("in", "a\nb\n"));
  REQUIRE(source.open());
  const Read read = read_all(source);
  REQUIRE(read.tokens.size() == 2);
  CHECK(read.tokens[1] == SourceToken{0, 2});
  CHECK(source.describe(read.tokens[1]) == "line 2");
  CHECK(source.ack(read.tokens));
}

TEST_CASE("lines longer than a read of the file are whole") {
  const std::string large(1'000'000, 'x');
  CHECK(lines_of(large + "\nshort\n" + large + "\n") == Lines{large, "short", large});
}

TEST_CASE("a line that is longer than a message may be is skipped and counted as lost") {
  const TemporaryFolder folder;
  const std::string largest(kMaxPayloadBytes, 'x');
  LinesSource source(
      folder.write("in", "a\n" + largest + "yy\nb\n" + largest + "\n" + largest + largest));
  REQUIRE(source.open());
  const Read read = read_all(source);
  REQUIRE(read.lines.size() == 3);
  CHECK(read.lines[0] == "a");
  CHECK(read.lines[1] == "b");
  CHECK(read.lines[2].size() == largest.size());
  CHECK(read.lost == 2);
  CHECK(read.tokens[1].low == 3);
  const auto warnings = source.take_warnings();
  REQUIRE(warnings.size() == 2);
  CHECK_THAT(warnings[0], Contains("line 2"));
  CHECK_THAT(warnings[1], Contains("line 5"));
  CHECK(source.take_warnings().empty());
}

TEST_CASE("a poll of large lines is bounded by their bytes") {
  const TemporaryFolder folder;
  std::string content;
  for (int i = 0; i < 20; ++i) content += std::string(1'000'000, 'x') + "\n";
  LinesSource source(folder.write("in", content));
  REQUIRE(source.open());
  SourceBatch batch;
  REQUIRE(source.poll(1000, 0ms, batch));
  CHECK(batch.size() < 12);
  CHECK_FALSE(batch.ended);
}

TEST_CASE("a pipe is read as it comes, and a partial line waits for its rest") {
  const TemporaryFolder folder;
  Pipe pipe(folder.path("pipe"));
  LinesSource source(folder.path("pipe"));
  REQUIRE(source.open());
  SourceBatch batch;
  REQUIRE(source.poll(10, 0ms, batch));
  CHECK(batch.empty());
  CHECK_FALSE(batch.ended);

  pipe.write("one\ntw");
  REQUIRE(source.poll(10, 1s, batch));
  REQUIRE(batch.size() == 1);
  CHECK(batch.messages()[0].payload == "one");

  pipe.write("o\n");
  batch = {};
  REQUIRE(source.poll(10, 1s, batch));
  REQUIRE(batch.size() == 1);
  CHECK(batch.messages()[0].payload == "two");
  CHECK_FALSE(batch.ended);

  pipe.write("rest");
  pipe.close();
  batch = {};
  REQUIRE(source.poll(10, 1s, batch));
  if (!batch.ended) REQUIRE(source.poll(10, 1s, batch));
  REQUIRE(batch.size() == 1);
  CHECK(batch.messages()[0].payload == "rest");
  CHECK(batch.ended);
}

TEST_CASE("a poll waits no longer than it may") {
  const TemporaryFolder folder;
  Pipe pipe(folder.path("pipe"));
  LinesSource source(folder.path("pipe"));
  REQUIRE(source.open());
  const auto begin = std::chrono::steady_clock::now();
  SourceBatch batch;
  REQUIRE(source.poll(10, 30ms, batch));
  const auto waited = std::chrono::steady_clock::now() - begin;
  CHECK(waited >= 30ms);
  CHECK(waited < 5s);
}

TEST_CASE("a file that cannot be read is reported by its name") {
  LinesSource missing("/nonexistent/in");
  const auto opened = missing.open();
  REQUIRE_FALSE(opened);
  CHECK(opened.error().code == ErrorCode::io);
  CHECK_THAT(opened.error().message, Contains("\"/nonexistent/in\"") && Contains("No such file"));
  LinesSource folder("/");
  CHECK_THAT(folder.open().error().message, Contains("it is a folder"));
}
