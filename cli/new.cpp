#include <array>
#include <filesystem>
#include <fstream>
#include <iostream>
#include <string>
#include <string_view>
#include <system_error>
#include <utility>

#include "cli/commands.hpp"
#include "tempest/runtime/command_line.hpp"
#include "tempest/runtime/exit_code.hpp"

namespace tempest::cli {
namespace {

namespace fs = std::filesystem;

// In each, @NAME@ is the project's name: also its library's, so a C identifier.
constexpr const char* kTopology =
    R"(# What runs, and in which order: `tempest validate Topology.toml` checks it,
# `tempest run Topology.toml` runs it in one process.
name = "@NAME@"
# libraries = ["lib@NAME@.so"]    # for tasks of your own

[source]
type = "generator"    # or "lines", "redis_stream", "redis_list", or one of a library
count = 10
size = 20

[[task]]
name = "work"
uses = "identity"     # or "@NAME@:Shout", once the library is built

[[task]]
name = "out"
uses = "sink"
after = ["work"]
sink = { type = "lines", path = "-" }

[failure]
policy = "retry"
timeout = "30s"
max_attempts = 5
)";

constexpr const char* kCMakeLists = R"(cmake_minimum_required(VERSION 3.25)
project(@NAME@ LANGUAGES CXX)

set(CMAKE_CXX_STANDARD 20)
set(CMAKE_CXX_STANDARD_REQUIRED ON)

find_package(tempest REQUIRED)

# lib@NAME@.so, with the tasks that a topology uses as "@NAME@:Shout"
tempest_add_task_library(@NAME@ tasks.cpp)
)";

constexpr const char* kTasks = R"(#include <cctype>
#include <string>

#include "tempest/task.hpp"

/// Hands each message on in upper case.
class Shout : public tempest::Task {
 public:
  tempest::Result<void> handle(const tempest::Message& message,
                               tempest::Context& context) override {
    text_ = message.payload;
    for (char& c : text_) c = static_cast<char>(std::toupper(static_cast<unsigned char>(c)));
    context.emit(text_);
    return {};
  }

 private:
  std::string text_;  // A member, so that its memory is used again.
};

TEMPEST_TASKS(@NAME@, Shout)
)";

constexpr const char* kReadme = R"(# @NAME@

A Tempest topology. As it is, it needs no build:

    tempest run Topology.toml

To run the task in `tasks.cpp`, build its library,

    cmake -B build && cmake --build build

take the `#` from `libraries` in Topology.toml, make the task `uses = "@NAME@:Shout"`, and

    tempest run Topology.toml --library-path build
)";

constexpr std::array<std::pair<const char*, const char*>, 4> kFiles = {
    {{"Topology.toml", kTopology},
     {"CMakeLists.txt", kCMakeLists},
     {"tasks.cpp", kTasks},
     {"README.md", kReadme}}};

// The folder's name as a C identifier; nothing if not a letter of it can be used.
std::string project_name(const fs::path& folder) {
  std::string name;
  for (const char c : folder.filename().string()) {
    const bool is_letter = (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || c == '_';
    const bool is_digit = c >= '0' && c <= '9';
    if (is_digit && name.empty()) continue;
    name += is_letter || is_digit ? c : '_';
  }
  return name.find_first_not_of('_') == std::string::npos ? "" : name;
}

std::string filled_in(std::string text, const std::string& name) {
  constexpr std::string_view mark = "@NAME@";
  for (std::size_t at = 0; (at = text.find(mark, at)) != std::string::npos; at += name.size()) {
    text.replace(at, mark.size(), name);
  }
  return text;
}

/// As one word of a shell's command line, in quotes where it needs them.
std::string shell_word(const std::string& text) {
  constexpr std::string_view kPlain =
      "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789_-./+,:@%=";
  // What begins with a dash would be taken for an option.
  std::string word = text.starts_with('-') ? "./" + text : text;
  if (word.find_first_not_of(kPlain) == std::string::npos) return word;
  std::string quoted = "'";
  for (const char c : word) quoted += c == '\'' ? "'\\''" : std::string(1, c);
  return quoted + "'";
}

bool write_file(const fs::path& path, const std::string& text) {
  std::ofstream stream(path, std::ios::binary);
  stream << text;
  stream.close();
  return stream.good();
}

}  // namespace

int new_command(int argc, const char* const* argv) {
  runtime::CommandLine line("tempest new",
                            "Begins a project: a topology that runs, and a task to build.");
  line.positional("DIR", "The folder to make; nothing that is there is overwritten")
      .example("tempest new hello && tempest run hello/Topology.toml", "begin one, and run it");
  if (const auto exit = line.parse(argc, argv)) return *exit;

  std::error_code error;
  const fs::path folder = fs::absolute(line.text("DIR"), error).lexically_normal();
  // "hello/" is the folder hello.
  const fs::path named = folder.has_filename() ? folder : folder.parent_path();
  const std::string name = project_name(named);
  if (name.empty()) {
    line.fail("no name for a project can be made of '" + line.text("DIR") +
              "'; use letters, digits and '_'");
    return runtime::kExitUsage;
  }
  for (const auto& [file, text] : kFiles) {
    if (!fs::exists(fs::symlink_status(named / file, error))) continue;
    line.fail((named / file).string() + " is there already; give a new folder's name");
    return runtime::kExitInputOutput;
  }
  fs::create_directories(named, error);
  if (error) {
    line.fail("cannot make " + named.string() + ": " + error.message());
    return runtime::kExitInputOutput;
  }
  for (const auto& [file, text] : kFiles) {
    if (write_file(named / file, filled_in(text, name))) continue;
    line.fail("cannot write " + (named / file).string());
    return runtime::kExitInputOutput;
  }
  std::cout << "made " << named.string() << "; next:\n  tempest run "
            << shell_word((fs::path(line.text("DIR")) / "Topology.toml").string()) << "\n";
  return runtime::kExitOk;
}

}  // namespace tempest::cli
