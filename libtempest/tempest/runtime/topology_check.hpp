#pragma once

#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "tempest/base/settings.hpp"
#include "tempest/runtime/topology_document.hpp"
#include "tempest/runtime/topology_schema.hpp"

namespace tempest::runtime {

/// Checks a document's tables against their schemas, and collects what is wrong with them.
class DocumentCheck {
 public:
  DocumentCheck(std::string file, std::vector<Diagnostic>& diagnostics)
      : file_(std::move(file)), diagnostics_(diagnostics) {}

  /// The table's values, with the defaults of what was left out. Values that are wrong are
  /// reported and left out; an entry of a list of tables that is none is an empty one. `at` is
  /// where the table stands; `name` is what TOML calls it: "failure.backoff", empty for the file.
  Settings check(const DocumentTable& table, Position at, const TableSchema& schema,
                 const std::string& name);

  void report(Position at, std::string message);

 private:
  /// The place of a value, as people name it: "'timeout' in [failure]".
  struct Place {
    const KeySchema& key;
    const std::string& table;  ///< Its name.

    std::string text() const;
    std::string inner_table() const { return table.empty() ? key.name : table + "." + key.name; }
  };
  using Value = std::optional<Settings::Value>;

  std::vector<KeySchema> keys_of(const DocumentTable& table, const TableSchema& schema,
                                 const std::string& name);
  void report_type(const DocumentValue& value, const std::string& type, const TableSchema& schema,
                   const std::string& name);
  void report_missing(Position at, const KeySchema& key, const std::string& table);

  Value check_value(const DocumentValue& value, const Place& place);
  Value check_text(const DocumentValue& value, const Place& place);
  Value check_text_list(const DocumentValue& value, const Place& place);
  Value check_duration(const DocumentValue& value, const Place& place);
  Value check_size(const DocumentValue& value, const Place& place);
  Value check_number(const DocumentValue& value, const Place& place);
  Value check_tables(const DocumentValue& value, const Place& place);
  Settings take_all(const DocumentTable& table, const std::string& name);
  Value take(const DocumentValue& value, const std::string& key, const std::string& table);

  Value expected(const DocumentValue& value, const Place& place, const std::string& what);
  bool in_range(const DocumentValue& value, const Place& place, double number);

  std::string file_;
  std::vector<Diagnostic>& diagnostics_;
};

/// Of letters, digits, '-' and '_', from 1 to kMaxNameBytes of them.
bool is_name(std::string_view text);

/// "; did you mean 'x'?", or nothing if no candidate is near.
std::string did_you_mean(std::string_view word, std::span<const std::string> candidates,
                         char quote = '\'');

/// In quotes, with control characters escaped, and cut if long.
std::string in_quotes(std::string_view text, char quote = '"');

/// "a", "b" or "c".
std::string listed(const std::vector<std::string>& names);

}  // namespace tempest::runtime
