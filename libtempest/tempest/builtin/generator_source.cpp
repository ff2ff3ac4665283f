#include "tempest/builtin/generator_source.hpp"

#include <algorithm>
#include <utility>

#include "tempest/builtin/limits.hpp"

namespace tempest::builtin {

GeneratorSource::GeneratorSource(Options options)
    : options_(options), payload_(std::max<std::size_t>(1, options.size_bytes), '.') {
  payload_[0] = '0';
}

Result<void> GeneratorSource::open() {
  next_due_ = Clock::now();
  return {};
}

Result<void> GeneratorSource::poll(std::size_t max_messages, Duration /*wait*/,
                                   SourceBatch& batch) {
  const std::uint64_t by_size =
      std::max<std::uint64_t>(1, kPollTargetBytes / std::max<std::size_t>(1, options_.size_bytes));
  const std::uint64_t wanted =
      std::min({std::uint64_t{max_messages}, by_size, options_.count - next_});
  const std::uint64_t end = next_ + allowed(wanted);
  batch.reserve(end - next_);
  for (; next_ < end; ++next_) {
    batch.add({.payload = payload_, .token = {0, next_}});
    count_up();
  }
  batch.ended = next_ == options_.count;
  if (options_.rate > 0) {
    batch.quiet_for = std::max<Duration>(next_due_ - Clock::now(), Duration::zero());
  }
  return {};
}

void GeneratorSource::count_up() {
  std::size_t place = digits_;
  while (place > 0 && payload_[place - 1] == '9') payload_[--place] = '0';
  if (place > 0) {
    ++payload_[place - 1];
    return;
  }
  // All were nines: one more digit, the first of which is a one.
  if (digits_ == payload_.size()) payload_.push_back('.');
  payload_[digits_++] = '0';
  payload_[0] = '1';
}

std::uint64_t GeneratorSource::allowed(std::uint64_t wanted) {
  if (options_.rate <= 0 || wanted == 0) return wanted;
  const std::chrono::duration<double> interval(1.0 / options_.rate);
  const Clock::time_point now = Clock::now();
  if (next_due_ > now) return 0;
  // What could not be taken is made up for, but never more than a second's worth at once.
  next_due_ = std::max(next_due_, now - std::chrono::seconds(1));
  const std::chrono::duration<double> behind = now - next_due_;
  const auto due = 1 + static_cast<std::uint64_t>(behind / interval);
  const std::uint64_t granted = std::min(wanted, due);
  next_due_ += std::chrono::duration_cast<Clock::duration>(interval * static_cast<double>(granted));
  return granted;
}

Result<void> GeneratorSource::ack(std::span<const SourceToken> /*tokens*/) {
  return {};
}

std::vector<std::string> GeneratorSource::take_warnings() {
  if (gives_again() || std::exchange(is_told_, true)) return {};
  return {
      "a generator without a count begins again at 0 with each process: what this source has made "
      "and is not yet done is lost if its process dies"};
}

std::string GeneratorSource::describe(const SourceToken& token) const {
  return "message " + std::to_string(token.low);
}

}  // namespace tempest::builtin
