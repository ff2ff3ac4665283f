#pragma once

#include <cstddef>
#include <cstdint>
#include <string_view>

#include "tempest/base/ids.hpp"
#include "tempest/base/result.hpp"

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
  std::size_t array(std::size_t maximum);
  /// The number of pairs of a map.
  std::size_t map(std::size_t maximum);
  /// The number of values of an array that is a record: at least those that every version has
  /// (said even on a fault, so that `record(n) - n` is always the number to skip).
  std::size_t record(std::size_t minimum);

  std::uint64_t integer(std::uint64_t maximum = UINT64_MAX);
  /// Any number.
  double number();
  bool boolean();
  /// Takes a nil if that comes next.
  bool take_nil();
  /// str or bin: writers in other languages do not all tell them apart.
  std::string_view bytes(std::size_t maximum);
  Incarnation incarnation();
  /// Passes over that many values, whatever they are.
  void skip(std::size_t count);

  void fail(const char* fault);

  /// What went wrong, if anything did.
  Result<void> result() const;
  /// The same; anything left over is a fault.
  Result<void> finish();

 private:
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
