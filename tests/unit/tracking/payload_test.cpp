#include "tempest/tracking/payload.hpp"

#include <catch2/catch.hpp>
#include <memory>
#include <string>
#include <vector>

using tempest::SharedBytes;
using tempest::tracking::Payload;

namespace {

/// A frame of which a test can tell whether anything keeps it alive.
struct Frame {
  explicit Frame(std::size_t bytes) {
    auto owned = std::make_shared<const std::string>(bytes, 'x');
    alive = owned;
    frame = SharedBytes(owned, *owned);
  }

  Payload take(std::size_t at, std::size_t bytes) const {
    return Payload::take(frame.view().substr(at, 4), frame.view().substr(at + 4, bytes), frame);
  }

  SharedBytes frame;
  std::weak_ptr<const std::string> alive;
};

}  // namespace

TEST_CASE("a payload keeps its frame only where it is most of it") {
  const std::size_t bytes = GENERATE(2, 5'000, 16'379, 16'380, 16'800, 70'000, 190'000);
  Frame frame(256 << 10);
  const Payload payload = frame.take(100, bytes);
  frame.frame = {};
  CHECK(frame.alive.expired());
  CHECK(payload.key() == "xxxx");
  CHECK(payload.bytes() == std::string(bytes, 'x'));
  CHECK(payload.size_bytes() == bytes + 4);
  const Payload other = payload;
  CHECK(other.bytes().data() == payload.bytes().data());
}

TEST_CASE("a large payload that has its frame nearly for itself is not copied") {
  Frame frame(1 << 20);
  const Payload payload = frame.take(20, (1 << 20) - 100);
  frame.frame = {};
  CHECK_FALSE(frame.alive.expired());
  CHECK(payload.bytes().size() == (1 << 20) - 100);
}

TEST_CASE("payloads hold no more than half as much again as they count") {
  for (std::size_t bytes = 1'000; bytes < (256 << 10); bytes = bytes * 5 / 4) {
    Frame frame(256 << 10);
    const Payload payload = frame.take(0, bytes);
    frame.frame = {};
    if (!frame.alive.expired()) CHECK(payload.size_bytes() * 3 >= (256 << 10) * 2);
  }
}
