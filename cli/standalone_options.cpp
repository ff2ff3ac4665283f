#include "cli/standalone_options.hpp"

#include <algorithm>
#include <filesystem>

#include "tempest/runtime/usable_cpus.hpp"

namespace tempest::cli {

StandaloneOptions read_standalone_options(runtime::CommandLine& line, const std::string& file) {
  StandaloneOptions options;
  options.threads = line.text("threads").empty()
                        ? runtime::usable_cpus()
                        : static_cast<std::size_t>(line.integer("threads", 1, 1024));
  options.drain_timeout = line.duration("drain-timeout");
  options.libraries.files = line.texts("library");
  const std::string folder = std::filesystem::path(file).parent_path().string();
  options.libraries.folders.push_back(folder.empty() ? "." : folder);
  for (const std::string& entry : line.texts("library-path")) {
    options.libraries.folders.push_back(entry);
  }
  return options;
}

}  // namespace tempest::cli
