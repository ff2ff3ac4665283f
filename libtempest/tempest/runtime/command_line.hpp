#pragma once

#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "tempest/base/time.hpp"

namespace tempest::runtime {

/// The command line of one program or of one verb of `tempest`. A value comes from its flag, else
/// from the environment (TEMPEST_ and the flag in capitals: --log-level, TEMPEST_LOG_LEVEL), else
/// from the default. --help and --version are always there.
///
///     CommandLine line("tempest-broker", "Keeps the registry of live nodes.");
///     line.option("bind", "URL", "Where to listen", "tcp://127.0.0.1:5550")
///         .example("tempest-broker --bind tcp://*:5550", "listen on every address");
///     if (const auto exit = line.parse(argc, argv)) return *exit;
///     const std::string bind = line.text("bind");
class CommandLine {
 public:
  CommandLine(std::string program, std::string summary);
  ~CommandLine();
  CommandLine(const CommandLine&) = delete;
  CommandLine& operator=(const CommandLine&) = delete;

  /// An option with a value.
  CommandLine& option(std::string name, std::string value_name, std::string help,
                      std::string fallback = {});
  /// May be given several times. From the environment it is a list with commas; on the command line
  /// a comma is part of the value.
  CommandLine& list(std::string name, std::string value_name, std::string help,
                    std::string fallback = {});
  CommandLine& flag(std::string name, std::string help);
  /// Arguments without a flag, in order. `many` takes all that are left; only the last may.
  CommandLine& positional(std::string name, std::string help, bool required = true,
                          bool many = false);
  CommandLine& example(std::string command, std::string explanation);

  /// Nothing: go on. A number: end with it; help and version have been printed on stdout, or one
  /// line on stderr says what is wrong (with the nearest right name) and how to get help.
  std::optional<int> parse(int argc, const char* const* argv);

  /// True if it came from a flag or the environment.
  bool given(std::string_view name) const;
  std::string text(std::string_view name) const;
  std::vector<std::string> texts(std::string_view name) const;
  bool has_flag(std::string_view name) const;

  /// These complain as parse() does: on a wrong value they print one line and set failed().
  std::int64_t integer(std::string_view name, std::int64_t low, std::int64_t high);
  /// At most kLongestDuration, as in a topology's file.
  Duration duration(std::string_view name);
  bool failed() const { return failed_; }
  /// For a check of the caller's own: prints "program: message", and sets failed().
  void fail(const std::string& message);

  /// All that take a value, arguments too.
  std::vector<std::string> names() const;

  /// For tests of whole programs: sees each command line once it is parsed, and may end the program
  /// there with an exit code.
  using Observer = std::optional<int> (*)(const CommandLine&);
  static void observe(Observer observer) { observer_ = observer; }

 private:
  static Observer observer_;
  struct Definition;
  std::unique_ptr<Definition> definition_;
  bool failed_ = false;
};

}  // namespace tempest::runtime
