#include <iostream>
#include <nlohmann/json.hpp>
#include <string>
#include <vector>

#include "cli/commands.hpp"
#include "cli/text_table.hpp"
#include "tempest/base/quantity.hpp"
#include "tempest/base/safe_text.hpp"
#include "tempest/runtime/command_line.hpp"
#include "tempest/runtime/declared_settings.hpp"
#include "tempest/runtime/exit_code.hpp"
#include "tempest/runtime/task_libraries.hpp"
#include "tempest/runtime/topology_schema.hpp"

namespace tempest::cli {
namespace {

using runtime::LibraryPart;

/// A task, source, sink or failure handler, and what it says of itself.
struct Listed {
  std::string name;
  std::string kind;
  Declarations declares;
};

std::string text_of(const Settings::Value& value) {
  if (const auto* text = std::get_if<std::string>(&value.data)) return *text;
  if (const auto* integer = std::get_if<std::int64_t>(&value.data)) return std::to_string(*integer);
  if (const auto* boolean = std::get_if<bool>(&value.data)) return *boolean ? "true" : "false";
  if (const auto* number = std::get_if<double>(&value.data)) {
    return nlohmann::json(*number).dump();
  }
  return {};
}

Setting::Type type_of(runtime::ValueKind kind) {
  using runtime::ValueKind;
  switch (kind) {
    case ValueKind::text:
    case ValueKind::name:
      break;
    case ValueKind::text_list:
      return Setting::texts;
    case ValueKind::duration:
      return Setting::duration;
    case ValueKind::size:
      return Setting::size;
    case ValueKind::integer:
      return Setting::integer;
    case ValueKind::number:
      return Setting::number;
    case ValueKind::boolean:
      return Setting::boolean;
    case ValueKind::table:
    case ValueKind::table_list:
    case ValueKind::free_table:
      return Setting::table;
  }
  return Setting::text;
}

Listed built_in(const std::string& name, const char* kind, const std::string& help,
                const std::vector<runtime::KeySchema>& keys) {
  Listed listed{name, kind, {}};
  listed.declares.summary(help).no_settings();
  for (const runtime::KeySchema& key : keys) {
    if (key.required) {
      listed.declares.required(key.name, type_of(key.kind), key.help);
    } else {
      listed.declares.setting(key.name, type_of(key.kind),
                              key.fallback ? text_of(*key.fallback) : "", key.help);
    }
  }
  return listed;
}

std::vector<Listed> built_ins() {
  std::vector<Listed> all;
  for (const runtime::BuiltinTask& task : runtime::builtin_tasks()) {
    const bool has_keys = task.table != nullptr && task.table->variants.empty();
    all.push_back(built_in(task.name, "task", task.help,
                           has_keys ? task.table->keys : std::vector<runtime::KeySchema>{}));
    all.back().declares.no_outputs();
  }
  const auto add_variants = [&](const runtime::TableSchema& schema, const char* kind) {
    for (const runtime::VariantSchema& variant : schema.variants) {
      if (variant.from_library) continue;
      all.push_back(built_in(variant.type, kind, variant.help, variant.keys));
    }
  };
  add_variants(runtime::source_schema(), "source");
  add_variants(runtime::sink_schema(), "sink");
  return all;
}

Result<std::vector<Listed>> of_libraries(const runtime::TaskLibraries& libraries) {
  std::vector<Listed> all;
  for (const LibraryPart part :
       {LibraryPart::task, LibraryPart::source, LibraryPart::sink, LibraryPart::failure_handler}) {
    for (const std::string& name : libraries.names(part)) {
      auto declares = libraries.declarations(name, part);
      if (!declares) return declares.error();
      all.push_back({name, to_string(part), std::move(*declares)});
    }
  }
  return all;
}

void print(const Listed& listed) {
  std::cout << listed.name << " (" << listed.kind << ")";
  if (!listed.declares.summary().empty()) std::cout << ": " << listed.declares.summary();
  std::cout << "\n";
  const auto& settings = listed.declares.declared_settings();
  if (!settings) std::cout << "  settings: any; it does not declare them\n";
  if (settings && !settings->empty()) {
    TextTable table({"  SETTING", "TYPE", "DEFAULT", "MEANING"});
    for (const Setting& setting : *settings) {
      table.add({"  " + setting.name, runtime::to_string(setting.type),
                 setting.required           ? "(required)"
                 : setting.fallback.empty() ? "-"
                                            : setting.fallback,
                 setting.help});
    }
    table.print(std::cout);
  }
  if (listed.kind != "task") return;
  const auto& outputs = listed.declares.declared_outputs();
  if (!outputs) std::cout << "  outputs: any; it does not declare them\n";
  if (outputs && !outputs->empty()) {
    TextTable table({"  OUTPUT", "MEANING"});
    for (const TaskOutput& output : *outputs) table.add({"  " + output.name, output.help});
    table.print(std::cout);
  }
}

nlohmann::ordered_json json_of(const Listed& listed) {
  using Json = nlohmann::ordered_json;
  Json json = {{"name", listed.name}, {"kind", listed.kind}};
  json["summary"] = listed.declares.summary();
  json["settings"] = nullptr;
  if (const auto& settings = listed.declares.declared_settings()) {
    json["settings"] = Json::array();
    for (const Setting& setting : *settings) {
      Json entry = {{"name", setting.name}, {"type", runtime::to_string(setting.type)}};
      entry["default"] = setting.fallback.empty() ? Json(nullptr) : Json(setting.fallback);
      entry["required"] = setting.required;
      entry["help"] = setting.help;
      if (!setting.allowed.empty()) entry["allowed"] = setting.allowed;
      json["settings"].push_back(std::move(entry));
    }
  }
  if (listed.kind != "task") return json;
  json["outputs"] = nullptr;
  if (const auto& outputs = listed.declares.declared_outputs()) {
    json["outputs"] = Json::array();
    for (const TaskOutput& output : *outputs) {
      json["outputs"].push_back({{"name", output.name}, {"help", output.help}});
    }
  }
  return json;
}

void print(const std::vector<Listed>& all, bool as_json) {
  if (as_json) {
    auto json = nlohmann::ordered_json::array();
    for (const Listed& listed : all) json.push_back(json_of(listed));
    std::cout << json.dump(2, ' ', false, nlohmann::json::error_handler_t::replace) << "\n";
    return;
  }
  bool is_first = true;
  for (const Listed& listed : all) {
    if (!is_first) std::cout << "\n";
    is_first = false;
    print(listed);
  }
}

}  // namespace

int tasks_command(int argc, const char* const* argv) {
  runtime::CommandLine line(
      "tempest tasks",
      "Lists the tasks, sources and sinks of libraries, or the built-in ones, "
      "with the settings that they take and the outputs that they name.");
  line.positional("LIBRARY",
                  "A task library: a path, or a name to look for; without any, what is built in",
                  false, true)
      .list("library-path", "FOLDER", "Where task libraries are looked for")
      .option("output", "FORMAT", "table, or json", "table")
      .example("tempest tasks build/libwordcount.so", "what that library has");
  if (const auto exit = line.parse(argc, argv)) return *exit;
  const std::string format = line.text("output");
  if (format != "json" && format != "table") {
    line.fail("--output is table or json, not '" + format + "'");
    return runtime::kExitUsage;
  }
  const std::vector<std::string> files = line.texts("LIBRARY");
  if (files.empty()) {
    print(built_ins(), format == "json");
    return runtime::kExitOk;
  }
  runtime::TaskLibraries libraries;
  for (const std::string& file : files) {
    if (const auto loaded = libraries.load(file, line.texts("library-path")); !loaded) {
      std::cerr << "tempest tasks: " << safe_text(loaded.error().message) << "\n";
      return runtime::kExitConfiguration;
    }
  }
  const auto all = of_libraries(libraries);
  if (!all) {
    std::cerr << "tempest tasks: " << safe_text(all.error().message) << "\n";
    return runtime::kExitConfiguration;
  }
  print(*all, format == "json");
  return runtime::kExitOk;
}

}  // namespace tempest::cli
