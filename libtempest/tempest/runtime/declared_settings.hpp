#pragma once

#include <string>
#include <vector>

#include "tempest/base/result.hpp"
#include "tempest/base/settings.hpp"
#include "tempest/declarations.hpp"
#include "tempest/runtime/topology_document.hpp"
#include "tempest/runtime/topology_schema.hpp"

/// What a user's class declares (declarations.hpp) as a schema, and what a `config` table is by it.
namespace tempest::runtime {

/// Returns declared settings as the schema of a `config` table. Errors (`configuration`): a
/// fallback that is no value of its type, or two settings of one name; `whose` is in front of the
/// message.
Result<TableSchema> schema_of(const std::vector<Setting>& settings, const std::string& whose);

/// Checks a `config` table that stands at `at` of `file` against what was declared, and reports
/// what is wrong with it there. `table`: what it is called, such as "task.config".
void check_declared(const Declarations& declarations, const std::string& whose,
                    const DocumentTable& config, Position at, const std::string& table,
                    const std::string& file, std::vector<Diagnostic>& diagnostics);

/// Returns `config` with the fallbacks put in and each value of its declared type; as it is, if
/// nothing was declared. Errors (`configuration`) name every fault; `whose` is in front of them.
Result<Settings> with_declared(const Declarations& declarations, const std::string& whose,
                               const Settings& config);

/// "duration", "a text": how a declared type is called.
const char* to_string(Setting::Type type);

}  // namespace tempest::runtime
