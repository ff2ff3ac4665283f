#include <utility>

#include "tempest/runtime/topology_file.hpp"
#include "tempest/runtime/topology_schema.hpp"
#include "tempest/runtime/topology_text.hpp"
#include "tempest/topology.hpp"

namespace tempest {
namespace {

using runtime::exact_duration;
using runtime::toml_key;
using runtime::toml_table;
using runtime::toml_text;
using runtime::toml_value;

std::string key_line(std::string_view key, const std::string& value) {
  return toml_key(key) + " = " + value + "\n";
}

std::string endpoint_lines(const Endpoint& endpoint) {
  std::string text = key_line("type", toml_text(endpoint.type));
  for (const auto& [key, value] : endpoint.settings.values()) {
    if (key != "type") text += key_line(key, toml_value(value));
  }
  return text;
}

std::string task_lines(const TaskDefinition& task) {
  std::string text = "\n[[task]]\n";
  text += key_line("name", toml_text(task.name)) + key_line("uses", toml_text(task.uses));
  if (!task.after.empty()) {
    std::string inputs;
    for (const TaskDefinition::Input& input : task.after) {
      if (!inputs.empty()) inputs += ", ";
      inputs += toml_text(input.output.empty() ? input.task : input.task + ":" + input.output);
    }
    text += key_line("after", "[" + inputs + "]");
  }
  if (task.grouping == dag::Grouping::key) text += key_line("grouping", "\"key\"");
  if (task.grouping == dag::Grouping::all) text += key_line("grouping", "\"all\"");
  if (task.gather == dag::Gather::each) text += key_line("gather", "\"each\"");
  if (task.gather == dag::Gather::all) text += key_line("gather", "\"all\"");
  if (task.timeout != Duration::zero()) {
    text += key_line("timeout", toml_text(exact_duration(task.timeout)));
  }
  if (!task.config.values().empty()) {
    const runtime::BuiltinTask* builtin = runtime::find_builtin_task(task.uses);
    const bool has_own_table = builtin && builtin->table;
    text += key_line(has_own_table ? task.uses : "config", toml_table(task.config));
  }
  return text;
}

const char* policy_text(FailurePolicy policy) {
  switch (policy) {
    case FailurePolicy::none:
      return "none";
    case FailurePolicy::best_effort:
      return "best_effort";
    case FailurePolicy::retry:
      break;
  }
  return "retry";
}

Settings rule_settings(const FailureRule& rule) {
  Settings backoff;
  backoff.set("initial", {exact_duration(rule.backoff.initial)});
  backoff.set("factor", {rule.backoff.factor});
  backoff.set("max", {exact_duration(rule.backoff.max)});
  backoff.set("jitter", {rule.backoff.jitter});
  Settings settings;
  settings.set("policy", {std::string(policy_text(rule.policy))});
  settings.set("max_attempts", {static_cast<std::int64_t>(rule.max_attempts)});
  settings.set("backoff", {backoff});
  return settings;
}

std::string failure_lines(const FailureDefinition& failure) {
  std::string text = "\n[failure]\n";
  text += key_line("timeout", toml_text(exact_duration(failure.timeout)));
  if (failure.task_timeout != Duration::zero()) {
    text += key_line("task_timeout", toml_text(exact_duration(failure.task_timeout)));
  }
  if (failure.max_age != Duration::zero()) {
    text += key_line("max_age", toml_text(exact_duration(failure.max_age)));
  }
  const Settings common = rule_settings({failure.policy, failure.max_attempts, failure.backoff});
  for (const auto& [key, value] : common.values()) text += key_line(key, toml_value(value));
  if (failure.on_error) text += key_line("on_error", toml_table(rule_settings(*failure.on_error)));
  if (failure.on_timeout) {
    text += key_line("on_timeout", toml_table(rule_settings(*failure.on_timeout)));
  }
  if (failure.handler) {
    Settings handler;
    handler.set("uses", {failure.handler->uses});
    if (!failure.handler->config.values().empty()) {
      handler.set("config", {failure.handler->config});
    }
    text += key_line("handler", toml_table(handler));
  }
  if (failure.dead_letter) {
    Settings sink = failure.dead_letter->settings;
    sink.set("type", {failure.dead_letter->type});
    text += key_line("dead_letter", toml_table(sink));
  }
  return text;
}

}  // namespace

TopologyBuilder::TopologyBuilder(std::string name) {
  topology_.name = std::move(name);
}

TopologyBuilder& TopologyBuilder::library(std::string file) {
  topology_.libraries.push_back(std::move(file));
  return *this;
}

TopologyBuilder& TopologyBuilder::source(std::string type, Settings settings) {
  topology_.source.endpoint = {std::move(type), std::move(settings)};
  return *this;
}

TopologyBuilder& TopologyBuilder::task(std::string name, std::string uses, Settings config) {
  TaskDefinition task;
  task.name = std::move(name);
  task.uses = std::move(uses);
  task.config = std::move(config);
  topology_.tasks.push_back(std::move(task));
  return *this;
}

TaskDefinition& TopologyBuilder::last_task() {
  if (!topology_.tasks.empty()) return topology_.tasks.back();
  misuse_ = "a task's after(), grouping, gather or timeout was given before any task()";
  return no_task_;
}

TopologyBuilder& TopologyBuilder::after(std::string task, std::string output) {
  last_task().after.push_back({std::move(task), std::move(output)});
  return *this;
}

TopologyBuilder& TopologyBuilder::by_key() {
  last_task().grouping = dag::Grouping::key;
  return *this;
}

TopologyBuilder& TopologyBuilder::to_all() {
  last_task().grouping = dag::Grouping::all;
  return *this;
}

TopologyBuilder& TopologyBuilder::gather_each() {
  last_task().gather = dag::Gather::each;
  return *this;
}

TopologyBuilder& TopologyBuilder::gather_all() {
  last_task().gather = dag::Gather::all;
  return *this;
}

TopologyBuilder& TopologyBuilder::task_timeout(Duration timeout) {
  last_task().timeout = timeout;
  return *this;
}

TopologyBuilder& TopologyBuilder::failure(FailureDefinition failure) {
  topology_.failure = std::move(failure);
  has_failure_ = true;
  return *this;
}

Result<Topology> TopologyBuilder::build() const {
  if (!misuse_.empty()) return Error{ErrorCode::configuration, misuse_};

  std::string text = key_line("name", toml_text(topology_.name));
  if (!topology_.libraries.empty()) {
    std::string files;
    for (const std::string& file : topology_.libraries) {
      if (!files.empty()) files += ", ";
      files += toml_text(file);
    }
    text += key_line("libraries", "[" + files + "]");
  }
  text += "\n[source]\n" + endpoint_lines(topology_.source.endpoint);
  for (const TaskDefinition& task : topology_.tasks) text += task_lines(task);
  if (has_failure_) text += failure_lines(topology_.failure);

  std::vector<runtime::Diagnostic> diagnostics;
  auto topology = runtime::parse_topology(text, topology_.name, diagnostics);
  if (!topology) return Error{ErrorCode::configuration, runtime::joined(diagnostics)};
  return std::move(*topology);
}

}  // namespace tempest
