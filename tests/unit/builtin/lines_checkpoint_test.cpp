#include <catch2/catch.hpp>
#include <cstdio>
#include <fstream>
#include <string>
#include <vector>

#include "tempest/builtin/lines_source.hpp"
#include "tests/support/temporary_folder.hpp"

using namespace tempest;
using namespace std::chrono_literals;
using Catch::Matchers::Contains;
using tempest::builtin::LinesSource;
using tempest::test::TemporaryFolder;
using Lines = std::vector<std::string>;

namespace {

struct Log {
  void append(const std::string& text, const std::string& name = "log") {
    std::ofstream(folder.path(name), std::ios::binary | std::ios::app) << text;
  }
  void rotate() {
    REQUIRE(std::rename(folder.path("log").c_str(), folder.path("log.1").c_str()) == 0);
  }
  LinesSource source(bool follow = false) {
    return LinesSource(folder.path("log"), {.checkpoint = folder.path("place"), .follow = follow});
  }

  TemporaryFolder folder;
};

SourceBatch poll(LinesSource& source, std::size_t max_messages = 100) {
  SourceBatch batch;
  REQUIRE(source.poll(max_messages, 0ms, batch));
  return batch;
}

Lines lines(const SourceBatch& batch) {
  Lines result;
  for (const SourceMessage& message : batch.messages()) result.emplace_back(message.payload);
  return result;
}

void ack(LinesSource& source, const SourceBatch& batch, const std::vector<std::size_t>& which) {
  std::vector<SourceToken> tokens;
  for (const std::size_t index : which) tokens.push_back(batch.messages()[index].token);
  REQUIRE(source.ack(tokens));
}

}  // namespace

TEST_CASE_METHOD(Log, "a lines source begins at its checkpoint: the oldest line not yet acked") {
  append("a\nb\nc\nd\n");
  {
    auto first = source();
    REQUIRE(first.open());
    const SourceBatch batch = poll(first, 3);
    REQUIRE(lines(batch) == Lines{"a", "b", "c"});
    ack(first, batch, {2});
    ack(first, batch, {0});
  }
  auto second = source();
  REQUIRE(second.open());
  const SourceBatch batch = poll(second);
  CHECK(lines(batch) == Lines{"b", "c", "d"});
  CHECK(second.describe(batch.messages()[0].token) == "line 2");
  ack(second, batch, {0, 1, 2});
  auto third = source();
  REQUIRE(third.open());
  CHECK(poll(third).empty());
}

TEST_CASE_METHOD(Log, "a followed file gives what is added, once its line has an end") {
  append("a\nb");
  auto following = source(true);
  REQUIRE(following.open());
  CHECK_FALSE(following.is_finite());
  CHECK(lines(poll(following)) == Lines{"a"});
  SourceBatch batch = poll(following);
  CHECK(batch.empty());
  CHECK_FALSE(batch.ended);
  append("c\nd\n");
  CHECK(lines(poll(following)) == Lines{"bc", "d"});
}

TEST_CASE_METHOD(Log, "a followed file is read to its end after it was rotated, then the new one") {
  append("a\n");
  auto following = source(true);
  REQUIRE(following.open());
  CHECK(lines(poll(following)) == Lines{"a"});
  append("b\nunfinished");
  rotate();
  CHECK(lines(poll(following)) == Lines{"b"});
  append("c\n");
  CHECK(lines(poll(following)) == Lines{"unfinished", "c"});
}

TEST_CASE_METHOD(Log, "a followed file that was cut is read from its start, with a warning") {
  append("a long line\n");
  auto following = source(true);
  REQUIRE(following.open());
  CHECK(poll(following).size() == 1);
  std::ofstream(folder.path("log"), std::ios::trunc) << "new\n";
  CHECK(lines(poll(following)) == Lines{"new"});
  CHECK_THAT(following.take_warnings().at(0), Contains("shorter"));
}

TEST_CASE_METHOD(Log, "a file that was rotated while nobody read it is found by its checkpoint") {
  append("a\nb\nc\n");
  {
    auto first = source(true);
    REQUIRE(first.open());
    const SourceBatch batch = poll(first);
    ack(first, batch, {0});
  }
  rotate();
  append("d\n");
  auto second = source(true);
  REQUIRE(second.open());
  CHECK(lines(poll(second)) == Lines{"b", "c", "d"});
  CHECK(second.take_warnings().empty());
}

TEST_CASE_METHOD(Log, "what is acked of two files is resumed in the older one") {
  append("a\n");
  {
    auto first = source(true);
    REQUIRE(first.open());
    const SourceBatch old_lines = poll(first);
    rotate();
    append("b\n");
    const SourceBatch new_lines = poll(first);
    REQUIRE(lines(new_lines) == Lines{"b"});
    ack(first, new_lines, {0});
  }
  auto second = source(true);
  REQUIRE(second.open());
  CHECK(lines(poll(second)) == Lines{"a", "b"});
}

TEST_CASE_METHOD(Log,
                 "another file than at the checkpoint is read from its start, with a warning") {
  append("a\n");
  {
    auto first = source();
    REQUIRE(first.open());
    ack(first, poll(first), {0});
  }
  append("x\n", "other");
  REQUIRE(std::rename(folder.path("other").c_str(), folder.path("log").c_str()) == 0);
  auto second = source();
  REQUIRE(second.open());
  CHECK(lines(poll(second)) == Lines{"x"});
  CHECK_THAT(second.take_warnings().at(0), Contains("another file"));
}

TEST_CASE_METHOD(Log, "a checkpoint that is something else is refused") {
  append("a\n");
  append("important text", "place");
  const auto opened = source().open();
  REQUIRE_FALSE(opened);
  CHECK(opened.error().code == ErrorCode::configuration);
}

TEST_CASE_METHOD(Log, "lines beyond max_line are lost, and told of") {
  append("short\n" + std::string(500, 'x') + "\n\xff\xfe\n");
  LinesSource limited(folder.path("log"),
                      {.checkpoint = {}, .follow = false, .max_line_bytes = 100});
  REQUIRE(limited.open());
  const SourceBatch batch = poll(limited);
  CHECK(lines(batch) == Lines{"short", "\xff\xfe"});
  CHECK(batch.lost == 1);
  CHECK_THAT(limited.take_warnings().at(0), Contains("max_line"));
}
