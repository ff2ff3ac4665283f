#pragma once

#include <string>
#include <string_view>

#include "tempest/base/result.hpp"
#include "tempest/link/node.hpp"

namespace tempest::runtime {

enum class LogFormat { text, json };

/// Sets up the process's log, on stderr. `level`: debug, info, warning, error or off.
Result<void> start_logging(std::string_view level, std::string_view format);

/// What is said in every line of this thread's loop from now on: the node's name.
class Log {
 public:
  explicit Log(std::string node) : node_(std::move(node)) {}

  /// Times are UTC, RFC 3339. Repeats of one text within five seconds are left out, and their
  /// number reported with the next that is written.
  void write(const link::Notice& notice);
  void info(std::string text) { write({link::Notice::Level::info, std::move(text), {}}); }
  void warning(std::string text) { write({link::Notice::Level::warning, std::move(text), {}}); }
  void error(std::string text) { write({link::Notice::Level::error, std::move(text), {}}); }

 private:
  std::string node_;
};

}  // namespace tempest::runtime
