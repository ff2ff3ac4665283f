#include <catch2/catch.hpp>
#include <string>
#include <vector>

#include "tempest/runtime/topology_file.hpp"

using namespace tempest;
using Catch::Matchers::Contains;

namespace {

/// What is wrong with a topology of this source, these dead letters, and a task.
std::string faults(const std::string& source, const std::string& dead_letter,
                   const std::string& sink = "type = \"null\"") {
  const std::string text = "name = \"t\"\n[source]\n" + source +
                           "\n[[task]]\nname = \"a\"\nuses = \"sink\"\nsink = { " + sink +
                           " }\n[failure]\ndead_letter = { " + dead_letter + " }\n";
  std::vector<runtime::Diagnostic> diagnostics;
  runtime::parse_topology(text, "Topology.toml", diagnostics);
  return runtime::joined(diagnostics);
}

const std::string kNull = "type = \"null\"";

std::string stream(const std::string& uri, const std::string& key, const char* separator = "\n") {
  return "type = \"redis_stream\"" + std::string(separator) + "uri = \"" + uri + "\"" + separator +
         "key = \"" + key + "\"";
}

}  // namespace

TEST_CASE("the URIs of Redis are checked with the topology, wherever they stand") {
  CHECK(faults(stream("redis://h:7000/3", "in"), kNull).empty());
  CHECK_THAT(faults(stream("http://h", "in"), kNull), Contains("Topology.toml:4:") &&
                                                          Contains("'uri' in [source]") &&
                                                          Contains("neither redis:// nor unix://"));
  CHECK_THAT(faults(stream("redis://h:99999", "in"), kNull), Contains("port"));
  CHECK_THAT(faults(stream("redis://h/first", "in"), kNull), Contains("database"));
  CHECK_THAT(faults(stream("redis://h", "in"), stream("redis://:x@", "dead", ", ")),
             Contains("'uri' in [failure.dead_letter]") && Contains("names no host"));
  CHECK_THAT(faults(stream("redis://h", "in"), kNull, stream("rediss://h", "out", ", ")),
             Contains("'uri' in [task.sink]") && Contains("TLS"));
}

TEST_CASE("dead letters that would go back into their source are refused") {
  const auto loops = [](const std::string& source, const std::string& letters) {
    const std::string found = faults(source, letters);
    if (!found.empty()) CHECK_THAT(found, Contains("'dead_letter' in [failure]"));
    return !found.empty();
  };
  const std::string in = stream("redis://127.0.0.1:6379/0", "in");
  CHECK(loops(in, stream("redis://localhost", "in", ", ")));
  CHECK(loops(in, stream("redis://user:word@localhost/0", "in", ", ")));
  CHECK_FALSE(loops(in, stream("redis://localhost", "dead", ", ")));
  CHECK_FALSE(loops(in, stream("redis://localhost/1", "in", ", ")));
  CHECK_FALSE(loops(in, stream("redis://localhost:7000", "in", ", ")));
  CHECK_FALSE(loops(in, stream("redis://elsewhere", "in", ", ")));
  const std::string list = "type = \"redis_list\"\nkey = \"in\"";
  CHECK(loops(list, "type = \"redis_list\", key = \"in\""));
  CHECK(loops(list, "type = \"redis_list\", key = \"in:delayed\""));
  CHECK(loops(list, "type = \"redis_stream\", key = \"in:processing:me\""));
  CHECK_FALSE(loops(list, "type = \"redis_list\", key = \"in:dead\""));
  const std::string lines = "type = \"lines\"\npath = \"a/in.txt\"\ncheckpoint = \"a/place\"";
  CHECK(loops(lines, "type = \"lines\", path = \"a/in.txt\""));
  CHECK(loops(lines, "type = \"lines\", path = \"./a/b/../in.txt\""));
  CHECK(loops(lines, "type = \"lines\", path = \"a/place\""));
  CHECK_FALSE(loops(lines, "type = \"lines\", path = \"a/dead.txt\""));
  CHECK_FALSE(loops("type = \"lines\"\npath = \"-\"", "type = \"lines\", path = \"-\""));
}

TEST_CASE("entries that are put aside must not go back into their source") {
  const auto moved_to = [](const std::string& key) {
    return faults(stream("redis://h", "in") +
                      "\n[[source.pending]]\nmin_idle = \"1s\"\naction = \"move\"\n"
                      "to = { type = \"redis_stream\", key = \"" +
                      key + "\" }",
                  kNull);
  };
  CHECK(moved_to("aside").empty());
  CHECK_THAT(moved_to("in"), Contains("would be read again"));
}
