#include "tempest/watch/sampler.hpp"

#include <algorithm>

namespace tempest::watch {
namespace {

/// Spreads numbers in a row: what is chosen of a flow that repeats itself must not depend on its
/// period.
std::uint64_t spread(std::uint64_t number) {
  number += 0x9e3779b97f4a7c15ULL;
  number = (number ^ (number >> 30)) * 0xbf58476d1ce4e5b9ULL;
  number = (number ^ (number >> 27)) * 0x94d049bb133111ebULL;
  return number ^ (number >> 31);
}

}  // namespace

Sampler::Sampler(const wire::Watch& watch)
    : text_(watch.text),
      every_(std::max<std::uint32_t>(watch.every, 1)),
      per_second_(std::max<std::uint32_t>(watch.per_second, 1)),
      tokens_(per_second_) {}

bool Sampler::begin(std::size_t count, TimePoint now) {
  seen_ += count;
  if (filled_at_ == kNever) filled_at_ = now;
  const double seconds = std::chrono::duration<double>(now - filled_at_).count();
  filled_at_ = now;
  tokens_ = std::min(tokens_ + seconds * per_second_, per_second_);
  scan_bytes_ = std::min(scan_bytes_ + seconds * kScannedBytesPerSecond, kScannedBytesPerSecond);
  return count > 0 && tokens_ >= 1;
}

bool Sampler::has_room(TimePoint now) const {
  if (filled_at_ == kNever) return true;
  return tokens_ + std::chrono::duration<double>(now - filled_at_).count() * per_second_ >= 1;
}

bool Sampler::takes(std::string_view key, std::string_view payload) {
  if (every_ > 1 && spread(considered_++) % every_ != 0) return false;
  if (tokens_ < 1) return false;
  if (!text_.empty()) {
    const auto bytes = static_cast<double>(key.size() + payload.size());
    if (scan_bytes_ < bytes) {
      ++passed_over_;
      return false;
    }
    scan_bytes_ -= bytes;
    if (payload.find(text_) == std::string_view::npos &&
        key.find(text_) == std::string_view::npos) {
      return false;
    }
  }
  tokens_ -= 1;
  return true;
}

}  // namespace tempest::watch
