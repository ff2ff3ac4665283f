#pragma once

#include <cstddef>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "tempest/base/result.hpp"
#include "tempest/base/time.hpp"
#include "tempest/runtime/redis.hpp"

namespace tempest::builtin {

/// XREADGROUP: at once, or sent ahead, so that Redis looks for the next entries while the last ones
/// are at work here.
class RedisStreamReader {
 public:
  struct Options {
    std::string key;
    std::string group;
    std::string consumer;
    bool acks = true;        ///< False: what is read is never pending.
    Duration longest_block;  ///< No reply may take near the connection's timeout.
  };

  RedisStreamReader(Options options, runtime::RedisConnection& connection)
      : options_(std::move(options)), connection_(connection) {}

  /// A reply whose entries are value()[0][1], each of an id and fields (nil if it was deleted);
  /// nothing if there were none. `not_found`: the stream or its group is gone.
  Result<std::optional<runtime::RedisReply>> read(std::string_view from, std::size_t count,
                                                  Duration wait);

  /// Sends a read of new entries, and does not wait for its reply. No other may be out.
  Result<void> ask_ahead(std::size_t count);
  bool is_out() const { return connection_.has_deferred(); }
  /// The reply to ask_ahead(), as of read().
  Result<std::optional<runtime::RedisReply>> take();

 private:
  /// Calls it with the words of the command.
  template <typename Call>
  auto with_command(std::string_view from, std::size_t count, Duration wait, Call call);
  Result<std::optional<runtime::RedisReply>> checked(Result<runtime::RedisReply> reply) const;

  Options options_;
  runtime::RedisConnection& connection_;
  std::vector<std::string_view> arguments_;  ///< Reused.
};

}  // namespace tempest::builtin
