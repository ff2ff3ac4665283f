// What nearly all items are is written and read in one step; what is not must come to the same.

#include <catch2/catch.hpp>
#include <string>
#include <vector>

#include "tempest/wire/codec.hpp"

using namespace tempest;
using namespace tempest::wire;

namespace {

std::string bytes_of(std::size_t size) {
  return std::string(size, 'x');
}

}  // namespace

TEST_CASE("a delivery is read as it was written, at each bound of what is written in one step") {
  struct Case {
    std::uint32_t slot_step;
    std::uint16_t task;
    std::uint32_t attempt;
    std::size_t payload_bytes;
    EdgeId edge;
    std::string key;
  };
  const std::vector<Case> cases = {
      {1, 0, 1, 0, kNoEdge, ""},       {1, 127, 127, 255, kNoEdge, ""},
      {1, 128, 1, 10, kNoEdge, ""},    {1, 0, 128, 10, kNoEdge, ""},
      {1, 0, 1, 256, kNoEdge, ""},     {2, 0, 1, 10, kNoEdge, ""},
      {1, 0, 1, 10, EdgeId{0}, ""},    {1, 0, 1, 10, EdgeId{127}, ""},
      {1, 0, 1, 10, EdgeId{128}, ""},  {1, 0, 1, 10, kNoEdge, "key"},
      {1, 0, 1, 10, EdgeId{5}, "key"},
  };
  // Each between two plain ones, so that ids follow on both sides.
  for (const Case& odd : cases) {
    const std::string payload = bytes_of(odd.payload_bytes);
    Deliveries sent;
    const auto add = [&sent](DeliveryId id, TaskId task, std::uint32_t attempt,
                             Deliveries::Part part) {
      sent.items.push_back({.id = id,
                            .task = task,
                            .attempt = attempt,
                            .first_part = static_cast<std::uint32_t>(sent.parts.size())});
      sent.parts.push_back(part);
    };
    add({7, 3}, TaskId{1}, 1, {kNoEdge, {}, "first"});
    add({7 + odd.slot_step, 3}, TaskId{odd.task}, odd.attempt, {odd.edge, odd.key, payload});
    add({8 + odd.slot_step, 3}, TaskId{1}, 1, {kNoEdge, {}, "last"});
    std::string frame;
    encode(sent, frame);
    Deliveries read;
    REQUIRE(decode(frame, read));
    REQUIRE(read.items.size() == 3);
    REQUIRE(read.parts.size() == 3);
    for (std::size_t i = 0; i < 3; ++i) {
      CHECK(read.items[i].id == sent.items[i].id);
      CHECK(read.items[i].task == sent.items[i].task);
      CHECK(read.items[i].attempt == sent.items[i].attempt);
      CHECK(read.items[i].first_part == i);
      CHECK(read.items[i].part_count == 1);
      CHECK(read.parts[i].edge == sent.parts[i].edge);
      CHECK(read.parts[i].key == sent.parts[i].key);
      CHECK(read.parts[i].payload == sent.parts[i].payload);
    }
  }
}

TEST_CASE("a message is read as it was written, at each bound of what is written in one step") {
  for (const std::size_t size : {0U, 255U, 256U}) {
    for (const std::string key : {"", "key"}) {
      for (const std::uint32_t step : {1U, 2U}) {
        const std::string payload = bytes_of(size);
        Messages sent;
        sent.items = {
            {{4, 1}, {}, "first"}, {{4 + step, 1}, key, payload}, {{5 + step, 1}, {}, "last"}};
        std::string frame;
        encode(sent, frame);
        Messages read;
        REQUIRE(decode(frame, read));
        REQUIRE(read.items.size() == 3);
        for (std::size_t i = 0; i < 3; ++i) {
          CHECK(read.items[i].id == sent.items[i].id);
          CHECK(read.items[i].key == sent.items[i].key);
          CHECK(read.items[i].payload == sent.items[i].payload);
        }
      }
    }
  }
}

TEST_CASE("a plain item cut off anywhere is a fault, and nothing is read beyond the frame") {
  Deliveries sent;
  for (std::uint32_t i = 0; i < 3; ++i) {
    sent.items.push_back({.id = {i, 1}, .task = TaskId{1}, .first_part = i});
    sent.parts.push_back({EdgeId{2}, {}, "payload"});
  }
  std::string frame;
  encode(sent, frame);
  for (std::size_t length = 0; length < frame.size(); ++length) {
    // A copy of that size, so that a sanitizer sees what is beyond it.
    const std::vector<char> cut(frame.begin(), frame.begin() + static_cast<std::ptrdiff_t>(length));
    Deliveries read;
    CHECK_FALSE(decode(std::string_view(cut.data(), cut.size()), read));
  }
}
