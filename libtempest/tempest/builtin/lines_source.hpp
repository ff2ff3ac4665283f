#pragma once

#include <atomic>
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "tempest/base/limits.hpp"
#include "tempest/builtin/followed_files.hpp"
#include "tempest/builtin/line_reader.hpp"
#include "tempest/builtin/lines_checkpoint.hpp"
#include "tempest/builtin/unacked_lines.hpp"
#include "tempest/source.hpp"

namespace tempest::builtin {

/// The lines of a file, of a log that is rotated, of a pipe or of standard input. It composes: the
/// files (FollowedFiles), what turns their bytes into lines (LineReader), the lines that were given
/// out (UnackedLines), and where to begin at the next start (LinesCheckpoint).
class LinesSource : public Source {
 public:
  struct Options {
    std::string checkpoint = {};  ///< Empty: a restart begins at the start.
    /// At the end of the file wait for more; go on in the file that takes its place (a rotated
    /// log), or at the start of one that was cut.
    bool follow = false;
    std::size_t max_line_bytes = kMaxPayloadBytes;   ///< Longer ones are lost.
    Duration rotate_wait = std::chrono::seconds(5);  ///< FollowedFiles::Options.
    /// Lines too long are given, with a fault, for what fails is kept; else they are lost.
    bool gives_long_lines = false;
    std::string topology = {};  ///< Whose checkpoint it is.
  };

  /// "-" is standard input, which is left open.
  explicit LinesSource(std::string path) : LinesSource(std::move(path), Options()) {}
  LinesSource(std::string path, Options options);

  Result<void> open() override;
  Result<void> poll(std::size_t max_messages, Duration wait, SourceBatch& batch) override;
  void interrupt() override { is_interrupted_ = true; }
  void abandon() override { is_abandoned_ = true; }
  Result<void> ack(std::span<const SourceToken> tokens) override;
  /// An unfinished last line is no message yet: it does not count while more may be added to it.
  Result<bool> drained() override;
  Duration tend_interval() const override;
  Result<void> tend(SourceTended& done) override;
  std::vector<std::string> take_warnings() override;
  bool is_finite() const override { return !options_.follow; }
  bool gives_again() const override { return !is_stream_; }
  std::string describe(const SourceToken& token) const override;

 private:
  /// One poll's bounds.
  struct Poll {
    SourceBatch& batch;
    std::size_t first;  ///< How many messages the batch had.
    std::size_t max_messages;
    Duration wait;
    TimePoint begun_at;
    std::uint64_t read_bytes = 0;

    std::size_t taken() const { return batch.size() - first; }
  };
  enum class Filled {
    yes,    ///< There are more bytes, or another file.
    no,     ///< There is nothing now.
    ended,  ///< Nothing will ever come.
  };

  Result<void> open_stream();
  Result<void> open_files();
  /// Refuses a checkpoint that belongs to another source.
  Result<void> check_owner(const SavedLines& saved) const;
  Result<void> save();

  /// Moves whole lines from the reader to the batch.
  void take_lines(Poll& poll);
  void take(LineReader::Found found, const LineReader::Line& line, SourceBatch& batch);
  Result<void> read_into(Poll& poll);
  bool is_over(const Poll& poll) const;
  Result<Filled> fill(Poll& poll);
  Result<Filled> fill_from_stream(Poll& poll);
  /// As poll(2), but ends soon after an interruption.
  int wait_for_stream(Duration wait) const;
  Result<Filled> fill_from_files(Poll& poll);
  /// Ends the current file: what has no line break is a line, unless it was cut.
  void end_file(SourceBatch& batch);
  /// The reader's place becomes the current file's; put_down() before another is read.
  void note_place();
  void put_down();
  void pick_up();

  void take_long(const LineReader::Line& line, SourceBatch& batch);
  void add(std::string_view payload, std::string_view fault, const LineReader::Line& line,
           SourceBatch& batch);
  void warn(std::string text);
  std::string shown() const;

  std::string path_;
  Options options_;
  LinesCheckpoint checkpoint_;
  UnackedLines unacked_;
  FollowedFiles files_;
  LineReader reader_;
  FileDescriptor stream_;  ///< In place of files: standard input, a pipe.
  bool is_stream_ = false;
  bool is_open_ = false;
  bool save_failed_ = false;
  bool has_writer_ = true;  ///< Of a pipe.
  std::uint32_t stream_number_ = 0;
  std::uint64_t line_ = 0;  ///< The last line that was taken.
  std::size_t taken_bytes_ = 0;
  bool ended_ = false;
  std::uint64_t lost_ = 0;        ///< Not yet in a batch.
  std::optional<Error> failure_;  ///< Of a poll that had messages to give.
  std::atomic<bool> is_interrupted_{false};
  std::atomic<bool> is_abandoned_{false};
  std::vector<std::string> warnings_;
  std::uint64_t unsaid_ = 0;
};

}  // namespace tempest::builtin
