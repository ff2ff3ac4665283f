// What a followed source waits for, and what it refuses.

#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <catch2/catch.hpp>

#include "tests/unit/builtin/log_fixture.hpp"

using namespace tempest;
using namespace tempest::test;
using namespace std::chrono_literals;
using Catch::Matchers::Contains;
using tempest::builtin::LinesSource;

TEST_CASE_METHOD(Log, "with follow a file that is not there yet is waited for") {
  auto following = source();
  const auto opened = following.open();
  REQUIRE_FALSE(opened);
  CHECK(opened.error().code == ErrorCode::unavailable);
  CHECK_THAT(opened.error().message, Contains(path()) && Contains("No such file"));
  append("older\n", "log.1");  // Put aside while it was waited for.
  append("a\n");
  open(following);
  CHECK(take_all(following).lines == Lines{"older", "a"});
}

TEST_CASE_METHOD(Log,
                 "what was put aside before the first start is none of it, also if that waited") {
  append("older\n", "log.1");
  append("older still\n", "log.2.gz");
  for (int tries = 0; tries < 3; ++tries) {
    // A node makes its source anew for each try.
    CHECK(source().open().error().code == ErrorCode::unavailable);
  }
  append("between\n", "log-20261128");
  append("a\n");
  auto following = source();
  open(following);
  const Given given = take_all(following);
  CHECK(given.lines == Lines{"between", "a"});
  CHECK(given.lost == 0);
}

TEST_CASE_METHOD(Log, "with follow a folder in the file's place is waited for to go") {
  REQUIRE(::mkdir(path().c_str(), 0755) == 0);
  auto following = source();
  const auto opened = following.open();
  REQUIRE_FALSE(opened);
  CHECK(opened.error().code == ErrorCode::unavailable);
  CHECK_THAT(opened.error().message, Contains("folder"));
  REQUIRE(::rmdir(path().c_str()) == 0);
  append("a\n");
  open(following);
  CHECK(take_all(following).lines == Lines{"a"});
  // Also while it runs.
  rename("log", "log.1");
  REQUIRE(::mkdir(path().c_str(), 0755) == 0);
  CHECK(take_all(following).lines.empty());
  append("late\n", "log.1");
  CHECK(take_all(following).lines == Lines{"late"});
  REQUIRE(::rmdir(path().c_str()) == 0);
  append("b\n");
  CHECK(take_all(following).lines == Lines{"b"});
}

TEST_CASE_METHOD(Log, "a checkpoint's file that is not there yet is waited for, not given up") {
  append(numbered(0, 10));
  {
    auto first = source();
    open(first);
    Given given = take_all(first);
    given.tokens.resize(5);
    ack_all(first, given);
  }
  REQUIRE(::mkdir(path("away").c_str(), 0755) == 0);
  rename("log", "away/log");
  auto second = source();
  CHECK(second.open().error().code == ErrorCode::unavailable);
  rename("away/log", "log");
  open(second);
  const Given given = take_all(second);
  CHECK(given.lines == numbers(5, 10));
  CHECK(given.lost == 0);
}

TEST_CASE_METHOD(Log, "with follow the next writer of a pipe is waited for, which is said once") {
  REQUIRE(::mkfifo(path().c_str(), 0600) == 0);
  LinesSource following(path(), {.follow = true});
  open(following);
  const auto write = [&](const std::string& text) {
    const int writer = ::open(path().c_str(), O_WRONLY | O_CLOEXEC);
    REQUIRE(::write(writer, text.data(), text.size()) == static_cast<ssize_t>(text.size()));
    ::close(writer);
  };
  write("a\nlast");
  Given given = take_all(following);
  CHECK(given.lines == Lines{"a", "last"});
  CHECK_THAT(given.warnings, Contains("cannot be read again") && Contains("next writer"));
  CHECK(take_all(following).warnings.empty());
  write("b\n");
  CHECK(take_all(following).lines == Lines{"b"});
}

TEST_CASE_METHOD(Log, "a line without end keeps a poll no longer than it may wait") {
  append("a\n");
  constexpr off_t kHuge = 100LL << 30;
  REQUIRE(::truncate(path().c_str(), kHuge) == 0);
  auto limited = options();
  limited.max_line_bytes = 1000;
  LinesSource following(path(), limited);
  open(following);
  CHECK(lines_of(poll_once(following)) == Lines{"a"});
  for (int i = 0; i < 5; ++i) {
    const auto begin = std::chrono::steady_clock::now();
    const SourceBatch batch = poll_once(following);
    CHECK(batch.empty());
    CHECK(batch.has_more);
    CHECK(std::chrono::steady_clock::now() - begin < 2s);
  }
}

TEST_CASE_METHOD(Log, "two topologies are refused one checkpoint") {
  append("a\n");
  append("b\n", "other");
  {
    auto first = source();
    open(first);
  }
  auto other = options();
  SECTION("another topology") {
    other.topology = "invoices";
  }
  SECTION("another file of one of the same name") {}
  LinesSource second(path(other.topology == "orders" ? "other" : "log"), other);
  const auto opened = second.open();
  REQUIRE_FALSE(opened);
  CHECK(opened.error().code == ErrorCode::configuration);
  CHECK_THAT(opened.error().message, Contains("orders") && Contains("name another checkpoint"));
}

TEST_CASE_METHOD(Log, "a log that was moved as a whole is known again") {
  append(numbered(0, 10));
  {
    auto first = source();
    open(first);
    Given given = take_all(first);
    given.tokens.resize(5);
    ack_all(first, given);
  }
  rename("log", "moved");
  LinesSource second(path("moved"), options());
  open(second);
  CHECK(take_all(second).lines == numbers(5, 10));
}

TEST_CASE_METHOD(Log, "a checkpoint that another process has is waited for") {
  append("a\n");
  auto first = source();
  open(first);
  auto second = source();
  const auto opened = second.open();
  REQUIRE_FALSE(opened);
  CHECK(opened.error().code == ErrorCode::unavailable);
  CHECK_THAT(opened.error().message, Contains("in use") && Contains(std::to_string(::getpid())));
}

TEST_CASE_METHOD(Log, "a checkpoint that cannot be written ends the source before it has read") {
  append("a\n");
  auto nowhere = options();
  nowhere.checkpoint = path("missing/place");
  const auto opened = LinesSource(path(), nowhere).open();
  REQUIRE_FALSE(opened);
  CHECK(opened.error().code == ErrorCode::configuration);
  CHECK_THAT(opened.error().message, Contains("there is no folder"));
  if (::geteuid() == 0) return;  // Root may write anywhere.
  REQUIRE(::mkdir(path("locked").c_str(), 0500) == 0);
  nowhere.checkpoint = path("locked/place");
  const auto refused = LinesSource(path(), nowhere).open();
  REQUIRE_FALSE(refused);
  CHECK(refused.error().code == ErrorCode::io);
}

TEST_CASE_METHOD(Log, "a checkpoint of a pipe is refused") {
  REQUIRE(::mkfifo(path().c_str(), 0600) == 0);
  CHECK(source().open().error().code == ErrorCode::configuration);
}
