#include "bench/report.hpp"

#include <catch2/catch.hpp>
#include <sstream>

using namespace tempest::bench;

namespace {

Measured run_of(double messages_per_second) {
  Measured run;
  run.messages_per_second = messages_per_second;
  run.cpu_us_by_kind = {{"source", 0.5}};
  return run;
}

Settings relay() {
  Settings settings;
  settings.workload = "relay";
  return settings;
}

}  // namespace

TEST_CASE("repeats are shown by their median and range") {
  const Spread odd = spread_of({3, 1, 2});
  CHECK(odd.median == 2);
  CHECK(odd.lowest == 1);
  CHECK(odd.highest == 3);
  CHECK(spread_of({4, 1, 2, 3}).median == 2.5);
}

TEST_CASE("a ratio is of the medians, ours to the ceiling's") {
  Repeats repeats;
  for (const double rate : {100.0, 300.0, 200.0}) repeats.runs.push_back(run_of(rate));
  for (const double rate : {800.0, 400.0, 300.0}) {
    repeats.ceilings.push_back({{"messages_per_second", rate}});
  }
  const auto figures = figures_of(relay(), repeats);
  REQUIRE(figures.front().name == "messages/s");
  CHECK(figures.front().ratio == 0.5);
}

TEST_CASE("two tasks in workers of their own are held against six crossings, in one against four") {
  Repeats repeats;
  repeats.runs.push_back(run_of(10'000));
  repeats.runs.front().latency_us = {{500, 900, 1'000, 2'000}};
  repeats.ceilings.push_back({{"crossing_p50_us", 10}});
  Settings settings;
  settings.workload = "latency";
  settings.depth = 2;
  const auto ceiling = [&] {
    for (const Figure& figure : figures_of(settings, repeats)) {
      if (figure.name == "latency p50 us") return figure.ceiling->median;
    }
    return 0.0;
  };
  settings.separate = true;
  CHECK(ceiling() == 60);
  settings.separate = false;
  CHECK(ceiling() == 40);
}

TEST_CASE("the table has large numbers in groups of three digits") {
  Repeats repeats;
  repeats.runs.push_back(run_of(1'234'567));
  std::ostringstream table;
  print_table(relay(), figures_of(relay(), repeats), table);
  CHECK(table.str().find("1,234,567") != std::string::npos);
}
