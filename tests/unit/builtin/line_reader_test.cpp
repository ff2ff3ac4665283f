#include "tempest/builtin/line_reader.hpp"

#include <catch2/catch.hpp>
#include <cstring>
#include <string>
#include <vector>

using namespace tempest::builtin;
using Found = LineReader::Found;

namespace {

void add(LineReader& reader, std::string_view bytes) {
  const auto room = reader.room(bytes.size() + 10);
  std::memcpy(room.data(), bytes.data(), bytes.size());
  reader.added(bytes.size());
}

/// Everything that can be taken: lines as they are, "!" for one that is too long.
std::vector<std::string> take(LineReader& reader) {
  std::vector<std::string> lines;
  LineReader::Line line;
  for (Found found = reader.next(line); found != Found::nothing; found = reader.next(line)) {
    lines.emplace_back(found == Found::line ? std::string(line.text) : "!");
  }
  return lines;
}

using Lines = std::vector<std::string>;

}  // namespace

TEST_CASE("a reader gives the same lines however their bytes are cut into pieces") {
  const std::string text =
      "one\n\ntwo\n" + std::string(30, 'x') + "\nthree\n" + std::string(25, 'y') + "\n\nrest";
  for (std::size_t size = 1; size <= text.size(); ++size) {
    LineReader reader(20);
    reader.start(100, false, {});
    Lines lines;
    for (std::size_t begin = 0; begin < text.size(); begin += size) {
      add(reader, std::string_view(text).substr(begin, size));
      for (const std::string& line : take(reader)) lines.push_back(line);
    }
    CHECK(lines == Lines{"one", "", "two", "!", "three", "!", ""});
    CHECK(reader.end_offset() == 100 + text.size());
    CHECK(reader.offset() == 100 + text.size() - 4);
    CHECK(reader.has_rest());
    LineReader::Line rest;
    CHECK(reader.take_rest(rest) == Found::line);
    CHECK(rest.text == "rest");
    CHECK(rest.offset == 100 + text.size() - 4);
  }
}

TEST_CASE("a reader knows the place of each line and what stands before it") {
  LineReader reader(100);
  reader.start(7, false, "before\n");
  add(reader, "one\ntwo\n");
  LineReader::Line line;
  REQUIRE(reader.next(line) == Found::line);
  CHECK(line.offset == 7);
  CHECK(line.before == "before\n");
  REQUIRE(reader.next(line) == Found::line);
  CHECK(line.offset == 11);
  CHECK(line.before == "before\none\n");
  // Also once what was taken is let go: the last 64 bytes are kept.
  add(reader, std::string(80, 'z') + "\nlast\n");
  REQUIRE(reader.next(line) == Found::line);
  REQUIRE(reader.next(line) == Found::line);
  CHECK(line.text == "last");
  CHECK(line.before == std::string(63, 'z') + "\n");
  CHECK(reader.before_offset() == reader.before_end());
}

TEST_CASE("a reader that begins within a line too long passes over its rest") {
  LineReader reader(10);
  reader.start(50, true, "xxx");
  add(reader, "xxx");
  CHECK(take(reader).empty());
  CHECK(reader.is_skipping());
  CHECK(reader.offset() == 53);
  add(reader, "xx\nnext\n");
  CHECK(take(reader) == Lines{"next"});
  CHECK_FALSE(reader.is_skipping());
}

TEST_CASE("what comes after a rest that was taken belongs to that line") {
  LineReader reader(100);
  reader.start(0, false, {});
  add(reader, "half");
  CHECK(take(reader).empty());
  LineReader::Line line;
  CHECK(reader.take_rest(line) == Found::line);
  CHECK(reader.is_skipping());
  add(reader, " of it\nnext\n");
  CHECK(take(reader) == Lines{"next"});
  CHECK(reader.take_rest(line) == Found::nothing);
  CHECK_FALSE(reader.is_skipping());
}
