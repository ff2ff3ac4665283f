#include "source_node/plan.hpp"

#include <algorithm>

namespace tempest::source_node {

namespace {

bool same(const Settings& left, const Settings& right);

bool same(const Settings::Value& left, const Settings::Value& right) {
  if (left.data.index() != right.data.index()) return false;
  return std::visit(
      [&right](const auto& value) {
        using Data = std::decay_t<decltype(value)>;
        const auto& other = std::get<Data>(right.data);
        if constexpr (std::is_same_v<Data, Settings>) {
          return same(value, other);
        } else if constexpr (std::is_same_v<Data, Settings::List>) {
          return std::equal(value.begin(), value.end(), other.begin(), other.end(),
                            [](const auto& a, const auto& b) { return same(a, b); });
        } else {
          return value == other;
        }
      },
      left.data);
}

bool same(const Settings& left, const Settings& right) {
  return std::equal(
      left.values().begin(), left.values().end(), right.values().begin(), right.values().end(),
      [](const auto& a, const auto& b) { return a.first == b.first && same(a.second, b.second); });
}

bool same(const Endpoint& left, const Endpoint& right) {
  return left.type == right.type && same(left.settings, right.settings);
}

bool same(const FailureHandlerDefinition& left, const FailureHandlerDefinition& right) {
  return left.uses == right.uses && same(left.config, right.config);
}

}  // namespace

bool same_endpoints(const Plan& left, const Plan& right) {
  // How acks are sent is the opened source's business too, so it counts as a part of it.
  if (left.source.ack_in_batches != right.source.ack_in_batches) return false;
  if (left.source.acks != right.source.acks) return false;
  if (!same(left.source.endpoint, right.source.endpoint)) return false;
  if (left.failure.handler.has_value() != right.failure.handler.has_value()) return false;
  if (left.failure.handler && !same(*left.failure.handler, *right.failure.handler)) return false;
  if (left.failure.dead_letter.has_value() != right.failure.dead_letter.has_value()) return false;
  return !left.failure.dead_letter || same(*left.failure.dead_letter, *right.failure.dead_letter);
}

}  // namespace tempest::source_node
