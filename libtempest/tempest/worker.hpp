#pragma once

#include <initializer_list>

#include "tempest/task.hpp"

namespace tempest {

/// The whole of a worker program of one's own, with its tasks linked in:
///
///     #include "tempest/worker.hpp"
///     #include "count.hpp"                     // struct Count : tempest::Task { ... };
///     TEMPEST_TASKS(wordcount, Count)
///
///     int main(int argc, char** argv) {
///       return tempest::run_worker(argc, argv, {tempest_library_wordcount()});
///     }
///
/// Takes the options of tempest-task, and does what it does: where the topology says
/// `uses = "wordcount:Count"`, the linked-in library is used and no libwordcount.so is looked for.
/// Runs until SIGTERM or SIGINT and returns the exit code for main(); ends the process itself if a
/// task has not returned by then. Once in a process. Link with tempest::tempest, of
/// find_package(tempest COMPONENTS worker).
int run_worker(int argc, const char* const* argv,
               std::initializer_list<const TaskLibrary*> libraries);

}  // namespace tempest
