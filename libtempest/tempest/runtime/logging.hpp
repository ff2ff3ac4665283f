#pragma once

#include <cstdint>
#include <functional>
#include <map>
#include <string>
#include <string_view>

#include "tempest/base/result.hpp"
#include "tempest/base/time.hpp"
#include "tempest/link/node.hpp"

namespace tempest::runtime {

enum class LogFormat { text, json };

/// Sets up the process's log, on stderr; before any other thread writes to it. `level`: debug,
/// info, warning, error or off.
Result<void> start_logging(std::string_view level, std::string_view format);

/// Returns the format that start_logging() was given.
LogFormat log_format();

/// One node's log: its name stands in every line. Used by one thread.
class Log {
 public:
  explicit Log(std::string node) : node_(std::move(node)) {}

  /// Times are UTC, RFC 3339. Repeats of one line within five seconds are left out, and their
  /// number reported with the next that is written.
  void write(const link::Notice& notice);
  void info(std::string text) { write({link::Notice::Level::info, std::move(text), {}}); }
  void warning(std::string text) { write({link::Notice::Level::warning, std::move(text), {}}); }
  void error(std::string text) { write({link::Notice::Level::error, std::move(text), {}}); }

 private:
  struct Repeat {
    TimePoint written;
    std::uint64_t left_out = 0;
  };

  std::string node_;
  std::map<std::string, Repeat, std::less<>> repeats_;
};

}  // namespace tempest::runtime
