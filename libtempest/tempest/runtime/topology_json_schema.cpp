#include <nlohmann/json.hpp>

#include "tempest/base/limits.hpp"
#include "tempest/runtime/topology_schema.hpp"

namespace tempest::runtime {
namespace {

using Json = nlohmann::ordered_json;

Json json_of(const Settings::Value& value) {
  if (const auto* text = std::get_if<std::string>(&value.data)) return *text;
  if (const auto* integer = std::get_if<std::int64_t>(&value.data)) return *integer;
  if (const auto* number = std::get_if<double>(&value.data)) return *number;
  if (const auto* boolean = std::get_if<bool>(&value.data)) return *boolean;
  return nullptr;
}

Json table_json(const TableSchema& table);

Json text_json(const KeySchema& key) {
  Json json = {{"type", "string"}};
  if (!key.allowed.empty()) json["enum"] = key.allowed;
  if (key.kind == ValueKind::name) {
    json["pattern"] = "^[A-Za-z0-9_-]+$";
    json["maxLength"] = kMaxNameBytes;
  }
  if (key.required) json["minLength"] = 1;
  return json;
}

Json number_json(const KeySchema& key, const char* type) {
  Json json = {{"type", type}};
  const auto bound = [&](double number) -> Json {
    if (key.kind == ValueKind::number) return number;
    return static_cast<std::int64_t>(number);
  };
  if (key.minimum) json["minimum"] = bound(*key.minimum);
  if (key.maximum) json["maximum"] = bound(*key.maximum);
  return json;
}

/// A number or a boolean that may also be written as a string of that form, or with a variable in
/// it.
Json or_text(Json json, const std::string& form) {
  json["type"] = Json::array({json["type"], "string"});
  json["pattern"] = "^(" + form + "|.*\\$\\{.*\\}.*)$";
  return json;
}

Json kind_json(const KeySchema& key) {
  switch (key.kind) {
    case ValueKind::text:
    case ValueKind::name:
      return text_json(key);
    case ValueKind::text_list:
      return {{"type", "array"}, {"items", {{"type", "string"}}}};
    case ValueKind::duration:
      return {{"type", "string"},
              {"pattern", "^([0-9]+(\\.[0-9]+)?(ns|us|ms|s|m|h|d)|.*\\$\\{.*\\}.*)$"}};
    case ValueKind::size:
      return or_text(number_json(key, "integer"), "[0-9]+(([KMG]i?)?B)?");
    case ValueKind::integer:
      return or_text(number_json(key, "integer"), "-?[0-9]+");
    case ValueKind::number:
      return or_text(number_json(key, "number"), "-?[0-9.]+(e-?[0-9]+)?");
    case ValueKind::boolean: {
      Json json;
      json["type"] = "boolean";
      return or_text(std::move(json), "true|false");
    }
    case ValueKind::table:
      return table_json(*key.table);
    case ValueKind::table_list:
      return {{"type", "array"}, {"minItems", 1}, {"items", table_json(*key.table)}};
    case ValueKind::free_table:
      return {{"type", "object"}};
  }
  return Json::object();
}

void add_keys(const std::vector<KeySchema>& keys, Json& properties, Json& required) {
  for (const KeySchema& key : keys) {
    Json json = kind_json(key);
    json["description"] = key.help;
    if (key.fallback) json["default"] = json_of(*key.fallback);
    properties[key.name] = std::move(json);
    if (key.required) required.push_back(key.name);
  }
}

Json object_json(const std::string& help, Json properties, Json required) {
  Json json = {{"description", help}, {"type", "object"}, {"properties", std::move(properties)}};
  if (!required.empty()) json["required"] = std::move(required);
  json["additionalProperties"] = false;
  return json;
}

Json table_json(const TableSchema& table) {
  if (table.variants.empty()) {
    Json properties = Json::object();
    Json required = Json::array();
    add_keys(table.keys, properties, required);
    return object_json(table.help, std::move(properties), std::move(required));
  }
  Json choices = Json::array();
  for (const VariantSchema& variant : table.variants) {
    Json properties = {{"type", {{"const", variant.type}}}};
    if (variant.from_library) {
      properties["type"] = {{"type", "string"}, {"pattern", "^[A-Za-z0-9_.-]+:[A-Za-z0-9_.:-]+$"}};
    }
    Json required = {"type"};
    add_keys(variant.keys, properties, required);
    add_keys(table.keys, properties, required);
    choices.push_back(object_json(variant.help, std::move(properties), std::move(required)));
  }
  return {{"description", table.help}, {"oneOf", std::move(choices)}};
}

}  // namespace

std::string topology_json_schema() {
  Json json = {{"$schema", "https://json-schema.org/draft/2020-12/schema"},
               {"title", "Topology.toml"}};
  json.update(table_json(topology_schema()));
  return json.dump(2);
}

}  // namespace tempest::runtime
