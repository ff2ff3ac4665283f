#pragma once

#include <chrono>
#include <cstdint>
#include <limits>
#include <string>

#include "tempest/source.hpp"

namespace tempest::builtin {

/// Numbered messages from nowhere, for trials and measurements.
class GeneratorSource : public Source {
 public:
  struct Options {
    std::uint64_t count = std::numeric_limits<std::uint64_t>::max();
    std::size_t size_bytes = 100;
    double rate = 0;  ///< Messages per second; 0: no limit.
  };

  explicit GeneratorSource(Options options);

  Result<void> open() override;
  Result<void> poll(std::size_t max_messages, Duration wait, SourceBatch& batch) override;
  Result<void> ack(std::span<const SourceToken> tokens) override;
  bool is_finite() const override { return true; }
  std::string describe(const SourceToken& token) const override;

 private:
  using Clock = std::chrono::steady_clock;

  /// Makes payload_ that of the next number.
  void count_up();
  /// How many of those that are wanted may go out now by the rate.
  std::uint64_t allowed(std::uint64_t wanted);

  Options options_;
  std::uint64_t next_ = 0;
  std::string payload_;     ///< Of the next message: its number, then dots.
  std::size_t digits_ = 1;  ///< Of that number.
  Clock::time_point next_due_;
};

}  // namespace tempest::builtin
