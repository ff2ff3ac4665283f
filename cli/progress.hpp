#pragma once

#include <cstdint>
#include <string>

#include "source_node/source_node.hpp"
#include "tempest/base/time.hpp"

namespace tempest::cli {

/// "1,234,567".
std::string grouped(std::uint64_t number);

/// One line on a terminal's standard error, written over and over: read, acked, in flight, and how
/// many a second. Does nothing where it is not wanted.
class ProgressLine {
 public:
  explicit ProgressLine(bool wanted) : wanted_(wanted) {}

  void show(const source_node::SourceSummary& summary);
  /// Leaves the terminal's line empty for what comes after.
  void clear();

 private:
  bool wanted_;
  bool shown_ = false;
  std::uint64_t last_acked_ = 0;
  TimePoint last_at_{};
  double rate_ = 0;  ///< Smoothed, so that it can be read.
};

}  // namespace tempest::cli
