#pragma once

#include <cstdint>
#include <map>
#include <optional>
#include <string>

#include "tempest/base/result.hpp"

namespace tempest::builtin {

/// Which file it is, whatever it is called.
struct FileIdentity {
  std::uint64_t device = 0;
  std::uint64_t inode = 0;

  bool operator==(const FileIdentity&) const = default;
};

/// Where a line begins.
struct LinePlace {
  FileIdentity file;
  std::uint64_t offset = 0;
};

/// The place of the oldest line not yet acked, in a small file that is replaced whole. Lines may be
/// acked in any order.
class LinesCheckpoint {
 public:
  struct Saved {
    LinePlace place;
    std::uint64_t line = 0;  ///< The number of the line there.
  };

  /// Empty: there is none, and everything else does nothing.
  explicit LinesCheckpoint(std::string path) : path_(std::move(path)) {}

  bool exists() const { return !path_.empty(); }
  /// What was saved last; nothing if there is none yet. Errors: `io`, `configuration` (the file is
  /// something else).
  Result<std::optional<Saved>> load() const;

  void read(std::uint64_t line, const LinePlace& place);
  void acked(std::uint64_t line) { unacked_.erase(line); }
  /// `next` is where reading goes on: the place if everything is acked.
  Result<void> save(std::uint64_t next_line, const LinePlace& next);

 private:
  std::string path_;
  std::map<std::uint64_t, LinePlace> unacked_;
  std::string saved_text_;
};

}  // namespace tempest::builtin
