// How a followed log is read through rotations, while the source runs and while it does not.

#include <sys/stat.h>

#include <catch2/catch.hpp>

#include "tests/unit/builtin/log_fixture.hpp"

using namespace tempest;
using namespace tempest::test;
using namespace std::chrono_literals;
using Catch::Matchers::Contains;

TEST_CASE_METHOD(Log, "a followed file gives what is added, once its line has an end") {
  append("a\nb");
  auto following = source();
  open(following);
  CHECK_FALSE(following.is_finite());
  CHECK(take_all(following).lines == Lines{"a"});
  append("c\nd\n");
  CHECK(take_all(following).lines == Lines{"bc", "d"});
}

TEST_CASE_METHOD(Log, "a file that was put aside is read to its end, then the new one") {
  append("a\n");
  auto following = source();
  open(following);
  CHECK(take_all(following).lines == Lines{"a"});
  append("b\nunfinished");
  rename("log", "log.1");
  append("c\n");
  const Given given = take_all(following);
  CHECK(given.lines == Lines{"b", "unfinished", "c"});
  CHECK(given.lost == 0);
}

TEST_CASE_METHOD(Log, "what a late writer adds to the file that was put aside comes first") {
  rotate_wait = 10min;
  append("a\n");
  auto following = source();
  open(following);
  CHECK(take_all(following).lines == Lines{"a"});
  append("unfini", "log");
  rename("log", "log.1");
  append("new\n");
  const SourceBatch waiting = poll_once(following);
  CHECK(waiting.empty());
  CHECK(waiting.has_more);  // So that the source does not count as drained.
  append("shed\nlate\n", "log.1");
  CHECK(take_all(following).lines == Lines{"unfinished", "late"});
}

TEST_CASE_METHOD(Log, "a file that grows after the next one is being read is gone back to") {
  append("a\n");
  auto following = source();
  open(following);
  take_all(following);
  rename("log", "log.1");
  append("b\n");
  CHECK(take_all(following).lines == Lines{"b"});
  append("late\n", "log.1");
  CHECK(take_all(following).lines == Lines{"late"});
  append("c\n");
  CHECK(take_all(following).lines == Lines{"c"});
}

TEST_CASE_METHOD(Log, "the rest of a line that was given out unfinished is counted as lost") {
  append("a\nhalf");
  auto following = source();
  open(following);
  rename("log", "log.1");
  append("b\n");
  CHECK(take_all(following).lines == Lines{"a", "half", "b"});
  append(" of it\nlate\n", "log.1");
  const Given given = take_all(following);
  CHECK(given.lines == Lines{"late"});
  CHECK(given.lost == 1);
  CHECK_THAT(given.warnings, Contains("rest of that line"));
}

TEST_CASE_METHOD(Log, "several rotations while nothing is read lose nothing, whatever the names") {
  append(numbered(0, 10));
  auto following = source();
  open(following);
  CHECK(poll_once(following, 5).size() == 5);
  SourceTended tended;
  // No poll comes in between: only what the source does without one.
  for (int i = 1; i <= 5; ++i) {
    rename("log", "put-aside-" + std::to_string(i));
    append(numbered(10 * i, 10 * i + 10));
    REQUIRE(following.tend(tended));
  }
  for (int i = 1; i <= 5; ++i) remove("put-aside-" + std::to_string(i));
  const Given given = take_all(following);
  CHECK(given.lines == numbers(5, 60));
  CHECK(given.lost == 0);
}

TEST_CASE_METHOD(Log, "rotations between two looks are found by their names, in order") {
  append(numbered(0, 10));
  auto following = source();
  open(following);
  CHECK(take_all(following).lines.size() == 10);
  rename("log", "log.1");
  append(numbered(10, 20));
  rename("log.1", "log.2");
  rename("log", "log.1");
  append(numbered(20, 30));
  CHECK(take_all(following).lines == numbers(10, 30));
}

TEST_CASE_METHOD(Log,
                 "rotations while the source does not run are all read, from the checkpoint on") {
  append("older, and none of ours\n", "log.1");
  append(numbered(0, 10));
  {
    auto first = source();
    open(first);
    Given given = take_all(first);
    CHECK(given.lines == numbers(0, 10));
    given.tokens.resize(4);
    ack_all(first, given);
  }
  rename("log.1", "log.2");
  rename("log", "log.1");
  append(numbered(10, 20));
  rename("log.2", "log.3");
  rename("log.1", "log.2");
  rename("log", "log.1");
  append(numbered(20, 30));
  rename("log", "log-20261128");
  append(numbered(30, 40));
  auto second = source();
  open(second);
  const Given given = take_all(second);
  CHECK(given.lines == numbers(4, 40));
  CHECK(given.lost == 0);
  CHECK(given.warnings.empty());
  CHECK(second.describe(given.tokens[0]) == "line 5");
  ack_all(second, given);
}

TEST_CASE_METHOD(Log, "nothing of several files is read again once it is acked") {
  append(numbered(0, 10));
  {
    auto first = source();
    open(first);
    take_all(first);
    rename("log", "log.1");
    append(numbered(10, 20));
    Given given = take_all(first);
    CHECK(given.lines == numbers(10, 20));
    ack_all(first, given);  // The first ten are not.
  }
  {
    auto second = source();
    open(second);
    const Given given = take_all(second);
    CHECK(given.lines == numbers(0, 10));
    ack_all(second, given);
  }
  rename("log.1", "log.2");
  rename("log", "log.1");
  append(numbered(20, 30));
  auto third = source();
  open(third);
  CHECK(take_all(third).lines == numbers(20, 30));
}

TEST_CASE_METHOD(Log, "a symbolic link that is switched: the rest of its old target is read") {
  const bool is_running = GENERATE(true, false);
  CAPTURE(is_running);
  REQUIRE(::mkdir(path("days").c_str(), 0755) == 0);
  append(numbered(0, 10), "days/monday");
  REQUIRE(::symlink("days/monday", path("log").c_str()) == 0);
  const auto switch_to = [&](const std::string& name) {
    REQUIRE(::symlink(("days/" + name).c_str(), path("link").c_str()) == 0);
    rename("link", "log");
  };
  auto first = std::make_unique<builtin::LinesSource>(path(), options());
  open(*first);
  Given given = take_all(*first);
  CHECK(given.lines == numbers(0, 10));
  ack_all(*first, given);
  if (!is_running) first.reset();
  append(numbered(10, 20), "days/monday");
  append(numbered(20, 30), "days/tuesday");
  switch_to("tuesday");
  if (!is_running) {
    first = std::make_unique<builtin::LinesSource>(path(), options());
    open(*first);
  }
  given = take_all(*first);
  CHECK(given.lines == numbers(10, 30));
  CHECK(given.lost == 0);
}

TEST_CASE_METHOD(Log, "a file that was copied and cut is read on in its copy, then anew") {
  const bool is_running = GENERATE(true, false);
  CAPTURE(is_running);
  const std::string stamp(300, '.');
  append(stamp + "\n" + numbered(0, 10));
  auto first = std::make_unique<builtin::LinesSource>(path(), options());
  open(*first);
  Given given = take_all(*first);
  CHECK(given.lines.size() == 11);
  ack_all(*first, given);
  if (!is_running) first.reset();
  append(numbered(10, 20));
  copy("log.1");
  cut();
  append(numbered(20, 500));  // Beyond where the old content ended.
  if (!is_running) {
    first = std::make_unique<builtin::LinesSource>(path(), options());
    open(*first);
  }
  given = take_all(*first);
  CHECK(given.lines == numbers(10, 500));
  // It was being written to: who knows what came in between?
  CHECK(given.lost == (is_running ? 1 : 0));
  CHECK_THAT(given.warnings, Contains("between the copying and the cutting"));
  ack_all(*first, given);
  append(numbered(500, 510));
  CHECK(take_all(*first).lines == numbers(500, 510));
}

TEST_CASE_METHOD(Log, "copied and cut twice while the source does not run, all is read") {
  append(numbered(0, 100));
  {
    auto first = source();
    open(first);
    Given given = take_all(first);
    given.tokens.resize(50);
    ack_all(first, given);
  }
  copy("log.1");
  cut();
  append(numbered(100, 200));
  rename("log.1", "log.2");
  copy("log.1");
  cut();
  append(numbered(200, 300));
  auto second = source();
  open(second);
  const Given given = take_all(second);
  CHECK(given.lines == numbers(50, 300));
  CHECK(given.lost == 0);
}

TEST_CASE_METHOD(Log, "what was read before a cut and not acked is read again from the copy") {
  append(numbered(0, 100));
  {
    auto first = source();
    open(first);
    Given given = take_all(first);
    copy("log.1");
    cut();
    append(numbered(100, 110));
    CHECK(take_all(first).lines == numbers(100, 110));
    given.tokens.resize(60);
    ack_all(first, given);
  }
  auto second = source();
  open(second);
  const Given given = take_all(second);
  CHECK(given.lines == numbers(60, 110));
  CHECK(given.lost == 0);
}

TEST_CASE_METHOD(Log,
                 "a file that was cut without a copy: what was not read is lost, and told of") {
  append(numbered(0, 100));
  auto following = source();
  open(following);
  CHECK(poll_once(following, 10).size() == 10);
  cut();
  append("new\n");
  Given given = take_all(following);
  CHECK(given.lines.back() == "new");
  // All of it was in the reader's hands.
  CHECK(given.lines.size() == 91);
  CHECK_THAT(given.warnings, Contains("shorter") && Contains("no copy"));

  append(numbered(0, 200'000));
  SourceTended tended;
  REQUIRE(following.tend(tended));
  CHECK(poll_once(following, 10).size() == 10);
  cut();
  append("newer\n");
  given = take_all(following);
  CHECK(given.lines.back() == "newer");
  CHECK(given.lines.size() < 199'990);
  CHECK(given.lost >= 1);
  CHECK_THAT(given.warnings, Contains("lost"));
}

TEST_CASE_METHOD(Log,
                 "what was read before a cut without a copy and not done is lost with the node") {
  append(numbered(0, 10));
  {
    auto first = source();
    open(first);
    Given given = take_all(first);
    cut();
    append("new\n");
    CHECK(take_all(first).lines == Lines{"new"});
    given.tokens.resize(7);
    ack_all(first, given);
  }
  auto second = source();
  open(second);
  const Given given = take_all(second);
  CHECK(given.lines == Lines{"new"});
  CHECK(given.lost == 3);
  CHECK_THAT(given.warnings, Contains("3 lines"));
}

TEST_CASE_METHOD(Log, "a file that grew beyond the old place after a cut is read from its start") {
  append(numbered(0, 10));
  {
    auto first = source();
    open(first);
    ack_all(first, take_all(first));
  }
  cut();
  append(numbered(1000, 1100));
  auto second = source();
  open(second);
  const Given given = take_all(second);
  CHECK(given.lines == numbers(1000, 1100));
  CHECK(given.lost == 1);
  CHECK_THAT(given.warnings, Contains("another file"));
}

TEST_CASE_METHOD(Log, "another file in the place of the old one is read from its start") {
  append(numbered(0, 4));
  {
    auto first = source();
    open(first);
    Given given = take_all(first);
    given.tokens.resize(1);
    ack_all(first, given);
  }
  // Most file systems give the inode to the next file.
  remove("log");
  append("another\nfile\nthat is\nlonger\nthan the old one was\n");
  auto second = source();
  open(second);
  const Given given = take_all(second);
  CHECK(given.lines == Lines{"another", "file", "that is", "longer", "than the old one was"});
  CHECK(given.lost == 4);  // Three that were given out, and at least one more.
}

TEST_CASE_METHOD(Log, "a file that was compressed before it was read counts as lost") {
  append(numbered(0, 10));
  {
    auto first = source();
    open(first);
    ack_all(first, take_all(first));
  }
  append(numbered(10, 20));
  rename("log", "log.2.gz");
  append("x\n", "log.2.gz");
  append(numbered(20, 30), "log.1.gz");
  append(numbered(30, 40));
  cut("log.2.gz");
  append("not what it was", "log.2.gz");
  auto second = source();
  open(second);
  const Given given = take_all(second);
  CHECK(given.lines == numbers(30, 40));
  CHECK(given.lost == 2);
  CHECK_THAT(given.warnings, Contains("log.1.gz") || Contains("log.2.gz"));
}

TEST_CASE_METHOD(Log,
                 "the end of a line that was too long is no line, in whatever file it stands") {
  const auto limited = [&] {
    auto with_limit = options();
    with_limit.max_line_bytes = 100;
    return std::make_unique<builtin::LinesSource>(path(), with_limit);
  };
  SECTION("the file is cut within it") {
    append(std::string(300, 'x'));
    auto following = limited();
    open(*following);
    CHECK(take_all(*following).lost == 1);
    cut();
    append("first\nsecond\n");
    const Given given = take_all(*following);
    CHECK(given.lines == Lines{"first", "second"});
  }
  SECTION("the file is put aside within it") {
    append(std::string(300, 'x'));
    auto following = limited();
    open(*following);
    CHECK(take_all(*following).lost == 1);
    rename("log", "log.1");
    append("first\nsecond\n");
    CHECK(take_all(*following).lines == Lines{"first", "second"});
  }
  SECTION("the source is started again within it") {
    append("a\n" + std::string(3000, 'x'));
    {
      auto first = limited();
      open(*first);
      const Given given = take_all(*first);
      CHECK(given.lines == Lines{"a"});
      CHECK(given.lost == 1);
      ack_all(*first, given);
    }
    append("END\nb\n");
    auto second = limited();
    open(*second);
    const Given given = take_all(*second);
    CHECK(given.lines == Lines{"b"});
    CHECK_THAT(given.warnings, Contains("within a line"));
  }
}

TEST_CASE_METHOD(Log, "more files than are held open at a time are read, in order") {
  constexpr int kFiles = 150;
  append(numbered(0, 2));
  {
    auto first = source();
    open(first);
    Given given = take_all(first);
    given.tokens.resize(1);
    ack_all(first, given);
  }
  for (int i = 1; i <= kFiles; ++i) {
    rename("log", "log." + std::to_string(1000 - i));
    append(numbered(2 * i, 2 * i + 2));
  }
  Lines lines;
  std::unique_ptr<builtin::LinesSource> following;
  for (int start = 0; start < 3; ++start) {
    following = nullptr;
    following = std::make_unique<builtin::LinesSource>(path(), options());
    open(*following);
    for (int polls = 0; polls < 500; ++polls) {
      const SourceBatch batch = poll_once(*following, 7);
      std::vector<SourceToken> tokens;
      for (const SourceMessage& message : batch.messages()) tokens.push_back(message.token);
      for (const std::string& line : lines_of(batch)) lines.push_back(line);
      REQUIRE(following->ack(tokens));
      if (start < 2 && lines.size() > 100U * static_cast<unsigned>(start + 1)) break;
    }
    CHECK(following->take_warnings().empty());
  }
  CHECK(lines == numbers(1, 2 * kFiles + 2));
}
