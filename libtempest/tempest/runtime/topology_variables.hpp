#pragma once

#include <functional>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "tempest/runtime/topology_document.hpp"

namespace tempest::runtime {

/// Fills in the ${VARIABLE}, ${VARIABLE:default} and ${VARIABLE:-default} of a TOML text's strings,
/// and knows where places of the result were in the original.
class VariableFilling {
 public:
  /// Gives a variable's value, or nothing if it is not set.
  using Lookup = std::function<std::optional<std::string>(const std::string& name)>;

  /// The default stands for a variable that is not set (with ":-", as in a shell, for an empty one
  /// too), and may hold variables itself; "$${" is a plain "${". Values are escaped as their string
  /// needs it, so they cannot end it. False: `diagnostics` has one for each variable that is
  /// missing or not of that form.
  bool fill(std::string_view text, const std::string& file, const Lookup& lookup,
            std::vector<Diagnostic>& diagnostics);

  const std::string& text() const { return filled_; }

  /// Where a place of text() was before.
  Position original(Position filled) const;

 private:
  struct Replacement {
    Position begin;            ///< In text().
    int columns = 0;           ///< That it has in text().
    int original_columns = 0;  ///< That it had.
  };

  std::string filled_;
  std::vector<Replacement> replacements_;
};

}  // namespace tempest::runtime
