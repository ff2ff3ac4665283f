#pragma once

#include <memory>
#include <mutex>
#include <optional>
#include <string>

#include "tempest/base/result.hpp"
#include "tempest/runtime/doorbell.hpp"
#include "tempest/runtime/endpoint.hpp"

namespace tempest::runtime {

/// Finds a host's address in a thread of its own: a server of names that does not answer would
/// otherwise hold up a loop for longer than its lease. The thread lives as long as the question
/// takes, whether or not anybody still wants to know.
class NameLookup {
 public:
  /// Rings when it knows.
  static std::shared_ptr<NameLookup> begin(const std::string& host, std::uint16_t port,
                                           std::shared_ptr<Doorbell> doorbell);

  /// The answer, once it is there.
  std::optional<Result<SocketAddress>> answer() const;

 private:
  mutable std::mutex mutex_;
  std::optional<Result<SocketAddress>> answer_;
};

}  // namespace tempest::runtime
