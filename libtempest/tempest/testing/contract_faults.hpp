#pragma once

#include <string>
#include <utility>
#include <vector>

namespace tempest::testing {

/// Where a source or sink under test does not do what it promises: a sentence for each.
class ContractFaults {
 public:
  void add(std::string fault) { faults_.push_back(std::move(fault)); }
  void add_unless(bool holds, const char* fault) {
    if (!holds) faults_.emplace_back(fault);
  }

  bool empty() const { return faults_.empty(); }
  const std::vector<std::string>& all() const { return faults_; }
  /// All of them, a line for each.
  std::string text() const {
    std::string lines;
    for (const std::string& fault : faults_) lines += fault + "\n";
    return lines;
  }

 private:
  std::vector<std::string> faults_;
};

}  // namespace tempest::testing
