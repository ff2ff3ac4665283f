#include "tempest/runtime/topology_libraries.hpp"

#include <algorithm>
#include <filesystem>
#include <functional>
#include <map>
#include <optional>
#include <set>
#include <string_view>
#include <utility>

#include "tempest/runtime/declared_settings.hpp"
#include "tempest/runtime/topology_check.hpp"
#include "tempest/runtime/topology_schema.hpp"

namespace tempest::runtime {
namespace {

/// "wordcount" of "lib/libwordcount.so.2" and of "wordcount".
std::string_view library_name(std::string_view file) {
  file.remove_prefix(file.rfind('/') == std::string_view::npos ? 0 : file.rfind('/') + 1);
  if (file.starts_with("lib")) file.remove_prefix(3);
  return file.substr(0, file.find(".so"));
}

/// What is wrong with an edge by name from a task with these outputs; nothing if it has that one.
std::optional<Error> fault_of(const TopologyReferences::Edge& edge,
                              const std::vector<TaskOutput>& outputs) {
  std::vector<std::string> names;
  for (const TaskOutput& output : outputs) names.push_back(output.name);
  if (std::find(names.begin(), names.end(), edge.output) != names.end()) return std::nullopt;
  const std::string near = did_you_mean(edge.output, names);
  std::string known = near;
  if (names.empty()) known = "; it emits without a name only: write \"" + edge.task + "\"";
  if (near.empty() && !names.empty()) known = "; there are " + listed(names);
  return Error{ErrorCode::configuration, "'after' in [[task]]: task '" + edge.task + "' (" +
                                             runtime::in_quotes(edge.uses) + ") has no output '" +
                                             edge.output + "'" + known};
}

}  // namespace

void check_libraries(const TopologyReferences& references, const std::string& file,
                     const std::vector<std::string>& search_path, TaskLibraries& libraries,
                     std::vector<Diagnostic>& diagnostics) {
  std::filesystem::path folder = std::filesystem::path(file).parent_path();
  if (folder.empty()) folder = ".";
  std::vector<std::string> folders{folder.string()};
  folders.insert(folders.end(), search_path.begin(), search_path.end());

  const auto report = [&](const TopologyReferences::Reference& reference, const Error& error) {
    diagnostics.push_back(
        {file, reference.position.line, reference.position.column, error.message});
  };
  // By `uses`; what is not there, or not declared, may be anything.
  std::map<std::string, std::optional<std::vector<TaskOutput>>> outputs;
  bool all_loaded = true;
  for (const auto& library : references.libraries) {
    if (const auto loaded = libraries.load(library.text, folders); !loaded) {
      report(library, loaded.error());
      all_loaded = false;
    }
  }
  const std::vector<std::string> names = libraries.library_names();
  for (const auto& part : references.parts) {
    // What is of a library that could not be loaded has no fault of its own.
    const std::string library = part.text.substr(0, part.text.find(':'));
    const bool is_there = std::find(names.begin(), names.end(), library) != names.end();
    if (!is_there && !all_loaded) continue;
    if (const auto found = libraries.check(part.text, part.part); !found) {
      report(part, found.error());
      continue;
    }
    const auto declared = libraries.declarations(part.text, part.part);
    if (!declared) {
      report(part, declared.error());
      continue;
    }
    check_declared(*declared, runtime::in_quotes(part.text), part.config, part.config_position,
                   part.config_name, file, diagnostics);
    if (part.part == LibraryPart::task) outputs[part.text] = declared->declared_outputs();
  }
  for (const auto& edge : references.edges) {
    if (find_builtin_task(edge.uses) != nullptr) outputs[edge.uses].emplace();
    const auto declared = outputs.find(edge.uses);
    if (declared == outputs.end() || !declared->second) continue;
    if (auto fault = fault_of(edge, *declared->second)) report(edge, *fault);
  }
  std::stable_sort(diagnostics.begin(), diagnostics.end(),
                   [](const Diagnostic& left, const Diagnostic& right) {
                     return std::pair(left.line, left.column) < std::pair(right.line, right.column);
                   });
}

Result<void> load_used_libraries(const LibraryPlaces& places, const std::vector<std::string>& named,
                                 const std::vector<std::string>& parts, TaskLibraries& libraries) {
  for (const std::string& file : places.files) {
    if (auto loaded = libraries.load(file, places.folders); !loaded) return loaded;
  }
  std::set<std::string, std::less<>> needed;
  for (const std::string& part : parts) {
    if (const auto colon = part.find(':'); colon != std::string::npos) {
      needed.insert(part.substr(0, colon));
    }
  }
  for (const std::string& name : libraries.library_names()) needed.erase(name);
  for (const std::string& file : named) {
    if (!needed.contains(library_name(file))) continue;
    if (auto loaded = libraries.load(file, places.folders); !loaded) return loaded;
  }
  return {};
}

}  // namespace tempest::runtime
