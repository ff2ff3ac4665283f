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
  static constexpr std::uint64_t kEndless = std::numeric_limits<std::uint64_t>::max();

  struct Options {
    std::uint64_t count = kEndless;
    std::size_t size_bytes = 100;
    double rate = 0;  ///< Messages per second; 0: no limit.
  };

  explicit GeneratorSource(Options options);

  Result<void> open() override;
  Result<void> poll(std::size_t max_messages, Duration wait, SourceBatch& batch) override;
  Result<void> ack(std::span<const SourceToken> tokens) override;
  bool is_finite() const override { return true; }
  Result<bool> drained() override { return next_ == options_.count; }
  std::vector<std::string> take_warnings() override;
  /// A new start gives all of a count again; one without end only looks as if it did.
  bool gives_again() const override { return options_.count != kEndless; }
  std::string describe(const SourceToken& token) const override;

 private:
  using Clock = std::chrono::steady_clock;

  /// Makes payload_ that of the next number.
  void count_up();
  /// How many of those that are wanted may go out now by the rate.
  std::uint64_t allowed(std::uint64_t wanted);

  Options options_;
  bool is_told_ = false;  ///< That it begins anew with each process.
  std::uint64_t next_ = 0;
  std::string payload_;     ///< Of the next message: its number, then dots.
  std::size_t digits_ = 1;  ///< Of that number.
  Clock::time_point next_due_;
};

}  // namespace tempest::builtin
