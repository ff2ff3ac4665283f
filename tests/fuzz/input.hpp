#pragma once

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <cstdio>
#include <cstdlib>
#include <string>
#include <string_view>

#include "tempest/wire/codec.hpp"

/// What all fuzzers share: the fuzzer's bytes taken piece by piece, and how a broken invariant ends
/// the run.
namespace tempest::fuzz {

/// The bytes of one execution. Once they are used up, every number is 0 and every piece empty.
class Input {
 public:
  Input(const std::uint8_t* data, std::size_t size)
      : at_(reinterpret_cast<const char*>(data)), end_(at_ + size) {}

  bool empty() const { return at_ == end_; }

  std::uint8_t byte() { return empty() ? std::uint8_t{0} : static_cast<std::uint8_t>(*at_++); }
  /// One of 0 ... count - 1.
  std::size_t choice(std::size_t count) { return byte() % count; }
  /// Little-endian.
  std::uint16_t word() {
    const unsigned low = byte();
    return static_cast<std::uint16_t>(low | static_cast<unsigned>(byte()) << 8U);
  }
  /// A piece with its length (a word) before it; what is left, if that is less.
  std::string_view piece() { return take(word()); }
  std::string_view rest() { return take(static_cast<std::size_t>(end_ - at_)); }

 private:
  std::string_view take(std::size_t size) {
    size = std::min(size, static_cast<std::size_t>(end_ - at_));
    const std::string_view taken(at_, size);
    at_ += size;
    return taken;
  }

  const char* at_;
  const char* end_;
};

/// Between the seeds of two Clients, so that no two draw the same HELLOs, whose places (below it)
/// are in the low halves of their incarnations.
inline constexpr std::uint64_t kSeedStep = 8;

/// A number as fuzzing likes them: small, or about as large as there are.
inline std::uint64_t number_from(Input& input) {
  const std::uint64_t byte = input.byte();
  return byte < 200 ? byte : UINT64_MAX - (byte - 200);
}

/// To be called once the world of an execution is set up: what that takes is the same each time and
/// no news, and looking through it would take libFuzzer longer than many an execution.
void forget_coverage();

/// Unlike assert(), in every build.
inline void require(bool holds, const char* what) {
  if (holds) return;
  std::fprintf(stderr, "broken invariant: %s\n", what);
  std::abort();
}

}  // namespace tempest::fuzz
