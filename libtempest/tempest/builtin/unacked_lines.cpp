#include "tempest/builtin/unacked_lines.hpp"

namespace tempest::builtin {
namespace {

/// So many lines are looked up by their number at once.
constexpr std::size_t kMaxSpan = 65'536;

}  // namespace

void UnackedLines::add(std::uint64_t line, const Place& place) {
  if (entries_.empty()) first_line_ = line;
  // Numbers between that were given to no line count as acked.
  while (first_line_ + entries_.size() < line) entries_.push_back({{}, true});
  entries_.push_back({place, false});
  ++counts_[place.file];
  while (entries_.size() > kMaxSpan) {
    stragglers_.emplace(first_line_, entries_.front().place);
    entries_.pop_front();
    ++first_line_;
    drop_acked();
  }
}

void UnackedLines::acked(std::uint64_t line) {
  if (const auto straggler = stragglers_.find(line); straggler != stragglers_.end()) {
    count_acked(straggler->second.file);
    stragglers_.erase(straggler);
    return;
  }
  if (line < first_line_ || line - first_line_ >= entries_.size()) return;
  Entry& entry = entries_[line - first_line_];
  if (entry.is_acked) return;
  entry.is_acked = true;
  count_acked(entry.place.file);
  drop_acked();
}

void UnackedLines::count_acked(std::uint32_t file) {
  const auto count = counts_.find(file);
  if (--count->second == 0) counts_.erase(count);
}

void UnackedLines::drop_acked() {
  while (!entries_.empty() && entries_.front().is_acked) {
    entries_.pop_front();
    ++first_line_;
  }
}

std::optional<UnackedLines::Place> UnackedLines::oldest_of(std::uint32_t file) const {
  if (!counts_.contains(file)) return std::nullopt;
  for (const auto& [line, place] : stragglers_) {
    if (place.file == file) return place;
  }
  for (const Entry& entry : entries_) {
    if (!entry.is_acked && entry.place.file == file) return entry.place;
  }
  return std::nullopt;
}

std::uint64_t UnackedLines::count_of(std::uint32_t file) const {
  const auto count = counts_.find(file);
  return count == counts_.end() ? 0 : count->second;
}

}  // namespace tempest::builtin
