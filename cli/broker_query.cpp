#include "cli/broker_query.hpp"

#include <optional>
#include <utility>

#include "cli/operator_node.hpp"
#include "tempest/runtime/node_program.hpp"
#include "tempest/wire/codec.hpp"

namespace tempest::cli {
namespace {

std::vector<ListedNode> own(const wire::Snapshot& snapshot) {
  std::vector<ListedNode> nodes;
  for (const wire::Snapshot::Node& node : snapshot.nodes) {
    nodes.push_back({node.role,
                     std::string(node.name),
                     node.incarnation,
                     std::string(node.topology),
                     std::string(node.topology_version),
                     std::string(node.endpoint),
                     {node.tasks.begin(), node.tasks.end()},
                     std::string(node.state),
                     node.age_ms});
  }
  return nodes;
}

std::string joined(const std::vector<std::string>& brokers) {
  std::string text;
  for (const std::string& broker : brokers) text += (text.empty() ? "" : ", ") + broker;
  return text;
}

}  // namespace

Result<std::vector<ListedNode>> ask_for_nodes(const std::vector<std::string>& brokers,
                                              Duration patience) {
  if (auto checked = check_brokers(brokers); !checked) return checked.error();
  wire::Query query;
  query.id = 1;
  query.what = "nodes";
  std::optional<std::vector<ListedNode>> answer;
  const auto hears = [&answer](const link::Event& body) {
    wire::Snapshot snapshot;
    if (body.body_kind == wire::BodyKind::snapshot && wire::decode(body.body, snapshot)) {
      answer = own(snapshot);
    }
    return answer.has_value();
  };
  const link::Identity self = operator_identity();
  runtime::Transport transport;
  runtime::NodeLoop loop(transport, operator_loop_options(self));
  OperatorNode question(self, {.brokers = brokers,
                               .says = wire::BodyKind::query,
                               .frame = wire::data_frame(query),
                               .hears = hears,
                               .patience = patience,
                               .seed = runtime::random_seed()});
  loop.run(question);
  if (answer) return std::move(*answer);
  if (const std::string& refusal = question.refusal(); !refusal.empty()) {
    return Error{ErrorCode::unavailable,
                 "no broker answers: " + refusal + "; name a broker with --broker"};
  }
  return Error{ErrorCode::unavailable,
               "no broker answers at " + joined(brokers) +
                   "; start one with tempest-broker, or name another with --broker"};
}

}  // namespace tempest::cli
