#include "tempest/runtime/loop_driver.hpp"

#include <atomic>
#include <catch2/catch.hpp>
#include <map>
#include <set>
#include <thread>
#include <vector>

#include "tempest/runtime/clock.hpp"
#include "tempest/runtime/transport.hpp"

namespace tempest::runtime {
namespace {

using namespace std::chrono_literals;

constexpr Duration kPatience = 20s;
constexpr link::ChannelId kChannel{7};

/// Sends back whatever comes, until it has been told to stop.
class Echo : public Node {
 public:
  void start(TimePoint, link::Effects&) override {}
  void receive(const link::FrameReceived& received, TimePoint, link::Effects& effects) override {
    ++frames;
    effects.sends.push_back({received.channel, std::string(received.routing_id), received.frame});
  }
  void woken(TimePoint, link::Effects&) override { ++wakes; }
  void turn(TimePoint, link::Effects& effects) override {
    ++turns;
    threads.insert(std::this_thread::get_id());
    effects.finished = is_stopped;
  }
  TimePoint next_turn() const override { return kNever; }
  void stop(bool, TimePoint, link::Effects& effects) override {
    is_stopped = true;
    effects.exit_code = exit_code;
  }
  void report(TimePoint, wire::StatsReport&) const override {}

  std::atomic<int> frames{0};
  std::atomic<int> wakes{0};
  std::atomic<int> turns{0};
  std::set<std::thread::id> threads;  ///< That drove it; to be read at the end.
  int exit_code = 0;
  bool is_stopped = false;
};

/// Connects to the other, and begins.
class Caller final : public Echo {
 public:
  void start(TimePoint, link::Effects& effects) override {
    effects.opens.push_back({kChannel, "inproc://echo"});
    effects.sends.push_back({kChannel, {}, SharedBytes(std::string("a frame"))});
  }
};

NodeLoopOptions options(const std::string& name, const std::string& bind = {}) {
  NodeLoopOptions made;
  made.node_name = name;
  made.routing_id = name + "#1";
  made.bind = bind;
  return made;
}

template <typename Holds>
bool eventually(Holds holds) {
  const TimePoint deadline = monotonic_now() + kPatience;
  while (!holds() && monotonic_now() < deadline) std::this_thread::yield();
  return holds();
}

/// Two nodes in one loop, each other's only peers.
struct Pair {
  Pair() {
    REQUIRE(echo_loop.bind());
    runner = std::thread([this] {
      const std::vector<std::pair<NodeLoop*, Node*>> loops = {{&echo_loop, &echo},
                                                              {&caller_loop, &caller}};
      NodeLoop::run_together(loops, [this](std::size_t index, int exit_code) {
        ended[index] = exit_code;
        ++ends;
      });
      is_over = true;
    });
  }
  ~Pair() {
    echo_loop.request_stop(true);
    caller_loop.request_stop(true);
    runner.join();
  }

  Transport transport;
  NodeLoop echo_loop{transport, options("echo", "inproc://echo")};
  NodeLoop caller_loop{transport, options("caller")};
  Echo echo;
  Caller caller;
  std::map<std::size_t, int> ended;
  std::atomic<int> ends{0};
  std::atomic<bool> is_over{false};
  std::thread runner;
};

}  // namespace

TEST_CASE("nodes that run together exchange frames in one thread") {
  Pair pair;
  CHECK(eventually([&] { return pair.caller.frames > 10'000; }));
  pair.caller_loop.request_stop(false);
  pair.echo_loop.request_stop(false);
  REQUIRE(eventually([&] { return pair.is_over.load(); }));
  CHECK(pair.echo.threads.size() == 1);
  CHECK(pair.echo.threads == pair.caller.threads);
}

TEST_CASE("of nodes that run together each ends for itself, and tells its own exit code") {
  Pair pair;
  pair.caller.exit_code = 3;
  pair.caller_loop.request_stop(false);
  REQUIRE(eventually([&] { return pair.ends == 1; }));
  const int turns = pair.echo.turns;
  pair.echo_loop.wake();
  CHECK(eventually([&] { return pair.echo.turns > turns; }));
  CHECK_FALSE(pair.is_over);
  pair.echo_loop.request_stop(false);
  REQUIRE(eventually([&] { return pair.is_over.load(); }));
  CHECK(pair.ended == std::map<std::size_t, int>{{0, 0}, {1, 3}});
}

TEST_CASE("a node is woken from any thread while it runs together with another that is busy") {
  Pair pair;
  for (int i = 0; i < 100; ++i) {
    const int wakes = pair.echo.wakes;
    pair.echo_loop.wake();
    REQUIRE(eventually([&] { return pair.echo.wakes > wakes; }));
  }
}

}  // namespace tempest::runtime
