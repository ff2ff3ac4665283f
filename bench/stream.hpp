#pragma once

#include <cstdint>
#include <memory>
#include <optional>
#include <string>

#include "bench/child.hpp"
#include "tempest/base/result.hpp"
#include "tempest/runtime/scratch_folder.hpp"

namespace tempest::bench {

/// A Redis of our own on a free port. Ends, and takes its files along, with this object.
class RedisServer {
 public:
  /// `durable`: with a file that is synced once a second, as a source needs it whose messages are
  /// not to be lost; then the file is what bounds it. Errors: `unavailable`.
  static Result<std::unique_ptr<RedisServer>> start(bool durable);
  ~RedisServer();
  RedisServer(const RedisServer&) = delete;
  RedisServer& operator=(const RedisServer&) = delete;

  const std::string& uri() const { return uri_; }

 private:
  RedisServer() = default;

  std::string uri_;
  runtime::ScratchFolder folder_{"tempest-bench-"};
  std::optional<Child> child_;
};

/// Puts `count` entries of `size_bytes` into the stream kStreamKey, after all that was in it has
/// gone, and makes the group `group`.
Result<void> fill_stream(const std::string& uri, const std::string& group, std::uint64_t count,
                         std::size_t size_bytes);

/// That the group has read `count` entries and acked all. Errors: `fail` if not.
Result<void> check_stream(const std::string& uri, const std::string& group, std::uint64_t count);

}  // namespace tempest::bench
