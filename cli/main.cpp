#include <exception>
#include <iostream>
#include <string>
#include <string_view>
#include <vector>

#include "cli/commands.hpp"
#include "tempest/base/spelling.hpp"
#include "tempest/runtime/exit_code.hpp"
#include "tempest/runtime/version.hpp"

namespace {

using namespace tempest;

int version_command(int /*argc*/, const char* const* /*argv*/) {
  std::cout << "tempest " << runtime::version() << "\n";
  return runtime::kExitOk;
}

struct Verb {
  std::string name;
  std::string summary;
  int (*command)(int argc, const char* const* argv);
};

const std::vector<Verb>& verbs() {
  static const std::vector<Verb> table = {
      {"run", "Run a topology in this process", cli::run_command},
      {"up", "Run it as separate processes on this machine", cli::up_command},
      {"validate", "Check topology files", cli::validate_command},
      {"graph", "Draw a topology", cli::graph_command},
      {"test", "Run a topology's test cases", cli::test_command},
      {"new", "Begin a project of your own", cli::new_command},
      {"ls", "List topologies and nodes", cli::ls_command},
      {"stats", "Watch what all nodes do", cli::stats_command},
      {"dlq", "List, replay and remove dead letters", cli::dlq_command},
      {"bench", "Measure how fast this is, beside what the wires allow", cli::bench_command},
      {"healthcheck", "Check one node, for containers", cli::healthcheck_command},
      {"schema", "Print the JSON Schema of topology files", cli::schema_command},
      {"version", "Print the version", version_command},
  };
  return table;
}

void print_help() {
  std::cout << "Runs topologies, and looks after those that run.\n\n"
               "Usage:\n  tempest VERB [options] [arguments]\n\nVerbs:\n";
  for (const Verb& verb : verbs()) {
    std::cout << "  " << verb.name << std::string(12 - verb.name.size(), ' ') << verb.summary
              << "\n";
  }
  std::cout
      << "\nOptions:\n"
         "  -h, --help     Show this help; tempest VERB --help shows a verb's\n"
         "      --version  Show the version\n"
         "\nExamples:\n"
         "  tempest new hello && tempest run hello/Topology.toml\n"
         "      begin a project, and run it\n"
         "  tempest graph Topology.toml --format mermaid\n"
         "      draw a topology for a document\n"
         "\nExit codes: 0 done, 1 a check failed, 64 wrong usage, 69 something needed is "
         "unreachable,\n70 our fault, 74 reading or writing failed, 78 a topology is wrong.\n";
}

int refuse(const std::string& word) {
  std::vector<std::string> names;
  for (const Verb& verb : verbs()) names.push_back(verb.name);
  const auto nearest = nearest_name(word, names);
  std::cerr << "tempest: there is no verb '" << word << "'"
            << (nearest ? "; did you mean '" + *nearest + "'?" : std::string())
            << "; see tempest --help\n";
  return runtime::kExitUsage;
}

int run(int argc, const char* const* argv) {
  const std::string word = argc > 1 ? argv[1] : "";
  if (word.empty()) {
    std::cerr << "tempest: missing verb; see tempest --help\n";
    return runtime::kExitUsage;
  }
  if (word == "--help" || word == "-h" || word == "help") {
    print_help();
    return runtime::kExitOk;
  }
  if (word == "--version") return version_command(0, nullptr);
  for (const Verb& verb : verbs()) {
    if (verb.name == word) return verb.command(argc - 1, argv + 1);
  }
  return refuse(word);
}

}  // namespace

int main(int argc, char** argv) {
  try {
    return run(argc, argv);
  } catch (const std::exception& exception) {
    std::cerr << "tempest: " << exception.what() << "\n";
    return tempest::runtime::kExitInternal;
  }
}
