#include <algorithm>
#include <cstring>
#include <string>
#include <string_view>
#include <vector>

#include "input.hpp"
#include "tempest/zmtp/engine.hpp"
#include "tests/support/sent_bytes.hpp"

/// Whatever comes over a connection: the engine makes the same of it however the bytes are cut, no
/// frame is larger than one may be, and nothing comes before the peer has said who it is. The first
/// byte says whether this end is the dealer or the router, and what a peer of ours would have said
/// before.
using namespace tempest;
using namespace tempest::zmtp;
using fuzz::require;

namespace {

constexpr std::size_t kMaxFrame = 200'000;

Settings settings(SocketType type) {
  Settings made;
  made.type = type;
  made.identity = type == SocketType::dealer ? "fuzz#1" : "";
  made.max_frame_bytes = kMaxFrame;
  return made;
}

/// What an engine made of a stream.
struct Outcome {
  std::vector<std::string> frames;
  std::string output;
  bool is_ready = false;
  std::string failure;
  std::string peer;

  bool operator==(const Outcome&) const = default;
};

/// `cut` gives the size of the next piece.
template <typename Cut>
Outcome run(SocketType type, std::string_view stream, Cut cut) {
  Engine engine(settings(type), TimePoint{});
  Outcome outcome;
  while (!stream.empty() && !engine.failed()) {
    std::size_t left = std::min(std::max<std::size_t>(cut(), 1), stream.size());
    std::size_t written = 0;
    for (const auto piece : engine.space()) {
      const std::size_t part = std::min(piece.size(), left);
      if (part == 0) continue;
      std::memcpy(piece.data(), stream.data(), part);
      stream.remove_prefix(part);
      left -= part;
      written += part;
    }
    require(written > 0, "there is no room to read to");
    engine.received(written, TimePoint{});
    while (auto frame = engine.next()) {
      require(engine.is_ready(), "a frame came before its peer");
      require(frame->size() <= kMaxFrame, "a frame is larger than one may be");
      outcome.frames.emplace_back(frame->view());
    }
  }
  outcome.output = test::sent_bytes(engine.output());
  outcome.is_ready = engine.is_ready();
  outcome.failure = engine.failure();
  outcome.peer = engine.peer_identity();
  require(outcome.peer.size() <= kMaxIdentityBytes, "a routing id is too long");
  return outcome;
}

std::string introduction(SocketType type) {
  SendQueue queue;
  queue.push_bytes(SharedBytes(greeting()));
  queue.push_frame(kCommandFlag, SharedBytes(ready_command(type, "peer")));
  return test::sent_bytes(queue);
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  fuzz::Input input(data, size);
  const std::size_t kind = input.choice(6);
  const SocketType type = kind % 2 == 0 ? SocketType::router : SocketType::dealer;
  const SocketType peer = kind % 2 == 0 ? SocketType::dealer : SocketType::router;
  const std::size_t cut_size = input.choice(64) + 1;
  std::string stream;
  if (kind >= 2) stream = introduction(peer);
  if (kind < 4 && kind >= 2) stream.resize(kGreetingBytes);
  stream += input.rest();

  const Outcome whole = run(type, stream, [&] { return stream.size(); });
  const Outcome cut = run(type, stream, [&] { return cut_size; });
  require(whole == cut, "how bytes are cut makes a difference");
  if (kind >= 4) require(whole.is_ready, "a peer of ours is not understood");
  return 0;
}
