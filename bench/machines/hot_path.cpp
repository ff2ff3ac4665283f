#include "bench/machines/hot_path.hpp"

#include <map>
#include <sstream>
#include <stdexcept>
#include <string>
#include <utility>
#include <vector>

#include "broker/broker_machine.hpp"
#include "pipeline_node/pipeline_machine.hpp"
#include "source_node/source_machine.hpp"
#include "source_node/source_node.hpp"
#include "task_node/handler.hpp"
#include "task_node/plan.hpp"
#include "task_node/task_machine.hpp"
#include "tempest/builtin/generator_source.hpp"
#include "tempest/runtime/topology_file.hpp"

namespace tempest::bench {

namespace {

constexpr const char* kBroker = "broker";
constexpr const char* kPipeline = "pipeline";
constexpr Duration kStep = std::chrono::microseconds(100);
constexpr Duration kHandleTime = std::chrono::nanoseconds(100);  // Of one delivery.
// Few, so that what has been read and is not done yet falls into no weight between two runs.
constexpr std::uint64_t kMaxPending = 4'000;
constexpr std::uint64_t kMostRounds = 10'000'000;

std::string topology_text(const HotPath::Shape& shape) {
  std::ostringstream text;
  text << "name = \"bench\"\n[source]\ntype = \"generator\"\nmax_pending = " << kMaxPending << "\n";
  for (std::size_t i = 1; i <= shape.depth; ++i) {
    text << "[[task]]\nname = \"task-" << i << "\"\nuses = \""
         << (i == shape.depth ? "drop" : "identity") << "\"\n";
    if (i > 1) text << "after = [\"task-" << i - 1 << "\"]\n";
  }
  return text.str();
}

Topology topology_of(const std::string& text) {
  std::vector<runtime::Diagnostic> diagnostics;
  auto topology = runtime::parse_topology(text, "Topology.toml", diagnostics);
  if (!topology) throw std::logic_error(runtime::joined(diagnostics));
  return std::move(*topology);
}

link::Identity identity(Role role, const std::string& name, std::uint64_t number) {
  return {role, name, Incarnation{number, number}, "bench"};
}

/// A node's place in the network: what has come for it, and what it wants sent.
struct Place {
  struct Frame {
    link::ChannelId channel{};
    std::size_t from = 0;
    SharedBytes frame;
  };
  std::string name;
  std::vector<Frame> inbox;
  std::vector<Frame> being_read;
  link::Effects effects;
  std::map<link::ChannelId, std::size_t> listeners;  ///< Whom its channels lead to.
  std::vector<link::ChannelId> channels;  ///< By which each other has opened a link here.
};

}  // namespace

class HotPath::Impl {
 public:
  explicit Impl(const Shape& shape)
      : text_(topology_text(shape)),
        fusing_(shape.fused ? task_node::Fusing::always : task_node::Fusing::never),
        generator_({.size_bytes = shape.size_bytes}),
        broker_(identity(Role::broker, kBroker, 1), {}),
        pipeline_(identity(Role::pipeline, kPipeline, 2), pipeline_settings(), topology_of(text_),
                  2),
        worker_(identity(Role::task, "task", 3), {kBroker}, {}, {}, 3),
        source_(source_options(), source_node::read_plan) {
    for (const char* name : {kBroker, kPipeline, "task", "source"}) {
      Place place;
      place.name = name;
      place.channels.resize(4);
      places_.push_back(std::move(place));
    }
    static_cast<void>(generator_.open());
    broker_.start(now_);
    pipeline_.start(now_, places_[1].effects);
    worker_.start(now_, places_[2].effects);
    source_.start(now_, places_[3].effects);
    for (std::size_t i = 0; i < places_.size(); ++i) carry_out(i);
  }

  void run(std::uint64_t messages) {
    const std::uint64_t wanted = source_.numbers().acked + messages;
    for (std::uint64_t round = 0; source_.numbers().acked < wanted; ++round) {
      if (round == kMostRounds) throw std::logic_error("the machines do not get on");
      now_ += kStep;
      step_broker();
      step_source();
      serve_source();
      step_pipeline();
      step_worker();
      run_handlers();
    }
  }

 private:
  static pipeline_node::PipelineSettings pipeline_settings() {
    pipeline_node::PipelineSettings settings;
    settings.brokers = {kBroker};
    settings.endpoint = kPipeline;
    return settings;
  }

  static source_node::SourceMachine::Options source_options() {
    source_node::SourceMachine::Options options;
    options.self = identity(Role::source, "source", 4);
    options.brokers = {kBroker};
    options.seed = 4;
    return options;
  }

  template <typename Machine>
  void receive(std::size_t index, Machine& machine) {
    Place& place = places_[index];
    std::swap(place.inbox, place.being_read);
    for (Place::Frame& frame : place.being_read) {
      const bool listens = frame.channel == link::kListener;
      const std::string_view sender = listens ? std::string_view(places_[frame.from].name) : "";
      machine.receive({frame.channel, sender, std::move(frame.frame)}, now_, place.effects);
    }
    place.being_read.clear();
  }

  __attribute__((noinline)) void step_broker() {
    receive(0, broker_);
    broker_.turn(now_, places_[0].effects);
    carry_out(0);
  }

  __attribute__((noinline)) void step_pipeline() {
    receive(1, pipeline_);
    pipeline_.turn(now_, places_[1].effects);
    carry_out(1);
  }

  __attribute__((noinline)) void step_worker() {
    receive(2, worker_);
    for (auto& execution : finished_) {
      worker_.completed(std::move(execution), now_, places_[2].effects);
    }
    finished_.clear();
    worker_.turn(now_, places_[2].effects, work_);
    if (const auto request = std::exchange(work_.build, std::nullopt)) build(*request);
    carry_out(2);
  }

  __attribute__((noinline)) void run_handlers() {
    for (auto& execution : work_.executions) {
      handler_.run(*execution);
      // Windows follow from it, and so would batches: it is to be the same each time.
      execution->handle_time = kHandleTime * execution->deliveries.size();
      finished_.push_back(std::move(execution));
    }
    work_.executions.clear();
  }

  __attribute__((noinline)) void step_source() {
    receive(3, source_);
    for (source_node::Response& response : responses_) {
      source_.take(std::move(response), now_, places_[3].effects);
    }
    responses_.clear();
    source_.turn(now_, places_[3].effects, requests_);
    carry_out(3);
  }

  /// In place of the source's thread.
  __attribute__((noinline)) void serve_source() {
    for (source_node::Request& request : requests_) {
      if (std::holds_alternative<source_node::OpenRequest>(request)) {
        responses_.emplace_back(source_node::OpenDone{{}, {}, true});
      } else if (auto* poll = std::get_if<source_node::PollRequest>(&request)) {
        source_node::PollDone done;
        done.batch = std::move(poll->batch);
        done.result = generator_.poll(poll->max_messages, {}, done.batch);
        responses_.emplace_back(std::move(done));
      } else {
        responses_.emplace_back(source_node::AckDone{});
      }
    }
    requests_.clear();
  }

  void build(const task_node::BuildRequest& request) {
    task_node::PlanOptions options;
    options.fusing = fusing_;
    auto plan = task_node::make_plan(request.version, request.text, options, {});
    if (!plan || !handler_.build(*plan)) throw std::logic_error("the tasks cannot be made");
    worker_.built({request.version, std::nullopt, handler_.served()}, now_, places_[2].effects);
  }

  std::size_t index_of(std::string_view name) const {
    std::size_t index = 0;
    while (places_[index].name != name) ++index;
    return index;
  }

  void carry_out(std::size_t from) {
    Place& place = places_[from];
    for (const auto& open : place.effects.opens) {
      const std::size_t to = index_of(open.endpoint);
      place.listeners[open.channel] = to;
      places_[to].channels[from] = open.channel;
    }
    for (auto& send : place.effects.sends) {
      if (send.channel == link::kListener) {
        const std::size_t to = index_of(send.routing_id);
        places_[to].inbox.push_back({place.channels[to], from, std::move(send.frame)});
      } else {
        places_[place.listeners.at(send.channel)].inbox.push_back(
            {link::kListener, from, std::move(send.frame)});
      }
    }
    place.effects.opens.clear();
    place.effects.sends.clear();
    place.effects.notices.clear();
  }

  TimePoint now_{std::chrono::seconds(1)};
  std::string text_;
  task_node::Fusing fusing_;
  std::vector<Place> places_;  ///< Broker, coordinator, worker, source.

  builtin::GeneratorSource generator_;
  broker::BrokerMachine broker_;
  pipeline_node::PipelineMachine pipeline_;
  task_node::TaskMachine worker_;
  task_node::Handler handler_;
  source_node::SourceMachine source_;

  std::vector<source_node::Request> requests_;
  std::vector<source_node::Response> responses_;
  task_node::Work work_;
  std::vector<std::unique_ptr<task_node::Execution>> finished_;
};

HotPath::HotPath(const Shape& shape) : impl_(std::make_unique<Impl>(shape)) {}
HotPath::~HotPath() = default;

void HotPath::run(std::uint64_t messages) {
  impl_->run(messages);
}

}  // namespace tempest::bench
