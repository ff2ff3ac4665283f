#include "tempest/runtime/topology_file.hpp"

#include <algorithm>
#include <cerrno>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <fstream>
#include <map>
#include <utility>

#include "tempest/base/hash.hpp"
#include "tempest/base/limits.hpp"
#include "tempest/base/quantity.hpp"
#include "tempest/runtime/topology_check.hpp"
#include "tempest/runtime/topology_definitions.hpp"
#include "tempest/runtime/topology_endpoints.hpp"
#include "tempest/runtime/topology_schema.hpp"
#include "tempest/runtime/topology_variables.hpp"

namespace tempest::runtime {
namespace {

// The name that stands for the source where the origin of a message is told.
constexpr const char* kSourceName = "source";

// Reads one text: what the schema cannot say is checked here.
class Reading {
 public:
  Reading(const std::string& file, std::vector<Diagnostic>& diagnostics,
          TopologyReferences& references)
      : check_(file, diagnostics), references_(references) {}

  Topology read(const DocumentTable& document) {
    const Settings settings = check_.check(document, {}, topology_schema(), "");
    Topology topology;
    topology.name = settings.text("name");
    topology.libraries = texts(settings.list("libraries"));
    topology.source = make_source(settings.table("source"), topology.name);
    topology.failure = make_failure(settings.table("failure"));
    read_libraries(document);
    const auto* source = document.find("source");
    read_endpoint(source ? &source->value : nullptr, LibraryPart::source, "source");
    const auto* failure = document.find("failure");
    read_endpoint(find(failure ? &failure->value : nullptr, "dead_letter"), LibraryPart::sink,
                  "failure.dead_letter");
    read_handler(find(failure ? &failure->value : nullptr, "handler"));
    read_tasks(document, settings, topology);
    check_waits(document, topology);
    check_pending(document);
    check_endpoints(document, topology, check_);
    return topology;
  }

 private:
  // One `after` entry, with its place.
  struct Input {
    std::string task;
    std::string from;
    std::string output;
    Position position;
    bool is_in_graph = false;
  };

  static const DocumentValue* find(const DocumentValue* in, std::string_view key) {
    const auto* table = in ? in->as<DocumentTable>() : nullptr;
    const auto* entry = table ? table->find(key) : nullptr;
    return entry ? &entry->value : nullptr;
  }

  void read_libraries(const DocumentTable& document) {
    const auto* entry = document.find("libraries");
    const auto* list = entry ? entry->value.as<DocumentList>() : nullptr;
    if (!list) return;
    for (const DocumentValue& item : *list) {
      const auto* text = item.as<std::string>();
      if (text && !text->empty()) references_.libraries.push_back({*text, item.position});
    }
  }

  // Of a source or a sink: what only its library can tell.
  void read_endpoint(const DocumentValue* table, LibraryPart part, const std::string& name) {
    const DocumentValue* type = find(table, "type");
    const auto* text = type ? type->as<std::string>() : nullptr;
    if (text && is_library_reference(*text)) add_part(*text, *type, part, *table, name);
  }

  // `around`: the table, called `name`, that has the part's `config` in it.
  void add_part(const std::string& text, const DocumentValue& at, LibraryPart part,
                const DocumentValue& around, const std::string& name) {
    TopologyReferences::Part reference{
        {text, at.position}, part, {}, at.position, name + ".config"};
    if (const DocumentValue* config = find(&around, "config")) {
      reference.config_position = config->position;
      if (const auto* table = config->as<DocumentTable>()) reference.config = *table;
    }
    references_.parts.push_back(std::move(reference));
  }

  void read_handler(const DocumentValue* table) {
    const DocumentValue* uses = find(table, "uses");
    const auto* text = uses ? uses->as<std::string>() : nullptr;
    if (!text || text->empty()) return;
    if (is_library_reference(*text)) {
      add_part(*text, *uses, LibraryPart::failure_handler, *table, "failure.handler");
    } else {
      check_.report(uses->position, "'uses' in [failure.handler]: " + in_quotes(*text) +
                                        " is not of the form \"library:Handler\"");
    }
  }

  void read_tasks(const DocumentTable& document, const Settings& settings, Topology& topology) {
    const auto* entry = document.find("task");
    const auto* list = entry ? entry->value.as<DocumentList>() : nullptr;
    const Settings::List& checked = settings.list("task");
    if (!list || list->size() != checked.size()) return;
    if (list->empty()) check_.report(entry->value.position, "at least one [[task]] is needed");

    std::vector<dag::Node> nodes;
    for (std::size_t i = 0; i < list->size(); ++i) {
      const auto* table = std::get_if<Settings>(&checked[i].data);
      topology.tasks.push_back(make_task(*table, topology.failure));
      TaskDefinition& task = topology.tasks.back();
      read_uses((*list)[i], task);
      check_gathering((*list)[i], task);
      const bool is_in_graph = !task.name.empty() && take_name((*list)[i], task.name);
      if (is_in_graph) nodes.push_back({task.name, task.grouping, task.gather});
      read_inputs((*list)[i], task, is_in_graph);
    }
    if (nodes.empty()) return;
    std::vector<dag::EdgeByName> edges;
    for (const Input& input : inputs_) {
      if (!names_.contains(input.from)) report_unknown(input);
      if (input.is_in_graph) edges.push_back({input.from, input.task, input.output});
      if (!input.output.empty()) read_edge(input, topology);
    }
    std::vector<dag::Fault> faults;
    topology.graph = dag::Graph::build(std::move(nodes), edges, faults);
    for (const dag::Fault& fault : faults) report(fault);
  }

  // A join is one call with all that a source message gave rise to. Of several keys there would be
  // several owners.
  void check_gathering(const DocumentValue& table, const TaskDefinition& task) {
    if (task.gather != dag::Gather::all || task.grouping != dag::Grouping::key) return;
    check_.report(find(&table, "gather")->position,
                  "gather = \"all\" in [[task]] '" + task.name +
                      "' does not go with grouping = \"key\": it joins messages of all keys in one "
                      "call; leave 'grouping' out, or give each message to its key's worker with "
                      "gather = \"each\"");
  }

  // False: the name is taken, and the task no part of the graph.
  bool take_name(const DocumentValue& table, const std::string& name) {
    const Position at = find(&table, "name")->position;
    if (name == kSourceName) {
      check_.report(at, "no task may be called 'source': that is where the messages come from");
      return false;
    }
    const auto [first, is_new] = names_.emplace(name, at);
    if (is_new) return true;
    check_.report(at, "duplicate task '" + name + "'; the first is in line " +
                          std::to_string(first->second.line));
    return false;
  }

  void read_uses(const DocumentValue& table, TaskDefinition& task) {
    const DocumentValue* uses = find(&table, "uses");
    const bool is_written = uses && !task.uses.empty();
    const BuiltinTask* builtin = find_builtin_task(task.uses);
    if (is_written && !builtin && is_library_reference(task.uses)) {
      add_part(task.uses, *uses, LibraryPart::task, table, "task");
    } else if (is_written && !builtin) {
      report_uses(uses->position, task.uses);
    }
    if (is_written) check_tables(table, task.uses, builtin);
    if (task.uses == "sink") read_endpoint(find(&table, "sink"), LibraryPart::sink, "task.sink");
    if (builtin && builtin->table && !builtin->table_required && !find(&table, builtin->name)) {
      task.config = check_.check({}, table.position, *builtin->table, builtin->name);
    }
  }

  void report_uses(Position at, const std::string& uses) {
    std::vector<std::string> names;
    for (const BuiltinTask& builtin : builtin_tasks()) names.push_back(builtin.name);
    const bool has_colon = uses.find(':') != std::string::npos;
    const std::string near = has_colon ? "" : did_you_mean(uses, names, '"');
    if (has_colon) {
      check_.report(
          at, "'uses' in [[task]]: " + in_quotes(uses) + " is not of the form \"library:Task\"");
    } else {
      check_.report(at, "unknown built-in task " + in_quotes(uses) +
                            (near.empty() ? "; there are " + listed(names) +
                                                ", and \"library:Task\" for a library's"
                                          : near));
    }
  }

  // Which of the tables that set a task up may be there.
  void check_tables(const DocumentValue& table, const std::string& uses,
                    const BuiltinTask* builtin) {
    for (const BuiltinTask& other : builtin_tasks()) {
      const auto* entry = table.as<DocumentTable>()->find(other.name);
      if (!other.table || &other == builtin || !entry) continue;
      check_.report(entry->position, "'" + other.name + "' in [[task]] is only for uses = \"" +
                                         other.name + "\", not " + in_quotes(uses));
    }
    const auto* config = table.as<DocumentTable>()->find("config");
    if (builtin && config) {
      const std::string instead = builtin->table ? "; set it up with '" + builtin->name + "'" : "";
      check_.report(config->position, "'config' in [[task]] is only for a library's task, not " +
                                          in_quotes(uses) + instead);
    }
    if (builtin && builtin->table_required && !find(&table, builtin->name)) {
      check_.report(table.position, "missing key '" + builtin->name + "' in [[task]]: uses = \"" +
                                        builtin->name + "\" needs it");
    }
  }

  void read_inputs(const DocumentValue& table, const TaskDefinition& task, bool is_in_graph) {
    const DocumentValue* after = find(&table, "after");
    const auto* list = after ? after->as<DocumentList>() : nullptr;
    if (!list) return;
    for (const DocumentValue& item : *list) {
      const auto* text = item.as<std::string>();
      if (!text || text->empty()) continue;
      const std::size_t colon = text->find(':');
      const std::string from = text->substr(0, colon);
      const std::string output = colon == std::string::npos ? "" : text->substr(colon + 1);
      if (!is_name(from) || (colon != std::string::npos && !is_name(output))) {
        check_.report(item.position, "'after' in [[task]]: " + in_quotes(*text) +
                                         " is not of the form \"task\" or \"task:output\"");
        continue;
      }
      inputs_.push_back({task.name, from, output, item.position, is_in_graph});
    }
  }

  // What only whoever knows the task can tell: whether it has that output.
  void read_edge(const Input& input, const Topology& topology) {
    TopologyReferences::Edge edge{
        {input.from + ":" + input.output, input.position}, input.from, input.output, {}};
    for (const TaskDefinition& task : topology.tasks) {
      if (task.name == input.from) edge.uses = task.uses;
    }
    references_.edges.push_back(std::move(edge));
  }

  void report_unknown(const Input& input) {
    if (input.from == kSourceName) {
      check_.report(input.position,
                    "'source' is no task; a task without 'after' takes the source's messages");
      return;
    }
    std::vector<std::string> names;
    for (const auto& [name, position] : names_) {
      if (name != input.task) names.push_back(name);
    }
    check_.report(input.position, "unknown task '" + input.from + "' in 'after'" +
                                      (input.task.empty() ? "" : " of task '" + input.task + "'") +
                                      did_you_mean(input.from, names));
  }

  // The place of the last `after` entry of this kind.
  Position input_position(const std::string& task, const std::string& from) const {
    Position position;
    for (const Input& input : inputs_) {
      if (input.is_in_graph && input.task == task && input.from == from) position = input.position;
    }
    return position;
  }

  void report(const dag::Fault& fault) {
    using Kind = dag::Fault::Kind;
    switch (fault.kind) {
      case Kind::duplicate_edge:
        check_.report(input_position(fault.task, fault.other),
                      "task '" + fault.task + "' comes after '" + fault.other + "' twice");
        return;
      case Kind::cycle: {
        std::string path;
        for (const std::string& name : fault.path) path += (path.empty() ? "" : " -> ") + name;
        check_.report(names_[fault.task], "tasks form a cycle: " + path);
        return;
      }
      case Kind::unreachable_task:
        check_.report(names_[fault.task], "no source reaches task '" + fault.task + "'");
        return;
      case Kind::too_many:
        check_.report({}, "too many tasks: at most " + std::to_string(dag::kMaxTasks) + ", and " +
                              std::to_string(dag::kMaxEdges) + " edges");
        return;
      case Kind::unknown_task:
      case Kind::duplicate_task:
      case Kind::no_task:
        return;  // Seen before the graph was built.
    }
  }

  // `longest` must not be below `first`; either may have been left out.
  void check_order(const DocumentValue* table, const std::string& name, const char* first,
                   const char* longest, Duration first_wait, Duration longest_wait) {
    const auto is_sound = [](const DocumentValue* value) {
      const auto* text = value ? value->as<std::string>() : nullptr;
      return !value || (text && parse_duration(*text));
    };
    const DocumentValue* first_value = find(table, first);
    const DocumentValue* longest_value = find(table, longest);
    if (!is_sound(first_value) || !is_sound(longest_value) || longest_wait >= first_wait) return;
    const DocumentValue* at = longest_value ? longest_value : first_value;
    if (!at) return;
    check_.report(at->position, std::string("'") + longest + "' in [" + name +
                                    "]: " + format_duration(longest_wait) + " is below '" + first +
                                    "', " + format_duration(first_wait));
  }

  void check_waits(const DocumentTable& document, const Topology& topology) {
    const auto* source = document.find("source");
    check_order(source ? &source->value : nullptr, "source", "poll_interval", "max_backoff",
                topology.source.poll_interval, topology.source.max_backoff);
    const auto* failure = document.find("failure");
    const Backoff& waits = topology.failure.backoff;
    check_order(find(failure ? &failure->value : nullptr, "backoff"), "failure.backoff", "initial",
                "max", waits.initial, waits.max);
    for (const bool is_timeout : {false, true}) {
      const std::string name = is_timeout ? "on_timeout" : "on_error";
      const Backoff own = topology.failure.rule(is_timeout).backoff;
      const DocumentValue* rule = find(failure ? &failure->value : nullptr, name);
      check_order(find(rule, "backoff"), "failure." + name + ".backoff", "initial", "max",
                  own.initial, own.max);
    }
  }

  void check_pending(const DocumentTable& document) {
    const auto* source = document.find("source");
    const DocumentValue* pending = find(source ? &source->value : nullptr, "pending");
    const auto* list = pending ? pending->as<DocumentList>() : nullptr;
    if (!list) return;
    for (const DocumentValue& rule : *list) {
      const DocumentValue* action = find(&rule, "action");
      const DocumentValue* to = find(&rule, "to");
      const auto* name = action ? action->as<std::string>() : nullptr;
      const bool moves = name && *name == "move";
      if (moves && !to) {
        check_.report(action->position, "action = \"move\" in [[source.pending]] needs 'to'");
      } else if (to && !moves && (!action || name)) {
        check_.report(to->position, "'to' in [[source.pending]] is only for action = \"move\"");
      }
    }
  }

  DocumentCheck check_;
  TopologyReferences& references_;
  std::map<std::string, Position> names_;
  std::vector<Input> inputs_;
};

std::string version_of(const std::string& text) {
  char digits[17];
  std::snprintf(digits, sizeof digits, "%016llx",
                static_cast<unsigned long long>(hash_bytes(text)));
  return digits;
}

// The file's bytes, or why not. One byte more than a topology may have is enough to refuse it.
std::optional<std::string> read_file(const std::string& path, std::string& error) {
  errno = 0;
  std::ifstream stream(path, std::ios::binary);
  std::string text(kMaxTopologyBytes + 1, '\0');
  if (stream) stream.read(text.data(), static_cast<std::streamsize>(text.size()));
  if (!stream.is_open() || stream.bad() || (stream.fail() && !stream.eof())) {
    error = errno != 0 ? std::strerror(errno) : "read error";
    return std::nullopt;
  }
  text.resize(static_cast<std::size_t>(stream.gcount()));
  return text;
}

void restore_places(DocumentTable& table, const VariableFilling& filling);

void restore_places(DocumentValue& value, const VariableFilling& filling) {
  value.position = filling.original(value.position);
  if (auto* table = std::get_if<DocumentTable>(&value.data)) restore_places(*table, filling);
  if (auto* list = std::get_if<DocumentList>(&value.data)) {
    for (DocumentValue& item : *list) restore_places(item, filling);
  }
}

/// Puts the places of what was read after filling in back to where they are in the file.
void restore_places(DocumentTable& table, const VariableFilling& filling) {
  for (DocumentTable::Entry& entry : table.entries) {
    entry.position = filling.original(entry.position);
    restore_places(entry.value, filling);
  }
}

}  // namespace

std::optional<Topology> parse_topology(const std::string& text, const std::string& file,
                                       std::vector<Diagnostic>& diagnostics,
                                       TopologyReferences* references) {
  const std::size_t before = diagnostics.size();
  DocumentTable document;
  if (!parse_document(text, file, document, diagnostics)) return std::nullopt;

  TopologyReferences unasked;
  Reading reading(file, diagnostics, references ? *references : unasked);
  Topology topology = reading.read(document);
  if (diagnostics.size() != before) {
    std::stable_sort(diagnostics.begin() + static_cast<std::ptrdiff_t>(before), diagnostics.end(),
                     [](const Diagnostic& left, const Diagnostic& right) {
                       return std::pair(left.line, left.column) <
                              std::pair(right.line, right.column);
                     });
    return std::nullopt;
  }
  topology.version = version_of(text);
  topology.text = text;
  return topology;
}

std::optional<Topology> load_topology(const std::string& path, std::vector<Diagnostic>& diagnostics,
                                      TopologyReferences* references) {
  std::string error;
  const auto text = read_file(path, error);
  if (!text) {
    diagnostics.push_back({path, 0, 0, "cannot read the file: " + error});
    return std::nullopt;
  }
  const auto environment = [](const std::string& name) -> std::optional<std::string> {
    const char* value = std::getenv(name.c_str());
    return value ? std::optional<std::string>(value) : std::nullopt;
  };
  // Variables that cannot be filled in stay as they are: then the rest is still checked.
  const std::size_t before = diagnostics.size();
  VariableFilling filling;
  const bool is_filled = filling.fill(*text, path, environment, diagnostics);
  const std::size_t parsed_from = diagnostics.size();
  TopologyReferences unasked;
  TopologyReferences& found = references ? *references : unasked;
  auto topology = parse_topology(filling.text(), path, diagnostics, &found);

  for (std::size_t i = parsed_from; i < diagnostics.size(); ++i) {
    const Position at = filling.original({diagnostics[i].line, diagnostics[i].column});
    diagnostics[i].line = at.line;
    diagnostics[i].column = at.column;
  }
  for (auto& library : found.libraries) library.position = filling.original(library.position);
  for (auto& part : found.parts) {
    part.position = filling.original(part.position);
    part.config_position = filling.original(part.config_position);
    restore_places(part.config, filling);
  }
  for (auto& edge : found.edges) edge.position = filling.original(edge.position);
  std::stable_sort(diagnostics.begin() + static_cast<std::ptrdiff_t>(before), diagnostics.end(),
                   [](const Diagnostic& left, const Diagnostic& right) {
                     return std::pair(left.line, left.column) < std::pair(right.line, right.column);
                   });
  if (!is_filled) return std::nullopt;
  return topology;
}

std::string joined(const std::vector<Diagnostic>& diagnostics) {
  std::string text;
  for (const Diagnostic& diagnostic : diagnostics) {
    if (!text.empty()) text += '\n';
    text += diagnostic.text();
  }
  return text;
}

}  // namespace tempest::runtime
