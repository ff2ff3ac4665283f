#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "tempest/source.hpp"

namespace tempest::builtin {

/// The lines of a file or of standard input.
class LinesSource : public Source {
 public:
  /// "-" is standard input, which is left open.
  explicit LinesSource(std::string path) : path_(std::move(path)) {}
  ~LinesSource() override;

  Result<void> open() override;
  Result<void> poll(std::size_t max_messages, Duration wait, SourceBatch& batch) override;
  Result<void> ack(std::span<const SourceToken> tokens) override;
  std::vector<std::string> take_warnings() override;
  bool is_finite() const override { return true; }
  std::string describe(const SourceToken& token) const override;

 private:
  enum class Readable { yes, no, ended };

  /// Moves whole lines from the buffer to the batch.
  void take_lines(std::size_t max_messages, SourceBatch& batch);
  void take_rest(SourceBatch& batch);
  void add_line(std::string_view line, SourceBatch& batch);
  void lose_line(SourceBatch& batch);
  /// Reads once what is there, waiting for it no longer than `wait`.
  Result<Readable> fill(Duration wait);
  std::string shown() const;

  std::string path_;
  int fd_ = -1;
  std::uint64_t line_ = 0;  ///< The last line that was taken.
  std::string buffer_;
  std::size_t begin_ = 0;    ///< The first byte that was not taken.
  std::size_t scanned_ = 0;  ///< Up to here there is no newline after begin_.
  std::size_t taken_bytes_ = 0;
  bool skipping_ = false;  ///< In a line that is too long.
  bool ended_ = false;
  std::vector<std::string> warnings_;
};

}  // namespace tempest::builtin
