#include "task_node/coordinator_link.hpp"

#include <algorithm>
#include <utility>

#include "tempest/wire/codec.hpp"

namespace tempest::task_node {
namespace {

/// A window is told anew at most this often, and if it differs by a quarter or more.
constexpr Duration kWindowInterval = std::chrono::milliseconds(50);
constexpr std::uint64_t kWindowShare = 4;

bool differs(std::uint64_t number, std::uint64_t told) {
  const auto [less, more] = std::minmax(number, told);
  return more != less && (more - less) * kWindowShare >= told;
}

}  // namespace

CoordinatorLink::CoordinatorLink(link::ChannelId channel,
                                 registry::Directory::Coordinator coordinator, link::Identity self,
                                 const link::Settings& settings, std::uint64_t seed)
    : channel_(channel),
      coordinator_(std::move(coordinator)),
      client_(std::move(self), settings, seed,
              {Role::pipeline, coordinator_.name, coordinator_.incarnation}) {}

void CoordinatorLink::take_events(std::vector<link::Event>& events) {
  events.clear();
  std::swap(events, output_.events);
}

void CoordinatorLink::append_events(std::vector<link::Event>& events) {
  events.insert(events.end(), output_.events.begin(), output_.events.end());
  output_.events.clear();
}

void CoordinatorLink::take_frames(link::Effects& effects) {
  for (link::Outgoing& outgoing : output_.frames) {
    effects.sends.push_back({channel_, {}, std::move(outgoing.frame)});
  }
  output_.frames.clear();
}

bool CoordinatorLink::leads_to(const registry::Directory::Coordinator& listed) const {
  return coordinator_.name == listed.name && coordinator_.endpoint == listed.endpoint &&
         coordinator_.topology_version == listed.topology_version &&
         coordinator_.incarnation == listed.incarnation;
}

std::size_t CoordinatorLink::drop_results() {
  const std::size_t dropped = results_.items.size();
  results_.clear();
  results_bytes_ = 0;
  return dropped;
}

template <typename Body>
void CoordinatorLink::send(const Body& body, TimePoint now) {
  std::string frame = wire::data_frame(body);
  // No results are so large. If any were, their deliveries would never be over: a new session gives
  // them back.
  if (frame.size() > kMaxFrameBytes) return client_.reset(now, output_);
  client_.send(wire::kKindOf<Body>, std::move(frame), now, output_);
}

void CoordinatorLink::attach(std::string_view topology_version, const std::vector<TaskId>& tasks,
                             const wire::Window& window, TimePoint now) {
  send(wire::Attach{topology_version, tasks, window.messages, window.bytes, window.batch}, now);
  told_ = window;
  told_at_ = now;
}

void CoordinatorLink::adjust_window(const wire::Window& window, TimePoint now) {
  if (!is_up() || now - told_at_ < kWindowInterval) return;
  if (!differs(window.messages, told_.messages) && !differs(window.bytes, told_.bytes) &&
      !differs(window.batch, told_.batch)) {
    return;
  }
  send(window, now);
  told_ = window;
  told_at_ = now;
}

void CoordinatorLink::close_window(TimePoint now) {
  if (!is_up() || told_.messages == 0) return;
  told_ = wire::Window{};
  told_at_ = now;
  send(told_, now);
}

void CoordinatorLink::add_result(const Execution& execution, std::size_t delivery, TimePoint now) {
  const Outcome& outcome = execution.outcomes[delivery];
  if (!results_.items.empty() && results_.outputs.size() + outcome.output_count > kMaxFrameItems) {
    flush(now);
  }
  const auto first_output = static_cast<std::uint32_t>(results_.outputs.size());
  for (std::uint32_t i = 0; i < outcome.output_count; ++i) {
    const Emitted& emitted = execution.outputs[outcome.first_output + i];
    wire::Results::Output& output = results_.outputs.emplace_back(Execution::output(emitted));
    results_bytes_ += emitted.bytes();
    if (emitted.failure == wire::Results::kNotFailed) continue;
    const wire::Results::Failure& failure = execution.failures[emitted.failure];
    output.failure = static_cast<std::uint32_t>(results_.failures.size());
    results_.failures.push_back(failure);
    results_bytes_ += failure.reason.size();
  }
  results_bytes_ += outcome.reason.size();
  results_.items.push_back({execution.deliveries[delivery].item->id, outcome.status, outcome.reason,
                            outcome.retry_after_ms, first_output, outcome.output_count,
                            outcome.handled_us});
  if (results_bytes_ >= kFrameTargetBytes || results_.items.size() >= kMaxFrameItems) flush(now);
}

void CoordinatorLink::add_fused(const Execution& execution) {
  auto& counts = results_.fused;
  for (const FusedTask& task : execution.fused) {
    auto count = std::find_if(counts.begin(), counts.end(),
                              [&](const auto& other) { return other.task == task.task; });
    if (count == counts.end()) count = counts.insert(count, {task.task});
    count->acknowledged += task.handled[static_cast<std::size_t>(wire::Results::Status::done)];
    count->outputs += task.outputs;
    count->outputs_dropped += task.unrouted_outputs;
  }
}

void CoordinatorLink::add_result(DeliveryId id, wire::Results::Status status,
                                 std::string_view reason, TimePoint now, std::uint32_t handled_us) {
  results_.items.push_back(
      {id, status, reason, 0, static_cast<std::uint32_t>(results_.outputs.size()), 0, handled_us});
  results_bytes_ += reason.size();
  if (results_bytes_ >= kFrameTargetBytes || results_.items.size() >= kMaxFrameItems) flush(now);
}

void CoordinatorLink::extend(const Extension& extension, TimePoint now) {
  const auto time_ms = std::chrono::ceil<std::chrono::milliseconds>(extension.time).count();
  results_.items.push_back({extension.id,
                            wire::Results::Status::extended,
                            {},
                            static_cast<std::uint64_t>(time_ms),
                            static_cast<std::uint32_t>(results_.outputs.size()),
                            0});
  if (results_.items.size() >= kMaxFrameItems) flush(now);
}

void CoordinatorLink::flush(TimePoint now) {
  if (results_.items.empty() && results_.fused.empty()) return;
  send(results_, now);
  drop_results();
}

}  // namespace tempest::task_node
