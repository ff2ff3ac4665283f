#include "cli/progress.hpp"

#include <cstdio>

#include "tempest/runtime/clock.hpp"

namespace tempest::cli {

std::string grouped(std::uint64_t number) {
  std::string digits = std::to_string(number);
  for (std::size_t left = digits.size(); left > 3;) {
    left -= 3;
    digits.insert(left, 1, ',');
  }
  return digits;
}

void ProgressLine::show(const source_node::SourceSummary& summary) {
  if (!wanted_) return;
  const TimePoint now = runtime::monotonic_now();
  const std::uint64_t acked = summary.numbers.acked;
  if (shown_) {
    const double seconds = std::chrono::duration<double>(now - last_at_).count();
    const double current = seconds > 0 ? static_cast<double>(acked - last_acked_) / seconds : 0;
    rate_ = rate_ == 0 ? current : 0.7 * rate_ + 0.3 * current;
  }
  last_acked_ = acked;
  last_at_ = now;
  shown_ = true;
  std::fprintf(stderr, "\r\x1b[Kread %s  acked %s  in flight %s  failed %s  %s/s",
               grouped(summary.numbers.read).c_str(), grouped(acked).c_str(),
               grouped(summary.numbers.pending).c_str(), grouped(summary.numbers.failed).c_str(),
               grouped(static_cast<std::uint64_t>(rate_)).c_str());
  std::fflush(stderr);
}

void ProgressLine::clear() {
  if (shown_) std::fputs("\r\x1b[K", stderr);
}

}  // namespace tempest::cli
