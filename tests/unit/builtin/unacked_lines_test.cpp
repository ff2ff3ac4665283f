#include "tempest/builtin/unacked_lines.hpp"

#include <catch2/catch.hpp>

using tempest::builtin::UnackedLines;

TEST_CASE("the oldest unacked line of each file is known, in whatever order lines are acked") {
  UnackedLines lines;
  CHECK(lines.empty());
  // Lines 3 to 5 are of file 1, 7 and 8 of file 2; nobody was given line 6.
  for (const std::uint64_t line : {3, 4, 5}) lines.add(line, {1, line * 10, line});
  for (const std::uint64_t line : {7, 8}) lines.add(line, {2, line * 10, line});
  CHECK(lines.oldest_line() == 3);
  CHECK(lines.oldest_of(1)->offset == 30);
  CHECK(lines.oldest_of(2)->offset == 70);
  CHECK(lines.count_of(1) == 3);

  lines.acked(7);
  lines.acked(4);
  CHECK(lines.oldest_line() == 3);
  CHECK(lines.oldest_of(2)->offset == 80);
  lines.acked(3);
  lines.acked(3);  // Again: nothing.
  CHECK(lines.oldest_line() == 5);
  CHECK(lines.oldest_of(1)->tail_hash == 5);
  lines.acked(5);
  CHECK_FALSE(lines.oldest_of(1));
  CHECK(lines.count_of(1) == 0);
  CHECK(lines.oldest_line() == 8);
  lines.acked(100);
  lines.acked(1);
  lines.acked(8);
  CHECK(lines.empty());
  lines.add(20, {3, 5, 6});
  CHECK(lines.oldest_line() == 20);
}

TEST_CASE("lines that stay unacked cost no more than themselves, however many follow") {
  UnackedLines lines;
  for (std::uint64_t line = 1; line <= 300'000; ++line) {
    lines.add(line, {line <= 100'000 ? 1U : 2U, line, line});
    if (line % 100'000 != 7) lines.acked(line);
  }
  CHECK(lines.oldest_line() == 7);
  CHECK(lines.count_of(1) == 1);
  CHECK(lines.count_of(2) == 2);
  CHECK(lines.oldest_of(2)->offset == 100'007);
  lines.acked(7);
  CHECK(lines.oldest_line() == 100'007);
  lines.acked(200'007);
  lines.acked(100'007);
  CHECK(lines.empty());
}
