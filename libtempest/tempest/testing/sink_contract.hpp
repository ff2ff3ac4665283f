#pragma once

#include <memory>
#include <string>
#include <vector>

#include "tempest/sink.hpp"
#include "tempest/testing/contract_faults.hpp"

/// A test that every sink should pass, Tempest's own and a user's: docs/sources.md. Link
/// tempest::testing, describe the place that the sink writes to, and call check_sink().
namespace tempest::testing {

/// The place that a sink writes to, with nothing in it at first. A new one for each check_sink().
class SinkPlace {
 public:
  virtual ~SinkPlace() = default;

  /// Returns a sink that is configured and not open, as a process makes it that starts. Several may
  /// write at a time.
  virtual std::unique_ptr<Sink> make_sink() = 0;
  /// Returns the payloads of all that was written, in the order in which they stand there.
  virtual std::vector<std::string> written() = 0;

  /// Makes the place unreachable for sinks, or reachable again. False: that cannot be.
  virtual bool set_away(bool /*is_away*/) { return false; }
  /// What was written stands in the order in which one sink wrote it.
  virtual bool keeps_order() const { return true; }
  /// For how long the sink may take for anything.
  virtual Duration patience() const { return std::chrono::seconds(20); }
};

/// Looks whether the sink does what tempest/sink.hpp says:
///
/// - what write() says is written is there, whole, whatever bytes it has, and in its order;
/// - what it refuses with `fail` is not there, nor is a part of it;
/// - several sinks that write at a time break no record of each other;
/// - a sink that starts adds to what is there;
/// - a sink that is away says `unavailable`, within its patience, and writes again when it is back;
/// - after abandon() nothing waits.
///
/// Takes some seconds.
ContractFaults check_sink(SinkPlace& place);

}  // namespace tempest::testing
