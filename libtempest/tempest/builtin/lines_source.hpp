#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "tempest/base/limits.hpp"
#include "tempest/builtin/lines_checkpoint.hpp"
#include "tempest/source.hpp"

namespace tempest::builtin {

/// The lines of a file or of standard input.
class LinesSource : public Source {
 public:
  struct Options {
    std::string checkpoint;  ///< Empty: a restart begins at the start.
    /// At the end of the file wait for more; go on in the file that takes its place (a rotated
    /// log), or at the start of one that was cut.
    bool follow = false;
    std::size_t max_line_bytes = kMaxPayloadBytes;  ///< Longer ones are lost.
  };

  /// "-" is standard input, which is left open.
  explicit LinesSource(std::string path) : LinesSource(std::move(path), Options()) {}
  LinesSource(std::string path, Options options)
      : path_(std::move(path)), options_(std::move(options)), checkpoint_(options_.checkpoint) {}
  ~LinesSource() override;

  Result<void> open() override;
  Result<void> poll(std::size_t max_messages, Duration wait, SourceBatch& batch) override;
  Result<void> ack(std::span<const SourceToken> tokens) override;
  std::vector<std::string> take_warnings() override;
  bool is_finite() const override { return !options_.follow; }
  std::string describe(const SourceToken& token) const override;

 private:
  enum class Readable { yes, no, ended };

  /// Moves whole lines from the buffer to the batch.
  void take_lines(std::size_t max_messages, SourceBatch& batch);
  void take_rest(SourceBatch& batch);
  void add_line(std::string_view line, const LinePlace& place, SourceBatch& batch);
  void lose_line(SourceBatch& batch);
  Result<void> open_file(const std::string& path);
  /// Where the last life of this source has left off.
  Result<void> resume();
  /// Another name of the file in its folder; empty if there is none.
  std::string find_rotated(const FileIdentity& file) const;
  /// At the end of a followed file: true if there is another to go on with.
  Result<bool> go_on();
  LinePlace place() const { return {file_, file_offset_ - (buffer_.size() - begin_)}; }
  /// Reads once what is there, waiting for it no longer than `wait`.
  Result<Readable> fill(Duration wait);
  std::string shown() const;

  std::string path_;
  Options options_;
  LinesCheckpoint checkpoint_;
  int fd_ = -1;
  FileIdentity file_;
  bool in_rotated_file_ = false;   ///< Under another name: `path_` comes after it.
  std::uint64_t file_offset_ = 0;  ///< Of the end of the buffer.
  std::uint64_t line_ = 0;         ///< The last line that was taken.
  std::string buffer_;
  std::size_t begin_ = 0;    ///< The first byte that was not taken.
  std::size_t scanned_ = 0;  ///< Up to here there is no newline after begin_.
  std::size_t taken_bytes_ = 0;
  bool skipping_ = false;  ///< In a line that is too long.
  bool ended_ = false;
  std::vector<std::string> warnings_;
};

}  // namespace tempest::builtin
