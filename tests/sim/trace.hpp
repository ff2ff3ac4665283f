#pragma once

#include <cstdint>
#include <ostream>
#include <string>
#include <string_view>

#include "tempest/base/time.hpp"

namespace tempest::sim {

/// What happens, in order: always as a hash, so that two runs can be compared, and as lines of text
/// if somebody reads them.
class Trace {
 public:
  /// `lines`: null for the hash alone.
  explicit Trace(std::ostream* lines) : lines_(lines) {}

  void mix(std::uint64_t value) {
    hash_ = (hash_ ^ value) * 0x9e3779b97f4a7c15ULL;
    hash_ ^= hash_ >> 29;
  }
  std::uint64_t hash() const { return hash_; }

  bool has_lines() const { return lines_ != nullptr; }
  void line(TimePoint now, std::string_view where, std::string_view what);

 private:
  std::ostream* lines_;
  std::uint64_t hash_ = 0x1234567;
};

/// A frame of a link, for people.
std::string describe_frame(std::string_view frame);

}  // namespace tempest::sim
