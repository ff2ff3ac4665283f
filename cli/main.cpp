#include <cerrno>
#include <cstring>
#include <exception>
#include <iostream>
#include <string>
#include <vector>

#include "cli/commands.hpp"
#include "cli/verbs.hpp"
#include "tempest/base/exception_text.hpp"
#include "tempest/base/safe_text.hpp"
#include "tempest/runtime/exit_code.hpp"
#include "tempest/runtime/exit_guard.hpp"
#include "tempest/runtime/first_process.hpp"
#include "tempest/runtime/logging.hpp"
#include "tempest/runtime/process_guard.hpp"
#include "tempest/runtime/safe_output.hpp"
#include "tempest/runtime/version.hpp"

namespace {

using namespace tempest;

int version_command(int /*argc*/, const char* const* /*argv*/) {
  std::cout << "tempest " << runtime::version() << "\n";
  return runtime::kExitOk;
}

constexpr cli::Verb kVerbs[] = {
    {"run", "Run a topology in this process", cli::run_command},
    {"up", "Run it as separate processes on this machine", cli::up_command},
    {"validate", "Check topology files", cli::validate_command},
    {"graph", "Draw a topology", cli::graph_command},
    {"tasks", "List the tasks of a library, and what they take", cli::tasks_command},
    {"test", "Run a topology's test cases", cli::test_command},
    {"new", "Begin a project of your own", cli::new_command},
    {"ls", "List topologies and nodes", cli::ls_command},
    {"stats", "Watch what all nodes do", cli::stats_command},
    {"trace", "Follow messages through every hop", cli::trace_command},
    {"tap", "Show live messages at a task", cli::tap_command},
    {"dlq", "List, replay and remove dead letters", cli::dlq_command},
    {"bench", "Measure how fast this is, beside what the wires allow", cli::bench_command},
    {"healthcheck", "Check one node, for containers", cli::healthcheck_command},
    {"schema", "Print the JSON Schema of topology files", cli::schema_command},
    {"version", "Print the version", version_command},
};

void print_help() {
  std::cout << "Runs topologies, and looks after those that run.\n\n"
               "Usage:\n  tempest VERB [options] [arguments]\n\nVerbs:\n";
  cli::print_verbs(kVerbs);
  std::cout
      << "\nOptions:\n"
         "  -h, --help     Show this help; tempest VERB --help, or tempest help VERB,\n"
         "                 shows a verb's\n"
         "      --version  Show the version\n"
         "\nExamples:\n"
         "  tempest new hello && tempest run hello/Topology.toml\n"
         "      begin a project, and run it\n"
         "  tempest graph Topology.toml --format mermaid\n"
         "      draw a topology for a document\n"
         "\nExit codes: 0 done, 1 a check failed, 64 wrong usage, 69 something needed is "
         "unreachable,\n70 our fault, 74 reading or writing failed, 78 a topology is wrong.\n";
}

/// Does for "tempest help dlq ls" what "tempest dlq ls --help" does.
int help_command(int argc, const char* const* argv) {
  const std::string word = argv[2];
  const cli::Verb* verb = cli::find_verb(kVerbs, word);
  if (verb == nullptr) return cli::refuse_verb("tempest", kVerbs, word);
  std::vector<const char*> arguments(argv + 2, argv + argc);
  arguments.push_back("--help");
  return verb->command(static_cast<int>(arguments.size()), arguments.data());
}

/// Returns the exit code of a verb whose output may not all have been written. Who reads a pipe and
/// has had enough of it is no fault.
int checked_output(int exit_code) {
  const int error = runtime::flush_output();
  if (error == 0 || error == EPIPE) return exit_code;
  std::cerr << "tempest: cannot write to standard output: " << std::strerror(error) << "\n";
  return exit_code == runtime::kExitOk ? runtime::kExitInputOutput : exit_code;
}

int run(int argc, const char* const* argv) {
  const std::string word = argc > 1 ? argv[1] : "";
  if (word == "--help" || word == "-h" || (word == "help" && argc == 2)) {
    print_help();
    return runtime::kExitOk;
  }
  if (word == "help") return help_command(argc, argv);
  if (word == "--version") return version_command(0, nullptr);
  // For what verbs say by the way. One that runs nodes has options for it, and starts it anew.
  static_cast<void>(runtime::start_logging("warning", "text"));
  const cli::Verb* verb = cli::find_verb(kVerbs, word);
  if (verb == nullptr) return cli::refuse_verb("tempest", kVerbs, word);
  const std::string name = "tempest " + word;
  const runtime::ExitGuard guard(name.c_str());
  return verb->command(argc - 1, argv + 1);
}

}  // namespace

int main(int argc, char** argv) {
  tempest::runtime::guard_process();
  tempest::runtime::stand_behind_first_process();
  try {
    return checked_output(run(argc, argv));
  } catch (const std::exception& exception) {
    std::cerr << "tempest: " << safe_text(text_of(exception)) << "\n";
    return tempest::runtime::kExitInternal;
  }
}
