#include "tempest/wire/writer.hpp"

#include <array>
#include <bit>
#include <msgpack/pack.hpp>

namespace tempest::wire {
namespace {

/// What msgpack-c writes to.
struct FrameEnd {
  std::string& frame;
  void write(const char* data, std::size_t size) { frame.append(data, size); }
};

using Packer = msgpack::packer<FrameEnd>;

void write_big_endian(std::uint64_t value, char* to) {
  for (int i = 0; i < 8; ++i) to[i] = static_cast<char>(value >> (56 - 8 * i));
}

}  // namespace

void Writer::array(std::size_t size) {
  FrameEnd end{frame_};
  Packer(end).pack_array(static_cast<std::uint32_t>(size));
}

void Writer::map(std::size_t size) {
  FrameEnd end{frame_};
  Packer(end).pack_map(static_cast<std::uint32_t>(size));
}

void Writer::integer(std::uint64_t value) {
  FrameEnd end{frame_};
  Packer(end).pack_uint64(value);
}

void Writer::number(double value) {
  // Not by msgpack-c: its pack_double() makes integers of whole numbers, and so would make the type
  // of a field depend on its value.
  std::array<char, 9> raw{'\xcb'};
  write_big_endian(std::bit_cast<std::uint64_t>(value), raw.data() + 1);
  frame_.append(raw.data(), raw.size());
}

void Writer::boolean(bool value) {
  frame_.push_back(value ? '\xc3' : '\xc2');
}

void Writer::nil() {
  frame_.push_back('\xc0');
}

void Writer::text(std::string_view value) {
  FrameEnd end{frame_};
  Packer packer(end);
  packer.pack_str(static_cast<std::uint32_t>(value.size()));
  packer.pack_str_body(value.data(), static_cast<std::uint32_t>(value.size()));
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

void Writer::bytes(std::string_view value) {
  FrameEnd end{frame_};
  Packer packer(end);
  packer.pack_bin(static_cast<std::uint32_t>(value.size()));
  packer.pack_bin_body(value.data(), static_cast<std::uint32_t>(value.size()));
}

void Writer::incarnation(const Incarnation& value) {
  std::array<char, 16> raw;
  write_big_endian(value.high, raw.data());
  write_big_endian(value.low, raw.data() + 8);
  bytes({raw.data(), raw.size()});
}

}  // namespace tempest::wire
