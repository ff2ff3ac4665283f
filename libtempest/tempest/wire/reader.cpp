#include "tempest/wire/reader.hpp"

#include <array>
#include <bit>
#include <string>

#include "tempest/base/limits.hpp"
#include "tempest/base/utf8.hpp"

/// The formats: https://github.com/msgpack/msgpack/blob/master/spec.md#formats
namespace tempest::wire {

Reader::Reader(std::string_view bytes) : at_(bytes.data()), end_(bytes.data() + bytes.size()) {
  if (bytes.size() > kMaxFrameBytes) fail("the frame is longer than allowed");
}

void Reader::fail(const char* fault) {
  if (fault_ == nullptr) fault_ = fault;
  at_ = end_;
}

Result<void> Reader::result() const {
  if (fault_ == nullptr) return {};
  return Error{ErrorCode::protocol, fault_};
}

Result<void> Reader::finish() {
  if (remaining() > 0) fail("something is left over after the frame");
  return result();
}

std::uint8_t Reader::head() {
  if (at_ == end_) {
    fail("the frame is cut off");
    return 0xc1;  // Never used by msgpack: of no type.
  }
  return static_cast<std::uint8_t>(*at_++);
}

std::uint64_t Reader::fixed(std::size_t size) {
  if (remaining() < size) {
    fail("the frame is cut off");
    return 0;
  }
  std::uint64_t value = 0;
  for (std::size_t i = 0; i < size; ++i) value = value << 8 | static_cast<std::uint8_t>(at_[i]);
  at_ += size;
  return value;
}

std::string_view Reader::take(std::uint64_t size) {
  if (remaining() < size) {
    fail("the frame is cut off");
    return {};
  }
  const std::string_view taken(at_, size);
  at_ += size;
  return taken;
}

std::size_t Reader::count(std::uint64_t value, std::size_t maximum, std::size_t values_each) {
  if (value > maximum) {
    fail("more elements than allowed");
    return 0;
  }
  // A value takes a byte at the least.
  if (value * values_each > remaining()) {
    fail("the frame is cut off");
    return 0;
  }
  return value;
}

std::size_t Reader::any_array(std::size_t maximum) {
  const std::uint8_t type = head();
  if (type >= 0x90 && type <= 0x9f) return count(type & 0x0f, maximum, 1);
  if (type == 0xdc) return count(fixed(2), maximum, 1);
  if (type == 0xdd) return count(fixed(4), maximum, 1);
  fail("not an array where one must be");
  return 0;
}

std::size_t Reader::map(std::size_t maximum) {
  const std::uint8_t type = head();
  if (type >= 0x80 && type <= 0x8f) return count(type & 0x0f, maximum, 2);
  if (type == 0xde) return count(fixed(2), maximum, 2);
  if (type == 0xdf) return count(fixed(4), maximum, 2);
  fail("not a map where one must be");
  return 0;
}

std::uint64_t Reader::any_integer(std::uint64_t maximum) {
  const std::uint8_t type = head();
  std::uint64_t value = 0;
  if (type <= 0x7f) {
    value = type;
  } else if (type >= 0xcc && type <= 0xcf) {
    value = fixed(std::size_t{1} << (type - 0xcc));
  } else if (type >= 0xd0 && type <= 0xd3) {
    const std::size_t size = std::size_t{1} << (type - 0xd0);
    value = fixed(size);
    if (value >> (8 * size - 1) != 0) fail("a negative number where none may be");
  } else {
    fail("not an integer where one must be");
  }
  if (value > maximum) fail("a number is out of its range");
  return ok() ? value : 0;
}

double Reader::number() {
  if (at_ == end_) {
    fail("the frame is cut off");
    return 0;
  }
  const auto type = static_cast<std::uint8_t>(*at_);
  if (type == 0xcb) {
    ++at_;
    return std::bit_cast<double>(fixed(8));
  }
  if (type == 0xca) {
    ++at_;
    return std::bit_cast<float>(static_cast<std::uint32_t>(fixed(4)));
  }
  if (type >= 0xe0) {
    ++at_;
    return static_cast<std::int8_t>(type);
  }
  if (type >= 0xd0 && type <= 0xd3) {
    ++at_;
    const int bits = 8 << (type - 0xd0);
    // Moves the sign to where int64_t has it, and back.
    const std::uint64_t high = fixed(static_cast<std::size_t>(bits) / 8) << (64 - bits);
    return static_cast<double>(static_cast<std::int64_t>(high) >> (64 - bits));
  }
  return static_cast<double>(integer());
}

bool Reader::boolean() {
  const std::uint8_t type = head();
  if (type != 0xc2 && type != 0xc3) fail("not a truth value where one must be");
  return type == 0xc3;
}

std::string_view Reader::any_bytes(std::size_t maximum) {
  const std::uint8_t type = head();
  std::uint64_t size = 0;
  if (type >= 0xa0 && type <= 0xbf) {
    size = type & 0x1f;
  } else if (type == 0xc4 || type == 0xd9) {
    size = fixed(1);
  } else if (type == 0xc5 || type == 0xda) {
    size = fixed(2);
  } else if (type == 0xc6 || type == 0xdb) {
    size = fixed(4);
  } else {
    fail("neither text nor bytes where they must be");
  }
  if (size > maximum) fail("a text or payload is longer than allowed");
  return ok() ? take(size) : std::string_view{};
}

std::string_view Reader::name() {
  const std::string_view text = bytes(kMaxNameBytes);
  if (!is_name(text)) fail("a name that is not UTF-8, or has control characters");
  return ok() ? text : std::string_view();
}

Incarnation Reader::incarnation() {
  const std::string_view raw = bytes(16);
  if (raw.size() != 16) {
    fail("an incarnation is not of 16 bytes");
    return {};
  }
  Reader halves(raw);
  const std::uint64_t high = halves.fixed(8);
  return {high, halves.fixed(8)};
}

std::uint64_t Reader::skip_head() {
  const std::uint8_t type = head();
  if (type <= 0x7f || type >= 0xe0) return 0;
  if (type <= 0x8f) return 2 * std::uint64_t{type & 0x0fU};
  if (type <= 0x9f) return type & 0x0f;
  if (type <= 0xbf) {
    take(type & 0x1f);
    return 0;
  }
  switch (type) {
    case 0xc0:  // nil
    case 0xc2:  // false
    case 0xc3:  // true
      return 0;
    case 0xc4:  // bin and str
    case 0xd9:
      take(fixed(1));
      return 0;
    case 0xc5:
    case 0xda:
      take(fixed(2));
      return 0;
    case 0xc6:
    case 0xdb:
      take(fixed(4));
      return 0;
    case 0xc7:  // ext, with a byte for its type
      take(fixed(1) + 1);
      return 0;
    case 0xc8:
      take(fixed(2) + 1);
      return 0;
    case 0xc9:
      take(fixed(4) + 1);
      return 0;
    case 0xca:  // float
      take(4);
      return 0;
    case 0xcb:
      take(8);
      return 0;
    case 0xdc:
      return fixed(2);
    case 0xdd:
      return fixed(4);
    case 0xde:
      return 2 * fixed(2);
    case 0xdf:
      return 2 * fixed(4);
    default:
      break;
  }
  if (type >= 0xcc && type <= 0xd3) {  // integers
    take(std::uint64_t{1} << ((type - 0xcc) % 4));
  } else if (type >= 0xd4 && type <= 0xd8) {  // ext of fixed size
    take((std::uint64_t{1} << (type - 0xd4)) + 1);
  } else {
    fail("a byte that starts no value");
  }
  return 0;
}

void Reader::skip_values(std::size_t count) {
  // How many values are still to come at each level.
  std::array<std::uint64_t, kMaxDepth + 1> left{count};
  std::size_t depth = 0;
  while (ok()) {
    if (left[depth] == 0) {
      if (depth == 0) return;
      --depth;
      continue;
    }
    --left[depth];
    const std::uint64_t within = skip_head();
    if (within == 0) continue;
    if (depth == kMaxDepth) return fail("values are nested too deep");
    left[++depth] = within;
  }
}

}  // namespace tempest::wire
