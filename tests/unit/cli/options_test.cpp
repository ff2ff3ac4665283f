#include <catch2/catch.hpp>
#include <functional>
#include <string>
#include <vector>

#include "broker/options.hpp"
#include "cli/commands.hpp"
#include "pipeline_node/options.hpp"
#include "source_node/options.hpp"
#include "stats_node/options.hpp"
#include "task_node/options.hpp"
#include "tempest/runtime/command_line.hpp"

using namespace tempest;
using Texts = std::vector<std::string>;

namespace {

using Main = std::function<int(int, const char* const*)>;

struct Program {
  std::string name;
  Main main;
  Texts words;  ///< Before the options: a verb's verb.
};

template <typename AddOptions>
Main node(AddOptions add_options) {
  return [add_options](int argc, const char* const* argv) {
    runtime::CommandLine line("node", "");
    add_options(line);
    return line.parse(argc, argv).value_or(-1);
  };
}

int pipeline(int argc, const char* const* argv) {
  int exit_code = -1;
  static_cast<void>(pipeline_node::parse_options(argc, argv, exit_code));
  return exit_code;
}

std::vector<Program> programs() {
  std::vector<Program> all = {
      {"tempest-broker", node(broker::add_options), {}},
      {"tempest-source", node(source_node::add_options), {}},
      {"tempest-pipeline", pipeline, {}},
      {"tempest-task", node(task_node::add_options), {}},
      {"tempest-stats", node(stats_node::add_options), {}},
      {"run", cli::run_command, {}},
      {"up", cli::up_command, {}},
      {"validate", cli::validate_command, {}},
      {"graph", cli::graph_command, {}},
      {"tasks", cli::tasks_command, {}},
      {"schema", cli::schema_command, {}},
      {"test", cli::test_command, {}},
      {"new", cli::new_command, {}},
      {"ls", cli::ls_command, {}},
      {"stats", cli::stats_command, {}},
      {"tap", cli::tap_command, {}},
      {"trace", cli::trace_command, {}},
      {"bench", cli::bench_command, {}},
      {"healthcheck", cli::healthcheck_command, {}},
  };
  for (const char* verb : {"ls", "show", "replay", "rm", "export"}) {
    all.push_back({std::string("dlq ") + verb, cli::dlq_command, {verb}});
  }
  return all;
}

constexpr int kSeen = 99;

/// What the last command line held, by name.
std::vector<std::pair<std::string, Texts>> seen;

std::optional<int> look(const runtime::CommandLine& line) {
  seen.clear();
  for (const std::string& name : line.names()) seen.emplace_back(name, line.texts(name));
  return kSeen;
}

/// Runs a program up to where its command line has been read. Returns whether that was understood.
bool understands(const Program& program, const Texts& words) {
  std::vector<const char*> argv{program.name.c_str()};
  for (const std::string& word : program.words) argv.push_back(word.c_str());
  for (const std::string& word : words) argv.push_back(word.c_str());
  seen.clear();
  return program.main(static_cast<int>(argv.size()), argv.data()) == kSeen;
}

struct Observed {
  Observed() { runtime::CommandLine::observe(look); }
  ~Observed() { runtime::CommandLine::observe(nullptr); }
};

}  // namespace

TEST_CASE("every option of every program takes its value as it stands") {
  const Observed observed;
  const std::string value = R"(a,b c="d" e='f',,)";
  for (const Program& program : programs()) {
    CAPTURE(program.name);
    // With an argument, if it wants or takes one.
    const bool plain = understands(program, {});
    const Texts arguments = plain ? Texts{} : Texts{"x"};
    REQUIRE((plain || understands(program, arguments)));
    const auto options = seen;
    for (const auto& [name, texts] : options) {
      if (!plain && texts == arguments) {
        CAPTURE(name);
        REQUIRE(understands(program, {value}));
        for (const auto& [other, now] : seen) {
          if (other == name) CHECK(now == Texts{value});
        }
        continue;
      }
      for (const bool joined : {false, true}) {
        CAPTURE(name, joined);
        Texts words = joined ? Texts{"--" + name + "=" + value} : Texts{"--" + name, value};
        words.insert(words.end(), arguments.begin(), arguments.end());
        REQUIRE(understands(program, words));
        for (const auto& [other, now] : seen) {
          if (other == name) CHECK(now == Texts{value});
        }
      }
    }
  }
}

TEST_CASE("an option that may be repeated keeps its values apart") {
  const Observed observed;
  const Program validate{"validate", cli::validate_command, {}};
  REQUIRE(understands(validate, {"--library", "a,b", "--library", "c", "one,two.toml", "three"}));
  for (const auto& [name, texts] : seen) {
    if (name == "library") CHECK(texts == Texts{"a,b", "c"});
    if (name == "FILE") CHECK(texts == Texts{"one,two.toml", "three"});
  }
}

TEST_CASE("a duration of the command line has the bound of a topology's") {
  for (const char* text : {"9223372036s", "366d"}) {
    runtime::CommandLine line("node", "");
    line.option("drain-timeout", "DURATION", "", "8s");
    const char* argv[] = {"node", "--drain-timeout", text};
    REQUIRE_FALSE(line.parse(3, argv));
    CHECK(line.duration("drain-timeout") == Duration::zero());
    CHECK(line.failed());
  }
  runtime::CommandLine line("node", "");
  line.option("drain-timeout", "DURATION", "", "8s");
  const char* argv[] = {"node", "--drain-timeout", "365d"};
  REQUIRE_FALSE(line.parse(3, argv));
  CHECK(line.duration("drain-timeout") == std::chrono::hours(24 * 365));
  CHECK_FALSE(line.failed());
}
