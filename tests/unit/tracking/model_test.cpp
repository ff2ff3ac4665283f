// Random graphs, outcomes and faults, each step compared with a model that is too simple to be
// wrong in the same way. TEMPEST_MODEL_SEED=n runs the trial of one seed.

#include <catch2/catch.hpp>
#include <cstdlib>
#include <map>
#include <set>

#include "random_pipeline.hpp"
#include "reference_model.hpp"
#include "tempest/base/random.hpp"

namespace tempest::tracking {

namespace {

using std::chrono::milliseconds;

// Asked for thousands of times a trial: an assertion of Catch2 for each would take most of the
// time.
#define MUST(condition)                 \
  do {                                  \
    if (!(condition)) FAIL(#condition); \
  } while (false)

class Trial {
 public:
  explicit Trial(std::uint64_t seed)
      : random_(seed),
        shape_(draw_shape(random_)),
        rules_(draw_rules(random_)),
        limits_{random_.below(3) == 0 ? random_.below(20) : 1'000'000,
                random_.below(4) == 0 ? random_.below(200) : 1'000'000'000,
                random_.below(2) == 0 ? 1 + random_.below(6) : 1'000'000,
                random_.below(2) == 0 ? random_.below(10) : 1'000'000, 1 + random_.below(3)},
        graph_(shape_.build()),
        scheduler_(graph_, table_, limits_),
        tracker_(graph_, table_, scheduler_, rules_, seed),
        model_(shape_.nodes, shape_.edges, rules_) {}

  void run(int steps) {
    for (int i = 0; i < steps; ++i) {
      step();
      compare();
    }
    drain();
  }

 private:
  struct Given {
    DeliveryId id;
    std::uint32_t worker;
    int number;
    bool has_begun = false;  ///< Will not be given back.
  };
  struct Worker {
    std::string name;
    std::vector<TaskId> tasks;
    Scheduler::Window window;
  };

  // --- Steps ---

  void step() {
    switch (random_.below(21)) {
      case 0:
        return join();
      case 1:
        return random_.below(2) == 0 ? lose() : void();
      case 2:
        return random_.below(5) == 0 ? lose_source() : void();
      case 3:
        return change_directory();
      case 4:
        return scheduler_.set_settled(revision_);
      case 5:
        return give_back();
      case 6:
        return random_.below(2) == 0 ? change_window() : answer_late();
      case 7:
        return advance(milliseconds(20 + random_.below(150)));
      case 8:
      case 9:
      case 10:
        return begin();
      case 11:
      case 12:
      case 13:
        return dispatch();
      case 14:
        return start();
      default:
        return answer();
    }
  }

  void begin() {
    const int message = next_message_++;
    const PeerId owner = draw_owner();
    const std::string payload = "m" + std::to_string(message);
    const std::string key = draw_key();
    tracker_.begin(owner, {static_cast<std::uint32_t>(message), 1},
                   Payload::take(key, payload, SharedBytes{}), now_);
    model_.begin(message, owner, payload, key, now_);
  }

  void join() {
    if (workers_.size() >= 4) return;
    Worker worker{"w" + std::to_string(random_.below(6)), {}, draw_window()};
    for (const auto& [number, other] : workers_) {
      if (other.name == worker.name) return;
    }
    for (std::uint16_t i = 0; i < graph_.task_count(); ++i) {
      if (random_.below(3) > 0) worker.tasks.push_back(TaskId{i});
    }
    add(std::move(worker));
  }

  void add(Worker worker) {
    const auto number = scheduler_.add_worker(worker.name, worker.tasks, worker.window);
    MUST(workers_.emplace(number, std::move(worker)).second);
  }

  void lose() {
    if (workers_.empty()) return;
    const std::uint32_t number = draw_worker();
    const auto back = scheduler_.remove_worker(number);
    if (random_.below(4) > 0) {
      tracker_.worker_died(back, workers_.at(number).name, now_);
      model_.worker_dies(number, now_);
    } else {
      tracker_.worker_lost(back);
      model_.lose_worker(number);
    }
    workers_.erase(number);
    std::erase_if(given_, [&](const Given& given) {
      if (given.worker == number) past_.push_back(given);
      return given.worker == number;
    });
  }

  void change_window() {
    if (workers_.empty()) return;
    const std::uint32_t number = draw_worker();
    workers_.at(number).window = draw_window();
    scheduler_.set_window(number, workers_.at(number).window);
  }

  void change_directory() {
    directory_.clear();
    for (const auto& [number, worker] : workers_) directory_.push_back({worker.name, worker.tasks});
    std::sort(directory_.begin(), directory_.end(),
              [](const auto& left, const auto& right) { return left.name < right.name; });
    scheduler_.set_directory(directory_, ++revision_);
  }

  void lose_source() {
    const PeerId owner = draw_owner();
    tracker_.forget_owner(owner);
    model_.lose_owner(owner);
  }

  void advance(Duration time) {
    now_ += time;
    tracker_.turn(now_);
    model_.time_passes(now_);
    MUST(tracker_.next_turn() > now_);
  }

  // As a worker that runs a suspect alone, though here it may be any delivery.
  void start() {
    if (given_.empty()) return;
    Given& given = given_[random_.below(given_.size())];
    const bool runs_one = model_.count([&](const ModelDelivery& delivery) {
      return delivery.worker == given.worker && delivery.started &&
             delivery.place == ModelDelivery::Place::out;
    }) > 0;
    if (runs_one) return;
    given.has_begun = true;
    const bool is_current = model_.deliveries.contains(given.number);
    MUST(tracker_.start(given.id, given.worker) == is_current);
    if (is_current) model_.start(given.number);
  }

  void answer() {
    if (given_.empty()) return;
    const std::size_t place = random_.below(given_.size());
    const Given given = given_[place];
    given_.erase(given_.begin() + static_cast<std::ptrdiff_t>(place));
    const bool is_current = model_.deliveries.contains(given.number);
    if (!is_current) {
      MUST(model_.orphans.erase(given.number) == 1);
      ++stale_;
    }
    if (is_current && random_.below(4) == 0) {
      const Duration time = milliseconds(1 + random_.below(300));
      tracker_.note_worked(given.id, given.worker, time, now_);
      model_.work(given.number, time, now_);
    }
    const std::uint64_t what = random_.below(is_faultless_ ? 6 : 12);
    if (what == 10) {
      const bool by_tree = random_.below(4) == 0;
      MUST(tracker_.time_out(given.id, given.worker, by_tree, "slow", now_) == is_current);
      if (is_current) model_.time_out(given.number, by_tree, now_);
    } else if (what == 11) {
      wait_for(given, is_current);
    } else if (what < 6) {
      MUST(acknowledge(given, is_current) == is_current);
    } else {
      const bool is_permanent = random_.below(6) == 0;
      const Duration pause = milliseconds(random_.below(3) == 0 ? 1 + random_.below(400) : 0);
      MUST(tracker_.fail(given.id, given.worker, {is_permanent, "no", pause}, now_) == is_current);
      if (is_current) model_.fail(given.number, is_permanent, pause, now_);
    }
    past_.push_back(given);
    if (random_.below(4) == 0) answer_again(given);
  }

  void wait_for(const Given& given, bool is_current) {
    const Duration wanted = milliseconds(random_.below(900));
    MUST(tracker_.fail(given.id, given.worker, {false, "away", wanted, true}, now_) == is_current);
    if (!is_current) return;
    const TaskId task = model_.deliveries.at(given.number).task;
    const TimePoint since = away_since_.emplace(task, now_).first->second;
    model_.wait_for(given.number, since, wanted, now_);
  }

  bool acknowledge(const Given& given, bool is_current) {
    std::vector<ModelOutput> outputs(random_.below(3));
    std::vector<Tracker::Output> views;
    constexpr std::array names{"", "", "left", "right", "t3", "nowhere"};
    for (ModelOutput& output : outputs) {
      output = {names[random_.below(names.size())], "o" + std::to_string(next_output_++),
                draw_key()};
      views.push_back({output.name, Payload::take(output.key, output.payload, SharedBytes{})});
    }
    const bool counted = tracker_.acknowledge(given.id, given.worker, views, now_);
    if (is_current) {
      away_since_.erase(model_.deliveries.at(given.number).task);
      model_.done(given.number, outputs);
    }
    return counted;
  }

  void answer_again(const Given& given) {
    switch (random_.below(3)) {
      case 0:
        MUST(!tracker_.acknowledge(given.id, given.worker, {}, now_));
        break;
      case 1:
        MUST(!tracker_.fail(given.id, given.worker, {}, now_));
        break;
      default:
        MUST(!tracker_.give_back(given.id, given.worker));
    }
    ++stale_;
  }

  // An id that was answered, given back or lost with its worker, at any time after that.
  void answer_late() {
    if (!past_.empty()) answer_again(past_[random_.below(past_.size())]);
  }

  // As a worker that drains: what it has begun stays, the rest goes back in order.
  void give_back() {
    if (workers_.empty()) return;
    const std::uint32_t number = draw_worker();
    std::uint64_t to_keep = random_.below(3);
    std::vector<Given> kept;
    for (Given& given : given_) {
      if (given.worker == number && !given.has_begun && to_keep == 0) {
        give_back(given);
        continue;
      }
      if (given.worker == number && !given.has_begun) {
        given.has_begun = true;
        --to_keep;
      }
      kept.push_back(given);
    }
    given_ = std::move(kept);
  }

  void give_back(const Given& given) {
    const bool is_current = model_.deliveries.contains(given.number);
    past_.push_back(given);
    MUST(tracker_.give_back(given.id, given.worker) == is_current);
    if (is_current) {
      model_.give_back(given.number);
    } else {
      MUST(model_.orphans.erase(given.number) == 1);
      ++stale_;
    }
  }

  // --- Dispatch ---

  void dispatch() {
    std::set<TaskId> fed = tasks_that_must_be_fed();
    std::vector<bool> blocked(8);
    for (std::size_t i = 0; i < blocked.size(); ++i) {
      blocked[i] = !is_faultless_ && random_.below(10) == 0;
    }
    std::vector<Scheduler::Assignment> assignments;
    do {
      scheduler_.dispatch(now_, blocked, assignments);
    } while (tracker_.begin_more());
    for (const Scheduler::Assignment& assignment : assignments) {
      MUST(!blocked[assignment.worker]);
      given_.push_back(
          {table_.id_of(assignment.delivery), assignment.worker, check_assignment(assignment)});
    }
    for (const auto& [number, delivery] : model_.deliveries) {
      if (delivery.place != ModelDelivery::Place::waiting || !fed.contains(delivery.task)) continue;
      for (const auto& [worker_number, worker] : workers_) {
        MUST(blocked[worker_number] || !serves(worker, delivery.task) || !has_room(worker_number) ||
             may_be_spared(worker_number, delivery.task));
      }
    }
  }

  // The tasks it leads to have enough to do already, or will have; or the worker has.
  bool may_be_spared(std::uint32_t worker, TaskId task) const {
    if (graph_.is_terminal(task)) return false;
    // It is fed one by one, or what comes of what it is given may be all that the limits allow.
    if (scheduler_.set_aside().held > limits_.bytes) return true;
    const bool is_narrow = limits_.messages < 1'000 || limits_.bytes < 1'000;
    if (is_narrow && scheduler_.in_flight(task) > 0) return true;
    if (limits_.made_ahead > 1'000) return false;
    const auto waits = [&](EdgeId edge) {
      return model_.count([&](const ModelDelivery& delivery) {
        return delivery.place == ModelDelivery::Place::waiting &&
               delivery.task == graph_.edge(edge).to;
      }) > 0;
    };
    const auto edges = graph_.outgoing(task);
    return scheduler_.in_flight_at(worker) >= limits_.fed_ahead || scheduler_.in_flight(task) > 0 ||
           std::all_of(edges.begin(), edges.end(), waits);
  }

  std::size_t count_suspects() const {
    return model_.count([](const ModelDelivery& delivery) {
      return delivery.place == ModelDelivery::Place::waiting && delivery.is_suspect();
    });
  }

  bool over_limits() const {
    const std::size_t count = model_.count([](const ModelDelivery& delivery) {
      return delivery.place == ModelDelivery::Place::waiting;
    });
    const std::size_t bytes = model_.bytes_at(ModelDelivery::Place::waiting);
    const SetAside& aside = scheduler_.set_aside();
    return count > limits_.messages ||
           bytes + aside.held + aside.delayed + aside.failed > limits_.bytes;
  }

  // What failed in trees that go on is held, too, and the model keeps no payload of it.
  void compare_set_aside() const {
    const SetAside& aside = scheduler_.set_aside();
    MUST(aside.delayed == model_.bytes_at(ModelDelivery::Place::delayed));
    MUST(aside.held >= model_.bytes_at(ModelDelivery::Place::held));
    if (model_.deliveries.empty()) MUST(aside.held == 0);
  }

  // Of those that any worker may take: all, or if too much waits those below which nothing does.
  std::set<TaskId> tasks_that_must_be_fed() const {
    std::set<TaskId> tasks;
    for (const auto& [number, delivery] : model_.deliveries) {
      if (delivery.place != ModelDelivery::Place::waiting) continue;
      if (graph_.node(delivery.task).grouping == dag::Grouping::shuffle) {
        tasks.insert(delivery.task);
      }
    }
    if (!over_limits()) return tasks;
    std::erase_if(tasks, [&](TaskId task) {
      if (scheduler_.set_aside().delayed > limits_.bytes && !graph_.is_terminal(task)) return true;
      return model_.count([&](const ModelDelivery& delivery) {
        return delivery.place == ModelDelivery::Place::waiting &&
               model_.is_below(delivery.task, task);
      }) > 0;
    });
    return tasks;
  }

  // Which of the model's deliveries it is, and that it may go to this worker now.
  int check_assignment(const Scheduler::Assignment& assignment) {
    const Delivery& record = table_.at(assignment.delivery);
    std::vector<ModelPart> parts;
    for (std::uint32_t slot = assignment.delivery; slot != kNowhere;
         slot = table_.at(slot).members) {
      const Delivery& part = table_.at(slot);
      parts.push_back(
          {part.edge, std::string(part.payload.bytes()), std::string(part.payload.key())});
    }
    const auto found =
        std::find_if(model_.deliveries.begin(), model_.deliveries.end(), [&](const auto& entry) {
          return entry.second.task == record.task && entry.second.parts == parts;
        });
    MUST(found != model_.deliveries.end());
    const ModelDelivery& delivery = found->second;
    MUST(delivery.place == ModelDelivery::Place::waiting);
    MUST(delivery.attempt == record.attempt);
    MUST(serves(workers_.at(assignment.worker), delivery.task));
    MUST(has_room(assignment.worker));
    if (graph_.node(delivery.task).grouping == dag::Grouping::key) {
      check_keyed(delivery, assignment.worker);
    }
    model_.sent(found->first, assignment.worker, now_);
    return found->first;
  }

  void check_keyed(const ModelDelivery& delivery, std::uint32_t worker) const {
    std::vector<std::string> names;
    for (const auto& listed : directory_) {
      if (std::count(listed.tasks.begin(), listed.tasks.end(), delivery.task) > 0) {
        names.push_back(listed.name);
      }
    }
    const std::uint8_t slot = slot_of(delivery);
    const std::uint32_t owner = slot_owner(slot, names);
    MUST(owner != kNowhere);
    MUST(names[owner] == workers_.at(worker).name);
    for (const auto& [number, other] : model_.orphans) {
      MUST(other.task != delivery.task || slot_of(other) != slot || other.worker == worker);
    }
    for (const auto& [number, other] : model_.deliveries) {
      if (other.task != delivery.task || slot_of(other) != slot) continue;
      MUST(other.place != ModelDelivery::Place::out || other.worker == worker);
      MUST(other.place != ModelDelivery::Place::waiting || other.rank >= delivery.rank);
    }
  }

  static std::uint8_t slot_of(const ModelDelivery& delivery) {
    return key_slot_of(delivery.parts[0].key, delivery.parts[0].payload);
  }

  static bool serves(const Worker& worker, TaskId task) {
    return std::count(worker.tasks.begin(), worker.tasks.end(), task) > 0;
  }

  bool has_room(std::uint32_t number) const {
    const Scheduler::Window window = workers_.at(number).window;
    const auto out = model_.at_worker(number);
    std::size_t bytes = 0;
    for (const ModelDelivery& delivery : out) bytes += delivery.size_bytes();
    return out.size() < window.messages && (bytes < window.bytes || out.empty());
  }

  // --- The comparison ---

  void compare() {
    compare_ends();
    compare_set_aside();
    const auto in_place = [](ModelDelivery::Place place) {
      return [place](const ModelDelivery& delivery) { return delivery.place == place; };
    };
    std::size_t records = 0;
    for (const auto& [number, delivery] : model_.orphans) records += delivery.parts.size();
    for (const auto& [number, delivery] : model_.deliveries) records += delivery.parts.size();
    records -= tracker_.backlog().size() * graph_.roots().size();
    MUST(table_.size() == records);
    MUST(scheduler_.queued() == model_.count(in_place(ModelDelivery::Place::waiting)));
    MUST(scheduler_.queued_bytes() == model_.bytes_at(ModelDelivery::Place::waiting));
    MUST(scheduler_.suspects_waiting() == count_suspects());
    MUST(tracker_.delayed() == model_.count(in_place(ModelDelivery::Place::delayed)));
    MUST(tracker_.trees_in_flight() == model_.trees.size());
    MUST(tracker_.stale_results() == stale_);
    MUST(scheduler_.worker_count() == workers_.size());
    for (const auto& [number, worker] : workers_) {
      MUST(scheduler_.in_flight_at(number) == model_.at_worker(number).size());
    }
    for (std::uint16_t i = 0; i < graph_.task_count(); ++i) compare_task(TaskId{i});
    TimePoint oldest = kNever;
    for (const auto& [message, tree] : model_.trees) oldest = std::min(oldest, tree.started);
    MUST(tracker_.oldest_tree() == oldest);
  }

  void compare_task(TaskId task) const {
    std::size_t waiting = 0;
    std::size_t out = 0;
    for (const auto& [number, delivery] : model_.orphans) out += delivery.task == task ? 1 : 0;
    for (const auto& [number, delivery] : model_.deliveries) {
      if (delivery.task != task) continue;
      if (delivery.place == ModelDelivery::Place::waiting) ++waiting;
      if (delivery.place == ModelDelivery::Place::out) ++out;
    }
    MUST(scheduler_.queued(task) == waiting);
    MUST(scheduler_.in_flight(task) == out);
  }

  // Each message has one end, the same in both.
  void compare_ends() {
    std::vector<int> acked;
    std::vector<int> failed;
    for (const auto& end : tracker_.acked()) acked.push_back(static_cast<int>(end.message.slot));
    for (const auto& end : tracker_.failed()) failed.push_back(static_cast<int>(end.message.slot));
    tracker_.acked().clear();
    tracker_.failed().clear();
    std::sort(acked.begin(), acked.end());
    std::sort(failed.begin(), failed.end());
    std::sort(model_.acked.begin(), model_.acked.end());
    std::sort(model_.failed.begin(), model_.failed.end());
    MUST(acked == model_.acked);
    MUST(failed == model_.failed);
    for (const auto* ended : {&acked, &failed}) {
      for (const int message : *ended) MUST(ended_.insert(message).second);
    }
    model_.acked.clear();
    model_.failed.clear();
  }

  // --- The end ---

  // From here on nothing goes wrong, and one worker does everything: all must end.
  void drain() {
    is_faultless_ = true;
    while (!workers_.empty()) lose();
    Worker worker{"last", {}, {3, 100}};
    for (std::uint16_t i = 0; i < graph_.task_count(); ++i) worker.tasks.push_back(TaskId{i});
    add(std::move(worker));
    change_directory();
    compare();  // The loss of a worker may have been the end of the last.
    for (int i = 0; !model_.trees.empty() || !given_.empty(); ++i) {
      MUST(i < 100'000);
      scheduler_.set_settled(revision_);
      dispatch();
      if (given_.empty()) {
        advance(milliseconds(50));
      } else {
        answer();
      }
      compare();
    }
    MUST(table_.size() == 0);
    MUST(tracker_.trees_in_flight() == 0);
    MUST(tracker_.backlog().memory_bytes() <= 65'536);
    MUST(scheduler_.queued() == 0);
    MUST(scheduler_.queued_bytes() == 0);
    MUST(tracker_.delayed() == 0);
    MUST(tracker_.next_turn() == kNever);
    scheduler_.update_strays();
    MUST(!scheduler_.has_strays());
    MUST(tracker_.trees_started() ==
         tracker_.trees_completed() + tracker_.trees_failed() + tracker_.trees_forgotten());
    MUST(ended_.size() == tracker_.trees_completed() + tracker_.trees_failed());
  }

  // --- Chance ---

  PeerId draw_owner() { return {static_cast<std::uint32_t>(1 + random_.below(3)), 1}; }
  std::string draw_key() {
    const std::uint64_t key = random_.below(4);
    return key == 0 ? std::string() : "k" + std::to_string(key);
  }
  Scheduler::Window draw_window() {
    return {random_.below(6), random_.below(30), 1 + random_.below(4)};
  }
  std::uint32_t draw_worker() {
    auto worker = workers_.begin();
    std::advance(worker, static_cast<std::ptrdiff_t>(random_.below(workers_.size())));
    return worker->first;
  }

  Random random_;
  Shape shape_;
  FailureRules rules_;
  QueueLimits limits_;
  dag::Graph graph_;
  DeliveryTable table_;
  Scheduler scheduler_;
  Tracker tracker_;
  ReferenceModel model_;
  TimePoint now_{std::chrono::seconds(1000)};
  std::map<std::uint32_t, Worker> workers_;
  std::vector<Scheduler::DirectoryWorker> directory_;
  std::map<TaskId, TimePoint> away_since_;
  std::vector<Given> given_;  ///< In the order in which they were sent.
  std::vector<Given> past_;   ///< What is no longer at a worker, or under another id.
  std::set<int> ended_;
  std::uint64_t revision_ = 0;
  std::uint64_t stale_ = 0;
  int next_message_ = 0;
  int next_output_ = 0;
  bool is_faultless_ = false;
};

}  // namespace

TEST_CASE("the tracker does what a simple model of it does, whatever happens") {
  std::uint64_t first = 1;
  std::uint64_t last = 200;
  if (const char* seed = std::getenv("TEMPEST_MODEL_SEED")) first = last = std::stoull(seed);
  for (std::uint64_t seed = first; seed <= last; ++seed) {
    INFO("replay with TEMPEST_MODEL_SEED=" << seed);
    Trial(seed).run(300);
  }
  SUCCEED();
}

}  // namespace tempest::tracking
