#pragma once

#include <cstddef>
#include <cstdint>
#include <deque>
#include <optional>
#include <span>
#include <string>
#include <utility>
#include <vector>

#include "tempest/base/result.hpp"
#include "tempest/base/time.hpp"
#include "tempest/builtin/file_identity.hpp"
#include "tempest/builtin/lines_checkpoint.hpp"
#include "tempest/builtin/log_folder.hpp"
#include "tempest/builtin/unacked_lines.hpp"

namespace tempest::builtin {

/// One file of a log: the one at its path, or one that was put aside.
struct FollowedFile {
  std::uint32_t number = 0;  ///< Like no other's in this process, also if the file was cut.
  std::string path;          ///< Where it was seen last.
  FileIdentity identity;
  FileDescriptor file;  ///< Not open: it is not needed now, or it is gone.

  std::uint64_t offset = 0;            ///< Where reading goes on.
  bool skipping = false;               ///< That is within a line whose rest is passed over.
  std::optional<Fingerprint> content;  ///< Of `offset`.
  std::uint64_t read_to = 0;           ///< Up to here the bytes are in the reader's hands.
  std::string before_read_to;          ///< The last of them.
  std::string head;                    ///< The first bytes that were seen, up to kHeadBytes.

  std::uint64_t size = 0;  ///< As it was seen last, like what follows.
  std::int64_t modified_ns = 0;
  bool has_name = true;
  bool is_sizeless = false;  ///< As those in /proc: its size says nothing.
  TimePoint grew_at{};
  TimePoint put_aside_at = kNever;  ///< Since when another has its path.
  bool finished = false;            ///< It was read to its end, and another followed.
  bool spent = false;  ///< It was cut, and nothing more can be read but what the reader holds.
  bool gone = false;   ///< What was read of it cannot be read again.
};

/// The files of a log that is rotated, in the order of their lines: those that were put aside while
/// they were not yet read to their end, whatever they are called now, and the newest at the log's
/// path. Finds them, holds them open (so that a removal takes nothing away), sees what was cut, and
/// decides when reading goes from one to the next. Knows bytes and places; lines are the owner's.
///
/// A file that was cut ("copytruncate") is two files here: what it was (read on in its copy, if one
/// is found) and what it has become.
class FollowedFiles {
 public:
  struct Options {
    std::string path;
    bool follow = false;
    bool has_checkpoint = false;
    /// A file that was put aside is read until it was quiet for so long.
    Duration rotate_wait = std::chrono::seconds(5);
  };

  enum class Read {
    bytes,  ///< Some were read.
    end,    ///< There is no more now.
    cut,    ///< The file is not what it was; at_end() says what comes next.
  };
  enum class Step {
    wait,        ///< For more; there is nothing else to read.
    wait_aside,  ///< As above, but there are other files to be read after this one.
    more,        ///< Read on in this file.
    leave,       ///< This one is done: take what has no line break, then call leave().
    look_back,   ///< An older one has grown: call look_back().
    ended,       ///< All was read, and nothing more is to come.
  };

  /// `unacked` is what the owner has given out of these files, by their numbers.
  FollowedFiles(Options options, const UnackedLines& unacked)
      : options_(std::move(options)), folder_(options_.path), unacked_(unacked) {}

  /// Begins with the file at the path. Errors: `unavailable` (with follow: it is not there, or
  /// cannot be read now), `io`. May be called again after an error.
  Result<void> begin(TimePoint now);
  /// Begins where `saved` stands. Errors as above.
  Result<void> resume(const SavedLines& saved, TimePoint now);
  bool has_begun() const { return has_begun_; }

  /// The file being read. Its owner keeps its place true: offset to before_read_to; before leave()
  /// and look_back() read_to is offset.
  FollowedFile& current() { return files_[current_]; }
  /// Reads at read_to of the current file. What it returns follows what was read before.
  Result<Read> read(std::span<char> room, std::size_t& count, TimePoint now);
  /// At the end of the current file: what to do.
  Step at_end(TimePoint now);
  /// Goes to the next file.
  void leave();
  /// Goes back to an older file that at_end() has found to have grown.
  void look_back();
  /// Looks whether files were put aside, cut, or have grown. To be called also while nothing is
  /// read: what is seen is held open, and cannot be lost.
  void look(TimePoint now);

  /// Fills in the files, for a checkpoint.
  void save(SavedLines& saved) const;

  /// What is to be said, and how many lines were lost at least, since the last call.
  std::vector<std::string> take_warnings();
  std::uint64_t take_lost() { return std::exchange(lost_, 0); }

 private:
  using Files = std::vector<FoundFile>;

  // followed_files.cpp: reading.
  /// `is_next`: nothing that was put aside is still to come before the file at the path.
  Result<void> begin_at_path(bool is_next, TimePoint now);
  Error cannot_read(const std::string& why) const;
  FollowedFile& add(const std::string& path, FileDescriptor file, TimePoint now);
  void look_at_held(TimePoint now);
  /// Returns true if the file does not have any more what was seen of it. Keeps what is seen now.
  bool was_cut(FollowedFile& file, bool is_current, const FileStatus& status) const;
  void look_at_path(TimePoint now);
  void tell_trouble(const std::string& why, TimePoint now);
  void forget_finished(TimePoint now);
  /// Forgets the finished file that was written longest ago, if nothing unread can be as old.
  bool forget_oldest();
  std::optional<std::size_t> next_unfinished() const;
  std::optional<std::size_t> grown_finished(TimePoint now, bool& is_waiting) const;
  bool is_quiet(const FollowedFile& file, TimePoint now) const;
  std::size_t held() const;
  void erase(std::size_t index);
  SavedFile saved_form(const FollowedFile& file) const;
  void lose(std::uint64_t count, std::string text);
  void warn(std::string text);

  // followed_files_search.cpp: which file is which.
  void note_older_files();
  std::string obstacle_to(const SavedLines& saved, const Files& found) const;
  void restore(const SavedFile& saved, const Files& found, TimePoint now);
  void not_found(const SavedFile& saved, const Files& found);
  void count_compressed(const SavedLines& saved, const Files& found, bool one_is_counted);
  bool reopen(FollowedFile& file, const FoundFile& found, TimePoint now) const;
  const FoundFile* find_by_identity(const Files& found, const SavedFile& saved) const;
  const FoundFile* find_by_content(const Files& found, std::uint64_t offset,
                                   const Fingerprint& content) const;
  const FoundFile* find_by_start(const Files& found, const SavedFile& saved) const;
  bool is_held(const FileIdentity& identity) const;
  /// Adds what was put aside and never read. False: as much as may be held open, and there is more.
  bool add_unread(const Files& found, TimePoint now);
  bool is_known(const FoundFile& found, TimePoint now);
  void cut(std::size_t index, TimePoint now);
  void tell_cut(const std::string& path, const std::string& copy, std::uint64_t lost_bytes,
                bool was_growing);
  void insert_after(std::uint32_t number, FollowedFile file);
  bool go_on_in_copy(FollowedFile& file, std::uint64_t read_to, const Files& found, TimePoint now);
  /// Returns the last of them.
  std::string note_copies_of(const FollowedFile& file, std::uint64_t read_to, const Files& found);
  void note_as_read(const FoundFile& found);

  Options options_;
  LogFolder folder_;
  const UnackedLines& unacked_;
  std::deque<FollowedFile> files_;
  std::size_t current_ = 0;
  bool has_begun_ = false;
  std::uint32_t next_number_ = 1;
  std::int64_t horizon_ns_ = 0;  ///< As SavedLines.
  bool noted_older_ = false;
  std::size_t look_back_at_ = 0;
  std::string trouble_;  ///< Why the path cannot be read now.
  TimePoint trouble_since_{};
  bool trouble_told_ = false;
  std::vector<std::string> warnings_;
  std::uint64_t unsaid_ = 0;
  std::uint64_t lost_ = 0;
};

}  // namespace tempest::builtin
