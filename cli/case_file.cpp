#include "cli/case_file.hpp"

#include <algorithm>
#include <cerrno>
#include <cstring>
#include <filesystem>
#include <fstream>
#include <iterator>

#include "tempest/base/base64.hpp"
#include "tempest/runtime/topology_check.hpp"

namespace tempest::cli {
namespace {

using runtime::Diagnostic;
using runtime::DocumentList;
using runtime::DocumentTable;
using runtime::DocumentValue;
using runtime::Position;

constexpr std::string_view kEnding = ".test.toml";

class Reading {
 public:
  Reading(std::string file, std::vector<Diagnostic>& diagnostics)
      : file_(std::move(file)), diagnostics_(diagnostics) {}

  CaseFile read(const DocumentTable& document) {
    CaseFile cases;
    cases.path = file_;
    check_keys(document, {"topology", "case"}, "the file");
    std::string topology = take_text(document, "topology", "the file");
    const std::filesystem::path path(file_);
    if (topology.empty()) {
      const std::string name = path.filename().string();
      topology = name.ends_with(kEnding) ? name.substr(0, name.size() - kEnding.size()) + ".toml"
                                         : "Topology.toml";
    }
    cases.topology = (path.parent_path() / topology).string();
    const auto* entry = document.find("case");
    const auto* list = entry ? entry->value.as<DocumentList>() : nullptr;
    if (!list || list->empty()) {
      report(entry ? entry->position : Position{}, "at least one [[case]] is needed");
      return cases;
    }
    for (const DocumentValue& item : *list) {
      if (const auto* table = item.as<DocumentTable>()) {
        cases.cases.push_back(read_case(*table, item.position));
      } else {
        report(item.position, "a case is a table: [[case]]");
      }
    }
    return cases;
  }

 private:
  void report(Position at, std::string message) {
    diagnostics_.push_back({file_, at.line, at.column, std::move(message)});
  }

  void check_keys(const DocumentTable& table, const std::vector<std::string>& known,
                  const std::string& where) {
    for (const auto& entry : table.entries) {
      if (std::find(known.begin(), known.end(), entry.key) != known.end()) continue;
      report(entry.position, "unknown key " + runtime::in_quotes(entry.key, '\'') + " in " + where +
                                 runtime::did_you_mean(entry.key, known));
    }
  }

  std::string take_text(const DocumentTable& table, const char* key, const std::string& where) {
    const auto* entry = table.find(key);
    if (!entry) return {};
    if (const auto* text = entry->value.as<std::string>()) return *text;
    report(entry->value.position, std::string("'") + key + "' in " + where + " must be a text");
    return {};
  }

  TestCase read_case(const DocumentTable& table, Position at) {
    const std::string where = "[[case]]";
    TestCase result;
    result.position = at;
    check_keys(table, {"name", "task", "inputs", "outputs", "reaches", "error", "in_order"}, where);
    result.name = take_text(table, "name", where);
    if (result.name.empty()) report(at, "missing key 'name' in [[case]]: what the case shows");
    result.task = take_text(table, "task", where);
    if (const auto* inputs = table.find("inputs")) {
      result.inputs = read_messages(inputs->value, "inputs", false);
    } else {
      report(at, "missing key 'inputs' in [[case]]");
    }
    if (const auto* outputs = table.find("outputs")) {
      result.outputs = read_messages(outputs->value, "outputs", true);
      if (result.task.empty()) {
        report(outputs->position,
               "'outputs' in [[case]] is only for a case with 'task'; what the "
               "whole pipeline should give is said with 'reaches'");
      }
    }
    read_reaches(table, result);
    if (const auto* error = table.find("error")) result.error = read_error(error->value);
    if (const auto* order = table.find("in_order")) {
      if (const auto* is = order->value.as<bool>()) {
        result.in_order = *is;
      } else {
        report(order->value.position, "'in_order' in [[case]] must be true or false");
      }
    }
    if (!result.outputs && !table.find("reaches") && !result.error) {
      report(at, result.task.empty() ? "the case expects nothing: 'reaches' or 'error' is missing"
                                     : "the case expects nothing: 'outputs' or 'error' is missing");
    }
    return result;
  }

  void read_reaches(const DocumentTable& table, TestCase& result) {
    const auto* entry = table.find("reaches");
    if (!entry) return;
    if (!result.task.empty()) {
      report(entry->position, "'reaches' in [[case]] is only for a case without 'task'");
    }
    const auto* tasks = entry->value.as<DocumentTable>();
    if (!tasks) {
      report(entry->value.position, "'reaches' in [[case]] must be a table: { task = [messages] }");
      return;
    }
    for (const auto& task : tasks->entries) {
      result.reaches[task.key] = read_messages(task.value, "reaches." + task.key, false);
    }
  }

  CaseMessages read_messages(const DocumentValue& value, const std::string& key, bool named) {
    CaseMessages messages;
    const auto* list = value.as<DocumentList>();
    if (!list) {
      report(value.position, "'" + key + "' in [[case]] must be a list of messages");
      return messages;
    }
    for (const DocumentValue& item : *list) messages.push_back(read_message(item, key, named));
    return messages;
  }

  CaseMessage read_message(const DocumentValue& value, const std::string& key, bool named) {
    CaseMessage message;
    if (const auto* text = value.as<std::string>()) {
      message.payload = *text;
      return message;
    }
    const auto* table = value.as<DocumentTable>();
    const std::string where = "a message of '" + key + "'";
    if (!table) {
      report(value.position, where + " must be a text, or a table with 'payload'");
      return message;
    }
    std::vector<std::string> known = {"payload", "payload_base64", "key"};
    if (named) known.emplace_back("output");
    check_keys(*table, known, where);
    message.payload = take_text(*table, "payload", where);
    message.output = take_text(*table, "output", where);
    if (table->find("key")) message.key = take_text(*table, "key", where);
    const auto* encoded = table->find("payload_base64");
    if (!encoded && !table->find("payload")) {
      report(value.position, "missing key 'payload' in " + where);
    }
    if (!encoded) return message;
    auto bytes = from_base64(take_text(*table, "payload_base64", where));
    if (!bytes) report(encoded->value.position, "'payload_base64' in " + where + " is no base64");
    message.payload = bytes.value_or("");
    return message;
  }

  ExpectedError read_error(const DocumentValue& value) {
    ExpectedError error;
    if (const auto* text = value.as<std::string>()) {
      error.text = *text;
      return error;
    }
    const auto* table = value.as<DocumentTable>();
    if (!table) {
      report(value.position,
             "'error' in [[case]] must be a text, or a table of 'text', 'kind' "
             "and 'task'");
      return error;
    }
    check_keys(*table, {"text", "kind", "task"}, "'error'");
    error.text = take_text(*table, "text", "'error'");
    error.kind = take_text(*table, "kind", "'error'");
    error.task = take_text(*table, "task", "'error'");
    if (!error.kind.empty() && error.kind != "retry" && error.kind != "fail") {
      report(
          table->find("kind")->value.position,
          "'kind' in 'error' must be \"retry\" or \"fail\", not " + runtime::in_quotes(error.kind));
    }
    return error;
  }

  std::string file_;
  std::vector<Diagnostic>& diagnostics_;
};

}  // namespace

std::optional<CaseFile> parse_cases(const std::string& text, const std::string& path,
                                    std::vector<Diagnostic>& diagnostics) {
  const std::size_t before = diagnostics.size();
  DocumentTable document;
  if (!runtime::parse_document(text, path, document, diagnostics)) return std::nullopt;
  CaseFile file = Reading(path, diagnostics).read(document);
  if (diagnostics.size() == before) return file;
  std::stable_sort(diagnostics.begin() + static_cast<std::ptrdiff_t>(before), diagnostics.end(),
                   [](const Diagnostic& left, const Diagnostic& right) {
                     return std::pair(left.line, left.column) < std::pair(right.line, right.column);
                   });
  return std::nullopt;
}

std::optional<CaseFile> load_cases(const std::string& path, std::vector<Diagnostic>& diagnostics) {
  errno = 0;
  std::ifstream stream(path, std::ios::binary);
  std::string text{std::istreambuf_iterator<char>(stream), std::istreambuf_iterator<char>()};
  if (!stream.is_open() || stream.bad()) {
    diagnostics.push_back({path, 0, 0,
                           std::string("cannot read the file: ") +
                               (errno != 0 ? std::strerror(errno) : "read error")});
    return std::nullopt;
  }
  return parse_cases(text, path, diagnostics);
}

void check_cases(const CaseFile& file, const Topology& topology,
                 std::vector<Diagnostic>& diagnostics) {
  std::vector<std::string> names;
  for (const TaskDefinition& task : topology.tasks) names.push_back(task.name);
  for (const TestCase& test : file.cases) {
    const auto report = [&](std::string message) {
      diagnostics.push_back({file.path, test.position.line, test.position.column,
                             "case " + runtime::in_quotes(test.name) + ": " + std::move(message)});
    };
    const auto check = [&](const std::string& name) {
      if (topology.graph.find(name) != kNoTask) return true;
      report("the topology has no task '" + name + "'" + runtime::did_you_mean(name, names));
      return false;
    };
    for (const auto& [name, messages] : test.reaches) check(name);
    if (test.error && !test.error->task.empty()) check(test.error->task);
    if (test.task.empty() || !check(test.task)) continue;
    const auto& task = topology.tasks[static_cast<std::size_t>(topology.graph.find(test.task))];
    if (task.uses == "sink") {
      report("task '" + test.task +
             "' is a sink, which gives nothing; say what it gets with 'reaches', without 'task'");
    }
  }
}

}  // namespace tempest::cli
