#include "tempest/builtin/rotation_names.hpp"

#include <algorithm>
#include <array>

namespace tempest::builtin {
namespace {

bool is_digit(char c) {
  return c >= '0' && c <= '9';
}

std::size_t digits_in(std::string_view text) {
  return static_cast<std::size_t>(std::count_if(text.begin(), text.end(), is_digit));
}

/// "1", "20261128", "2026-11-28T10", and what stands between the two parts of "1-20261128".
bool is_number_or_date(std::string_view text) {
  return digits_in(text) > 0 && text.find_first_not_of("0123456789-_.:TZ") == std::string::npos;
}

bool is_word_for_old(std::string_view text) {
  constexpr std::array<std::string_view, 9> kWords = {"old",  "bak",  "prev",    "previous", "last",
                                                      "save", "orig", "rotated", "backup"};
  while (!text.empty() && (is_digit(text.back()) || text.back() == '.')) text.remove_suffix(1);
  return std::find(kWords.begin(), kWords.end(), text) != kWords.end();
}

/// `text` begins with what separates it from the log's own name. A number after a dash may be
/// another log's; a date is none's.
bool marks_as_rotated(std::string_view text) {
  constexpr std::size_t kDigitsOfDate = 6;
  if (text.size() < 2) return false;
  const char separator = text.front();
  const std::string_view mark = text.substr(1);
  if (separator == '.') return is_number_or_date(mark) || is_word_for_old(mark);
  if (separator == '~') return digits_in(mark) + 1 >= mark.size();
  if (separator != '-' && separator != '_') return false;
  return is_word_for_old(mark) || (is_number_or_date(mark) && digits_in(mark) >= kDigitsOfDate);
}

}  // namespace

bool is_rotated_name(std::string_view base, std::string_view name) {
  if (base.empty() || name.size() <= base.size()) return false;
  if (name.starts_with(base) && marks_as_rotated(name.substr(base.size()))) return true;
  const std::size_t dot = base.rfind('.');
  if (dot == std::string_view::npos || dot == 0) return false;
  const std::string_view stem = base.substr(0, dot);
  const std::string_view extension = base.substr(dot);
  if (!name.starts_with(stem) || !name.ends_with(extension)) return false;
  const std::string_view between =
      name.substr(stem.size(), name.size() - stem.size() - extension.size());
  return between.size() > 1 && is_number_or_date(between.substr(1)) && marks_as_rotated(between);
}

std::string_view name_before_compression(std::string_view name) {
  constexpr std::array<std::string_view, 8> kEndings = {".gz",  ".xz",   ".zst", ".bz2",
                                                        ".lz4", ".lzma", ".zip", ".Z"};
  for (const std::string_view ending : kEndings) {
    if (name.size() > ending.size() && name.ends_with(ending)) {
      return name.substr(0, name.size() - ending.size());
    }
  }
  return {};
}

bool have_same_shape(std::string_view left, std::string_view right) {
  const auto skip_digits = [](std::string_view& text) {
    while (!text.empty() && is_digit(text.front())) text.remove_prefix(1);
  };
  while (!left.empty() && !right.empty()) {
    if (is_digit(left.front()) && is_digit(right.front())) {
      skip_digits(left);
      skip_digits(right);
    } else if (left.front() == right.front()) {
      left.remove_prefix(1);
      right.remove_prefix(1);
    } else {
      return false;
    }
  }
  return left.empty() && right.empty();
}

}  // namespace tempest::builtin
