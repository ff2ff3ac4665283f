#pragma once

#include <cstddef>
#include <cstdint>
#include <string_view>

#include "tempest/base/ids.hpp"
#include "tempest/base/result.hpp"
#include "tempest/wire/one_byte.hpp"

namespace tempest::wire {

/// Reads msgpack from bytes that nobody vouches for. For the codec only.
///
/// The first fault sticks: from then on every read gives zero or nothing, and finish() says what
/// it was. So a decoder reads straight on and asks once. Nothing is copied or allocated; views
/// point into the bytes. msgpack-c's own unpack makes an object tree in a zone first, throws, and
/// by default believes lengths of 4 G.
class Reader {
 public:
  /// How deep values may be nested that are skipped. (What is known is as deep as its decoder.)
  static constexpr std::size_t kMaxDepth = 8;

  /// Bytes beyond kMaxFrameBytes are a fault.
  explicit Reader(std::string_view bytes);

  bool ok() const { return fault_ == nullptr; }
  std::size_t remaining() const { return static_cast<std::size_t>(end_ - at_); }
  /// What has not been read yet.
  std::string_view rest() const { return {at_, remaining()}; }

  /// The number of values of an array. Never more than could follow, nor than `maximum`.
  std::size_t array(std::size_t maximum) {
    if (at_ != end_) {
      const std::size_t size = next() ^ one_byte::array(0);
      if (size < 16 && size <= maximum && size < remaining()) {
        ++at_;
        return size;
      }
    }
    return any_array(maximum);
  }
  /// The number of pairs of a map.
  std::size_t map(std::size_t maximum);
  /// The number of values of an array that is a record: at least those that every version has
  /// (said even on a fault, so that `record(n) - n` is always the number to skip).
  std::size_t record(std::size_t minimum) {
    // More than a few new fields a version does not add.
    constexpr std::size_t kMaxFields = 64;
    const std::size_t fields = array(kMaxFields);
    if (fields >= minimum) return fields;
    fail("fields are missing");
    return minimum;
  }

  std::uint64_t integer(std::uint64_t maximum = UINT64_MAX) {
    if (at_ != end_ && one_byte::holds(next()) && next() <= maximum)
      return static_cast<std::uint8_t>(*at_++);
    return any_integer(maximum);
  }
  /// Any number.
  double number();
  bool boolean();
  /// Takes a nil if that comes next.
  bool take_nil() {
    if (at_ == end_ || next() != one_byte::kNil) return false;
    ++at_;
    return true;
  }
  /// str or bin: writers in other languages do not all tell them apart.
  std::string_view bytes(std::size_t maximum) {
    if (remaining() >= 2 && next() == one_byte::kShortBytes) {
      const std::size_t size = static_cast<std::uint8_t>(at_[1]);
      if (size <= maximum && size <= remaining() - 2) {
        const std::string_view taken(at_ + 2, size);
        at_ += 2 + size;
        return taken;
      }
    }
    return any_bytes(maximum);
  }
  /// What names a node, a topology, a task or a label: is_name() holds (base/utf8.hpp).
  std::string_view name();
  Incarnation incarnation();
  /// The next bytes, to be looked at; null if so many are not left.
  const std::uint8_t* peek(std::size_t count) const {
    return remaining() < count ? nullptr : reinterpret_cast<const std::uint8_t*>(at_);
  }
  /// Takes so many bytes, which must be left.
  std::string_view pass(std::size_t count) {
    const std::string_view taken(at_, count);
    at_ += count;
    return taken;
  }
  /// Passes over that many values, whatever they are.
  void skip(std::size_t count) {
    if (count > 0) skip_values(count);
  }

  void fail(const char* fault);

  /// What went wrong, if anything did.
  Result<void> result() const;
  /// The same; anything left over is a fault.
  Result<void> finish();

 private:
  // The common forms are read in place above; these read any form, and find the fault if there is
  // one.
  std::size_t any_array(std::size_t maximum);
  std::uint64_t any_integer(std::uint64_t maximum);
  std::string_view any_bytes(std::size_t maximum);
  void skip_values(std::size_t count);

  /// The next byte, which must be there.
  std::uint8_t next() const { return static_cast<std::uint8_t>(*at_); }
  std::uint8_t head();
  /// A big-endian integer of that many bytes.
  std::uint64_t fixed(std::size_t size);
  std::string_view take(std::uint64_t size);
  std::size_t count(std::uint64_t value, std::size_t maximum, std::size_t values_each);
  /// Passes over one value but for those in it; their number.
  std::uint64_t skip_head();

  const char* at_;
  const char* end_;
  const char* fault_ = nullptr;
};

}  // namespace tempest::wire
