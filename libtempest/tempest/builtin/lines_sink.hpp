#pragma once

#include <string>

#include "tempest/builtin/record_file.hpp"
#include "tempest/sink.hpp"

namespace tempest::builtin {

/// Appends payloads as lines to a file or to standard output.
class LinesSink : public Sink {
 public:
  /// What becomes of a payload with a line break in it, which must not become two lines.
  enum class LineBreaks {
    refuse,  ///< The message fails.
    escape,  ///< In every payload, "\" is written as "\\", a line feed as "\n", a return as "\r".
  };

  LinesSink(std::string path, bool append, LineBreaks line_breaks = LineBreaks::refuse)
      : file_(std::move(path), append), line_breaks_(line_breaks) {}

  Result<void> open() override { return file_.open(); }
  /// What keeps it from writing is `unavailable`. A payload that would become two lines is `fail`,
  /// and nothing is written then.
  Result<void> write(std::span<const Message> messages) override;

 private:
  bool is_refused(const Message& message) const;
  void add_line(std::string_view payload);

  RecordFile file_;
  LineBreaks line_breaks_;
  std::string buffer_;
};

}  // namespace tempest::builtin
