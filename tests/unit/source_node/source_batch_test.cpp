#include "tempest/source_batch.hpp"

#include <catch2/catch.hpp>
#include <string>

using namespace tempest;

TEST_CASE("a batch keeps what was added, wherever that came from, and however often it is moved") {
  SourceBatch batch;
  for (std::uint64_t i = 0; i < 2'000; ++i) {
    const std::string number = std::to_string(i);
    const std::string payload = number + std::string(i % 5 == 0 ? 3'000 : i % 200, '.');
    batch.add({.payload = payload, .key = number, .token = {1, i}, .replayed = number});
  }
  const SourceBatch moved = std::move(batch);
  SourceBatch last;
  last = SourceBatch();
  REQUIRE(moved.size() == 2'000);
  std::uint64_t bytes = 0;
  for (std::uint64_t i = 0; i < 2'000; ++i) {
    const SourceMessage& message = moved.messages()[i];
    const std::string number = std::to_string(i);
    REQUIRE(message.payload.substr(0, number.size()) == number);
    REQUIRE(message.payload.size() == number.size() + (i % 5 == 0 ? 3'000 : i % 200));
    REQUIRE(message.key == number);
    REQUIRE(message.replayed == number);
    REQUIRE(message.token == SourceToken{1, i});
    bytes += message.payload.size() + message.key.size();
  }
  CHECK(moved.bytes() == bytes);
}

TEST_CASE("a message that is too large for a block is given away with its memory, once") {
  SourceBatch batch;
  batch.add({.payload = "small"});
  batch.add({.payload = std::string(BlockSizes::kLargest, 'a'), .key = "k"});
  batch.add({.payload = std::string(BlockSizes::kLargest, 'b')});
  batch.add({.payload = std::string(1 << 20, 'c')});
  CHECK(batch.take_large_bytes(0) == nullptr);
  CHECK(batch.take_large_bytes(2) == nullptr);
  const auto last = batch.take_large_bytes(3);
  const auto first = batch.take_large_bytes(1);
  REQUIRE(first != nullptr);
  REQUIRE(last != nullptr);
  CHECK(first.get() == batch.messages()[1].payload.data());
  CHECK(first.get() + BlockSizes::kLargest == batch.messages()[1].key.data());
  CHECK(last.get() == batch.messages()[3].payload.data());
  CHECK(batch.take_large_bytes(3) == nullptr);
}

TEST_CASE("a cleared batch is as new") {
  SourceBatch batch;
  for (int round = 0; round < 3; ++round) {
    for (int i = 0; i < 20'000; ++i) batch.add({.payload = std::string(200, 'x'), .key = "k"});
    batch.add({.payload = std::string(5'000, 'y')});
    CHECK(batch.bytes() == 20'000 * 201 + 5'000);
    CHECK(batch.messages()[19'999].payload == std::string(200, 'x'));
    batch.ended = batch.redelivered = true;
    batch.lost = batch.claimed = 2;
    batch.clear();
    CHECK(batch.empty());
    CHECK(batch.bytes() == 0);
    CHECK_FALSE(batch.ended);
    CHECK_FALSE(batch.redelivered);
    CHECK(batch.lost == 0);
    CHECK(batch.claimed == 0);
  }
}

TEST_CASE("an empty message may be added") {
  SourceBatch batch;
  batch.add({});
  REQUIRE(batch.size() == 1);
  CHECK(batch.messages()[0].payload.empty());
  CHECK(batch.messages()[0].key.empty());
}
