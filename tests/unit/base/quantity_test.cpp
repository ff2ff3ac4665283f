#include "tempest/base/quantity.hpp"

#include <catch2/catch.hpp>
#include <string>

using namespace tempest;
using namespace std::chrono_literals;

TEST_CASE("a duration is a number and a unit") {
  CHECK(parse_duration("7ns") == 7ns);
  CHECK(parse_duration("250us") == 250us);
  CHECK(parse_duration("250ms") == 250ms);
  CHECK(parse_duration("30s") == 30s);
  CHECK(parse_duration("5m") == 5min);
  CHECK(parse_duration("2h") == 2h);
  CHECK(parse_duration("1d") == 24h);
  CHECK(parse_duration("0s") == 0s);
}

TEST_CASE("a duration may have a part after the point") {
  CHECK(parse_duration("1.5h") == 90min);
  CHECK(parse_duration("0.25s") == 250ms);
  CHECK(parse_duration("1.000000001s") == 1s + 1ns);
  CHECK(parse_duration("0.0000000000000000000000000000009s") == 0s);
}

TEST_CASE("what is no duration is none") {
  for (const char* text : {"", "30", "s", "30 s", " 30s", "30s ", "-1s", "+1s", "1.s", ".5s",
                           "30 parsecs", "30S", "1e3s", "1m30s", "0x10s", "NaNs"}) {
    INFO(text);
    CHECK_FALSE(parse_duration(text));
  }
}

TEST_CASE("a duration that does not fit is none, rather than another") {
  CHECK(parse_duration("106751d"));
  CHECK_FALSE(parse_duration("106752d"));
  CHECK_FALSE(parse_duration("9223372036854775808ns"));
  CHECK_FALSE(parse_duration("99999999999999999999999999s"));
  CHECK_FALSE(parse_duration("9223372036.9s"));
}

TEST_CASE("a size is a whole number and perhaps a unit") {
  CHECK(parse_size_bytes("512") == 512u);
  CHECK(parse_size_bytes("512B") == 512u);
  CHECK(parse_size_bytes("10KB") == 10'000u);
  CHECK(parse_size_bytes("64KiB") == 65'536u);
  CHECK(parse_size_bytes("3MB") == 3'000'000u);
  CHECK(parse_size_bytes("1MiB") == 1'048'576u);
  CHECK(parse_size_bytes("2GB") == 2'000'000'000u);
  CHECK(parse_size_bytes("1GiB") == 1'073'741'824u);
}

TEST_CASE("what is no size is none") {
  for (const char* text : {"", "KiB", "1.5KiB", "64kib", "64K", "64 KiB", "-1", "1TB",
                           "9223372036854775808", "9999999999GiB"}) {
    INFO(text);
    CHECK_FALSE(parse_size_bytes(text));
  }
}

TEST_CASE("a duration is written for people in the unit that fits it") {
  CHECK(format_duration(0ns) == "0ns");
  CHECK(format_duration(999ns) == "999ns");
  CHECK(format_duration(1500ns) == "1.5us");
  CHECK(format_duration(250ms) == "250ms");
  CHECK(format_duration(1500ms) == "1.5s");
  CHECK(format_duration(30s) == "30s");
  CHECK(format_duration(150s) == "2m30s");
  CHECK(format_duration(1h) == "1h");
  CHECK(format_duration(25h + 1min + 1s) == "25h1m1s");
  CHECK(format_duration(-250ms) == "-250ms");
}

TEST_CASE("a duration that rounds to the next unit is written in it") {
  CHECK(format_duration(999'999'999ns) == "1s");
  CHECK(format_duration(59'999'999'999ns) == "1m");
}

TEST_CASE("a size is written for people in the unit that fits it") {
  CHECK(format_size_bytes(0) == "0 B");
  CHECK(format_size_bytes(512) == "512 B");
  CHECK(format_size_bytes(1024) == "1 KiB");
  CHECK(format_size_bytes(1536 * 1024) == "1.5 MiB");
  CHECK(format_size_bytes(1024 * 1024 - 1) == "1 MiB");
  CHECK(format_size_bytes(~0ULL) == "16 EiB");
}
