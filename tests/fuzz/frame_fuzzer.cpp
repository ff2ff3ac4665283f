#include <array>
#include <string>
#include <string_view>

#include "frame_equality.hpp"
#include "input.hpp"
#include "tempest/wire/codec.hpp"

/// Every frame and body: what decodes, encodes; and decodes again as the same. The first byte says
/// as which of them the rest is read.
using namespace tempest;
using namespace tempest::wire;

namespace {

template <typename Frame>
void check(std::string_view bytes) {
  // One that is used again, as nodes do, and one that has nothing left of an earlier frame in it.
  static Frame reused;
  Frame fresh;
  const bool decoded = decode(bytes, fresh).ok();
  fuzz::require(decode(bytes, reused).ok() == decoded, "decoding depends on what was there before");
  if (!decoded) return;
  fuzz::require(same(fresh, reused), "a reused struct keeps something of what was there before");

  std::string encoded;
  encode(fresh, encoded);
  Frame again;
  fuzz::require(decode(encoded, again).ok(), "what was encoded does not decode");
  fuzz::require(same(fresh, again), "what was encoded decodes as something else");
}

void check_data(std::string_view bytes) {
  DataHeader header;
  std::string_view body;
  if (!decode(bytes, header, body)) return;
  std::string encoded;
  begin_data(header.kind, encoded);
  encoded += body;
  finish_data(header, encoded);
  DataHeader again;
  std::string_view body_again;
  fuzz::require(decode(encoded, again, body_again).ok(), "a data frame does not decode");
  fuzz::require(again.session == header.session && again.sequence == header.sequence &&
                    again.ack == header.ack && again.kind == header.kind && body_again == body,
                "a data frame decodes as something else");
}

/// The order is that of the seeds in corpus/frame: keep it.
constexpr std::array kChecks = {
    check<Hello>,   check<Welcome>,     check<Heartbeat>,      check<Reset>,
    check<Bye>,     check_data,         check<Registration>,   check<Directory>,
    check<Query>,   check<Snapshot>,    check<SlotSettlement>, check<Attach>,
    check<Window>,  check<Messages>,    check<Outcomes>,       check<Deliveries>,
    check<Results>, check<StatsReport>, check<Watch>,          check<Sightings>};

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  fuzz::Input input(data, size);
  const std::size_t kind = input.choice(kChecks.size());
  const std::string_view frame = input.rest();
  static_cast<void>(peek_type(frame));
  kChecks[kind](frame);
  return 0;
}
