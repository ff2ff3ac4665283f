#include "tempest/runtime/declared_settings.hpp"

#include <utility>

#include "tempest/runtime/topology_check.hpp"

namespace tempest::runtime {
namespace {

ValueKind kind_of(Setting::Type type) {
  switch (type) {
    case Setting::integer:
      return ValueKind::integer;
    case Setting::number:
      return ValueKind::number;
    case Setting::boolean:
      return ValueKind::boolean;
    case Setting::duration:
      return ValueKind::duration;
    case Setting::size:
      return ValueKind::size;
    case Setting::texts:
      return ValueKind::text_list;
    case Setting::table:
      return ValueKind::free_table;
    case Setting::text:
      break;
  }
  return ValueKind::text;
}

bool may_have_fallback(Setting::Type type) {
  return type != Setting::texts && type != Setting::table;
}

DocumentTable document_of(const Settings& settings);

/// The same value as a file would give it, of no place.
DocumentValue document_of(const Settings::Value& value) {
  return std::visit(
      [](const auto& held) -> DocumentValue {
        using Held = std::decay_t<decltype(held)>;
        if constexpr (std::is_same_v<Held, Settings>) {
          return {{}, document_of(held)};
        } else if constexpr (std::is_same_v<Held, Settings::List>) {
          DocumentList list;
          for (const Settings::Value& item : held) list.push_back(document_of(item));
          return {{}, std::move(list)};
        } else {
          return {{}, held};
        }
      },
      value.data);
}

DocumentTable document_of(const Settings& settings) {
  DocumentTable table;
  for (const auto& [key, value] : settings.values()) {
    table.entries.push_back({key, {}, document_of(value)});
  }
  return table;
}

std::string joined_messages(const std::vector<Diagnostic>& diagnostics) {
  std::string text;
  for (const Diagnostic& diagnostic : diagnostics) {
    text += (text.empty() ? "" : "; ") + diagnostic.message;
  }
  return text;
}

/// The declared fallback as a value of its type.
Result<Settings::Value> fallback_of(const Setting& setting, const KeySchema& key) {
  TableSchema alone;
  alone.keys = {key};
  DocumentTable table;
  table.entries.push_back({setting.name, {}, {{}, setting.fallback}});
  std::vector<Diagnostic> diagnostics;
  DocumentCheck check("", diagnostics);
  const Settings settings = check.check(table, {}, alone, "");
  const auto found = settings.values().find(setting.name);
  if (found == settings.values().end() || !diagnostics.empty()) {
    return Error{ErrorCode::configuration, joined_messages(diagnostics)};
  }
  return found->second;
}

}  // namespace

const char* to_string(Setting::Type type) {
  switch (type) {
    case Setting::text:
      break;
    case Setting::integer:
      return "integer";
    case Setting::number:
      return "number";
    case Setting::boolean:
      return "boolean";
    case Setting::duration:
      return "duration";
    case Setting::size:
      return "size";
    case Setting::texts:
      return "texts";
    case Setting::table:
      return "table";
  }
  return "text";
}

Result<TableSchema> schema_of(const std::vector<Setting>& settings, const std::string& whose) {
  const auto wrong = [&](const Setting& setting, const std::string& what) {
    return Error{ErrorCode::configuration, whose + ": it declares the setting " +
                                               runtime::in_quotes(setting.name) + " " + what};
  };
  TableSchema schema;
  for (const Setting& setting : settings) {
    for (const KeySchema& other : schema.keys) {
      if (other.name == setting.name) return wrong(setting, "twice");
    }
    KeySchema key;
    key.name = setting.name;
    key.kind = kind_of(setting.type);
    key.help = setting.help;
    key.required = setting.required;
    key.allowed = setting.allowed;
    if (!setting.fallback.empty()) {
      if (!may_have_fallback(setting.type)) {
        return wrong(setting, "with a fallback, which a " + std::string(to_string(setting.type)) +
                                  " cannot have");
      }
      auto fallback = fallback_of(setting, key);
      if (!fallback) return wrong(setting, "with a wrong fallback: " + fallback.error().message);
      key.fallback = std::move(*fallback);
    }
    schema.keys.push_back(std::move(key));
  }
  return schema;
}

void check_declared(const Declarations& declarations, const std::string& whose,
                    const DocumentTable& config, Position at, const std::string& table,
                    const std::string& file, std::vector<Diagnostic>& diagnostics) {
  if (!declarations.declared_settings()) return;
  DocumentCheck check(file, diagnostics);
  const auto schema = schema_of(*declarations.declared_settings(), whose);
  if (!schema) return check.report(at, schema.error().message);
  check.check(config, at, *schema, table);
}

Result<Settings> with_declared(const Declarations& declarations, const std::string& whose,
                               const Settings& config) {
  if (!declarations.declared_settings()) return config;
  const auto schema = schema_of(*declarations.declared_settings(), whose);
  if (!schema) return schema.error();
  std::vector<Diagnostic> diagnostics;
  DocumentCheck check("", diagnostics);
  Settings settings = check.check(document_of(config), {}, *schema, "config");
  if (!diagnostics.empty()) {
    return Error{ErrorCode::configuration, whose + ": " + joined_messages(diagnostics)};
  }
  return settings;
}

}  // namespace tempest::runtime
