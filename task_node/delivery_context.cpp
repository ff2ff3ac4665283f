#include "task_node/delivery_context.hpp"

#include <cstring>

#include "tempest/base/limits.hpp"
#include "tempest/base/utf8.hpp"

namespace tempest::task_node {
namespace {

std::string too_large(const char* what, std::size_t bytes, std::size_t allowed) {
  return std::string("an output's ") + what + " of " + std::to_string(bytes) +
         " bytes is larger than the " + std::to_string(allowed) + " allowed";
}

char* append(char* at, std::string_view bytes) {
  if (!bytes.empty()) std::memcpy(at, bytes.data(), bytes.size());
  return at + bytes.size();
}

}  // namespace

std::string_view origin_of(const wire::Deliveries::Part& part, const dag::Graph& graph) {
  if (static_cast<std::size_t>(part.edge) >= graph.edge_count()) return "source";
  return graph.node(graph.edge(part.edge).from).name;
}

std::string_view DeliveryContext::origin() const {
  return call_.fused_from.empty() ? origin_of(*assigned().parts, *call_.graph) : call_.fused_from;
}

void DeliveryContext::begin(const Call& call) {
  call_ = call;
  plain_is_untaken_ =
      !call.graph->is_terminal(call.task_id) && call.graph->plain_edges(call.task_id).empty();
  if (!asked_output_.empty()) asked_output_.clear();
}

bool DeliveryContext::is_untaken(std::string_view output) {
  if (output.empty()) return plain_is_untaken_;
  if (output != asked_output_) {
    asked_output_ = output;
    asked_is_untaken_ = call_.graph->edges_for(call_.task_id, output, edges_).empty();
  }
  return asked_is_untaken_;
}

void DeliveryContext::emit(const Message& message, std::string_view output) {
  if (!violation_.empty() || violates(message, output)) return;
  if (is_untaken(output)) note_untaken(call_.execution->untaken, call_.task_id, output);
  if (call_.dropped_outputs != nullptr) {
    // Sending on what nobody takes would only cost.
    ++*call_.dropped_outputs;
    return;
  }
  Emitted emitted;
  emitted.delivery = static_cast<std::uint32_t>(delivery_);
  emitted.name_bytes = static_cast<std::uint16_t>(output.size());
  emitted.key_bytes = static_cast<std::uint32_t>(message.key.size());
  emitted.payload_bytes = static_cast<std::uint32_t>(message.payload.size());
  emitted.from = call_.task_id;
  char* const at = call_.execution->arena.take(emitted.bytes());
  append(append(append(at, output), message.key), message.payload);
  emitted.at = at;
  call_.execution->outputs.push_back(emitted);
}

void DeliveryContext::extend(Duration time) {
  if (call_.extend == nullptr || time <= Duration::zero()) return;
  (*call_.extend)({assigned().item->id, assigned().lot, time});
}

bool DeliveryContext::violates(const Message& message, std::string_view output) {
  emitted_bytes_ += message.payload.size() + message.key.size() + output.size();
  ++emitted_count_;
  if (message.payload.size() > kMaxPayloadBytes) {
    violation_ = too_large("payload", message.payload.size(), kMaxPayloadBytes);
  } else if (message.key.size() > kMaxPayloadBytes) {
    violation_ = too_large("key", message.key.size(), kMaxPayloadBytes);
  } else if (output.size() > kMaxNameBytes) {
    violation_ = too_large("name", output.size(), kMaxNameBytes);
  } else if (!output.empty() && !is_name(output)) {
    violation_ = "an output's name is not UTF-8, or has control characters";
  } else if (call_.dropped_outputs != nullptr) {
    return false;
  } else if (emitted_count_ > kMaxFrameItems) {
    violation_ = "more than the " + std::to_string(kMaxFrameItems) +
                 " outputs allowed were emitted for one message";
  } else if (emitted_bytes_ > kMaxOutputBytes) {
    violation_ = "outputs of more than the " + std::to_string(kMaxOutputBytes) +
                 " bytes allowed were emitted for one message";
  }
  return !violation_.empty();
}

}  // namespace tempest::task_node
