#pragma once

#include <cstdint>
#include <deque>
#include <map>
#include <string>
#include <vector>

#include "tempest/base/random.hpp"
#include "tempest/source.hpp"

namespace tempest::sim {

class Ledger;

/// A Redis with as much of streams as Tempest uses, in memory; it keeps what it has replied to, as
/// with an append-only file. simulated_redis.cpp also defines hiredis' functions, so that the real
/// client code (runtime/redis.cpp, builtin/redis_stream_*.cpp) speaks with the one that `current`
/// names.
class SimulatedRedis {
 public:
  using Command = std::vector<std::string>;
  struct Reply {
    enum class Kind : std::uint8_t { nil, integer, text, status, error, array };
    Kind kind = Kind::nil;
    std::int64_t integer = 0;
    std::string text;
    std::vector<Reply> elements;
  };

  SimulatedRedis(Ledger& ledger, std::uint64_t seed) : ledger_(ledger), random_(seed) {}

  /// The one that this thread's hiredis calls reach; null: none.
  static thread_local SimulatedRedis* current;
  /// False: the caller does not reach it now.
  static thread_local bool reachable;
  /// After so many more commands the caller is dead: it reaches nothing any more.
  static thread_local std::uint64_t commands_left;

  SourceToken add_entry(std::string payload, std::string key);

  /// A replica has got what there is now.
  void replicate();
  /// The replica takes the server's place: what came after it was replicated is gone.
  void fail_over();
  /// Deletes one in `share` of the entries that are pending.
  void trim_pending(std::uint64_t share);

  bool is_up = true;
  /// Of the server's process: a connection does not outlive it.
  std::uint64_t life = 1;
  double lost_reply = 0;
  double error_reply = 0;
  /// Nothing is added to the stream of dead letters.
  bool refuses_letters = false;

  Reply carry_out(const Command& command);
  Random& random() { return random_; }

  /// Pending in the group, whoever read it.
  std::vector<SourceToken> pending() const;
  bool all_read() const { return next_ == entries_.size() && has_group_; }
  bool has_new() const { return next_ < entries_.size(); }

 private:
  struct Entry {
    SourceToken id;
    std::string payload;
    std::string key;
    bool is_deleted = false;
  };
  /// By id: the entry's place, and whose it is.
  using Pending = std::map<SourceToken, std::pair<std::size_t, std::string>>;

  /// What a replica has. Entries themselves stay where they are.
  struct Replica {
    std::size_t entries = 0;
    std::size_t next = 0;
    bool has_group = false;
    Pending pending;
  };

  Reply read_group(const Command& command);
  Reply ack(const Command& command);
  Reply add(const Command& command);
  Reply run_steps(const Command& command);
  static Reply reply_of(const Entry& entry);

  Ledger& ledger_;
  Random random_;
  std::vector<Entry> entries_;
  bool has_group_ = false;
  std::size_t next_ = 0;  ///< The first entry that was given to nobody.
  Pending pending_;
  Replica replica_;
  std::uint64_t ids_given_ = 0;  ///< None is given twice, as they are made of the time.
  std::uint64_t added_ = 0;
};

}  // namespace tempest::sim
