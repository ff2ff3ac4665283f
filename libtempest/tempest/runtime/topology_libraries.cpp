#include "tempest/runtime/topology_libraries.hpp"

#include <algorithm>
#include <filesystem>
#include <utility>

namespace tempest::runtime {

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
  bool all_loaded = true;
  for (const auto& library : references.libraries) {
    if (const auto loaded = libraries.load(library.text, folders); !loaded) {
      report(library, loaded.error());
      all_loaded = false;
    }
  }
  const std::vector<std::string> names = libraries.library_names();
  for (const auto& task : references.tasks) {
    // A task of a library that could not be loaded has no fault of its own.
    const std::string library = task.text.substr(0, task.text.find(':'));
    const bool is_there = std::find(names.begin(), names.end(), library) != names.end();
    if (!is_there && !all_loaded) continue;
    if (const auto found = libraries.check(task.text); !found) report(task, found.error());
  }
  std::stable_sort(diagnostics.begin(), diagnostics.end(),
                   [](const Diagnostic& left, const Diagnostic& right) {
                     return std::pair(left.line, left.column) < std::pair(right.line, right.column);
                   });
}

}  // namespace tempest::runtime
