#pragma once

#include <memory>
#include <optional>
#include <span>
#include <string>
#include <utility>
#include <vector>

#include "cli/dead_letter.hpp"
#include "cli/dead_letter_store.hpp"
#include "tempest/base/result.hpp"
#include "tempest/runtime/redis.hpp"
#include "tempest/topology.hpp"

namespace tempest::cli {

/// Where messages are put so that a source reads them again.
struct ReplayTarget {
  runtime::RedisAddress address;
  std::string key;
  bool is_list = false;   ///< A list takes the payload alone.
  std::string field;      ///< Of a stream. Empty: the payload is all fields (entry_json.hpp).
  std::string key_field;  ///< Empty: keys are left out.

  std::string shown() const;
};

/// Of a redis_stream or redis_list source. Errors: `configuration`.
Result<ReplayTarget> replay_target_of(const SourceDefinition& source);

/// What the entry of the letter's message holds: names and values in turn, and the mark
/// (replay_mark()) in the field `tempest_replayed`. Nothing: the payload is not what
/// builtin::append_entry_json() makes, where it should be, or not all of the message.
std::optional<std::vector<std::string>> entry_fields(const StoredLetter& letter,
                                                     const ReplayTarget& target);

/// Puts messages back, and removes their letters: in one script where both are in one Redis, else
/// a letter goes once Redis has confirmed its message.
class SourceReplay {
 public:
  /// `store` is open and outlives this.
  SourceReplay(LetterStore& store, ReplayTarget target);

  Result<void> open();
  Result<void> replay(std::span<const StoredLetter> letters);

  std::uint64_t replayed() const { return replayed_; }
  /// Letters whose payload does not fit the target, and that stay.
  std::uint64_t unfit() const { return unfit_; }

 private:
  bool is_one_redis() const;
  Result<void> send(const StoredLetter& letter, const std::vector<std::string>& fields);

  LetterStore& store_;
  LetterStream* stream_;
  ReplayTarget target_;
  std::unique_ptr<runtime::RedisConnection> own_connection_;
  std::uint64_t replayed_ = 0;
  std::uint64_t unfit_ = 0;
};

}  // namespace tempest::cli
