#include "task_node/taps.hpp"

#include <algorithm>
#include <utility>

namespace tempest::task_node {

using Kind = wire::Sighting::Kind;

void Taps::set(const std::vector<wire::Watch>& watches, std::span<const ServedTask> served) {
  std::vector<Tap> taps;
  for (const wire::Watch& watch : watches) {
    if (watch.kind != wire::Watch::Kind::tap) continue;
    const auto task = std::find_if(served.begin(), served.end(),
                                   [&](const ServedTask& one) { return one.name == watch.task; });
    if (task == served.end()) continue;
    const auto known = std::find_if(taps_.begin(), taps_.end(), [&](const Tap& tap) {
      return tap.watch == watch && tap.task == task->id;
    });
    taps.push_back(known != taps_.end()
                       ? std::move(*known)
                       : Tap{watch, task->id, watch::Sampler(watch), watch::Sampler(watch), 0});
  }
  taps_ = std::move(taps);
  log_.keep(watches);
}

bool Taps::unfuses(TimePoint now) {
  if (now < unfuse_at_) return false;
  const bool has_room = std::any_of(taps_.begin(), taps_.end(), [now](const Tap& tap) {
    return ((tap.watch.side & wire::Watch::input) != 0 && tap.inputs.has_room(now)) ||
           ((tap.watch.side & wire::Watch::output) != 0 && tap.outputs.has_room(now));
  });
  if (has_room) unfuse_at_ = now + Duration(std::chrono::seconds(1)) / kUnfusedPerSecond;
  return has_room;
}

void Taps::show_inputs(const Execution& execution, TimePoint now) {
  for (Tap& tap : taps_) {
    if (tap.task != execution.task || (tap.watch.side & wire::Watch::input) == 0) continue;
    if (!tap.inputs.begin(execution.deliveries.size(), now)) continue;
    for (const Assigned& assigned : execution.deliveries) {
      for (std::uint32_t i = 0; i < assigned.item->part_count; ++i) {
        const wire::Deliveries::Part& part = assigned.parts[i];
        if (!tap.inputs.takes(part.key, part.payload)) continue;
        show(tap, Kind::input, *assigned.item, {}, part.key, part.payload);
      }
    }
  }
}

void Taps::show_outputs(const Execution& execution, TimePoint now) {
  for (Tap& tap : taps_) {
    if ((tap.watch.side & wire::Watch::output) == 0) continue;
    // Of the task itself, or of a call of it that was fused and whose outputs go on from here.
    const auto count = std::count_if(execution.outputs.begin(), execution.outputs.end(),
                                     [&](const Emitted& one) { return one.from == tap.task; });
    if (!tap.outputs.begin(static_cast<std::size_t>(count), now)) continue;
    for (const Emitted& emitted : execution.outputs) {
      if (emitted.from != tap.task) continue;
      const wire::Results::Output output = execution.output(emitted);
      if (!tap.outputs.takes(output.key, output.payload)) continue;
      show(tap, Kind::output, *execution.deliveries[emitted.delivery].item, output.output,
           output.key, output.payload);
    }
  }
}

void Taps::show(Tap& tap, Kind kind, const wire::Deliveries::Item& item, std::string_view name,
                std::string_view key, std::string_view payload) {
  wire::Sighting sighting;
  sighting.message = std::uint64_t{tap.watch.id} << 32 | ++tap.shown;
  sighting.kind = kind;
  sighting.task = tap.watch.task;
  sighting.delivery = item.id.packed();
  sighting.attempt = item.attempt;
  sighting.count = item.part_count;
  sighting.text = name;
  sighting.key = key.substr(0, tap.watch.max_bytes);
  sighting.payload = payload.substr(0, tap.watch.max_bytes);
  sighting.payload_bytes = payload.size();
  log_.add(std::move(sighting));
}

void Taps::publish(TimePoint now, link::Effects& effects) {
  for (const Tap& tap : taps_) {
    log_.set_seen(tap.watch.id, tap.inputs.seen() + tap.outputs.seen(),
                  tap.inputs.passed_over() + tap.outputs.passed_over());
  }
  log_.publish(now, effects);
}

}  // namespace tempest::task_node
