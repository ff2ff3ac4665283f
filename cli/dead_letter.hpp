#pragma once

#include <chrono>
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "tempest/base/result.hpp"

namespace tempest::cli {

using WallTime = std::chrono::system_clock::time_point;

/// Where a letter stands, so that it can be taken away.
struct LetterPlace {
  /// Of a stream: the entry's id. Of a file: letter_id() of the line, the same as long as the line
  /// is.
  std::string id;
  std::uint64_t offset = 0;  ///< Of a file: the line's first byte.
  std::uint64_t bytes = 0;   ///< Of a file: its length, without the newline.
};

/// A dead letter as it was found (docs/delivery.md says what stands in one).
struct StoredLetter {
  LetterPlace place;
  std::string text;  ///< The JSON, as it stands there.

  std::string topology;
  std::string version;
  std::string task;
  std::string kind;
  std::string reason;
  std::string worker;
  std::string source;
  std::string read_at;
  std::string failed_at;
  std::uint64_t attempts = 0;
  std::uint64_t delivery_attempts = 0;
  std::string key;
  std::string payload;
  std::string failing_payload;
  /// The source could make no message of it: the payload is only its beginning.
  bool unreadable = false;
  /// How often its message had been replayed, and of which letter the last time; 0: never.
  std::uint64_t replays = 0;
  std::string replayed_letter;

  /// Nothing if `failed_at` is not a time.
  std::optional<WallTime> failed_time() const;
};

/// 16 hexadecimal digits, made of the line.
std::string letter_id(std::string_view line);

/// Errors (`protocol`): no JSON, or no dead letter.
Result<StoredLetter> read_letter(LetterPlace place, std::string text);

/// What the next life of the letter's message carries, so that another death is recognised:
/// "LETTER COUNT".
std::string replay_mark(const StoredLetter& letter);

/// "2026-01-02T03:04:05.678Z", the fraction being optional.
std::optional<WallTime> parse_wall_time(const std::string& text);

/// The kinds of failure that a letter may have.
const std::vector<std::string>& letter_kinds();

/// Which letters are meant: those that fit everything that is set.
struct LetterFilter {
  std::string topology;
  std::string task;
  std::string kind;
  std::string text;  ///< Within the reason, the payload, the failing payload or the key.
  std::vector<std::string> ids;
  std::optional<WallTime> failed_before;
  std::optional<WallTime> failed_after;

  bool empty() const;
  bool matches(const StoredLetter& letter) const;
};

}  // namespace tempest::cli
