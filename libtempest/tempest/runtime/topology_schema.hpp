#pragma once

#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "tempest/base/settings.hpp"

/// What a topology file may hold, as data: the parser checks files against it, `tempest schema`
/// prints it, and the defaults stand nowhere else.
namespace tempest::runtime {

enum class ValueKind {
  text,
  name,  ///< Text of letters, digits, '-' and '_', at most kMaxNameBytes.
  text_list,
  duration,
  size,
  integer,
  number,
  boolean,
  table,
  table_list,
  free_table,  ///< A table of whatever its reader makes of it.
};

struct TableSchema;

struct KeySchema {
  std::string name;
  ValueKind kind = ValueKind::text;
  std::string help;
  bool required = false;
  /// What is put in where the key is left out.
  std::optional<Settings::Value> fallback = {};
  /// Of a text: the only values; empty: any.
  std::vector<std::string> allowed = {};
  /// Values that are known, but not available in this version.
  std::vector<std::string> withheld = {};
  /// Of an integer, a number, a size (bytes) or a duration (nanoseconds).
  std::optional<double> minimum = {};
  std::optional<double> maximum = {};
  /// Of a table or a list of tables.
  const TableSchema* table = nullptr;
};

/// The keys that a table has besides, when its `type` is this.
struct VariantSchema {
  std::string type;
  std::string help;
  std::vector<KeySchema> keys;
  /// `type` only shows the form: this is for whatever a library offers.
  bool from_library = false;
};

struct TableSchema {
  std::string help;
  std::vector<KeySchema> keys;
  /// Not empty: the table has a required key `type` that names one of them.
  std::vector<VariantSchema> variants = {};
  /// Types that are known, but not available in this version.
  std::vector<std::string> withheld_types = {};
};

/// Null if there is none of that type.
const VariantSchema* find_variant(const TableSchema& table, const std::string& type);

/// True for "library:Name".
bool is_library_reference(std::string_view text);

/// The file as a whole. What it points to lives as long as the process.
const TableSchema& topology_schema();
/// [source]'s, [[task]]'s, [failure]'s and a sink's, which stand in it.
const TableSchema& source_schema();
const TableSchema& task_schema();
const TableSchema& failure_schema();
const TableSchema& sink_schema();

/// A built-in task: what `uses` may name without a library.
struct BuiltinTask {
  std::string name;
  std::string help;
  /// The table of the task's own that sets it up, called like the task; none for some.
  const TableSchema* table = nullptr;
  bool table_required = false;
};

const std::vector<BuiltinTask>& builtin_tasks();
/// Null if there is none of that name.
const BuiltinTask* find_builtin_task(const std::string& name);

/// As JSON Schema (draft 2020-12), indented.
std::string topology_json_schema();

}  // namespace tempest::runtime
