#pragma once

#include <chrono>
#include <string>
#include <vector>

namespace tempest::cli {

/// What came of a case.
struct CaseReport {
  std::string name;
  int line = 0;
  double seconds = 0;
  std::vector<std::string> lines;  ///< Of compare_case(); none: it is as it should be.
};

/// Of the cases of a file.
struct CaseSuite {
  std::string file;
  std::vector<CaseReport> cases;

  std::size_t failed() const;
};

/// As JUnit's XML, which CI systems read.
std::string junit_xml(const std::vector<CaseSuite>& suites);

class CaseTimer {
 public:
  double seconds() const {
    return std::chrono::duration<double>(std::chrono::steady_clock::now() - begun_).count();
  }

 private:
  std::chrono::steady_clock::time_point begun_ = std::chrono::steady_clock::now();
};

}  // namespace tempest::cli
