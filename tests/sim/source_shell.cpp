#include <deque>
#include <set>

#include "shells.hpp"
#include "source_node/request_server.hpp"
#include "source_node/source_machine.hpp"
#include "source_node/source_node.hpp"
#include "tempest/builtin/sink_factory.hpp"
#include "tempest/builtin/source_factory.hpp"
#include "world.hpp"

namespace tempest::sim {

namespace {

using source_node::Request;
using source_node::Response;

source_node::SourceMachine::Options options_of(World& world, const Host& host) {
  source_node::SourceMachine::Options options;
  options.self = {Role::source, host.name(), host.incarnation(), "sim"};
  options.brokers = world.broker_endpoints();
  options.link = world.scenario().link;
  options.drain_timeout = world.scenario().drain_timeout;
  options.exit_when_drained = world.ends_by_draining();
  options.seed = world.random().next();
  return options;
}

/// Has each message tried kHandledAttempts times.
class Again final : public FailureHandler {
 public:
  FailureChoice choose(const Failure& failure) override {
    if (failure.attempts >= kHandledAttempts) return {};
    return {FailureChoice::Action::retry, milliseconds(20)};
  }
};

/// The machine and the real source and sinks; the thread between them (source_node/source_io.hpp)
/// is simulated: requests are served one after the other, each takes a while, and Redis acts
/// somewhere within it.
class SourceShell final : public Shell {
 public:
  SourceShell(World& world, Host& host)
      : world_(world),
        host_(host),
        machine_(options_of(world, host), source_node::read_plan),
        server_({[&host](const source_node::Plan& plan) {
                   return builtin::create_source(plan.source, plan.topology, host.name());
                 },
                 [](const source_node::Plan& plan) {
                   return builtin::create_sink(*plan.failure.dead_letter);
                 },
                 [](const source_node::Plan&) {
                   return Result<std::unique_ptr<FailureHandler>>(std::make_unique<Again>());
                 }}) {}

  void start(TimePoint now, link::Effects& effects) override { machine_.start(now, effects); }
  void receive(const link::FrameReceived& received, TimePoint now,
               link::Effects& effects) override {
    machine_.receive(received, now, effects);
  }
  void woken(TimePoint now, link::Effects& effects) override {
    for (Response& response : responses_) {
      note(response);
      machine_.take(std::move(response), now, effects);
    }
    responses_.clear();
  }
  void turn(TimePoint now, link::Effects& effects) override {
    machine_.ask_ahead(now, requests_);
    machine_.turn(now, effects, requests_);
  }
  void submit() override {
    for (Request& request : requests_) {
      if (const auto* ack = std::get_if<source_node::AckRequest>(&request)) acking_ = ack->tokens;
      waiting_.push_back(std::move(request));
    }
    requests_.clear();
    if (!is_serving_) serve_next();
  }
  TimePoint next_turn() const override { return machine_.next_turn(); }
  void stop(bool at_once, TimePoint now, link::Effects& effects) override {
    machine_.stop(at_once, now, effects);
  }

  std::string check() const override {
    const source_node::SourceNumbers numbers = machine_.numbers();
    const std::uint64_t bound = world_.scenario().topology.source.max_pending;
    if (numbers.pending > bound) {
      return std::to_string(numbers.pending) + " pending, of at most " + std::to_string(bound);
    }
    // A quarter of the bytes that may be pending, as much again where a session began before others
    // were known, and a letter of each coordinator. (A failure handler has messages tried again, of
    // whose failed attempts is known.)
    constexpr std::uint64_t kMostLetterBytes = 4 * (64ULL << 10);
    const Scenario& scenario = world_.scenario();
    if (scenario.keeps_letters_away && !scenario.handles_failures &&
        numbers.failure_bytes > kMostLetterBytes) {
      return std::to_string(numbers.failure_bytes) + " bytes of failed messages are held";
    }
    if (numbers.lost_at_source > lost_) return "more is counted as lost than the source lost";
    // What failed may be left, and read again.
    if (!world_.scenario().leaves() && numbers.pending > held_.size()) {
      return std::to_string(numbers.pending) + " pending, of " + std::to_string(held_.size()) +
             " that were read and not acked: some are held twice";
    }
    return {};
  }
  bool is_idle() const override { return machine_.numbers().pending == 0; }
  std::string leftovers() const override {
    const source_node::SourceNumbers numbers = machine_.numbers();
    if (numbers.lost_at_source != lost_) {
      return std::to_string(lost_) + " lost, of which " + std::to_string(numbers.lost_at_source) +
             " are counted";
    }
    if (numbers.pending == 0 && numbers.pending_bytes == 0 && machine_.queued() == 0 &&
        numbers.failure_bytes == 0) {
      return {};
    }
    return std::to_string(numbers.pending) + " pending, " + std::to_string(machine_.queued()) +
           " queued, " + std::to_string(numbers.failure_bytes) +
           " bytes of failed messages, state: " + machine_.state();
  }

 private:
  void note(const Response& response) {
    if (const auto* poll = std::get_if<source_node::PollDone>(&response)) {
      if (!poll->result) return;
      for (const SourceMessage& message : poll->batch.messages()) held_.insert(message.token);
      lost_ += poll->batch.lost;
    } else if (const auto* ack = std::get_if<source_node::AckDone>(&response)) {
      if (!ack->result) return;
      for (const SourceToken& token : acking_) held_.erase(token);
    }
  }

  void serve_next() {
    is_serving_ = !waiting_.empty();
    if (!is_serving_) return;
    Duration until_done(static_cast<Duration::rep>(50'000 + world_.random().below(1'500'000)));
    if (const auto* poll = std::get_if<source_node::PollRequest>(&waiting_.front())) {
      // It blocks while there is nothing.
      if (!world_.redis().has_new()) until_done += poll->wait;
    }
    const Duration until_carried_out = until_done * static_cast<int>(world_.random().below(4)) / 3;
    host_.later(until_carried_out, [this, rest = until_done - until_carried_out] { serve(rest); });
  }

  void serve(Duration rest) {
    Request request = std::move(waiting_.front());
    waiting_.pop_front();
    auto response = std::make_shared<std::optional<Response>>();
    host_.inside([&] { *response = server_.serve(request); });
    if (const auto* poll = std::get_if<source_node::PollDone>(&**response)) {
      // Said once it is given out: whether the process lives to count it is another matter.
      if (poll->result) world_.ledger().told_lost(poll->batch.lost);
    }
    host_.later(rest, [this, response] {
      responses_.push_back(std::move(**response));
      host_.wake();
      serve_next();
    });
  }

  World& world_;
  Host& host_;
  source_node::SourceMachine machine_;
  source_node::RequestServer server_;
  std::vector<Request> requests_;
  std::deque<Request> waiting_;
  std::vector<Response> responses_;
  /// What the source has given, and not been told to forget.
  std::set<SourceToken> held_;
  std::vector<SourceToken> acking_;
  std::uint64_t lost_ = 0;  ///< As its polls said.
  bool is_serving_ = false;
};

}  // namespace

std::unique_ptr<Shell> make_source_shell(World& world, Host& host) {
  return std::make_unique<SourceShell>(world, host);
}

}  // namespace tempest::sim
