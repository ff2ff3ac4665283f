#pragma once

#include <cstdint>
#include <span>
#include <string_view>
#include <vector>

#include "task_node/execution.hpp"
#include "tempest/link/link.hpp"
#include "tempest/link/node.hpp"
#include "tempest/watch/sampler.hpp"
#include "tempest/watch/sighting_log.hpp"
#include "tempest/wire/frames.hpp"

namespace tempest::task_node {

/// Shows operators some of the messages at the tasks of this worker: copies of them, as they are
/// given to a thread, and of what has come of them. While nobody asks nothing here is called.
class Taps {
 public:
  explicit Taps(const link::Identity& self) : log_(self) {}

  /// Of these, the taps at served tasks are shown from now on.
  void set(const std::vector<wire::Watch>& watches, std::span<const ServedTask> served);
  bool active() const { return !taps_.empty(); }

  /// Whether nothing is to be fused in the next execution, so that what goes from task to task in
  /// it comes by here. So many a second are enough: fused tasks stay nearly as fast as without a
  /// tap.
  bool unfuses(TimePoint now);
  static constexpr std::uint32_t kUnfusedPerSecond = 100;

  void show_inputs(const Execution& execution, TimePoint now);
  void show_outputs(const Execution& execution, TimePoint now);
  void publish(TimePoint now, link::Effects& effects);

 private:
  struct Tap {
    wire::Watch watch;
    TaskId task{};
    watch::Sampler inputs;
    watch::Sampler outputs;
    std::uint32_t shown = 0;
  };

  void show(Tap& tap, wire::Sighting::Kind kind, const wire::Deliveries::Item& item,
            std::string_view name, std::string_view key, std::string_view payload);

  std::vector<Tap> taps_;
  TimePoint unfuse_at_{};
  watch::SightingLog log_;
};

}  // namespace tempest::task_node
