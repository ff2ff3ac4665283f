#pragma once

#include <optional>
#include <string>
#include <utility>
#include <vector>

/// How tasks, sources, sinks and failure handlers say what they take and what they give. Included
/// by task.hpp, source.hpp, sink.hpp and failure.hpp.
namespace tempest {

/// One key of a `config` table.
struct Setting {
  enum Type {
    text,
    integer,
    number,  ///< Whole or not.
    boolean,
    duration,  ///< "250ms", "30s", "5m".
    size,      ///< "64KiB", "1MiB", or a number of bytes.
    texts,     ///< A list of strings.
    table,     ///< A table, of whatever the class makes of it.
  };
  std::string name;
  Type type = text;
  /// As a file would write it, without quotes. Put in where the key is left out; empty: nothing is.
  std::string fallback;
  std::string help;
  bool required = false;
  std::vector<std::string> allowed = {};  ///< Of a text: the only values; empty: any.
};

/// One of a task's outputs that are emitted by name: `context.emit(message, "late")`.
struct TaskOutput {
  std::string name;
  std::string help;
};

/// Filled in by declare():
///
///     void declare(tempest::Declarations& about) const override {
///       about.summary("Counts the words of each window")
///           .setting("window", Setting::duration, "5m", "How long a window is open")
///           .required("words", Setting::text, "The file of words to count")
///           .output("late", "Messages that came after their window was closed");
///     }
///
/// What is declared is checked: a `config` table with another key, or a value of another type, is
/// refused, and so is an edge (`after = ["count:latee"]`) by an output that is not there. Fallbacks
/// are put in, so that open() and configure() find every key. A class that declares no setting
/// takes any table, and one that declares no output may emit any. Called on an instance that is not
/// open: by `tempest validate` and `tempest tasks` too, which use it for nothing else.
class Declarations {
 public:
  /// What the class does, in a line.
  Declarations& summary(std::string text) {
    summary_ = std::move(text);
    return *this;
  }

  Declarations& setting(std::string name, Setting::Type type, std::string fallback,
                        std::string help) {
    settings().push_back({std::move(name), type, std::move(fallback), std::move(help)});
    return *this;
  }
  /// One that may not be left out.
  Declarations& required(std::string name, Setting::Type type, std::string help) {
    settings().push_back({std::move(name), type, {}, std::move(help), true});
    return *this;
  }
  /// A text that is one of `allowed`; the first stands where it is left out.
  Declarations& choice(std::string name, std::vector<std::string> allowed, std::string help) {
    std::string first = allowed.empty() ? std::string() : allowed.front();
    settings().push_back({std::move(name), Setting::text, std::move(first), std::move(help), false,
                          std::move(allowed)});
    return *this;
  }
  /// It takes no `config` table at all, or an empty one.
  Declarations& no_settings() {
    settings();
    return *this;
  }

  Declarations& output(std::string name, std::string help) {
    outputs().push_back({std::move(name), std::move(help)});
    return *this;
  }
  /// It emits without a name only, or nothing.
  Declarations& no_outputs() {
    outputs();
    return *this;
  }

  const std::string& summary() const { return summary_; }
  /// Nothing: it was not said, and any may be there.
  const std::optional<std::vector<Setting>>& declared_settings() const { return settings_; }
  const std::optional<std::vector<TaskOutput>>& declared_outputs() const { return outputs_; }

 private:
  std::vector<Setting>& settings() {
    if (!settings_) settings_.emplace();
    return *settings_;
  }
  std::vector<TaskOutput>& outputs() {
    if (!outputs_) outputs_.emplace();
    return *outputs_;
  }

  std::string summary_;
  std::optional<std::vector<Setting>> settings_;
  std::optional<std::vector<TaskOutput>> outputs_;
};

}  // namespace tempest
