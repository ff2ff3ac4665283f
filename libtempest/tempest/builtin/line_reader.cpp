#include "tempest/builtin/line_reader.hpp"

#include <algorithm>
#include <utility>

#include "tempest/builtin/file_identity.hpp"

namespace tempest::builtin {

void LineReader::start(std::uint64_t offset, bool skipping, std::string_view before) {
  buffer_.assign(before);
  begin_ = scanned_ = buffer_.size();
  end_offset_ = offset;
  is_skipping_ = skipping;
}

std::span<char> LineReader::room(std::size_t bytes) {
  // To move what is left to the front costs something only where a line is longer than a read.
  const std::size_t spent = begin_ - std::min(begin_, kTailBytes);
  buffer_.erase(0, spent);
  begin_ -= spent;
  scanned_ -= spent;
  room_begin_ = buffer_.size();
  buffer_.resize(room_begin_ + bytes);
  return {buffer_.data() + room_begin_, bytes};
}

void LineReader::added(std::size_t bytes) {
  buffer_.resize(room_begin_ + bytes);
  end_offset_ += bytes;
}

LineReader::Found LineReader::next(Line& line) {
  while (true) {
    const std::size_t end = buffer_.find('\n', scanned_);
    if (end == std::string::npos) {
      scanned_ = buffer_.size();
      if (is_skipping_) {
        begin_ = scanned_;
        return Found::nothing;
      }
      if (scanned_ - begin_ <= max_line_bytes_) return Found::nothing;
      line = {std::string_view(buffer_).substr(begin_), offset(), before_offset()};
      begin_ = scanned_;
      is_skipping_ = true;
      return Found::too_long;
    }
    line = {std::string_view(buffer_).substr(begin_, end - begin_), offset(), before_offset()};
    begin_ = scanned_ = end + 1;
    if (is_skipping_) {
      is_skipping_ = false;  // It was reported when it grew too long.
      continue;
    }
    return line.text.size() > max_line_bytes_ ? Found::too_long : Found::line;
  }
}

bool LineReader::has_line() const {
  const bool is_too_long = !is_skipping_ && buffer_.size() - begin_ > max_line_bytes_;
  return is_too_long || buffer_.find('\n', scanned_) != std::string::npos;
}

LineReader::Found LineReader::take_rest(Line& line) {
  if (!has_rest()) return Found::nothing;
  line = {std::string_view(buffer_).substr(begin_), offset(), before_offset()};
  begin_ = scanned_ = buffer_.size();
  if (std::exchange(is_skipping_, true)) return Found::nothing;
  return line.text.size() > max_line_bytes_ ? Found::too_long : Found::line;
}

std::string_view LineReader::before(std::size_t index) const {
  const std::size_t count = std::min(index, kTailBytes);
  return std::string_view(buffer_).substr(index - count, count);
}

}  // namespace tempest::builtin
