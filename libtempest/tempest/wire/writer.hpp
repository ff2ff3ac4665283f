#pragma once

#include <cstddef>
#include <cstdint>
#include <string>
#include <string_view>

#include "tempest/base/ids.hpp"

namespace tempest::wire {

/// Appends msgpack to a frame, each value in its shortest form. For the codec only.
class Writer {
 public:
  explicit Writer(std::string& frame) : frame_(frame) {}

  /// The head of an array: `size` values follow.
  void array(std::size_t size);
  /// The head of a map: `size` pairs follow.
  void map(std::size_t size);
  void integer(std::uint64_t value);
  void number(double value);
  void boolean(bool value);
  void nil();
  /// Text, as str.
  void text(std::string_view value);
  /// Text, cut to this length at the end of a character.
  void text_cut(std::string_view value, std::size_t max_bytes);
  /// Opaque bytes, as bin.
  void bytes(std::string_view value);
  void incarnation(const Incarnation& value);

 private:
  std::string& frame_;
};

}  // namespace tempest::wire
