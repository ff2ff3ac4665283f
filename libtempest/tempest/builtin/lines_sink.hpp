#pragma once

#include <memory>
#include <string>

#include "tempest/sink.hpp"

namespace tempest::builtin {

/// Appends payloads as lines to a file or to standard output. All of a process's sinks for one file
/// share its descriptor.
class LinesSink : public Sink {
 public:
  LinesSink(std::string path, bool append) : path_(std::move(path)), append_(append) {}

  Result<void> open() override;
  /// A full disk is `unavailable`, any other failure `io`.
  Result<void> write(std::span<const Message> messages) override;

 private:
  class File;

  std::string path_;
  bool append_;
  std::shared_ptr<File> file_;
  std::string buffer_;
};

}  // namespace tempest::builtin
