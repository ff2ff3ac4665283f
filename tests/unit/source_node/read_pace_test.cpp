#include "source_node/read_pace.hpp"

#include <catch2/catch.hpp>

namespace tempest::source_node {
namespace {

using namespace std::chrono_literals;

constexpr TimePoint kBegin{1h};

/// Polls, and gets so many messages of 100 bytes after 20 us. When the next poll may be made.
Duration next_poll_after(ReadPace& pace, std::uint64_t messages, std::uint64_t bytes_each = 100) {
  const auto poll = pace.next({}, kBegin);
  REQUIRE(poll);
  pace.polled(messages, messages * bytes_each, {}, kBegin + 20us);
  return pace.poll_at() - kBegin;
}

}  // namespace

TEST_CASE("after single messages, and after all that was asked for, the source is polled at once") {
  ReadPace pace{SourceDefinition{}};
  const std::uint64_t all = pace.next({}, kBegin)->max_messages;
  const std::uint64_t messages = GENERATE_COPY(std::uint64_t{1}, std::uint64_t{7}, all);
  CHECK(next_poll_after(pace, messages) == 20us);
}

TEST_CASE("where messages come by the dozen, the next poll lets some more come") {
  ReadPace pace{SourceDefinition{}};
  const std::uint64_t messages = GENERATE(as<std::uint64_t>{}, 8, 20, 255);
  const Duration next = next_poll_after(pace, messages);
  CHECK(next > 20us);
  CHECK(next <= 1ms);
  CHECK_FALSE(pace.next({}, kBegin + next - 1us));
  CHECK(pace.next({}, kBegin + next));
}

TEST_CASE("what fills a frame by its size is not waited with") {
  ReadPace pace{SourceDefinition{}};
  CHECK(next_poll_after(pace, 16, 16'384) == 20us);
}

TEST_CASE("a poll that took longer than that is followed at once") {
  ReadPace pace{SourceDefinition{}};
  REQUIRE(pace.next({}, kBegin));
  pace.polled(20, 2000, {}, kBegin + 2ms);
  CHECK(pace.poll_at() == kBegin + 2ms);
}

TEST_CASE("a source that knows when its next message comes is polled then") {
  ReadPace pace{SourceDefinition{}};
  const std::uint64_t messages = GENERATE(as<std::uint64_t>{}, 0, 1, 20);
  REQUIRE(pace.next({}, kBegin));
  pace.polled(messages, 100 * messages, kBegin + 1s, kBegin + 20us);
  CHECK(pace.poll_at() == kBegin + 1s);
  pace.became_idle(kBegin + 2ms);
  CHECK(pace.poll_at() == kBegin + 1s);
  REQUIRE(pace.next({}, kBegin + 1s));
  pace.polled(1, 100, {}, kBegin + 1s);
  CHECK(pace.poll_at() == kBegin + 1s);
}

TEST_CASE("a source that has nothing, and says that it will at once, is polled again soon") {
  ReadPace pace{SourceDefinition{}};
  REQUIRE(pace.next({}, kBegin));
  pace.polled(0, 0, kBegin + 10us, kBegin + 20us);
  CHECK(pace.poll_at() == kBegin + 100us);
}

}  // namespace tempest::source_node
