#include "source_node/source_io.hpp"

#include <algorithm>
#include <catch2/catch.hpp>
#include <chrono>
#include <condition_variable>
#include <future>
#include <mutex>
#include <stdexcept>
#include <thread>

#include "tempest/runtime/clock.hpp"

using namespace tempest;
using namespace tempest::source_node;
using namespace std::chrono_literals;

namespace {

/// What the source below has been asked, and what it is to do: seen by two threads.
struct Script {
  std::mutex mutex;
  std::vector<std::string> calls;
  bool away = false;
  bool throws = false;
  bool waits = false;     ///< A poll does, until it is interrupted or need not any more.
  Duration quiet_for{0};  ///< What a poll says.
  std::condition_variable changed;
  bool interrupted = false;

  void note(std::string call) {
    const std::lock_guard lock(mutex);
    calls.push_back(std::move(call));
    changed.notify_all();
  }
  void set_waiting(bool does_wait) {
    const std::lock_guard lock(mutex);
    waits = does_wait;
    changed.notify_all();
  }
  void interrupt() {
    const std::lock_guard lock(mutex);
    interrupted = true;
    changed.notify_all();
  }
  /// False: in vain.
  bool wait(Duration time) {
    std::unique_lock lock(mutex);
    changed.wait_for(lock, time, [this] { return interrupted || !waits; });
    interrupted = false;
    return !waits;
  }
  void wait_for_call(const std::string& call) {
    std::unique_lock lock(mutex);
    REQUIRE(changed.wait_for(
        lock, 10s, [&] { return std::find(calls.begin(), calls.end(), call) != calls.end(); }));
  }
  std::vector<std::string> taken() {
    const std::lock_guard lock(mutex);
    return std::exchange(calls, {});
  }
  void set(bool is_away, bool does_throw = false) {
    const std::lock_guard lock(mutex);
    away = is_away;
    throws = does_throw;
  }
  Result<void> answer() {
    const std::lock_guard lock(mutex);
    if (throws) throw std::runtime_error("out of luck");
    if (away) return Error{ErrorCode::unavailable, "away", {}};
    return {};
  }
};

class ScriptedSource : public Source {
 public:
  explicit ScriptedSource(Script& script) : script_(script) {}

  Result<void> open() override {
    script_.note("open");
    return script_.answer();
  }
  Result<void> poll(std::size_t max_messages, Duration wait, SourceBatch& batch) override {
    script_.note("poll " + std::to_string(max_messages));
    if (!script_.wait(wait)) return {};
    batch.add({.payload = "payload", .token = {0, 1}});
    batch.quiet_for = script_.quiet_for;
    return script_.answer();
  }
  void interrupt() override { script_.interrupt(); }
  Result<void> ack(std::span<const SourceToken> tokens) override {
    script_.note("ack " + std::to_string(tokens.size()));
    return script_.answer();
  }
  std::vector<std::string> take_warnings() override {
    return std::exchange(is_new_, false) ? std::vector<std::string>{"a warning"}
                                         : std::vector<std::string>{};
  }
  std::string describe(const SourceToken& token) const override {
    return "entry " + std::to_string(token.low);
  }

 private:
  Script& script_;
  bool is_new_ = true;
};

class ScriptedSink : public Sink {
 public:
  explicit ScriptedSink(Script& script) : script_(script) {}

  Result<void> open() override {
    script_.note("sink open");
    return {};
  }
  Result<void> write(std::span<const Message> messages) override {
    for (const Message& message : messages) script_.note("write " + std::string(message.payload));
    return script_.answer();
  }

 private:
  Script& script_;
};

class ScriptedHandler : public FailureHandler {
 public:
  explicit ScriptedHandler(Script& script) : script_(script) {}

  FailureChoice choose(const Failure& failure) override {
    script_.note("choose " + std::string(failure.source) + " " + std::string(failure.reason));
    static_cast<void>(script_.answer());
    return failure.cause == FailureCause::timeout ? FailureChoice{FailureChoice::Action::retry, 3s}
                                                  : FailureChoice{FailureChoice::Action::ack};
  }

 private:
  Script& script_;
};

class Rig {
 public:
  /// Sends one request and waits for its response.
  template <typename Done>
  Done ask(Request request) {
    submit(std::move(request));
    return await<Done>();
  }

  void submit(Request request) {
    std::vector<Request> requests;
    requests.push_back(std::move(request));
    io_.submit(requests);
    CHECK(requests.empty());
  }

  SourceIo& io() { return io_; }

  /// Opens the source, and waits until it waits in a poll.
  void begin_waiting_poll() {
    open();
    script.set_waiting(true);
    submit(PollRequest{7, 60s});
    script.wait_for_call("poll 7");
  }

  /// The only response there is.
  template <typename Done>
  Done await() {
    std::vector<Response> responses;
    const auto deadline = std::chrono::steady_clock::now() + 10s;
    std::unique_lock lock(mutex_);
    while (responses.empty()) {
      REQUIRE(woken_.wait_until(lock, deadline, [this] { return is_woken_; }));
      is_woken_ = false;
      io_.collect(responses);
    }
    REQUIRE(responses.size() == 1);
    REQUIRE(std::holds_alternative<Done>(responses[0]));
    return std::get<Done>(std::move(responses[0]));
  }

  OpenDone open() {
    Plan plan;
    plan.failure.dead_letter = Endpoint{"scripted", {}};
    plan.failure.handler = FailureHandlerDefinition{};
    return ask<OpenDone>(OpenRequest{std::make_shared<const Plan>(plan)});
  }

  Script script;

 private:
  std::mutex mutex_;
  std::condition_variable woken_;
  bool is_woken_ = false;
  SourceIo io_{{[this](const Plan&) -> Result<std::unique_ptr<Source>> {
                  return std::unique_ptr<Source>(new ScriptedSource(script));
                },
                [this](const Plan&) -> Result<std::unique_ptr<Sink>> {
                  return std::unique_ptr<Sink>(new ScriptedSink(script));
                },
                [this](const Plan&) -> Result<std::unique_ptr<FailureHandler>> {
                  return std::unique_ptr<FailureHandler>(new ScriptedHandler(script));
                }},
               [this] {
                 const std::lock_guard lock(mutex_);
                 is_woken_ = true;
                 woken_.notify_one();
               }};
};

using Calls = std::vector<std::string>;

}  // namespace

TEST_CASE("the source is opened once, then polled and acked, and its warnings come along") {
  Rig rig;
  const OpenDone opened = rig.open();
  CHECK(opened.result.ok());
  CHECK(opened.warnings == Calls{"a warning"});
  const PollDone polled = rig.ask<PollDone>(PollRequest{7, {}});
  CHECK(polled.result.ok());
  CHECK(polled.batch.size() == 1);
  CHECK(rig.ask<AckDone>(AckRequest{{{0, 1}, {0, 2}}}).result.ok());
  CHECK(rig.script.taken() == Calls{"open", "poll 7", "ack 2"});
}

TEST_CASE("an ack does not wait behind a poll that waits, and the poll goes on after it") {
  Rig rig;
  rig.begin_waiting_poll();
  CHECK(rig.ask<AckDone>(AckRequest{{{0, 1}}}).result.ok());
  rig.script.set_waiting(false);
  // Of the interruption nothing is said: one poll, one response.
  CHECK(rig.await<PollDone>().batch.size() == 1);
  CHECK(rig.script.taken().size() >= 4);
}

TEST_CASE("what the source's thread is to do after a request comes after its response") {
  Rig rig;
  rig.open();
  struct Seen {
    std::thread::id by;
    std::vector<Response> responses;
    bool free = true;
    bool wanted_before = true;
    bool wanted_after = false;
  } seen;
  std::promise<void> done;
  rig.io().submit(AckRequest{{{0, 1}}}, [&] {
    seen.by = std::this_thread::get_id();
    rig.io().collect(seen.responses);
    // It is busy with this, but nothing else waits for it.
    seen.free = rig.io().is_free();
    seen.wanted_before = rig.io().is_wanted();
    rig.io().submit(AckRequest{{{0, 1}, {0, 2}}}, {});
    seen.wanted_after = rig.io().is_wanted();
    rig.io().serve_here(AckRequest{{{0, 1}, {0, 2}, {0, 3}}});
    rig.io().collect(seen.responses);
    done.set_value();
  });
  REQUIRE(done.get_future().wait_for(10s) == std::future_status::ready);
  CHECK(seen.by != std::this_thread::get_id());
  CHECK(seen.responses.size() == 2);
  CHECK_FALSE(seen.free);
  CHECK_FALSE(seen.wanted_before);
  CHECK(seen.wanted_after);
  CHECK(rig.await<AckDone>().result.ok());
  CHECK(rig.script.taken() == Calls{"open", "ack 1", "ack 3", "ack 2"});
}

TEST_CASE("until when a source has nothing is told on the clock of the machines") {
  Rig rig;
  rig.open();
  CHECK(rig.ask<PollDone>(PollRequest{7, {}}).quiet_until == TimePoint{});
  rig.script.quiet_for = 20s;
  const TimePoint before = runtime::monotonic_now();
  const TimePoint until = rig.ask<PollDone>(PollRequest{7, {}}).quiet_until;
  CHECK(until >= before + 20s);
  CHECK(until <= runtime::monotonic_now() + 20s);
  rig.script.quiet_for = Duration::max();
  CHECK(rig.ask<PollDone>(PollRequest{7, {}}).quiet_until > before);
}

TEST_CASE(
    "how long a call takes is known from the last, if the source does not wait in its polls") {
  Rig rig;
  rig.open();
  const auto poll = [] { return PollRequest{7, {}}; };
  const AckRequest ack{{{0, 1}}};
  CHECK_FALSE(rig.io().expected_time(poll()));
  CHECK_FALSE(rig.io().expected_time(TendRequest{}));
  rig.ask<AckDone>(ack);
  rig.ask<PollDone>(poll());
  // It may have waited, or may the next time.
  CHECK_FALSE(rig.io().expected_time(poll()));
  CHECK_FALSE(rig.io().expected_time(ack));
  rig.script.quiet_for = 1ms;
  rig.ask<PollDone>(poll());
  CHECK(rig.io().expected_time(poll()));
  REQUIRE(rig.io().expected_time(ack));
  CHECK(rig.io().expected_time(AckRequest{{{0, 1}, {0, 2}}}) == 2 * *rig.io().expected_time(ack));
  CHECK_FALSE(rig.io().expected_time(TendRequest{}));
}

TEST_CASE("an end does not wait for a poll that waits") {
  Rig rig;
  rig.begin_waiting_poll();
}

TEST_CASE("after an unavailable the source is opened again before its next use") {
  Rig rig;
  rig.open();
  rig.script.set(true);
  CHECK(rig.ask<AckDone>(AckRequest{{{0, 1}}}).result.error().code == ErrorCode::unavailable);
  CHECK(rig.ask<AckDone>(AckRequest{{{0, 1}}}).result.error().code == ErrorCode::unavailable);
  rig.script.set(false);
  CHECK(rig.ask<AckDone>(AckRequest{{{0, 1}}}).result.ok());
  CHECK(rig.script.taken() == Calls{"open", "ack 1", "open", "open", "ack 1"});
}

TEST_CASE("dead letters are written as text, with the source's own name for the message") {
  Rig rig;
  rig.open();
  DeadLetters letters(1);
  letters[0].token = {0, 17};
  letters[0].attempts.push_back({});
  const auto request = DeadLetterRequest{std::make_shared<const DeadLetters>(std::move(letters))};
  CHECK(rig.ask<DeadLettersDone>(request).result.ok());
  const Calls calls = rig.script.taken();
  REQUIRE(calls.size() == 3);
  CHECK(calls[1] == "sink open");
  CHECK(calls[2].find(R"("source":"entry 17")") != std::string::npos);
}

TEST_CASE("a source that throws is an internal error, not the end of the process") {
  Rig rig;
  rig.open();
  rig.script.set(false, true);
  const auto polled = rig.ask<PollDone>(PollRequest{1, {}});
  CHECK(polled.result.error().code == ErrorCode::internal);
  CHECK(polled.result.error().message.find("out of luck") != std::string::npos);
}

TEST_CASE("the failure handler is asked about each, and what it throws is by policy") {
  Rig rig;
  rig.open();
  rig.script.taken();
  const auto ask = [&rig] {
    DeadLetters failed(2);
    for (std::uint64_t i = 0; i < 2; ++i) {
      failed[i].token = {0, i};
      failed[i].attempts.push_back({});
      failed[i].attempts[0].reason = "bad luck";
    }
    failed[1].attempts[0].kind = wire::FailureKind::timeout;
    return rig.ask<ChooseDone>(
        ChooseRequest{std::make_shared<const DeadLetters>(std::move(failed))});
  };
  const ChooseDone done = ask();
  REQUIRE(done.choices.size() == 2);
  CHECK(done.choices[0].action == FailureChoice::Action::ack);
  CHECK(done.choices[1].action == FailureChoice::Action::retry);
  CHECK(done.choices[1].after == 3s);
  CHECK(done.fault.empty());
  CHECK(rig.script.taken() == Calls{"choose entry 0 bad luck", "choose entry 1 bad luck"});

  rig.script.set(false, true);
  const ChooseDone thrown = ask();
  REQUIRE(thrown.choices.size() == 2);
  CHECK(thrown.choices[1].action == FailureChoice::Action::by_policy);
  CHECK(thrown.fault.find("out of luck") != std::string::npos);
}
