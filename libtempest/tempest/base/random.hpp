#pragma once

#include <cstdint>

namespace tempest {

/// A seeded generator, the same everywhere: machines take their jitter and ids from one that their
/// shell (or the simulator) has seeded. splitmix64, Steele, Lea & Flood, "Fast splittable
/// pseudorandom number generators", OOPSLA 2014. Not for secrets.
class Random {
 public:
  explicit Random(std::uint64_t seed) : state_(seed) {}

  std::uint64_t next() {
    std::uint64_t z = (state_ += 0x9e3779b97f4a7c15ULL);
    z = (z ^ (z >> 30)) * 0xbf58476d1ce4e5b9ULL;
    z = (z ^ (z >> 27)) * 0x94d049bb133111ebULL;
    return z ^ (z >> 31);
  }

  /// Evenly from [0, bound), near enough for jitter and for choosing a peer. bound > 0.
  std::uint64_t below(std::uint64_t bound) { return next() % bound; }

  /// From [0, 1).
  double fraction() { return static_cast<double>(next() >> 11) * 0x1.0p-53; }

 private:
  std::uint64_t state_;
};

}  // namespace tempest
