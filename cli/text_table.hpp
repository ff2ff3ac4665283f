#pragma once

#include <ostream>
#include <string>
#include <vector>

namespace tempest::cli {

/// Rows of text in columns as wide as they need, two spaces apart. A column whose title begins
/// with '>' is aligned to the right.
class TextTable {
 public:
  explicit TextTable(std::vector<std::string> titles);

  /// As many cells as there are titles. Each is shown as one line (safe_text()).
  void add(std::vector<std::string> cells);
  bool empty() const { return rows_.empty(); }
  void print(std::ostream& out) const;

 private:
  std::vector<std::string> titles_;
  std::vector<bool> is_right_;
  std::vector<std::vector<std::string>> rows_;
};

}  // namespace tempest::cli
