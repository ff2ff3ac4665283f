#pragma once

#include <algorithm>
#include <map>
#include <string>
#include <utility>
#include <vector>

#include "tempest/tracking/tracker.hpp"

/// What tracking must do, said again in the simplest way there is: maps, and loops over all of
/// them. It knows of no slots, lists or ids; the trial that compares it with the tracker does.
namespace tempest::tracking {

struct ModelPart {
  EdgeId edge;
  std::string payload;
  std::string key;

  auto operator<=>(const ModelPart&) const = default;
};

struct ModelDelivery {
  enum class Place { waiting, out, held, delayed };

  int message;
  TaskId task;
  std::vector<ModelPart> parts;
  std::uint32_t attempt = 1;
  Place place = Place::waiting;
  std::uint32_t worker = kNowhere;  ///< Out: where.
  TimePoint since{};                ///< Out: since when. Delayed: until when.
  /// When it came to wait or was delayed, as a number; kept when it is given back.
  std::uint64_t rank = 0;
  int losses = 0;        ///< Workers that died with it.
  bool started = false;  ///< Out: its worker runs it, and nothing else.

  bool is_suspect() const { return losses >= 2; }

  std::size_t size_bytes() const {
    std::size_t bytes = 0;
    for (const ModelPart& part : parts) bytes += part.payload.size() + part.key.size();
    return bytes;
  }
};

struct ModelOutput {
  std::string name;
  std::string payload;
  std::string key;
};

class ReferenceModel {
 public:
  using Place = ModelDelivery::Place;

  ReferenceModel(const std::vector<dag::Node>& nodes, const std::vector<dag::EdgeByName>& edges,
                 FailureRules rules)
      : nodes_(nodes), edges_(edges), rules_(std::move(rules)) {}

  struct Tree {
    PeerId owner;
    TimePoint started;
    bool is_tolerated = false;
    std::vector<std::pair<TimePoint, TimePoint>> worked = {};  ///< From when to when.
  };
  std::map<int, Tree> trees;
  std::map<int, ModelDelivery> deliveries;
  /// At workers, their trees over or others in their place.
  std::map<int, ModelDelivery> orphans;
  /// Messages that ended in this step; the trial empties them.
  std::vector<int> acked;
  std::vector<int> failed;

  // --- What happens ---

  void begin(int message, PeerId owner, const std::string& payload, const std::string& key,
             TimePoint now) {
    trees[message] = {owner, now};
    for (std::size_t i = 0; i < nodes_.size(); ++i) {
      const bool is_root = std::none_of(edges_.begin(), edges_.end(), [&](const auto& edge) {
        return edge.to == nodes_[i].name;
      });
      if (is_root) add(message, TaskId{static_cast<std::uint16_t>(i)}, {kNoEdge, payload, key});
    }
  }

  void sent(int number, std::uint32_t worker, TimePoint now) {
    ModelDelivery& delivery = deliveries.at(number);
    delivery.place = Place::out;
    delivery.worker = worker;
    delivery.since = now;
    delivery.started = false;
  }

  void start(int number) { deliveries.at(number).started = true; }

  void done(int number, const std::vector<ModelOutput>& outputs) {
    const ModelDelivery delivery = deliveries.at(number);
    const std::string& name = nodes_[index(delivery.task)].name;
    for (const ModelOutput& output : outputs) {
      for (std::size_t i = 0; i < edges_.size(); ++i) {
        const dag::EdgeByName& edge = edges_[i];
        const bool takes =
            output.name == edge.output || (edge.output.empty() && output.name == edge.to);
        if (edge.from != name || !takes) continue;
        add(delivery.message, task_of(edge.to),
            {EdgeId{static_cast<std::uint16_t>(i)}, output.payload, output.key});
      }
    }
    finish(number);
  }

  void fail(int number, bool is_permanent, Duration retry_after, TimePoint now) {
    ModelDelivery& delivery = deliveries.at(number);
    delivery.place = Place::waiting;  // At no worker any more.
    if (rules_.policy == FailurePolicy::retry && !is_permanent) {
      if (retry_after > Duration::zero()) return delay(delivery, now + retry_after);
      if (delivery.attempt < rules_.max_attempts) {
        ++delivery.attempt;
        Duration wait = rules_.backoff.initial;
        for (std::uint32_t i = 2; i < delivery.attempt; ++i) wait *= 2;
        return delay(delivery, now + std::min(wait, rules_.backoff.max));
      }
    }
    if (rules_.policy == FailurePolicy::best_effort) {
      trees.at(delivery.message).is_tolerated = true;
      finish(number);
      return;
    }
    fail_tree(delivery.message);
  }

  void time_out(int number, bool by_tree, TimePoint now) {
    if (!by_tree) return fail(number, false, Duration::zero(), now);
    deliveries.at(number).place = Place::waiting;
    fail_tree(deliveries.at(number).message);
  }

  /// What it needs is away, and has been since then.
  void wait_for(int number, TimePoint away_since, Duration wanted, TimePoint now) {
    const Duration least = std::max<Duration>(wanted, std::chrono::milliseconds(500));
    const Duration most = std::max<Duration>(least, std::chrono::seconds(5));
    delay(deliveries.at(number), now + std::min(std::max((now - away_since) / 4, least), most));
  }

  void work(int number, Duration time, TimePoint now) {
    trees.at(deliveries.at(number).message).worked.emplace_back(now - time, now);
  }

  void give_back(int number) { deliveries.at(number).place = Place::waiting; }

  void lose_worker(std::uint32_t worker) {
    std::erase_if(orphans, [&](const auto& entry) { return entry.second.worker == worker; });
    for (auto& [number, delivery] : deliveries) {
      if (delivery.place == Place::out && delivery.worker == worker) {
        delivery.place = Place::waiting;
      }
    }
  }

  /// A worker does not say goodbye: what it had started is to blame; if nothing, each remembers it.
  void worker_dies(std::uint32_t worker, TimePoint now) {
    std::vector<int> out;
    for (const auto& [number, delivery] : deliveries) {
      if (delivery.place == Place::out && delivery.worker == worker) out.push_back(number);
    }
    const auto started = std::find_if(out.begin(), out.end(),
                                      [this](int number) { return deliveries.at(number).started; });
    lose_worker(worker);
    if (started != out.end()) return fail(*started, false, Duration::zero(), now);
    for (const int number : out) ++deliveries.at(number).losses;
  }

  void lose_owner(PeerId owner) {
    std::vector<int> lost;
    for (const auto& [message, tree] : trees) {
      if (tree.owner == owner) lost.push_back(message);
    }
    for (const int message : lost) end_tree(message);
  }

  void time_passes(TimePoint now) {
    end_overworked();
    end_expired(now);
    const std::vector<int> due = in_order([&](const ModelDelivery& delivery) {
      return delivery.place == Place::delayed && delivery.since <= now;
    });
    for (const int number : due) wait(deliveries.at(number));
  }

  // --- What there is ---

  template <typename Matches>
  std::size_t count(Matches matches) const {
    return static_cast<std::size_t>(
        std::count_if(deliveries.begin(), deliveries.end(),
                      [&](const auto& entry) { return matches(entry.second); }));
  }

  /// Of those that are there.
  std::size_t bytes_at(ModelDelivery::Place place) const {
    std::size_t bytes = 0;
    for (const auto& [number, delivery] : deliveries) {
      if (delivery.place == place) bytes += delivery.size_bytes();
    }
    return bytes;
  }

  /// Those at a worker, orphans too.
  std::vector<ModelDelivery> at_worker(std::uint32_t worker) const {
    std::vector<ModelDelivery> found;
    for (const auto& [number, delivery] : orphans) {
      if (delivery.worker == worker) found.push_back(delivery);
    }
    for (const auto& [number, delivery] : deliveries) {
      if (delivery.place == Place::out && delivery.worker == worker) found.push_back(delivery);
    }
    return found;
  }

  bool is_below(TaskId task, TaskId above) const {
    return std::any_of(edges_.begin(), edges_.end(), [&](const dag::EdgeByName& edge) {
      return edge.from == nodes_[index(above)].name &&
             (task_of(edge.to) == task || is_below(task, task_of(edge.to)));
    });
  }

 private:
  static std::size_t index(TaskId task) { return static_cast<std::size_t>(task); }

  TaskId task_of(const std::string& name) const {
    std::uint16_t i = 0;
    while (nodes_[i].name != name) ++i;
    return TaskId{i};
  }

  /// Those that match, by `since` and then by rank.
  template <typename Matches>
  std::vector<int> in_order(Matches matches) const {
    std::vector<int> numbers;
    for (const auto& [number, delivery] : deliveries) {
      if (matches(delivery)) numbers.push_back(number);
    }
    std::sort(numbers.begin(), numbers.end(), [this](int left, int right) {
      const ModelDelivery& one = deliveries.at(left);
      const ModelDelivery& other = deliveries.at(right);
      return std::pair(one.since, one.rank) < std::pair(other.since, other.rank);
    });
    return numbers;
  }

  void wait(ModelDelivery& delivery) {
    delivery.place = Place::waiting;
    delivery.rank = next_rank_++;
  }

  void delay(ModelDelivery& delivery, TimePoint until) {
    delivery.place = Place::delayed;
    delivery.since = until;
    delivery.rank = next_rank_++;
  }

  void add(int message, TaskId task, ModelPart part) {
    const bool is_held = nodes_[index(task)].gather != dag::Gather::none && part.edge != kNoEdge;
    ModelDelivery delivery{message, task, {std::move(part)}};
    wait(delivery);
    if (is_held) delivery.place = Place::held;
    deliveries.emplace(next_number_++, std::move(delivery));
  }

  void finish(int number) {
    const int message = deliveries.at(number).message;
    deliveries.erase(number);
    while (release_one_task(message)) {
    }
    const bool is_done =
        count([&](const ModelDelivery& delivery) { return delivery.message == message; }) == 0;
    if (!is_done) return;
    (trees.at(message).is_tolerated ? failed : acked).push_back(message);
    trees.erase(message);
  }

  bool release_one_task(int message) {
    for (const auto& [number, delivery] : deliveries) {
      if (delivery.message != message || delivery.place != Place::held) continue;
      const TaskId task = delivery.task;
      const bool must_wait = count([&](const ModelDelivery& other) {
                               return other.message == message && is_below(task, other.task);
                             }) > 0;
      if (must_wait) continue;
      release(message, task);
      return true;
    }
    return false;
  }

  void release(int message, TaskId task) {
    // Edge by edge, and by when they came.
    std::vector<std::pair<EdgeId, int>> held;
    for (const auto& [number, delivery] : deliveries) {
      if (delivery.message == message && delivery.task == task && delivery.place == Place::held) {
        held.emplace_back(delivery.parts[0].edge, number);
      }
    }
    std::sort(held.begin(), held.end());
    ModelDelivery& first = deliveries.at(held[0].second);
    for (const auto& [edge, number] : held) {
      ModelDelivery& delivery = deliveries.at(number);
      wait(delivery);
      if (nodes_[index(task)].gather == dag::Gather::each || &delivery == &first) continue;
      first.parts.push_back(delivery.parts[0]);
      deliveries.erase(number);
    }
  }

  void end_tree(int message) {
    for (auto entry = deliveries.begin(); entry != deliveries.end();) {
      if (entry->second.message != message) {
        ++entry;
        continue;
      }
      if (entry->second.place == Place::out) orphans.insert(*entry);
      entry = deliveries.erase(entry);
    }
    trees.erase(message);
  }

  void fail_tree(int message) {
    failed.push_back(message);
    end_tree(message);
  }

  void end_overworked() {
    if (rules_.tree_timeout == Duration::zero()) return;
    std::vector<int> late;
    for (const auto& [message, tree] : trees) {
      Duration worked{0};
      TimePoint until{};
      for (const auto& [from, to] : tree.worked) {
        worked += std::max(to - std::max(from, until), Duration::zero());
        until = to;
      }
      if (worked >= rules_.tree_timeout) late.push_back(message);
    }
    for (const int message : late) fail_tree(message);
  }

  void end_expired(TimePoint now) {
    if (rules_.max_age == Duration::zero()) return;
    std::vector<int> late;
    for (const auto& [message, tree] : trees) {
      if (tree.started + rules_.max_age <= now) late.push_back(message);
    }
    for (const int message : late) fail_tree(message);
  }

  std::vector<dag::Node> nodes_;
  std::vector<dag::EdgeByName> edges_;
  FailureRules rules_;
  int next_number_ = 0;
  std::uint64_t next_rank_ = 0;
};

}  // namespace tempest::tracking
