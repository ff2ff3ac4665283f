#pragma once

#include <cstddef>
#include <string>
#include <string_view>

/// Makes text from elsewhere fit to be shown: names, payloads and errors may hold what moves a
/// terminal's cursor, turns the direction of writing, or begins a line of a log.
namespace tempest {

/// Returns `text` as one line of UTF-8. Line breaks and tabs become "\n", "\r" and "\t"; other
/// controls (C0, DEL, C1), separators of lines, and what turns the direction of writing become
/// "\u001b", as in JSON, of which safe_text() makes JSON again; bytes that are no UTF-8 become
/// "\xff". Longer than `max_bytes` (0: any length), it is cut between characters and ends in "...".
std::string safe_text(std::string_view text, std::size_t max_bytes = 0);

/// The same for a stream of text that has lines: keeps line breaks and tabs, and takes the bytes as
/// they come, in pieces.
class SafeStream {
 public:
  /// Appends to `out` what `bytes` adds. The beginning of a character is kept until the rest comes.
  void append(std::string_view bytes, std::string& out);
  /// Appends the beginning of a character that never ended.
  void finish(std::string& out);

 private:
  std::string unfinished_;
};

}  // namespace tempest
