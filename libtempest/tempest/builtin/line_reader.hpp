#pragma once

#include <cstddef>
#include <cstdint>
#include <span>
#include <string>
#include <string_view>

namespace tempest::builtin {

/// Turns the bytes of one file into lines. Knows nothing of files: its owner puts bytes in as they
/// come (room(), added()) and takes lines out (next()). A line longer than the bound is reported
/// when it has grown too long, and its bytes are let go; the state of being within such a line
/// (is_skipping()) is a part of the place, so that its rest is never taken for a line.
class LineReader {
 public:
  enum class Found { nothing, line, too_long };

  struct Line {
    std::string_view text;     ///< Good until the next call. Of a line too long: its first bytes.
    std::uint64_t offset = 0;  ///< Of its first byte.
    std::string_view before;   ///< Up to kTailBytes bytes that stand before it.
  };

  explicit LineReader(std::size_t max_line_bytes) : max_line_bytes_(max_line_bytes) {}

  /// Begins anew at a place. `before` is the bytes of the file before it, as far as they matter.
  void start(std::uint64_t offset, bool skipping, std::string_view before);

  /// Returns room for the next `bytes` bytes of the file. added() must follow, and says how many
  /// came, be it none.
  std::span<char> room(std::size_t bytes);
  void added(std::size_t bytes);

  /// Takes the next whole line. Of a line that is too long, reports it once.
  Found next(Line& line);
  /// Takes what stands without a line break at the end of the file. If more is added after all, it
  /// belongs to that line, and is passed over as the rest of one that is too long.
  Found take_rest(Line& line);
  /// What is added from here on begins a line, whatever came before.
  void begin_line() { is_skipping_ = false; }

  /// The offset behind the last byte that was added.
  std::uint64_t end_offset() const { return end_offset_; }
  /// The place to begin at another time: of the first byte that was not taken.
  std::uint64_t offset() const { return end_offset_ - (buffer_.size() - begin_); }
  /// True if that place is within a line whose rest is to be passed over.
  bool is_skipping() const { return is_skipping_; }
  /// True if next() has something to report or to pass over.
  bool has_line() const;
  /// True if bytes without a line break are held.
  bool has_rest() const { return begin_ < buffer_.size(); }
  /// Up to kTailBytes bytes before offset(), and before end_offset().
  std::string_view before_offset() const { return before(begin_); }
  std::string_view before_end() const { return before(buffer_.size()); }

 private:
  std::string_view before(std::size_t index) const;

  std::size_t max_line_bytes_;
  std::string buffer_;       ///< Also holds some bytes before begin_.
  std::size_t begin_ = 0;    ///< The first byte that was not taken.
  std::size_t scanned_ = 0;  ///< There is no line break between begin_ and here.
  std::size_t room_begin_ = 0;
  std::uint64_t end_offset_ = 0;
  bool is_skipping_ = false;
};

}  // namespace tempest::builtin
