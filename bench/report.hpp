#pragma once

#include <ostream>
#include <string>
#include <vector>

#include "bench/ceiling.hpp"
#include "bench/flow.hpp"
#include "bench/standing.hpp"
#include "bench/workload.hpp"

namespace tempest::bench {

/// All repeats of one workload, each with its ceiling (empty where there is none).
struct Repeats {
  std::vector<Measured> runs;
  std::vector<CeilingNumbers> ceilings;
};

/// Median and range.
struct Spread {
  double median = 0;
  double lowest = 0;
  double highest = 0;
};
Spread spread_of(std::vector<double> values);

/// One figure over all repeats. Where there is a ceiling, `ratio` is of the medians.
struct Figure {
  std::string name;
  Spread spread;
  std::vector<double> values;
  std::optional<Spread> ceiling;
  double ratio = 0;
};
std::vector<Figure> figures_of(const Settings& settings, const Repeats& repeats);
/// Of repeats that each gave the same names in the same order.
std::vector<Figure> figures_of(const std::vector<NamedValues>& repeats);

void print_table(const Settings& settings, const std::vector<Figure>& figures, std::ostream& out);
/// One object, on one line.
void print_json(const Settings& settings, const std::vector<Figure>& figures, std::ostream& out);

}  // namespace tempest::bench
