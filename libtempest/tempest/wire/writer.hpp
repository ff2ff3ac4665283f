#pragma once

#include <cstddef>
#include <cstdint>
#include <cstring>
#include <string>
#include <string_view>

#include "tempest/base/ids.hpp"
#include "tempest/wire/one_byte.hpp"

namespace tempest::wire {

/// Appends msgpack to a frame, each value in its shortest form. For the codec only. The frame is
/// good, and of its right size, once the writer is gone.
///
/// What small values need is inline, because millions of them are written a second; all else is
/// msgpack-c's.
class Writer {
 public:
  explicit Writer(std::string& frame)
      : frame_(frame), at_(frame.data() + frame.size()), end_(at_) {}
  ~Writer() { frame_.resize(static_cast<std::size_t>(at_ - frame_.data())); }
  Writer(const Writer&) = delete;
  Writer& operator=(const Writer&) = delete;

  /// Makes room at once for what will be written. Only a hint.
  void reserve(std::size_t bytes) { need(bytes); }

  /// The head of an array: `size` values follow.
  void array(std::size_t size) { size < 16 ? byte(one_byte::array(size)) : long_array(size); }
  /// The head of a map: `size` pairs follow.
  void map(std::size_t size);
  void integer(std::uint64_t value) { one_byte::holds(value) ? byte(value) : long_integer(value); }
  void number(double value);
  void boolean(bool value) { byte(value ? 0xc3 : 0xc2); }
  void nil() { byte(one_byte::kNil); }
  /// Text, as str.
  void text(std::string_view value);
  /// Text, cut to this length at the end of a character.
  void text_cut(std::string_view value, std::size_t max_bytes);
  /// Opaque bytes, as bin.
  void bytes(std::string_view value) { value.size() < 256 ? row(value) : long_bytes(value); }
  void incarnation(const Incarnation& value);
  /// Many one_byte values, and then these bytes (up to 255), in one step.
  template <typename... Values>
  void row(std::string_view last, Values... values) {
    need(sizeof...(values) + 2 + last.size());
    char* at = at_;
    ((*at++ = static_cast<char>(values)), ...);
    *at++ = static_cast<char>(one_byte::kShortBytes);
    *at++ = static_cast<char>(last.size());
    if (!last.empty()) std::memcpy(at, last.data(), last.size());
    at_ = at + last.size();
  }

  /// As they are. (Also what msgpack-c calls.)
  void write(const char* data, std::size_t size) {
    need(size);
    if (size > 0) std::memcpy(at_, data, size);
    at_ += size;
  }

 private:
  void byte(std::size_t value) {
    need(1);
    *at_++ = static_cast<char>(value);
  }
  void need(std::size_t size) {
    if (static_cast<std::size_t>(end_ - at_) < size) grow(size);
  }
  void grow(std::size_t size);
  void long_array(std::size_t size);
  void long_integer(std::uint64_t value);
  void long_bytes(std::string_view value);

  std::string& frame_;
  char* at_;   ///< Where the next byte goes.
  char* end_;  ///< Of the frame, which is longer than what has been written.
};

}  // namespace tempest::wire
