#pragma once

#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "tempest/runtime/logging.hpp"

namespace tempest::runtime {

class Transport;  // runtime/transport.hpp

/// A node's way to the brokers' stats buses. What nobody takes is dropped. For one thread at a
/// time.
class StatsPublisher {
 public:
  /// To the brokers' stats-in endpoints; none: nothing is published. What cannot be reached is said
  /// in the log.
  StatsPublisher(Transport& transport, const std::vector<std::string>& endpoints, Log& log);
  /// What was published last gets a moment to leave.
  ~StatsPublisher();
  StatsPublisher(const StatsPublisher&) = delete;
  StatsPublisher& operator=(const StatsPublisher&) = delete;

  /// False: there is no bus.
  bool is_open() const { return socket_ != nullptr; }
  void publish(std::string_view topic, std::string_view body);

 private:
  struct Socket;
  std::unique_ptr<Socket> socket_;
};

}  // namespace tempest::runtime
