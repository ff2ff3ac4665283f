#pragma once

#include <cstddef>
#include <memory>
#include <string>
#include <vector>

#include "tempest/source.hpp"
#include "tempest/testing/contract_faults.hpp"

/// A test that every source should pass, Tempest's own and a user's: docs/sources.md. Link
/// tempest::testing, describe the place that the source reads, and call check_source().
namespace tempest::testing {

/// The place that a source reads, with nothing in it at first. A new one for each check_source().
class SourcePlace {
 public:
  virtual ~SourcePlace() = default;

  /// Returns a source that is configured and not open, as a process makes it that starts. There is
  /// never another at the same time, and all have one name.
  virtual std::unique_ptr<Source> make_source() = 0;
  /// Adds so many different messages behind what is there. Returns their payloads.
  virtual std::vector<std::string> put(std::size_t count) = 0;

  /// Removes so many of the messages that were not read yet, so that no source can
  /// read them. Returns false if nobody can do that, or nobody could know.
  virtual bool lose(std::size_t /*count*/) { return false; }
  /// Makes the place unreachable for sources, or reachable again. False: that cannot be.
  virtual bool set_away(bool /*is_away*/) { return false; }

  /// A source that starts knows what the one before it has acked.
  virtual bool remembers_acks() const { return true; }
  /// For how long the source may take for anything that is not said to be quick.
  virtual Duration patience() const { return std::chrono::seconds(20); }
};

/// Looks whether the source does what tempest/source.hpp says:
///
/// - each message is given once, no more at a time than asked for, and has a name;
/// - drained() is true if nothing is unread and nothing waits to be given again, and only then;
/// - what was given out and not acked is given again to a source that starts, unless gives_again()
///   is false; what was acked is not; acking twice is success;
/// - what can no longer be read is counted as lost;
/// - a poll waits no longer than it may, stands interrupt(), and ends soon after abandon();
/// - a source that is away says so, and goes on when it is back;
/// - a finite source ends.
///
/// Takes some seconds.
ContractFaults check_source(SourcePlace& place);

}  // namespace tempest::testing
