#include "tempest/wire/writer.hpp"

#include <algorithm>
#include <array>
#include <bit>
#include <msgpack/pack.hpp>

namespace tempest::wire {
namespace {

using Packer = msgpack::packer<Writer>;

void write_big_endian(std::uint64_t value, char* to) {
  for (int i = 0; i < 8; ++i) to[i] = static_cast<char>(value >> (56 - 8 * i));
}

}  // namespace

void Writer::grow(std::size_t size) {
  const auto used = static_cast<std::size_t>(at_ - frame_.data());
  // Not resize(), which would write zeros over what is written anyway.
  frame_.resize_and_overwrite(std::max(used + size, 2 * used),
                              [](char*, std::size_t bytes) { return bytes; });
  at_ = frame_.data() + used;
  end_ = frame_.data() + frame_.size();
}

void Writer::map(std::size_t size) {
  Packer(*this).pack_map(static_cast<std::uint32_t>(size));
}

void Writer::long_array(std::size_t size) {
  Packer(*this).pack_array(static_cast<std::uint32_t>(size));
}

void Writer::long_integer(std::uint64_t value) {
  Packer(*this).pack_uint64(value);
}

void Writer::long_bytes(std::string_view value) {
  Packer(*this).pack_bin(static_cast<std::uint32_t>(value.size()));
  write(value.data(), value.size());
}

void Writer::number(double value) {
  // Not by msgpack-c: its pack_double() makes integers of whole numbers, and so would make the type
  // of a field depend on its value.
  std::array<char, 9> raw{'\xcb'};
  write_big_endian(std::bit_cast<std::uint64_t>(value), raw.data() + 1);
  write(raw.data(), raw.size());
}

void Writer::text(std::string_view value) {
  Packer(*this).pack_str(static_cast<std::uint32_t>(value.size()));
  write(value.data(), value.size());
}

void Writer::text_cut(std::string_view value, std::size_t max_bytes) {
  if (value.size() > max_bytes) {
    std::size_t end = max_bytes;
    // A byte of the form 10xxxxxx goes on with the character before it.
    while (end > 0 && (static_cast<unsigned char>(value[end]) & 0xc0) == 0x80) --end;
    value = value.substr(0, end);
  }
  text(value);
}

void Writer::incarnation(const Incarnation& value) {
  std::array<char, 16> raw;
  write_big_endian(value.high, raw.data());
  write_big_endian(value.low, raw.data() + 8);
  bytes({raw.data(), raw.size()});
}

}  // namespace tempest::wire
