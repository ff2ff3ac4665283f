#include "tempest/runtime/topology_schema.hpp"

#include <catch2/catch.hpp>
#include <nlohmann/json.hpp>

using namespace tempest::runtime;

TEST_CASE("the JSON Schema says what the parser checks") {
  const auto schema = nlohmann::json::parse(topology_json_schema());
  CHECK(schema["required"] == nlohmann::json({"name", "source", "task"}));
  CHECK(schema["additionalProperties"] == false);

  const auto& task = schema["properties"]["task"]["items"]["properties"];
  CHECK(task["grouping"]["enum"] == nlohmann::json({"shuffle", "key"}));
  CHECK(task["sleep"]["required"] == nlohmann::json({"time"}));
  CHECK(task["config"]["type"] == "object");

  const auto& sources = schema["properties"]["source"]["oneOf"];
  REQUIRE(sources.size() == 5);
  CHECK(sources[1]["properties"]["type"]["const"] == "lines");
  CHECK(sources[1]["required"] == nlohmann::json({"type", "path"}));
  CHECK(sources[2]["properties"]["max_pending"]["minimum"] == 1);
  CHECK(sources[2]["properties"]["max_pending"]["type"] == nlohmann::json({"integer", "string"}));

  const auto& failure = schema["properties"]["failure"]["properties"];
  CHECK(failure["max_attempts"]["default"] == 5);
  CHECK(failure["backoff"]["properties"]["jitter"]["maximum"] == 1.0);
  CHECK(failure["dead_letter"]["oneOf"].size() == 5);
}
