#include <catch2/catch.hpp>
#include <chrono>
#include <cstdio>
#include <ctime>

#include "source_harness.hpp"
#include "tempest/wire/codec.hpp"

using namespace tempest;
using namespace tempest::source_node;

namespace {

/// Of this thread: what else the machine does is left out.
std::chrono::nanoseconds processor_time() {
  timespec time{};
  clock_gettime(CLOCK_THREAD_CPUTIME_ID, &time);
  return std::chrono::seconds(time.tv_sec) + std::chrono::nanoseconds(time.tv_nsec);
}

}  // namespace

// Hidden: run it by name, built for release. The machine alone, without source, sockets or threads.
TEST_CASE("speed of the source machine", "[.][speed]") {
  constexpr std::size_t kMessages = 4'000'000;
  const std::string payload(100, 'x');
  SourceHarness harness;
  FakeCoordinator& coordinator = harness.add_coordinator("a", 20'000);
  harness.run();
  harness.now += std::chrono::milliseconds(20);
  harness.step();

  std::chrono::nanoseconds spent{0};
  std::uint64_t next = 0;
  std::vector<Request> requests;
  link::Effects effects;
  wire::Messages messages;
  std::vector<MessageId> ids;
  std::optional<Request> poll = std::move(harness.requests.front());
  std::optional<Request> ack;
  const auto timed = [&spent](auto call) {
    const auto begin = processor_time();
    call();
    spent += processor_time() - begin;
  };
  while (harness.numbers().acked < kMessages) {
    harness.now += std::chrono::microseconds(300);
    if (poll) {
      PollDone done;
      done.batch = std::move(std::get<PollRequest>(*poll).batch);
      const std::size_t count = std::get<PollRequest>(*poll).max_messages;
      for (std::size_t i = 0; i < count; ++i) {
        done.batch.add({.payload = payload, .token = {0, next++}});
      }
      poll.reset();
      timed([&] { harness.machine.take(std::move(done), harness.now, effects); });
    }
    if (ack) {
      ack.reset();
      timed([&] { harness.machine.take(AckDone{}, harness.now, effects); });
    }
    timed([&] { harness.machine.turn(harness.now, effects, requests); });
    for (Request& request : requests) {
      (std::holds_alternative<PollRequest>(request) ? poll : ack) = std::move(request);
    }
    requests.clear();
    for (const auto& send : effects.sends) coordinator.receive(send.frame.view(), harness.now);
    effects.sends.clear();
    effects.notices.clear();
    if (!coordinator.received.empty()) coordinator.ack_all(harness.now);
    coordinator.turn(harness.now);
    const auto frames = std::exchange(coordinator.output.frames, {});
    for (const auto& frame : frames) {
      timed([&] {
        harness.machine.receive({link::kFirstCoordinator, {}, frame.frame}, harness.now, effects);
      });
    }
  }
  const double seconds = std::chrono::duration<double>(spent).count();
  std::printf("%.2f M messages/s, %.0f ns each\n", kMessages / seconds / 1e6,
              seconds * 1e9 / kMessages);
}
