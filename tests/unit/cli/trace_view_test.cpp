#include "cli/trace_view.hpp"

#include <catch2/catch.hpp>
#include <nlohmann/json.hpp>

using namespace tempest;
using namespace tempest::cli;
using namespace std::chrono_literals;
using Kind = wire::Sighting::Kind;
using Next = wire::Sighting::Next;

namespace {

constexpr TimePoint kStart{std::chrono::hours(1)};
constexpr std::uint64_t kMessage = 0x700000001;

struct Said {
  Kind kind{};
  std::uint64_t at_us = 0;
  std::string peer = {};
  std::string task = {};
  std::uint64_t delivery = 0;
  std::uint32_t attempt = 0;
  std::uint64_t waited_us = 0;
  std::uint64_t out_us = 0;
  std::uint64_t handled_us = 0;
  std::string text = {};
  Next next = Next::none;
  std::uint64_t again_us = 0;
  std::uint64_t count = 0;
  wire::FailureKind failure{};
};

wire::Sightings say(Role role, const std::string& node, const std::vector<Said>& said,
                    std::uint64_t message = kMessage) {
  wire::Sightings frame;
  frame.node = node;
  frame.role = role;
  for (const Said& one : said) {
    wire::Sighting& sighting = frame.sightings.emplace_back();
    sighting.message = message;
    sighting.kind = one.kind;
    sighting.at_us = one.at_us;
    sighting.peer = one.peer;
    sighting.task = one.task;
    sighting.delivery = one.delivery;
    sighting.attempt = one.attempt;
    sighting.waited_us = one.waited_us;
    sighting.out_us = one.out_us;
    sighting.handled_us = one.handled_us;
    sighting.text = one.text;
    sighting.next = one.next;
    sighting.again_us = one.again_us;
    sighting.count = one.count;
    sighting.failure = one.failure;
  }
  return frame;
}

wire::Sightings at_source(const std::vector<Said>& said, std::uint64_t message = kMessage) {
  return say(Role::source, "source-1", said, message);
}
wire::Sightings at_coordinator(const std::vector<Said>& said) {
  return say(Role::pipeline, "pipe", said);
}

/// A message that fails once at its second task.
TraceView example() {
  TraceView view(10);
  view.take(at_source({{.kind = Kind::read, .text = "1753-0"},
                       {.kind = Kind::sent, .at_us = 100, .peer = "pipe"}}),
            kStart);
  view.take(at_coordinator({{.kind = Kind::handed_out,
                             .at_us = 50,
                             .peer = "w1",
                             .task = "split",
                             .delivery = 1,
                             .attempt = 1},
                            {.kind = Kind::done,
                             .at_us = 350,
                             .peer = "w1",
                             .task = "split",
                             .delivery = 1,
                             .attempt = 1,
                             .waited_us = 50,
                             .out_us = 300,
                             .handled_us = 100,
                             .count = 8},
                            {.kind = Kind::error,
                             .at_us = 1'350,
                             .peer = "w2",
                             .task = "count",
                             .delivery = 2,
                             .attempt = 1,
                             .waited_us = 200,
                             .out_us = 800,
                             .handled_us = 500,
                             .text = "no",
                             .next = Next::again,
                             .again_us = 100'000},
                            {.kind = Kind::handed_out,
                             .at_us = 102'000,
                             .peer = "w2",
                             .task = "count",
                             .delivery = 3,
                             .attempt = 2,
                             .waited_us = 650}}),
            kStart + 10ms);
  return view;
}

}  // namespace

TEST_CASE("a traced message is told by its hops, in order, each with its wait, time and outcome") {
  TraceView view = example();
  CHECK(view.take_ended(kStart + 1s, 300ms).empty());
  view.take(at_coordinator({{.kind = Kind::done,
                             .at_us = 103'000,
                             .peer = "w2",
                             .task = "count",
                             .delivery = 3,
                             .attempt = 2,
                             .waited_us = 650,
                             .out_us = 1'000,
                             .count = 1},
                            {.kind = Kind::tree_done, .at_us = 103'000}}),
            kStart + 110ms);
  view.take(at_source({{.kind = Kind::acked, .at_us = 104'200}}), kStart + 110ms);
  CHECK(view.take_ended(kStart + 200ms, 300ms).empty());
  const auto ended = view.take_ended(kStart + 500ms, 300ms);
  REQUIRE(ended.size() == 1);
  CHECK(ended[0].has_trouble());
  CHECK(trace_text(ended[0], kStart + 500ms) ==
        "message 1 of source-1 (1753-0): acked after 104.2 ms\n"
        "     100 us  sent to pipe\n"
        "     450 us  split  attempt 1  w1  waited   250 us  took   100 us  done, 8 outputs\n"
        "     1.4 ms  count  attempt 1  w2  waited   500 us  took   500 us  error: no; again in "
        "100.0 ms\n"
        "   103.1 ms  count  attempt 2  w2  waited   650 us  out    1.0 ms  done, 1 output\n");
}

TEST_CASE("a message without an end is shown with where it is") {
  TraceView view = example();
  const auto rest = view.take_rest();
  REQUIRE(rest.size() == 1);
  const std::string text = trace_text(rest[0], kStart + 2010ms);
  CHECK(text.find("message 1 of source-1 (1753-0): unfinished after 2.01 s\n") == 0);
  CHECK(text.find("count  attempt 2  w2  waited   650 us  no answer yet, after 2.00 s\n") !=
        std::string::npos);
}

TEST_CASE("a failure that a source retries with another tree is told in order") {
  TraceView view(10);
  view.take(at_source({{.kind = Kind::read},
                       {.kind = Kind::sent, .at_us = 10, .peer = "pipe"},
                       {.kind = Kind::failed,
                        .at_us = 2'000'000,
                        .peer = "w1",
                        .task = "hang",
                        .text = "not done within 2s",
                        .next = Next::again,
                        .again_us = 100'000,
                        .failure = wire::FailureKind::timeout},
                       {.kind = Kind::sent, .at_us = 2'100'000, .peer = "pipe"}}),
            kStart);
  view.take(at_coordinator({{.kind = Kind::handed_out,
                             .at_us = 5,
                             .peer = "w1",
                             .task = "hang",
                             .delivery = 1,
                             .attempt = 1},
                            {.kind = Kind::tree_failed, .at_us = 1'999'000, .task = "hang"},
                            {.kind = Kind::done,
                             .at_us = 500,
                             .peer = "w1",
                             .task = "hang",
                             .delivery = 2,
                             .attempt = 1,
                             .count = 0}}),
            kStart);
  const auto rest = view.take_rest();
  const auto steps = in_order(rest.at(0));
  REQUIRE(steps.size() == 6);
  CHECK(steps[1].second->sighting.kind == Kind::handed_out);
  CHECK(steps[3].second->sighting.kind == Kind::failed);
  CHECK(steps[5].second->sighting.kind == Kind::done);
  CHECK(steps[5].first == 2'100'500);
  CHECK(trace_text(rest[0], kStart)
            .find("failed: timeout at hang on w1: not done within 2s; again "
                  "in 100.0 ms\n") != std::string::npos);
}

TEST_CASE("as JSON a message is one object with its hops") {
  TraceView view = example();
  view.take(at_source({{.kind = Kind::dead_letter, .at_us = 1}, {.kind = Kind::acked, .at_us = 2}}),
            kStart);
  const auto json = nlohmann::json::parse(trace_json(view.take_rest().at(0), "words", kStart));
  CHECK(json["topology"] == "words");
  CHECK(json["name"] == "1753-0");
  CHECK(json["outcome"] == "dead letter");
  REQUIRE(json["hops"].size() == 3);
  CHECK(json["hops"][0]["outcome"] == "done");
  CHECK(json["hops"][0]["outputs"] == 8);
  CHECK(json["hops"][0]["worker"] == "w1");
  CHECK(json["hops"][0]["coordinator"] == "pipe");
  CHECK(json["hops"][1]["outcome"] == "error");
  CHECK(json["hops"][1]["again_seconds"] == 0.1);
  CHECK(json["hops"][2]["outcome"] == "no answer yet");
  CHECK(json["events"].size() == 3);
}

TEST_CASE("no more messages are followed than wanted, and none of which the beginning is missing") {
  TraceView view(1);
  view.take(at_coordinator({{.kind = Kind::done, .task = "a"}}), kStart);
  CHECK(view.take_rest().empty());
  view.take(at_source({{.kind = Kind::read, .text = "first"}}, 1), kStart);
  view.take(at_source({{.kind = Kind::read, .text = "second"}}, 2), kStart);
  view.take(at_source({{.kind = Kind::acked}}, 2), kStart);
  CHECK(view.begun() == 1);
  CHECK(view.take_rest().size() == 1);
}
