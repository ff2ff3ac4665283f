#include "tempest/runtime/task_libraries.hpp"

#include <dlfcn.h>

#include <algorithm>
#include <exception>
#include <filesystem>
#include <optional>
#include <system_error>

#include "tempest/base/exception_text.hpp"
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

LibraryPart part_of(const LibraryEntry& entry) {
  if (entry.create_source != nullptr) return LibraryPart::source;
  if (entry.create_sink != nullptr) return LibraryPart::sink;
  if (entry.create_failure_handler != nullptr) return LibraryPart::failure_handler;
  return LibraryPart::task;
}

bool is(const LibraryEntry& entry, LibraryPart part) {
  return part_of(entry) == part;
}

std::string full_name(const TaskLibrary& library, const LibraryEntry& entry) {
  return std::string(library.name) + ":" + entry.name;
}

}  // namespace

const char* to_string(LibraryPart part) {
  switch (part) {
    case LibraryPart::source:
      return "source";
    case LibraryPart::sink:
      return "sink";
    case LibraryPart::failure_handler:
      return "failure handler";
    case LibraryPart::task:
      break;
  }
  return "task";
}

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
  if (library == nullptr) return wrong(shown + " describes nothing");
  // Nothing but `abi` may be read of a library of another shape.
  if (library->abi != TaskLibrary::kAbi) {
    return wrong(shown + " was built for version " + std::to_string(library->abi) +
                 " of the library interface, and this program has version " +
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

Result<const LibraryEntry*> TaskLibraries::find(std::string_view name, LibraryPart part) const {
  const std::size_t colon = name.find(':');
  if (colon == std::string_view::npos || colon == 0 || colon + 1 == name.size()) {
    return wrong(in_quotes(name) + " is not of the form \"library:Name\"");
  }
  const std::string_view library_part = name.substr(0, colon);
  for (const Loaded& loaded : libraries_) {
    if (library_part == loaded.library->name) return find_in(*loaded.library, name, part);
  }
  const std::vector<std::string> names = library_names();
  return wrong("no library " + in_quotes(library_part) + " is loaded, for " + in_quotes(name) +
               did_you_mean(library_part, names) + "; " +
               (names.empty() ? "none is: name it in `libraries`, or with --library"
                              : "there are " + joined(names)));
}

Result<const LibraryEntry*> TaskLibraries::find_in(const TaskLibrary& library,
                                                   std::string_view name, LibraryPart part) const {
  const std::string_view wanted = name.substr(name.find(':') + 1);
  std::vector<std::string> names;
  for (std::size_t i = 0; i < library.entry_count; ++i) {
    const LibraryEntry& entry = library.entries[i];
    const bool is_wanted = wanted == entry.name;
    if (is(entry, part)) {
      if (is_wanted) return &entry;
      names.push_back(full_name(library, entry));
    } else if (is_wanted) {
      return wrong(in_quotes(name) + " is a " + to_string(part_of(entry)) + ", and no " +
                   to_string(part));
    }
  }
  const std::string kind = to_string(part);
  return wrong("the library " + in_quotes(library.name) + " has no " + kind + " " +
               in_quotes(wanted) + did_you_mean(name, names) + "; it has " +
               (names.empty() ? "no " + kind + "s" : joined(names)));
}

template <typename Base>
Result<std::unique_ptr<Base>> TaskLibraries::make(std::string_view name, LibraryPart part,
                                                  Base* (*LibraryEntry::*create)()) const {
  const auto entry = find(name, part);
  if (!entry) return entry.error();
  try {
    std::unique_ptr<Base> made(((*entry)->*create)());
    if (made == nullptr) return wrong("the library made nothing of " + in_quotes(name));
    return made;
  } catch (const std::exception& exception) {
    return wrong("the constructor of " + in_quotes(name) + " threw: " + text_of(exception));
  } catch (...) {
    return wrong("the constructor of " + in_quotes(name) + " threw something unknown");
  }
}

Result<std::unique_ptr<Task>> TaskLibraries::create(std::string_view name) const {
  return make(name, LibraryPart::task, &LibraryEntry::create_task);
}

Result<std::unique_ptr<Source>> TaskLibraries::create_source(std::string_view name) const {
  return make(name, LibraryPart::source, &LibraryEntry::create_source);
}

Result<std::unique_ptr<Sink>> TaskLibraries::create_sink(std::string_view name) const {
  return make(name, LibraryPart::sink, &LibraryEntry::create_sink);
}

Result<std::unique_ptr<FailureHandler>> TaskLibraries::create_failure_handler(
    std::string_view name) const {
  return make(name, LibraryPart::failure_handler, &LibraryEntry::create_failure_handler);
}

Result<Declarations> TaskLibraries::declarations(std::string_view name, LibraryPart part) const {
  const auto declared_by = [&](const auto& made) -> Result<Declarations> {
    if (!made) return made.error();
    try {
      Declarations declarations;
      (*made)->declare(declarations);
      return declarations;
    } catch (const std::exception& exception) {
      return wrong("declare() of " + in_quotes(name) + " threw: " + text_of(exception));
    } catch (...) {
      return wrong("declare() of " + in_quotes(name) + " threw something unknown");
    }
  };
  switch (part) {
    case LibraryPart::source:
      return declared_by(create_source(name));
    case LibraryPart::sink:
      return declared_by(create_sink(name));
    case LibraryPart::failure_handler:
      return declared_by(create_failure_handler(name));
    case LibraryPart::task:
      break;
  }
  return declared_by(create(name));
}

Result<void> TaskLibraries::check(std::string_view name, LibraryPart part) const {
  const auto entry = find(name, part);
  if (!entry) return entry.error();
  return {};
}

std::vector<std::string> TaskLibraries::library_names() const {
  std::vector<std::string> names;
  names.reserve(libraries_.size());
  for (const Loaded& loaded : libraries_) names.emplace_back(loaded.library->name);
  return names;
}

std::vector<std::string> TaskLibraries::names(LibraryPart part) const {
  std::vector<std::string> names;
  for (const Loaded& loaded : libraries_) {
    for (std::size_t i = 0; i < loaded.library->entry_count; ++i) {
      const LibraryEntry& entry = loaded.library->entries[i];
      if (is(entry, part)) names.push_back(full_name(*loaded.library, entry));
    }
  }
  return names;
}

}  // namespace tempest::runtime
