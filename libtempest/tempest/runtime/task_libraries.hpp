#pragma once

#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "tempest/base/result.hpp"
#include "tempest/failure.hpp"
#include "tempest/sink.hpp"
#include "tempest/source.hpp"
#include "tempest/task.hpp"

namespace tempest::runtime {

/// What a library may offer.
enum class LibraryPart { task, source, sink, failure_handler };

const char* to_string(LibraryPart part);

/// The task libraries of a process: shared ones loaded from files, and those linked in. A library
/// is never unloaded, so tasks may outlive this. load() and add() are for one thread, before others
/// look; after that the const functions may be called from any.
class TaskLibraries {
 public:
  /// Loads the shared library made with TEMPEST_TASKS(<name>, ...). With a slash it is a path, as
  /// it stands or below an entry of `search_path`. Otherwise ("libwordcount.so", or "wordcount" for
  /// short) it is looked for in the entries of `search_path` in their order (the topology file's
  /// folder first, then what --library-path gave; an entry may be several with colons), then in
  /// ../lib/tempest and ../lib as seen from the program's folder, then in the current folder.
  /// Loading a library again is success. All errors are `configuration`, and say what was searched,
  /// or what to do.
  Result<void> load(std::string_view name_or_file, const std::vector<std::string>& search_path);

  /// One that is linked into the program: `add(tempest_library_wordcount())`.
  Result<void> add(const TaskLibrary* library);

  /// A new instance of "library:Name". An error (`configuration`) names the nearest right name, and
  /// what there is.
  Result<std::unique_ptr<Task>> create(std::string_view name) const;
  Result<std::unique_ptr<Source>> create_source(std::string_view name) const;
  Result<std::unique_ptr<Sink>> create_sink(std::string_view name) const;
  Result<std::unique_ptr<FailureHandler>> create_failure_handler(std::string_view name) const;

  /// Whether it would be found, for a check before anything runs; the same errors.
  Result<void> check(std::string_view name, LibraryPart part = LibraryPart::task) const;

  /// What "library:Name" says of itself, from an instance made for that. Errors (`configuration`)
  /// as create()'s, and if it throws.
  Result<Declarations> declarations(std::string_view name, LibraryPart part) const;

  std::vector<std::string> library_names() const;
  /// What there is of this kind, as "library:Name".
  std::vector<std::string> names(LibraryPart part) const;

 private:
  struct Loaded {
    const TaskLibrary* library;
    std::string path;  ///< Empty: linked in.
  };

  Result<void> load_file(const std::string& path);
  Result<void> take(const TaskLibrary* library, const std::string& path);
  Result<const LibraryEntry*> find(std::string_view name, LibraryPart part) const;
  Result<const LibraryEntry*> find_in(const TaskLibrary& library, std::string_view name,
                                      LibraryPart part) const;
  template <typename Base>
  Result<std::unique_ptr<Base>> make(std::string_view name, LibraryPart part,
                                     Base* (*LibraryEntry::*create)()) const;

  std::vector<Loaded> libraries_;
};

}  // namespace tempest::runtime
