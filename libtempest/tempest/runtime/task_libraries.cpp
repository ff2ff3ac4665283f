#include "tempest/runtime/task_libraries.hpp"

#include <dlfcn.h>

#include <algorithm>
#include <exception>
#include <filesystem>
#include <optional>
#include <system_error>

#include "tempest/base/spelling.hpp"

namespace tempest::runtime {
namespace {

namespace fs = std::filesystem;

Error wrong(std::string message) {
  return Error{ErrorCode::configuration, std::move(message)};
}

std::string in_quotes(std::string_view text) {
  return "\"" + std::string(text) + "\"";
}

std::string joined(const std::vector<std::string>& names) {
  std::string text;
  for (const std::string& name : names) {
    if (!text.empty()) text += ", ";
    text += name;
  }
  return text;
}

std::string did_you_mean(std::string_view word, const std::vector<std::string>& candidates) {
  const auto nearest = nearest_name(word, candidates);
  return nearest ? " (did you mean " + in_quotes(*nearest) + "?)" : std::string{};
}

/// "wordcount" of "/x/libwordcount.so.2", or nothing.
std::optional<std::string> library_name(const std::string& path) {
  const std::string file = fs::path(path).filename().string();
  const std::size_t end = file.find(".so");
  if (!file.starts_with("lib") || end == std::string::npos || end <= 3) return std::nullopt;
  return file.substr(3, end - 3);
}

/// Where a library without a slash is looked for, and one with a slash that is not there as it
/// stands.
std::vector<fs::path> folders(const std::vector<std::string>& search_path) {
  std::vector<fs::path> result;
  for (const std::string& entry : search_path) {
    for (std::size_t begin = 0; begin <= entry.size();) {
      const std::size_t end = std::min(entry.find(':', begin), entry.size());
      if (end > begin) result.emplace_back(entry.substr(begin, end - begin));
      begin = end + 1;
    }
  }
  std::error_code ignored;
  const fs::path program = fs::read_symlink("/proc/self/exe", ignored);
  if (!program.empty()) {
    const fs::path prefix = program.parent_path().parent_path();
    result.push_back(prefix / "lib" / "tempest");
    result.push_back(prefix / "lib");
  }
  result.emplace_back(".");
  return result;
}

/// The library files of some folders, for the nearest name.
std::vector<std::string> library_files(const std::vector<fs::path>& places) {
  std::vector<std::string> files;
  for (const fs::path& place : places) {
    std::error_code error;
    for (fs::directory_iterator entry(place, error), end; !error && entry != end;
         entry.increment(error)) {
      const std::string file = entry->path().filename().string();
      if (library_name(file)) files.push_back(file);
    }
  }
  // A folder's order is the file system's.
  std::sort(files.begin(), files.end());
  return files;
}

bool is_file(const fs::path& path) {
  std::error_code ignored;
  return fs::exists(path, ignored) && !fs::is_directory(path, ignored);
}

}  // namespace

Result<void> TaskLibraries::load(std::string_view name_or_file,
                                 const std::vector<std::string>& search_path) {
  std::string file(name_or_file);
  if (file.empty()) return wrong("a task library's name is empty");
  const bool is_path = file.find('/') != std::string::npos;
  if (!is_path && file.find(".so") == std::string::npos) file = "lib" + file + ".so";
  if (is_path && is_file(file)) return load_file(file);

  std::vector<fs::path> places;
  if (!fs::path(file).is_absolute()) places = folders(search_path);
  std::vector<std::string> searched;
  if (is_path) searched.push_back(file);
  for (const fs::path& place : places) {
    const fs::path candidate = place / file;
    if (is_file(candidate)) return load_file(candidate.string());
    const std::string shown = candidate.lexically_normal().string();
    if (std::find(searched.begin(), searched.end(), shown) == searched.end()) {
      searched.push_back(shown);
    }
  }
  return wrong("cannot find the task library " + in_quotes(name_or_file) +
               did_you_mean(file, library_files(places)) + "; looked for " + joined(searched) +
               "; give its folder with --library-path");
}

Result<void> TaskLibraries::load_file(const std::string& path) {
  const auto name = library_name(path);
  if (!name) {
    return wrong("the task library " + in_quotes(path) +
                 " must be called lib<name>.so, with the name that its TEMPEST_TASKS gives");
  }
  // A bare file name would be looked for in the system's folders in place of the one just found.
  const std::string file = path.find('/') == std::string::npos ? "./" + path : path;
  void* handle = dlopen(file.c_str(), RTLD_NOW | RTLD_LOCAL);
  if (handle == nullptr) {
    const char* reason = dlerror();
    return wrong("cannot load the task library " + in_quotes(path) + ": " +
                 (reason != nullptr ? reason : "unknown reason"));
  }
  const std::string symbol = "tempest_library_" + *name;
  void* const address = dlsym(handle, symbol.c_str());
  if (address == nullptr) {
    return wrong(in_quotes(path) + " is not a task library: it lacks " + symbol +
                 ", which TEMPEST_TASKS(" + *name + ", ...) in its source gives it");
  }
  const auto describe = reinterpret_cast<const TaskLibrary* (*)()>(address);
  return take(describe(), path);
}

Result<void> TaskLibraries::add(const TaskLibrary* library) {
  return take(library, {});
}

Result<void> TaskLibraries::take(const TaskLibrary* library, const std::string& path) {
  const std::string shown = path.empty() ? "a linked-in task library" : in_quotes(path);
  if (library == nullptr) return wrong(shown + " describes no tasks");
  // Nothing but `abi` may be read of a library of another shape.
  if (library->abi != TaskLibrary::kAbi) {
    return wrong(shown + " was built for version " + std::to_string(library->abi) +
                 " of the task interface, and this program has version " +
                 std::to_string(TaskLibrary::kAbi) +
                 ": build the library again with the headers of this Tempest");
  }
  for (const Loaded& loaded : libraries_) {
    if (loaded.library == library) return {};
    if (std::string_view(loaded.library->name) == library->name) {
      return wrong("two task libraries are called " + in_quotes(library->name) + ": " +
                   (loaded.path.empty() ? "a linked-in one" : in_quotes(loaded.path)) + " and " +
                   shown);
    }
  }
  libraries_.push_back({library, path});
  return {};
}

Result<const TaskFactory*> TaskLibraries::find(std::string_view uses) const {
  const std::size_t colon = uses.find(':');
  if (colon == std::string_view::npos || colon == 0 || colon + 1 == uses.size()) {
    return wrong(in_quotes(uses) + " is not of the form \"library:Task\"");
  }
  const std::string_view library_part = uses.substr(0, colon);
  const std::string_view task_part = uses.substr(colon + 1);
  for (const Loaded& loaded : libraries_) {
    if (library_part != loaded.library->name) continue;
    for (std::size_t i = 0; i < loaded.library->factory_count; ++i) {
      if (task_part == loaded.library->factories[i].name) return &loaded.library->factories[i];
    }
    const std::vector<std::string> names = task_names(library_part);
    return wrong("the library " + in_quotes(library_part) + " has no task " + in_quotes(task_part) +
                 did_you_mean(uses, names) + "; it has " + joined(names));
  }
  const std::vector<std::string> names = library_names();
  return wrong("no library " + in_quotes(library_part) + " is loaded, for " + in_quotes(uses) +
               did_you_mean(library_part, names) + "; " +
               (names.empty() ? "none is: name it in `libraries`, or with --library"
                              : "there are " + joined(names)));
}

Result<std::unique_ptr<Task>> TaskLibraries::create(std::string_view uses) const {
  const auto factory = find(uses);
  if (!factory) return factory.error();
  try {
    return std::unique_ptr<Task>((*factory)->create());
  } catch (const std::exception& exception) {
    return wrong("the constructor of " + in_quotes(uses) + " threw: " + exception.what());
  } catch (...) {
    return wrong("the constructor of " + in_quotes(uses) + " threw something unknown");
  }
}

Result<void> TaskLibraries::check(std::string_view uses) const {
  const auto factory = find(uses);
  if (!factory) return factory.error();
  return {};
}

std::vector<std::string> TaskLibraries::library_names() const {
  std::vector<std::string> names;
  names.reserve(libraries_.size());
  for (const Loaded& loaded : libraries_) names.emplace_back(loaded.library->name);
  return names;
}

std::vector<std::string> TaskLibraries::task_names(std::string_view library) const {
  std::vector<std::string> names;
  for (const Loaded& loaded : libraries_) {
    if (!library.empty() && library != loaded.library->name) continue;
    for (std::size_t i = 0; i < loaded.library->factory_count; ++i) {
      names.push_back(std::string(loaded.library->name) + ":" + loaded.library->factories[i].name);
    }
  }
  return names;
}

}  // namespace tempest::runtime
