// grouping = "key": the same key to the same worker, in order, while workers come and go.

#include <map>
#include <set>

#include "tracking_fixture.hpp"

namespace tempest::tracking {

using Texts = Pipeline::Texts;

namespace {

std::string text(const char* prefix, int number) {
  return prefix + std::to_string(number);
}

/// A key whose slot this worker of these has.
std::string key_of(std::string_view owner, const std::vector<std::string>& workers, int nth = 0) {
  for (int i = 0;; ++i) {
    std::string key = text("key", i);
    const std::size_t slot = key_slot_of(key, {});
    if (workers[slot_owner(slot, workers)] == owner && nth-- == 0) return key;
  }
}

/// One keyed task with workers w1 and w2, all settled at revision 1.
struct Keyed : Pipeline {
  explicit Keyed(Scheduler::Window window = {1000, 1 << 20}) : Pipeline("a(key)") {
    directory({"w1", "w2"}, 1);
    scheduler.set_settled(1);
    first = worker("w1", {}, window);
    second = worker("w2", {}, window);
  }

  std::uint32_t first;
  std::uint32_t second;
  std::vector<std::string> both{"w1", "w2"};
};

}  // namespace

// --- Slots ---------------------------------------------------------------------------------------

TEST_CASE("a key's slot is made from the key, or from the payload if there is none") {
  CHECK(key_slot_of("key", "one") == key_slot_of("key", "two"));
  CHECK(key_slot_of("", "key") == key_slot_of("key", "two"));
  std::set<int> slots;
  for (int i = 0; i < 5000; ++i) slots.insert(key_slot_of(text("key", i), {}));
  CHECK(slots.size() == kKeySlots);
}

TEST_CASE("a slot has the same owner in whatever order the workers are listed") {
  const std::vector<std::string> names{"w1", "w2", "w3", "other"};
  const std::vector<std::string> turned{"other", "w3", "w1", "w2"};
  for (std::size_t slot = 0; slot < kKeySlots; ++slot) {
    CHECK(names[slot_owner(slot, names)] == turned[slot_owner(slot, turned)]);
  }
  CHECK(slot_owner(0, {}) == kNowhere);
}

TEST_CASE("slots are shared out evenly enough, however alike the workers' names") {
  for (int workers = 2; workers <= 8; ++workers) {
    std::vector<std::string> names;
    for (int i = 1; i <= workers; ++i) names.push_back(text("worker-", i));
    std::map<std::uint32_t, std::size_t> counts;
    for (std::size_t slot = 0; slot < kKeySlots; ++slot) ++counts[slot_owner(slot, names)];
    CHECK(counts.size() == static_cast<std::size_t>(workers));
    const std::size_t fair = kKeySlots / static_cast<std::size_t>(workers);
    for (const auto& [owner, count] : counts) {
      CHECK(count > fair / 2);
      CHECK(count < fair * 3 / 2 + 1);
    }
  }
}

TEST_CASE("a worker that comes takes slots over, and no other slot moves") {
  std::vector<std::string> before{"w1", "w2", "w3"};
  std::vector<std::string> after{"w1", "w2", "w3", "w4"};
  std::size_t moved = 0;
  for (std::size_t slot = 0; slot < kKeySlots; ++slot) {
    const std::string& old_owner = before[slot_owner(slot, before)];
    const std::string& new_owner = after[slot_owner(slot, after)];
    if (old_owner == new_owner) continue;
    ++moved;
    CHECK(new_owner == "w4");
  }
  CHECK(moved > kKeySlots / 8);
  CHECK(moved < kKeySlots / 2);
}

TEST_CASE("a worker that goes leaves its slots to the others, and no other slot moves") {
  std::vector<std::string> before{"w1", "w2", "w3"};
  std::vector<std::string> after{"w1", "w3"};
  for (std::size_t slot = 0; slot < kKeySlots; ++slot) {
    const std::string& old_owner = before[slot_owner(slot, before)];
    const std::string& new_owner = after[slot_owner(slot, after)];
    if (old_owner != "w2") CHECK(new_owner == old_owner);
  }
}

// --- Sending -------------------------------------------------------------------------------------

TEST_CASE("the same key goes to the same worker, in order") {
  Keyed p;
  std::map<std::string, std::uint32_t> worker_of;
  std::map<std::string, int> last_of;
  for (int i = 0; i < 200; ++i) p.source(std::to_string(i), text("key", i % 20));
  CHECK(p.dispatch() == 200);
  std::set<std::uint32_t> used;
  for (int i = 0; i < 200; ++i) {
    const auto given = p.take("a");
    used.insert(given.worker);
    const auto [worker, is_new] = worker_of.emplace(given.key, given.worker);
    CHECK(worker->second == given.worker);
    const int number = std::stoi(given.parts[0]);
    if (!is_new) CHECK(number > last_of[given.key]);
    last_of[given.key] = number;
  }
  CHECK(used.size() == 2);
}

TEST_CASE("nothing goes to a worker that the directory does not list, nor before it is settled") {
  Pipeline p("a(key)");
  p.worker("w1");
  p.source("m1");
  CHECK(p.dispatch() == 0);
  p.directory({"w1"}, 1);
  CHECK(p.dispatch() == 0);
  p.scheduler.set_settled(1);
  CHECK(p.dispatch() == 1);
}

TEST_CASE("a slot waits while its owner is not attached") {
  Keyed p;
  p.lose(p.first);
  p.source("m1", key_of("w1", p.both));
  p.source("m2", key_of("w2", p.both));
  CHECK(p.at_work("a") == Texts{"m2"});
  p.worker("w1");
  CHECK(p.at_work("a") == Texts{"m2", "m1"});
}

TEST_CASE("a worker lost and back has its slots again and gets what it had, in order") {
  Keyed p;
  const std::string key = key_of("w1", p.both);
  for (const char* name : {"m1", "m2", "m3"}) p.source(name, key);
  p.dispatch();
  p.lose(p.first);
  p.source("m4", key);
  CHECK(p.dispatch() == 0);
  p.worker("w1");
  CHECK(p.at_work("a") == Texts{"m1", "m2", "m3", "m4"});
}

TEST_CASE("a worker that comes back before it was seen to be lost takes over when it is") {
  Keyed p;
  const std::string key = key_of("w1", p.both);
  p.source("m1", key);
  p.dispatch();
  const auto again = p.worker("w1");
  p.source("m2", key);
  CHECK(p.dispatch() == 0);
  p.lose(p.first);
  CHECK(p.at_work("a") == Texts{"m1", "m2"});
  CHECK(p.scheduler.in_flight_at(again) == 2);
}

TEST_CASE("a moved slot waits until every coordinator has let go of it") {
  Keyed p;
  const std::string moving = key_of("w2", p.both);
  const std::string staying = key_of("w1", p.both);
  p.directory({"w1"}, 2);
  p.source("moves", moving);
  p.source("stays", staying);
  CHECK(p.at_work("a") == Texts{"stays"});
  p.scheduler.set_settled(2);
  CHECK(p.at_work("a") == Texts{"stays", "moves"});
  CHECK(p.scheduler.in_flight_at(p.first) == 2);
}

TEST_CASE("a moved slot waits for what is in flight at its old owner") {
  Keyed p;
  const std::string key = key_of("w2", p.both);
  p.source("m1", key);
  const auto old = p.take("a");
  REQUIRE(old.worker == p.second);
  p.source("m2", key);
  p.directory({"w1"}, 2);
  CHECK(p.has_strays());
  // The broker would not say so yet; even if it does, order at this coordinator holds.
  p.scheduler.set_settled(2);
  CHECK(p.dispatch() == 0);
  p.done(old);
  CHECK_FALSE(p.has_strays());
  const auto next = p.take("a");
  CHECK(next.parts == Texts{"m2"});
  CHECK(next.worker == p.first);
}

TEST_CASE("an orphan at the old owner still holds a moved slot, until it is answered or lost") {
  for (const bool is_answered : {true, false}) {
    Keyed p;
    const std::string key = key_of("w2", p.both);
    p.source("m1", key, PeerId{1, 1});
    auto orphan = p.take("a");
    p.forget_source(PeerId{1, 1});
    p.directory({"w1"}, 2);
    CHECK(p.has_strays());
    p.scheduler.set_settled(2);
    p.source("m2", key, PeerId{2, 1});
    CHECK(p.dispatch() == 0);
    if (is_answered) {
      CHECK_FALSE(p.done(orphan));
    } else {
      p.lose(p.second);
    }
    CHECK(p.at_work("a") == Texts{"m2"});
  }
}

TEST_CASE("the old owner's deliveries that come back are sent to the new one first") {
  Keyed p;
  const std::string key = key_of("w2", p.both);
  for (const char* name : {"m1", "m2"}) p.source(name, key);
  p.dispatch();
  p.directory({"w1"}, 2);
  p.source("m3", key);
  p.lose(p.second);
  CHECK_FALSE(p.has_strays());
  CHECK(p.dispatch() == 0);
  p.scheduler.set_settled(2);
  CHECK(p.at_work("a") == Texts{"m1", "m2", "m3"});
  CHECK(p.scheduler.in_flight_at(p.first) == 3);
}

TEST_CASE("slots that moved before what has settled go on while those after it wait") {
  Pipeline p("a(key)");
  const std::vector<std::string> all{"w1", "w2", "w3"};
  for (const std::string& name : all) p.worker(name);
  p.directory({"w1", "w2"}, 1);
  p.scheduler.set_settled(1);
  p.directory({"w1", "w2", "w3"}, 2);
  std::size_t stayed = 0;
  for (std::size_t slot = 0; slot < kKeySlots; ++slot) {
    if (all[slot_owner(slot, all)] != "w3") ++stayed;
  }
  REQUIRE(stayed < kKeySlots);
  std::set<int> slots;
  for (int i = 0; slots.size() < kKeySlots; ++i) {
    if (slots.insert(key_slot_of(text("key", i), {})).second) p.source("m", text("key", i));
  }
  CHECK(p.dispatch() == stayed);
  p.scheduler.set_settled(2);
  CHECK(p.dispatch() == kKeySlots - stayed);
}

TEST_CASE("a directory that says the same again moves nothing") {
  Keyed p;
  p.directory({"w1", "w2"}, 5);
  p.source("m1", key_of("w1", p.both));
  CHECK(p.dispatch() == 1);
  CHECK_FALSE(p.has_strays());
}

TEST_CASE("a slot that waits for its old owner holds up no other, of whatever task") {
  Pipeline p("a(key), b(key)");
  const std::vector<std::string> both{"w1", "w2"};
  p.worker("w1");
  p.directory({"w1"}, 1);
  p.scheduler.set_settled(1);
  const std::string hangs = key_of("w2", both);
  p.source("hangs", hangs);
  const auto at_a = p.take("a");
  p.take("b");
  const auto second = p.worker("w2");
  p.directory({"w1", "w2"}, 2);
  p.scheduler.set_settled(2);
  REQUIRE(p.scheduler.update_strays());
  CHECK(p.scheduler.strays(p.task("a")).count() == 1);
  CHECK(p.scheduler.strays(p.task("a")).test(key_slot_of(hangs, {})));
  CHECK(p.scheduler.stray_worker(p.task("a")) == "w1");

  std::string other = hangs;
  for (int i = 1; key_slot_of(other, {}) == key_slot_of(hangs, {}); ++i) {
    other = key_of("w2", both, i);
  }
  p.source("waits", hangs);
  p.source("goes", other);
  CHECK(p.at_work("a") == Texts{"goes"});
  CHECK(p.at_work("b") == Texts{"goes"});
  const auto wait = p.scheduler.slot_wait(p.task("a"));
  CHECK(wait.cause == Scheduler::SlotWait::Cause::strayed);
  CHECK(wait.at == "w1");

  // What is given up at its old owner is waited for no longer, and counts no more if it comes.
  CHECK(p.time_out(at_a));
  CHECK(p.scheduler.update_strays());
  CHECK(p.at_work("a") == Texts{"goes", "waits"});
  CHECK(p.scheduler.in_flight_at(second) == 3);
  CHECK_FALSE(p.done(at_a));
}

TEST_CASE("a slot that another coordinator still has in flight waits, and no other does") {
  Keyed p;
  const std::string key = key_of("w1", p.both);
  std::string other = key;
  for (int i = 1; key_slot_of(other, {}) == key_slot_of(key, {}); ++i) {
    other = key_of("w1", p.both, i);
  }
  p.source("held", key);
  p.source("free", other);
  SlotSet held;
  held.set(key_slot_of(key, {}));
  p.scheduler.set_held(p.task("a"), slot_set_of(bytes_of(held)));
  CHECK(p.at_work("a") == Texts{"free"});
  CHECK(p.scheduler.slot_wait(p.task("a")).cause == Scheduler::SlotWait::Cause::held);
  p.scheduler.set_held(p.task("a"), {});
  CHECK(p.at_work("a") == Texts{"free", "held"});
}

TEST_CASE(
    "a worker that a coordinator misses owns nothing while others of the task are missed less") {
  Keyed p;
  const TaskId a = p.task("a");
  std::vector<Scheduler::DirectoryWorker> workers{{"w1", {a}}, {"w2", {a}, 1}};
  p.scheduler.set_directory(workers, 2);
  p.scheduler.set_settled(2);
  p.source("m", key_of("w2", p.both));
  CHECK(p.take("a").worker == p.first);
  // Where all are missed somewhere, none is left out for it.
  workers[0].absences = 1;
  p.scheduler.set_directory(workers, 3);
  p.scheduler.set_settled(3);
  p.source("n", key_of("w2", p.both, 1));
  CHECK(p.take("a").worker == p.second);
}

TEST_CASE(
    "who is here stands in for an owner that was given up, and waits for no other coordinator") {
  using Presence = Scheduler::DirectoryWorker::Presence;
  Keyed p;
  const TaskId a = p.task("a");
  p.lose(p.second);
  std::vector<Scheduler::DirectoryWorker> workers{{"w1", {a}, 0, Presence::here},
                                                  {"w2", {a}, 0, Presence::given_up}};
  p.source("m", key_of("w2", p.both));
  CHECK(p.dispatch() == 0);
  p.scheduler.set_directory(workers, 1);
  CHECK(p.take("a").worker == p.first);
}

TEST_CASE("a slot that goes away and comes back waits as one that moved") {
  Keyed p;
  const std::string key = key_of("w2", p.both);
  p.directory({"w1"}, 2);
  p.directory({"w1", "w2"}, 3);
  p.source("m1", key);
  CHECK(p.dispatch() == 0);
  p.scheduler.set_settled(2);
  CHECK(p.dispatch() == 0);
  p.scheduler.set_settled(3);
  CHECK(p.take("a").worker == p.second);
}

TEST_CASE("without any worker in the directory keyed messages wait, and go once there is one") {
  Keyed p;
  p.directory({}, 2);
  p.scheduler.set_settled(2);
  p.source("m1", "key");
  CHECK(p.dispatch() == 0);
  p.directory({"w2"}, 3);
  p.scheduler.set_settled(3);
  CHECK(p.take("a").worker == p.second);
}

TEST_CASE("only workers that serve the task own its slots") {
  Pipeline p("a(key), b(key)");
  const auto first = p.worker("w1", {"a"});
  const auto second = p.worker("w2", {"b"});
  const std::vector<Scheduler::DirectoryWorker> workers{{"w1", {p.task("a")}},
                                                        {"w2", {p.task("b")}}};
  p.scheduler.set_directory(workers, 1);
  p.scheduler.set_settled(1);
  for (int i = 0; i < 50; ++i) p.source("m", text("key", i));
  p.dispatch();
  CHECK(p.scheduler.in_flight_at(first) == 50);
  CHECK(p.scheduler.in_flight_at(second) == 50);
  CHECK(p.scheduler.in_flight(p.task("a")) == 50);
}

TEST_CASE("a pipeline without keyed tasks has no slots that stray") {
  Pipeline p("a");
  p.worker("w1");
  p.source("m1");
  p.dispatch();
  p.directory({}, 9);
  CHECK_FALSE(p.has_strays());
}

TEST_CASE("a slot whose owner is full does not keep the slots of others waiting") {
  Keyed p({1, 1 << 20});
  for (int i = 0; i < 5; ++i) p.source(text("first", i), key_of("w1", p.both));
  p.source("other", key_of("w2", p.both));
  CHECK(p.at_work("a") == Texts{"first0", "other"});
}

TEST_CASE("a busy key does not keep the others of its worker waiting for ever") {
  Keyed p({1, 1 << 20});
  std::map<std::string, int> counts;
  std::vector<std::string> keys;
  std::set<int> slots;
  for (int i = 0; keys.size() < 3; ++i) {
    std::string key = key_of("w1", p.both, i);
    if (slots.insert(key_slot_of(key, {})).second) keys.push_back(key);
  }
  for (int i = 0; i < 300; ++i) {
    for (const std::string& key : keys) p.source("m", key);
    const auto given = p.take("a");
    ++counts[given.key];
    p.done(given);
  }
  for (const std::string& key : keys) CHECK(counts[key] == 100);
}

TEST_CASE("a task by key that times out at a hung worker is tried there again") {
  Pipeline p("a(key)");
  const auto worker = p.worker("w1");
  p.directory({"w1"}, 1);
  p.scheduler.set_settled(1);
  p.source("m1", "key");
  const auto hung = p.take("a");
  CHECK(p.time_out(hung));
  p.advance(std::chrono::milliseconds(100));
  const auto again = p.take("a");
  CHECK(again.worker == worker);
  CHECK_FALSE(p.done(hung));
  CHECK(p.done(again));
  CHECK(p.is_empty());
  CHECK_FALSE(p.has_strays());
}

TEST_CASE("an output's key, not its message's, decides where it goes") {
  Pipeline p("a -> b(key)");
  const std::vector<std::string> both{"w1", "w2"};
  const auto first = p.worker("w1");
  const auto second = p.worker("w2");
  p.directory({"w1", "w2"}, 1);
  p.scheduler.set_settled(1);
  p.source("m1", key_of("w1", both));
  p.done("a", {Out("", "x", key_of("w2", both)), Out("", "y", key_of("w1", both))});
  const auto given = p.take("b");
  const auto other = p.take("b");
  CHECK((given.parts[0] == "x" ? given : other).worker == second);
  CHECK((given.parts[0] == "y" ? given : other).worker == first);
}

}  // namespace tempest::tracking
