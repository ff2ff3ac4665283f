#include "tempest/builtin/unacked_lines.hpp"

namespace tempest::builtin {

void UnackedLines::add(std::uint64_t line, const Place& place) {
  if (entries_.empty()) first_line_ = line;
  // Numbers between that were given to no line count as acked.
  while (first_line_ + entries_.size() < line) entries_.push_back({{}, true});
  entries_.push_back({place, false});
  ++counts_[place.file];
}

void UnackedLines::acked(std::uint64_t line) {
  if (line < first_line_ || line - first_line_ >= entries_.size()) return;
  Entry& entry = entries_[line - first_line_];
  if (entry.is_acked) return;
  entry.is_acked = true;
  const auto count = counts_.find(entry.place.file);
  if (--count->second == 0) counts_.erase(count);
  drop_acked();
}

void UnackedLines::drop_acked() {
  while (!entries_.empty() && entries_.front().is_acked) {
    entries_.pop_front();
    ++first_line_;
  }
}

std::optional<UnackedLines::Place> UnackedLines::oldest_of(std::uint32_t file) const {
  if (!counts_.contains(file)) return std::nullopt;
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
