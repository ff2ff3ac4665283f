#include "tempest/runtime/command_line.hpp"

#include <algorithm>
#include <charconv>
#include <cstdlib>
// cxxopts cuts the text of a value that may come several times into pieces. At a NUL character,
// which no argument can hold, nothing is cut: a comma is a character like any other.
#define CXXOPTS_VECTOR_DELIMITER '\0'
#include <cxxopts.hpp>
#include <iostream>
#include <map>

#include "tempest/base/quantity.hpp"
#include "tempest/base/safe_text.hpp"
#include "tempest/base/spelling.hpp"
#include "tempest/runtime/exit_code.hpp"
#include "tempest/runtime/version.hpp"

namespace tempest::runtime {

namespace {

std::string environment_name(std::string_view flag) {
  std::string name = "TEMPEST_";
  for (const char c : flag) name.push_back(c == '-' ? '_' : static_cast<char>(std::toupper(c)));
  return name;
}

/// The parts between commas, without the empty ones.
std::vector<std::string> split_list(const std::string& text) {
  std::vector<std::string> parts;
  std::size_t begin = 0;
  while (begin <= text.size()) {
    const std::size_t end = std::min(text.find(',', begin), text.size());
    if (end > begin) parts.push_back(text.substr(begin, end - begin));
    begin = end + 1;
  }
  return parts;
}

/// "--tmeout" from cxxopts's complaint about it, or nothing.
std::string unknown_flag(int argc, const char* const* argv, const std::vector<std::string>& known) {
  for (int i = 1; i < argc; ++i) {
    std::string word = argv[i];
    if (word == "--") break;
    if (word.rfind("--", 0) != 0) continue;
    word = word.substr(2, word.find('=') - 2);
    if (std::find(known.begin(), known.end(), word) == known.end()) return word;
  }
  return {};
}

}  // namespace

struct CommandLine::Definition {
  enum class Kind { option, list, flag, positional, positional_list };
  struct Entry {
    Kind kind;
    std::string fallback;
    bool required = false;
    std::vector<std::string> values;
    bool given = false;
  };

  Definition(const std::string& program_name, const std::string& summary_text)
      : program(program_name), options(program_name, summary_text) {}

  std::string program;
  cxxopts::Options options;
  std::map<std::string, Entry, std::less<>> entries;
  std::vector<std::string> flags;
  std::vector<std::string> positionals;
  std::string positional_help;
  std::vector<std::pair<std::string, std::string>> examples;

  const Entry& at(std::string_view name) const {
    const auto found = entries.find(name);
    // Asking for what was not declared is a mistake in the program.
    if (found == entries.end()) std::abort();
    return found->second;
  }

  void print_help() const {
    std::cout << options.help();
    if (!examples.empty()) std::cout << "\nExamples:\n";
    for (const auto& [command, explanation] : examples) {
      std::cout << "  " << command << "\n      " << explanation << "\n";
    }
    std::cout << "\nEvery option can come from the environment too: --log-level from "
                 "TEMPEST_LOG_LEVEL, and so on.\n";
  }

  int complain(const std::string& message) const {
    std::cerr << program << ": " << safe_text(message) << "; see " << program << " --help\n";
    return kExitUsage;
  }

  /// Shares what has no flag out to the positionals. Returns an exit code if there is too much or
  /// too little.
  std::optional<int> take_arguments(const std::vector<std::string>& rest_of_line);

  void take(const cxxopts::ParseResult& parsed) {
    for (auto& [name, entry] : entries) {
      entry.given = parsed.count(name) > 0;
      if (entry.given) {
        if (entry.kind == Kind::flag) {
          entry.values = {parsed[name].as<bool>() ? "true" : "false"};
        } else {
          entry.values = parsed[name].as<std::vector<std::string>>();
        }
        continue;
      }
      const bool is_positional =
          entry.kind == Kind::positional || entry.kind == Kind::positional_list;
      const char* from_environment =
          is_positional ? nullptr : std::getenv(environment_name(name).c_str());
      entry.given = from_environment != nullptr;
      const std::string text = from_environment != nullptr ? from_environment : entry.fallback;
      if (entry.kind == Kind::list) {
        entry.values = split_list(text);
      } else if (!text.empty()) {
        entry.values = {text};
      }
    }
  }
};

CommandLine::Observer CommandLine::observer_ = nullptr;

CommandLine::CommandLine(std::string program, std::string summary)
    : definition_(std::make_unique<Definition>(program, summary)) {
  definition_->options.add_options()("h,help", "Show this help")("version", "Show the version");
  definition_->flags = {"help", "version"};
}

CommandLine::~CommandLine() = default;

CommandLine& CommandLine::option(std::string name, std::string value_name, std::string help,
                                 std::string fallback) {
  if (!fallback.empty()) help += " (default: " + fallback + ")";
  // As a list, so that the last of several given counts, as users expect.
  definition_->options.add_options()(name, help, cxxopts::value<std::vector<std::string>>(),
                                     value_name);
  definition_->flags.push_back(name);
  definition_->entries[name] = {Definition::Kind::option, std::move(fallback), false, {}, false};
  return *this;
}

CommandLine& CommandLine::list(std::string name, std::string value_name, std::string help,
                               std::string fallback) {
  help += fallback.empty() ? " (may be repeated)" : " (may be repeated; default: " + fallback + ")";
  definition_->options.add_options()(name, help, cxxopts::value<std::vector<std::string>>(),
                                     value_name);
  definition_->flags.push_back(name);
  definition_->entries[name] = {Definition::Kind::list, std::move(fallback), false, {}, false};
  return *this;
}

CommandLine& CommandLine::flag(std::string name, std::string help) {
  definition_->options.add_options()(name, help);
  definition_->flags.push_back(name);
  definition_->entries[name] = {Definition::Kind::flag, {}, false, {}, false};
  return *this;
}

CommandLine& CommandLine::positional(std::string name, std::string help, bool required, bool many) {
  definition_->options.add_options("Arguments")(name, help,
                                                cxxopts::value<std::vector<std::string>>());
  definition_->positionals.push_back(name);
  definition_->positional_help +=
      (required ? " " : " [") + name + (many ? "..." : "") + (required ? "" : "]");
  definition_->entries[name] = {
      many ? Definition::Kind::positional_list : Definition::Kind::positional,
      {},
      required,
      {},
      false};
  return *this;
}

CommandLine& CommandLine::example(std::string command, std::string explanation) {
  definition_->examples.emplace_back(std::move(command), std::move(explanation));
  return *this;
}

std::optional<int> CommandLine::parse(int argc, const char* const* argv) {
  Definition& definition = *definition_;
  definition.options.custom_help("[options]");
  definition.options.positional_help(
      definition.positional_help.empty() ? "" : definition.positional_help.substr(1));
  // cxxopts gives everything that has no flag to the last positional, so all but the first word go
  // there; they are shared out below.
  std::vector<std::string> rest_of_line;
  definition.options.add_options("Arguments")("arguments", "",
                                              cxxopts::value<std::vector<std::string>>());
  definition.options.parse_positional({"arguments"});
  try {
    const auto parsed = definition.options.parse(argc, argv);
    if (parsed.count("help") > 0) {
      definition.print_help();
      return kExitOk;
    }
    if (parsed.count("version") > 0) {
      std::cout << definition.program << " " << version() << "\n";
      return kExitOk;
    }
    definition.take(parsed);
    if (parsed.count("arguments") > 0) {
      rest_of_line = parsed["arguments"].as<std::vector<std::string>>();
    }
  } catch (const cxxopts::exceptions::exception& error) {
    const std::string flag = unknown_flag(argc, argv, definition.flags);
    if (flag.empty()) return definition.complain(error.what());
    const auto nearest = nearest_name(flag, definition.flags);
    return definition.complain("there is no option --" + flag +
                               (nearest ? "; did you mean --" + *nearest + "?" : ""));
  }

  if (auto fault = definition.take_arguments(rest_of_line)) return *fault;
  return observer_ != nullptr ? observer_(*this) : std::nullopt;
}

std::optional<int> CommandLine::Definition::take_arguments(
    const std::vector<std::string>& rest_of_line) {
  std::size_t next = 0;
  for (const std::string& name : positionals) {
    auto& entry = entries[name];
    const bool many = entry.kind == Definition::Kind::positional_list;
    while (next < rest_of_line.size() && (many || entry.values.empty())) {
      entry.values.push_back(rest_of_line[next++]);
    }
    entry.given = !entry.values.empty();
    if (entry.required && !entry.given) return complain("missing argument " + name);
  }
  if (next < rest_of_line.size()) {
    return complain("unexpected argument '" + rest_of_line[next] + "'");
  }
  return std::nullopt;
}

bool CommandLine::given(std::string_view name) const {
  return definition_->at(name).given;
}

std::string CommandLine::text(std::string_view name) const {
  const auto& values = definition_->at(name).values;
  return values.empty() ? std::string() : values.back();
}

std::vector<std::string> CommandLine::texts(std::string_view name) const {
  return definition_->at(name).values;
}

bool CommandLine::has_flag(std::string_view name) const {
  const std::string value = text(name);
  return !value.empty() && value != "false" && value != "0" && value != "no";
}

std::int64_t CommandLine::integer(std::string_view name, std::int64_t low, std::int64_t high) {
  const std::string value = text(name);
  std::int64_t number = 0;
  const char* last = value.data() + value.size();
  const auto [end, error] = std::from_chars(value.data(), last, number);
  if (error != std::errc() || end != last || number < low || number > high) {
    fail("--" + std::string(name) + " takes a whole number from " + std::to_string(low) + " to " +
         std::to_string(high) + ", not '" + value + "'");
    return low;
  }
  return number;
}

Duration CommandLine::duration(std::string_view name) {
  const std::string value = text(name);
  const auto parsed = parse_duration(value);
  if (!parsed) {
    fail("--" + std::string(name) + " takes a duration such as 250ms or 30s, not '" + value + "'");
  } else if (*parsed > kLongestDuration) {
    fail("--" + std::string(name) + " takes a duration of at most 365d, not '" + value + "'");
    return Duration::zero();
  }
  return parsed.value_or(Duration::zero());
}

std::vector<std::string> CommandLine::names() const {
  std::vector<std::string> names;
  for (const auto& [name, entry] : definition_->entries) {
    if (entry.kind != Definition::Kind::flag) names.push_back(name);
  }
  return names;
}

void CommandLine::fail(const std::string& message) {
  std::cerr << definition_->program << ": " << safe_text(message) << "\n";
  failed_ = true;
}

}  // namespace tempest::runtime
