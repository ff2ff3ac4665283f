#include "pipeline_node/attempt_log.hpp"

#include <catch2/catch.hpp>
#include <string>
#include <vector>

using namespace tempest;
using namespace tempest::pipeline_node;
using namespace std::chrono_literals;
using Level = link::Notice::Level;

namespace {

struct Log {
  Log() {
    std::vector<dag::Fault> faults;
    graph = dag::Graph::build({{"parse"}, {"store"}}, {}, faults);
  }

  void fail(TaskId task, const std::string& reason, std::uint32_t attempt = 1) {
    log.add({task, attempt, "w1", reason}, graph, now, notices);
  }
  void pass(Duration duration) {
    now += duration;
    log.turn(now, graph, notices);
  }
  /// What is shown at `info`, as "text task=... attempts=...", since the last time.
  std::vector<std::string> shown() {
    std::vector<std::string> texts;
    for (const link::Notice& notice : std::exchange(notices, {})) {
      if (notice.level == Level::debug) continue;
      std::string text = notice.text;
      for (const auto& field : notice.fields) text += " " + field.name + "=" + field.value;
      texts.push_back(text);
    }
    return texts;
  }

  dag::Graph graph;
  TimePoint now{100s};
  std::vector<link::Notice> notices;
  AttemptLog log;
};

constexpr TaskId kParse{0};
constexpr TaskId kStore{1};

}  // namespace

TEST_CASE("the first failed attempt of a kind is told, and each at debug") {
  Log log;
  log.fail(kParse, "no JSON in line 17", 2);
  log.fail(kParse, "no JSON in line 18");
  log.fail(kParse, "no JSON in line 4711");
  log.fail(kParse, "the server is busy");
  log.fail(kStore, "the server is busy");
  CHECK(log.notices.size() == 5);
  CHECK(log.notices[1].level == Level::debug);
  CHECK(log.notices[1].text == "an attempt failed: no JSON in line 18");
  CHECK(log.shown() == std::vector<std::string>{
                           "an attempt failed: no JSON in line 17 task=parse worker=w1 attempt=2",
                           "an attempt failed: the server is busy task=parse worker=w1 attempt=1",
                           "an attempt failed: the server is busy task=store worker=w1 "
                           "attempt=1"});
}

TEST_CASE("how many more there were is told every ten seconds") {
  Log log;
  CHECK(log.log.next_turn() == kNever);
  for (int i = 0; i < 1000; ++i) log.fail(kParse, "busy " + std::to_string(i));
  CHECK(log.log.next_turn() == log.now + 10s);
  CHECK(log.shown().size() == 1);
  log.pass(9s);
  CHECK(log.shown().empty());
  log.pass(1s);
  CHECK(log.shown() == std::vector<std::string>{"more attempts failed; the last: busy 999 "
                                                "task=parse worker=w1 attempts=999"});
  CHECK(log.log.next_turn() == kNever);
  log.fail(kParse, "busy 1000");
  log.pass(10s);
  CHECK(log.shown().size() == 1);
}

TEST_CASE("nothing is left out at the end") {
  Log log;
  for (int i = 0; i < 3; ++i) log.fail(kParse, "busy");
  log.shown();
  log.log.finish(log.graph, log.notices);
  CHECK(log.shown() == std::vector<std::string>{"more attempts failed; the last: busy "
                                                "task=parse worker=w1 attempts=2"});
  log.log.finish(log.graph, log.notices);
  CHECK(log.shown().empty());
}

TEST_CASE("reasons without end are told together") {
  Log log;
  for (int i = 0; i < 10'000; ++i) {
    std::string reason = "reason ";
    for (int rest = i; rest > 0; rest /= 20) reason += static_cast<char>('a' + rest % 20);
    log.fail(kParse, reason);
  }
  CHECK(log.shown().size() == AttemptLog::kMostKinds + 1);
  log.pass(10s);
  const auto texts = log.shown();
  REQUIRE(texts.size() == 1);
  CHECK(texts[0].ends_with("attempts=" + std::to_string(10'000 - AttemptLog::kMostKinds - 1)));
}
