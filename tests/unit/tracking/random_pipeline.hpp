#pragma once

#include <array>
#include <catch2/catch.hpp>
#include <string>
#include <vector>

#include "tempest/base/random.hpp"
#include "tempest/tracking/tracker.hpp"

/// Graphs and rules drawn at random, for the trials that compare tracking with its model.
namespace tempest::tracking {

struct Shape {
  std::vector<dag::Node> nodes;
  std::vector<dag::EdgeByName> edges;

  dag::Graph build() const {
    std::vector<dag::Fault> faults;
    dag::Graph graph = dag::Graph::build(nodes, edges, faults);
    REQUIRE(faults.empty());
    return graph;
  }
};

inline Shape draw_shape(Random& random) {
  Shape shape;
  const std::size_t tasks = 1 + random.below(6);
  for (std::size_t i = 0; i < tasks; ++i) {
    dag::Node node{"t" + std::to_string(i), dag::Grouping::shuffle, dag::Gather::none};
    if (random.below(3) == 0) node.grouping = dag::Grouping::key;
    if (random.below(3) == 0) {
      node.gather = random.below(2) == 0 ? dag::Gather::each : dag::Gather::all;
    }
    shape.nodes.push_back(std::move(node));
  }
  for (std::size_t from = 0; from < tasks; ++from) {
    for (std::size_t to = from + 1; to < tasks; ++to) {
      for (const char* output : {"", "left", "right"}) {
        if (random.below(output[0] == '\0' ? 2 : 8) != 0) continue;
        shape.edges.push_back({shape.nodes[from].name, shape.nodes[to].name, output});
      }
    }
  }
  return shape;
}

inline FailureRules draw_rules(Random& random) {
  FailureRules rules;
  constexpr std::array policies{FailurePolicy::retry, FailurePolicy::retry, FailurePolicy::none,
                                FailurePolicy::best_effort};
  rules.policy = policies[random.below(policies.size())];
  rules.max_attempts = static_cast<std::uint32_t>(1 + random.below(4));
  rules.backoff = {std::chrono::milliseconds(50), 2.0, std::chrono::milliseconds(150), 0.0};
  if (random.below(2) == 0) rules.max_age = std::chrono::milliseconds(1000 + random.below(3000));
  if (random.below(2) == 0)
    rules.tree_timeout = std::chrono::milliseconds(200 + random.below(2000));
  return rules;
}

}  // namespace tempest::tracking
