#include "tempest/runtime/topology_definitions.hpp"

#include "tempest/runtime/topology_schema.hpp"

namespace tempest::runtime {
namespace {

Endpoint make_endpoint(const Settings& settings, const TableSchema& schema) {
  Endpoint endpoint;
  endpoint.type = settings.text("type");
  const VariantSchema* variant = find_variant(schema, endpoint.type);
  if (variant == nullptr) return endpoint;
  for (const KeySchema& key : variant->keys) {
    const auto value = settings.values().find(key.name);
    if (value != settings.values().end()) endpoint.settings.set(key.name, value->second);
  }
  return endpoint;
}

/// `rule` with what `settings` say otherwise.
FailureRule make_rule(const Settings& settings, FailureRule rule) {
  const std::string policy = settings.text("policy");
  if (!policy.empty()) {
    rule.policy = policy == "none"          ? FailurePolicy::none
                  : policy == "best_effort" ? FailurePolicy::best_effort
                                            : FailurePolicy::retry;
  }
  rule.max_attempts =
      static_cast<std::uint32_t>(settings.integer("max_attempts", rule.max_attempts));
  if (!settings.has("backoff")) return rule;
  const Settings& backoff = settings.table("backoff");
  const Backoff otherwise;
  rule.backoff.initial = backoff.duration("initial", otherwise.initial);
  rule.backoff.factor = backoff.number("factor", otherwise.factor);
  rule.backoff.max = backoff.duration("max", otherwise.max);
  rule.backoff.jitter = backoff.number("jitter", otherwise.jitter);
  return rule;
}

}  // namespace

std::vector<std::string> texts(const Settings::List& list) {
  std::vector<std::string> result;
  for (const Settings::Value& item : list) {
    if (const auto* text = std::get_if<std::string>(&item.data)) result.push_back(*text);
  }
  return result;
}

SourceDefinition make_source(const Settings& settings, const std::string& topology_name) {
  SourceDefinition source;
  source.endpoint = make_endpoint(settings, source_schema());
  if (source.endpoint.type == "redis_stream" && !source.endpoint.settings.has("group")) {
    source.endpoint.settings.set("group", {topology_name});
  }
  source.max_pending = static_cast<std::uint64_t>(settings.integer("max_pending"));
  source.max_pending_bytes = settings.size_bytes("max_pending_bytes");
  source.poll_interval = settings.duration("poll_interval");
  source.max_backoff = settings.duration("max_backoff");
  source.read_count = static_cast<std::uint64_t>(settings.integer("read_count"));
  source.ack_in_batches = settings.text("ack") != "individual";
  source.acks = settings.text("ack") != "none";
  source.ack_interval = settings.duration("ack_interval");
  source.block = settings.duration("block");
  return source;
}

FailureDefinition make_failure(const Settings& settings) {
  FailureDefinition failure;
  failure.timeout = settings.duration("timeout", failure.timeout);
  failure.task_timeout = settings.duration("task_timeout", failure.task_timeout);
  failure.max_age = settings.duration("max_age", failure.max_age);
  const FailureRule common = make_rule(settings, failure.rule(false));
  failure.policy = common.policy;
  failure.max_attempts = common.max_attempts;
  failure.backoff = common.backoff;
  if (settings.has("on_error")) failure.on_error = make_rule(settings.table("on_error"), common);
  if (settings.has("on_timeout")) {
    failure.on_timeout = make_rule(settings.table("on_timeout"), common);
  }
  if (settings.has("handler")) {
    const Settings& handler = settings.table("handler");
    failure.handler = FailureHandlerDefinition{handler.text("uses"), handler.table("config")};
  }
  if (settings.has("dead_letter")) {
    failure.dead_letter = make_endpoint(settings.table("dead_letter"), sink_schema());
  }
  return failure;
}

TaskDefinition make_task(const Settings& settings, const FailureDefinition& failure) {
  TaskDefinition task;
  task.name = settings.text("name");
  task.uses = settings.text("uses");
  for (const std::string& input : texts(settings.list("after"))) {
    const std::size_t colon = input.find(':');
    const bool has_output = colon != std::string::npos;
    task.after.push_back({input.substr(0, colon), has_output ? input.substr(colon + 1) : ""});
  }
  if (settings.text("grouping") == "key") task.grouping = dag::Grouping::key;
  const std::string gather = settings.text("gather");
  if (gather == "each") task.gather = dag::Gather::each;
  if (gather == "all") task.gather = dag::Gather::all;
  task.timeout = settings.duration("timeout", failure.task_timeout);
  const BuiltinTask* builtin = find_builtin_task(task.uses);
  task.config = settings.table(builtin ? builtin->name : "config");
  return task;
}

}  // namespace tempest::runtime
