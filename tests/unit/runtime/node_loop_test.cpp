#include "tempest/runtime/node_loop.hpp"

#include <atomic>
#include <catch2/catch.hpp>
#include <condition_variable>
#include <deque>
#include <functional>
#include <mutex>
#include <thread>

#include "tempest/runtime/clock.hpp"
#include "tempest/runtime/transport.hpp"

namespace tempest::runtime {
namespace {

using namespace std::chrono_literals;

constexpr Duration kPatience = 20s;

/// A thread that makes calls, as a handler thread does.
class CallThread {
 public:
  CallThread() : thread_([this] { run(); }) {}
  ~CallThread() {
    post({});
    thread_.join();
  }

  void post(std::function<void()> job) {
    {
      const std::lock_guard lock(mutex_);
      jobs_.push_back(std::move(job));
    }
    changed_.notify_one();
  }
  bool is_free() const {
    const std::lock_guard lock(mutex_);
    return jobs_.empty() && !is_busy_;
  }
  std::thread::id id() const { return thread_.get_id(); }

 private:
  void run() {
    std::unique_lock lock(mutex_);
    while (true) {
      is_busy_ = false;
      changed_.wait(lock, [this] { return !jobs_.empty(); });
      const auto job = std::move(jobs_.front());
      jobs_.pop_front();
      if (!job) return;
      is_busy_ = true;
      lock.unlock();
      job();
      lock.lock();
    }
  }

  mutable std::mutex mutex_;
  std::condition_variable changed_;
  std::deque<std::function<void()>> jobs_;
  bool is_busy_ = false;
  std::thread thread_;
};

/// Wants one call after the other, and counts its turns.
class CallingNode final : public Node {
 public:
  CallingNode(CallThread& thread, std::function<void(int)> call)
      : thread_(thread), call_(std::move(call)) {}

  void start(TimePoint, link::Effects&) override {}
  void receive(const link::FrameReceived&, TimePoint, link::Effects&) override {}
  void woken(TimePoint, link::Effects&) override {
    is_waiting_ = false;
    ++returned;
  }
  void turn(TimePoint, link::Effects& effects) override {
    ++turns;
    if (std::this_thread::get_id() == thread_.id()) ++turns_in_call_thread;
    effects.finished = is_stopped_;
  }
  TimePoint next_turn() const override { return monotonic_now() + 1ms; }
  void stop(bool, TimePoint, link::Effects&) override { is_stopped_ = true; }
  void report(TimePoint, wire::StatsReport&) const override {}

  std::unique_ptr<Call> take_call() override {
    if (is_waiting_ || is_stopped_) return nullptr;
    is_waiting_ = true;
    return std::make_unique<OneCall>(*this, called_++);
  }

  std::function<void()> wake;
  std::atomic<int> turns{0};
  std::atomic<int> turns_in_call_thread{0};
  std::atomic<int> returned{0};
  std::atomic<bool> are_brief{true};
  std::atomic<int> made_elsewhere{0};

 private:
  class OneCall final : public Call {
   public:
    OneCall(CallingNode& node, int number) : node_(node), number_(number) {}
    bool is_brief() const override { return node_.are_brief; }
    bool is_thread_free() const override { return node_.thread_.is_free(); }
    void make() override { make(node_, number_); }
    void send(std::function<void()> then) override {
      node_.thread_.post([&node = node_, number = number_, then = std::move(then)] {
        make(node, number);
        if (then) then();
      });
    }

   private:
    static void make(CallingNode& node, int number) {
      if (std::this_thread::get_id() != node.thread_.id()) ++node.made_elsewhere;
      node.call_(number);
      node.wake();
    }

    CallingNode& node_;
    int number_;
  };

  CallThread& thread_;
  std::function<void(int)> call_;
  int called_ = 0;
  bool is_waiting_ = false;
  bool is_stopped_ = false;
};

template <typename Holds>
bool eventually(Holds holds) {
  const TimePoint deadline = monotonic_now() + kPatience;
  while (!holds() && monotonic_now() < deadline) std::this_thread::yield();
  return holds();
}

NodeLoopOptions options() {
  NodeLoopOptions made;
  made.node_name = "calling";
  made.routing_id = "calling#1";
  return made;
}

struct Loop {
  explicit Loop(CallThread& thread, std::function<void(int)> call)
      : loop(transport, options()), node(thread, std::move(call)) {
    node.wake = [this] { loop.wake(); };
    runner = std::thread([this] {
      loop.run(node);
      has_ended = true;
    });
  }
  ~Loop() {
    loop.request_stop(false);
    runner.join();
  }

  Transport transport;
  NodeLoop loop;
  CallingNode node;
  std::atomic<bool> has_ended{false};
  std::thread runner;
};

}  // namespace

TEST_CASE("brief calls are made by the thread that drives the loop, which is theirs") {
  CallThread thread;
  Loop loop(thread, [](int) {});
  CHECK(eventually([&] { return loop.node.returned > 1000; }));
  CHECK(loop.node.turns_in_call_thread > 0);
  CHECK(loop.node.made_elsewhere == 0);
}

TEST_CASE("calls that are not brief leave the loop to its own thread") {
  CallThread thread;
  Loop loop(thread, [](int) {});
  CHECK(eventually([&] { return loop.node.turns_in_call_thread > 0; }));
  loop.node.are_brief = false;
  const int returned = loop.node.returned;
  CHECK(eventually([&] { return loop.node.returned > returned + 2; }));
  const int in_call_thread = loop.node.turns_in_call_thread;
  CHECK(eventually([&] { return loop.node.returned > returned + 1000; }));
  CHECK(loop.node.turns_in_call_thread == in_call_thread);
  CHECK(loop.node.made_elsewhere == 0);
}

TEST_CASE("a call that hangs does not hold up the loop, nor its end") {
  CallThread thread;
  std::atomic<bool> may_return{false};
  std::atomic<bool> hangs{false};
  {
    Loop loop(thread, [&](int number) {
      if (number != 500) return;
      hangs = true;
      while (!may_return) std::this_thread::yield();
    });
    CHECK(eventually([&] { return hangs.load(); }));
    const int turns = loop.node.turns;
    CHECK(eventually([&] { return loop.node.turns > turns + 10; }));
    const bool is_taken_up_again = GENERATE(false, true);
    if (is_taken_up_again) {
      may_return = true;
      const int returned = loop.node.returned;
      const int in_call_thread = loop.node.turns_in_call_thread;
      CHECK(eventually([&] { return loop.node.returned > returned + 100; }));
      CHECK(eventually([&] { return loop.node.turns_in_call_thread > in_call_thread; }));
    }
    loop.loop.request_stop(false);
    CHECK(eventually([&] { return loop.has_ended.load(); }));
    may_return = true;
    CHECK(eventually([&] { return thread.is_free(); }));
  }
}

TEST_CASE("a loop that another thread drives ends in its own") {
  CallThread thread;
  Loop loop(thread, [](int) {});
  CHECK(eventually([&] { return loop.node.turns_in_call_thread > 0; }));
  loop.loop.request_stop(false);
  CHECK(eventually([&] { return loop.has_ended.load(); }));
}

TEST_CASE("the thread of brief calls drives all that runs together with their node") {
  CallThread thread;
  CallThread idle_thread;
  Transport transport;
  NodeLoop calling_loop(transport, options());
  NodeLoop other_loop(transport, options());
  CallingNode calling(thread, [](int) {});
  CallingNode other(idle_thread, [](int) {});
  calling.wake = [&] { calling_loop.wake(); };
  other.wake = [&] { other_loop.wake(); };
  std::thread runner([&] {
    const std::vector<std::pair<NodeLoop*, Node*>> loops = {{&calling_loop, &calling},
                                                            {&other_loop, &other}};
    NodeLoop::run_together(loops, [](std::size_t, int) {});
  });
  // Both want calls all the time, each in a thread of its own; one of these drives the loop.
  CHECK(eventually([&] { return calling.returned > 1000 && other.returned > 1000; }));
  CHECK(calling.turns_in_call_thread + other.turns_in_call_thread > 0);
  CHECK(calling.made_elsewhere == 0);
  CHECK(other.made_elsewhere == 0);
  calling_loop.request_stop(false);
  other_loop.request_stop(false);
  runner.join();
}

}  // namespace tempest::runtime
