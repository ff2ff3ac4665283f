#include "cli/case_run.hpp"

#include <catch2/catch.hpp>

#include "cli/case_comparison.hpp"

using namespace tempest;
using namespace tempest::cli;

namespace {

TestCase case_of(const std::string& text) {
  std::vector<runtime::Diagnostic> diagnostics;
  const auto file = parse_cases("[[case]]\nname = \"x\"\n" + text, "a/b.test.toml", diagnostics);
  for (const auto& diagnostic : diagnostics) UNSCOPED_INFO(diagnostic.text());
  REQUIRE(file);
  CHECK(file->topology == "a/b.toml");
  return file->cases.front();
}

std::vector<std::string> run(const TopologyBuilder& builder, const std::string& text) {
  const auto topology = builder.build();
  REQUIRE(topology);
  const auto plan = plan_of(*topology, {});
  REQUIRE(plan);
  const TestCase test = case_of(text);
  const auto result = run_case(test, **plan);
  REQUIRE(result);
  return compare_case(test, *result);
}

Settings settings(std::map<std::string, Settings::Value> values) {
  Settings result;
  for (auto& [key, value] : values) result.set(key, value);
  return result;
}

/// first -> {left, right} -> join -> out
TopologyBuilder diamond() {
  TopologyBuilder builder("diamond");
  builder.source("generator");
  builder.task("first", "identity");
  builder.task("left", "identity").after("first");
  builder.task("right", "identity").after("first");
  builder.task("join", "identity").after("left").after("right").gather_all();
  builder.task("out", "sink", settings({{"type", {std::string("null")}}})).after("join");
  return builder;
}

using Lines = std::vector<std::string>;

}  // namespace

TEST_CASE("every way through the graph brings its own message, and gathering joins them") {
  CHECK(run(diamond(),
            "inputs = [\"a\", \"b\"]\nin_order = true\n"
            "reaches = { join = [\"a\", \"a\", \"b\", \"b\"], left = [\"a\", \"b\"], "
            "out = [\"a\", \"a\", \"b\", \"b\"] }")
            .empty());
  CHECK(run(diamond(), "inputs = [\"a\"]\nreaches = { out = [\"a\"] }") ==
        Lines{"what reached task out:", "+ \"a\""});
}

TEST_CASE("a message that fails gives up what is left of it, and the next goes its way") {
  TopologyBuilder builder("failing");
  builder.source("generator");
  builder.task("check", "fail",
               settings({{"match", {std::string("bad")}}, {"kind", {std::string("fail")}}}));
  builder.task("after", "identity").after("check");
  const std::string inputs = "inputs = [\"bad\", \"good\"]\nreaches = { after = [\"good\"] }\n";
  CHECK(run(builder, inputs + "error = \"as it was told\"").empty());
  CHECK(run(builder, inputs).size() == 1);
  CHECK(run(builder, inputs + "error = { kind = \"retry\" }").size() == 1);
}

TEST_CASE("what should be tried again is, as often as the topology says") {
  TopologyBuilder builder("flaky");
  builder.source("generator");
  builder.task("flaky", "fail", settings({{"times", {std::int64_t{2}}}}));
  builder.task("after", "identity").after("flaky");
  FailureDefinition failure;
  failure.max_attempts = 3;
  builder.failure(failure);
  const std::string inputs = "inputs = [\"a\"]\nreaches = { after = [\"a\"] }\n";
  CHECK(run(builder, inputs).empty());
  failure.max_attempts = 2;
  builder.failure(failure);
  CHECK_FALSE(run(builder, inputs).empty());
}

TEST_CASE("cases share no instance, and the messages of one do") {
  TopologyBuilder builder("counting");
  builder.source("generator");
  builder.task("second", "fail", settings({{"every", {std::int64_t{2}}}}));
  builder.task("after", "identity").after("second");
  const std::string two =
      "task = \"second\"\ninputs = [\"a\", \"b\"]\noutputs = [\"a\"]\n"
      "error = { kind = \"retry\" }";
  CHECK(run(builder, two).empty());
  CHECK(run(builder, two).empty());
}

TEST_CASE("an expectation without a key takes what those with one leave") {
  TopologyBuilder builder("keys");
  builder.source("generator");
  builder.task("pass", "identity");
  builder.task("after", "identity").after("pass");
  const std::string inputs =
      "task = \"pass\"\ninputs = [{ payload = \"x\", key = \"1\" }, "
      "{ payload = \"x\", key = \"2\" }, { payload_base64 = \"/w==\" }]\n";
  CHECK(run(builder, inputs + "outputs = [\"x\", { payload = \"x\", key = \"1\" }, "
                              "{ payload_base64 = \"/w==\" }]")
            .empty());
  CHECK(run(builder, inputs + "outputs = [\"x\", { payload = \"x\", key = \"3\" }]") ==
        Lines{"what task pass gave:", "- { payload = \"x\", key = \"3\" }",
              "+ { payload = \"x\", key = \"2\" }", "+ { payload = base64 /w==, key = \"\" }"});
}
