#include "tempest/runtime/topology_file.hpp"

#include <catch2/catch.hpp>
#include <cstdlib>
#include <string>
#include <vector>

#include "tempest/base/limits.hpp"
#include "tests/support/temporary_folder.hpp"

using namespace tempest;
using namespace tempest::runtime;
using namespace std::chrono_literals;

namespace {

// Lines 1 to 3 of most texts below.
const std::string kHead = "name = \"t\"\n[source]\ntype = \"generator\"\n";
const std::string kTask = "[[task]]\nname = \"a\"\nuses = \"identity\"\n";

Topology parsed(const std::string& text) {
  std::vector<Diagnostic> diagnostics;
  auto topology = parse_topology(text, "t.toml", diagnostics);
  INFO(joined(diagnostics));
  REQUIRE(topology);
  return std::move(*topology);
}

std::string faults(const std::string& text) {
  std::vector<Diagnostic> diagnostics;
  CHECK_FALSE(parse_topology(text, "t.toml", diagnostics));
  return joined(diagnostics);
}

}  // namespace

TEST_CASE("a topology's file is read with everything in it") {
  const Topology topology = parsed(R"(
name = "wordcount"
libraries = ["libwordcount.so"]
[source]
type = "redis_stream"
uri = "redis://db:6380/2"
key = "sentences"
field = "text"
max_pending = 500
max_pending_bytes = "1MiB"
poll_interval = "5ms"
max_backoff = "2s"
read_count = 100
ack = "individual"
[[task]]
name = "split"
uses = "wordcount:Split"
config = { language = "en", limits = { words = 3 }, skip = ["a", "the"] }
[[task]]
name = "count"
uses = "wordcount:Count"
after = ["split", "split:late"]
grouping = "key"
gather = "each"
timeout = "10s"
[[task]]
name = "out"
uses = "sink"
after = ["count"]
sink = { type = "lines", path = "counts.txt", append = false }
[failure]
policy = "best_effort"
timeout = "1m"
max_attempts = 3
backoff = { initial = "1s", factor = 3, max = "9s", jitter = 0 }
dead_letter = { type = "redis_stream", key = "dead" }
)");
  CHECK(topology.name == "wordcount");
  CHECK(topology.libraries == std::vector<std::string>{"libwordcount.so"});

  CHECK(topology.source.endpoint.type == "redis_stream");
  CHECK(topology.source.endpoint.settings.text("uri") == "redis://db:6380/2");
  CHECK(topology.source.endpoint.settings.text("field") == "text");
  CHECK(topology.source.endpoint.settings.text("group") == "wordcount");
  CHECK(topology.source.endpoint.settings.text("start") == "0");
  CHECK_FALSE(topology.source.endpoint.settings.has("max_pending"));
  CHECK(topology.source.max_pending == 500);
  CHECK(topology.source.max_pending_bytes == 1'048'576);
  CHECK(topology.source.poll_interval == 5ms);
  CHECK(topology.source.max_backoff == 2s);
  CHECK(topology.source.read_count == 100);
  CHECK_FALSE(topology.source.ack_in_batches);

  REQUIRE(topology.tasks.size() == 3);
  CHECK(topology.tasks[0].config.text("language") == "en");
  CHECK(topology.tasks[0].config.table("limits").integer("words") == 3);
  CHECK(topology.tasks[0].config.list("skip").size() == 2);
  const TaskDefinition& count = topology.tasks[1];
  CHECK(count.uses == "wordcount:Count");
  REQUIRE(count.after.size() == 2);
  CHECK(count.after[0].output.empty());
  CHECK(count.after[1].task == "split");
  CHECK(count.after[1].output == "late");
  CHECK(count.grouping == dag::Grouping::key);
  CHECK(count.gather == dag::Gather::each);
  CHECK(count.timeout == 10s);
  CHECK(topology.tasks[2].config.text("type") == "lines");
  CHECK_FALSE(topology.tasks[2].config.boolean("append", true));

  CHECK(topology.failure.policy == FailurePolicy::best_effort);
  CHECK(topology.failure.timeout == 60s);
  CHECK(topology.failure.max_attempts == 3);
  CHECK(topology.failure.backoff.initial == 1s);
  CHECK(topology.failure.backoff.factor == 3.0);
  CHECK(topology.failure.backoff.max == 9s);
  CHECK(topology.failure.backoff.jitter == 0.0);
  REQUIRE(topology.failure.dead_letter);
  CHECK(topology.failure.dead_letter->type == "redis_stream");
  CHECK(topology.failure.dead_letter->settings.text("uri") == "redis://127.0.0.1:6379/0");

  CHECK(topology.graph.task_count() == 3);
  CHECK(topology.graph.edge_count() == 3);
  CHECK(topology.graph.node(TaskId{1}).gather == dag::Gather::each);
}

TEST_CASE("what a topology's file leaves out has its default") {
  const Topology topology = parsed(kHead + kTask);
  const SourceDefinition source;
  CHECK(topology.source.max_pending == source.max_pending);
  CHECK(topology.source.max_pending_bytes == source.max_pending_bytes);
  CHECK(topology.source.poll_interval == source.poll_interval);
  CHECK(topology.source.max_backoff == source.max_backoff);
  CHECK(topology.source.read_count == source.read_count);
  CHECK(topology.source.ack_in_batches);
  CHECK(topology.source.endpoint.settings.size_bytes("size") == 100);

  const FailureDefinition failure;
  CHECK(topology.failure.policy == FailurePolicy::retry);
  CHECK(topology.failure.timeout == failure.timeout);
  CHECK(topology.failure.max_attempts == failure.max_attempts);
  CHECK(topology.failure.backoff.initial == failure.backoff.initial);
  CHECK(topology.failure.backoff.jitter == failure.backoff.jitter);
  CHECK_FALSE(topology.failure.dead_letter);
  CHECK(topology.tasks[0].timeout == 0s);
}

TEST_CASE("a part of [failure] leaves the defaults of the rest") {
  const Topology topology = parsed(kHead + kTask + "[failure]\nbackoff = { max = \"1s\" }\n");
  CHECK(topology.failure.policy == FailurePolicy::retry);
  CHECK(topology.failure.max_attempts == 5);
  CHECK(topology.failure.backoff.initial == 100ms);
  CHECK(topology.failure.backoff.max == 1s);
}

TEST_CASE("a built-in task without its table has that table's defaults") {
  const Topology topology = parsed(kHead + "[[task]]\nname = \"a\"\nuses = \"fail\"\n");
  CHECK(topology.tasks[0].config.integer("every") == 1);
  CHECK(topology.tasks[0].config.text("kind") == "retry");
}

TEST_CASE("an empty optional text counts as left out") {
  const Topology topology = parsed(
      "name = \"t\"\n[source]\ntype = \"redis_stream\"\nkey = \"k\"\nfield = \"\"\nuri = \"\"\n" +
      kTask);
  CHECK_FALSE(topology.source.endpoint.settings.has("field"));
  CHECK(topology.source.endpoint.settings.text("uri") == "redis://127.0.0.1:6379/0");
}

TEST_CASE("a topology's version is made from its text alone") {
  const Topology topology = parsed(kHead + kTask);
  CHECK(topology.version.size() == 16);
  CHECK(topology.version == parsed(kHead + kTask).version);
  CHECK(topology.version != parsed(kHead + kTask + "# more\n").version);
  CHECK(topology.text == kHead + kTask);
  CHECK(parsed(topology.text).version == topology.version);
}

TEST_CASE("a fault is told with its place, the name and the nearest right one") {
  CHECK(faults(kHead + kTask + "[failure]\ntmeout = \"1s\"\n") ==
        "t.toml:8:1: unknown key 'tmeout' in [failure]; did you mean 'timeout'?");
  CHECK(faults(kHead + kTask + "[failure]\ntimeout = 30\n") ==
        "t.toml:8:11: 'timeout' in [failure]: expected a duration such as \"30s\", got integer 30");
  CHECK(faults(kHead + kTask +
               "after = [\"cuont\"]\n[[task]]\nname = \"count\"\nuses = \"drop\"\n") ==
        "t.toml:7:10: unknown task 'cuont' in 'after' of task 'a'; did you mean 'count'?");
  CHECK(faults(kHead + kTask + "grouping = \"all\"\n") ==
        "t.toml:7:12: grouping \"all\" is not available in this version; use \"shuffle\" or "
        "\"key\"");
  CHECK(faults(kHead + kTask + "sink = { type = \"null\" }\n") ==
        "t.toml:7:1: 'sink' in [[task]] is only for uses = \"sink\", not \"identity\"");
  CHECK(faults(kHead + kTask + "config = { a = 1 }\n") ==
        "t.toml:7:1: 'config' in [[task]] is only for a library's task, not \"identity\"");
}

TEST_CASE("a join by key is a fault, told at its gather") {
  CHECK(faults(kHead + kTask + R"([[task]]
name = "join"
uses = "identity"
after = ["a"]
grouping = "key"
gather = "all"
)") == "t.toml:12:10: gather = \"all\" in [[task]] 'join' does not go with grouping = \"key\": it "
       "joins messages of all keys in one call; leave 'grouping' out, or give each message to its "
       "key's worker with gather = \"each\"");
  CHECK(parsed(kHead + kTask + R"([[task]]
name = "join"
uses = "identity"
after = ["a"]
gather = "all"
)")
            .tasks[1]
            .gather == dag::Gather::all);
}

TEST_CASE("columns count characters and lines every kind of value") {
  CHECK(faults("name = \"t\" # \xc3\xa4\xc3\xb6\n[source]\ntype = \"lines\"\npath = \"\"\"\n"
               "\xc3\xa4\"\"\"\nlibrarys = \"\xc3\xa4\" # x\n" +
               kTask) == "t.toml:6:1: unknown key 'librarys' in [source]");
  CHECK(faults(kHead + "[[task]]\nname = \"a\"\nuses = \"sink\"\n"
                       "sink = { type = \"lines\", path = \"\xc3\xa4\", appnd = true }\n") ==
        "t.toml:7:38: unknown key 'appnd' in [task.sink]; did you mean 'append'?");
}

TEST_CASE("inputs of a task that is none are checked as well") {
  CHECK(faults(kHead + kTask + kTask +
               "after = [\"aa\"]\n[[task]]\nuses = \"drop\"\nafter = [\"bb\"]\n") ==
        "t.toml:8:8: duplicate task 'a'; the first is in line 5\n"
        "t.toml:10:10: unknown task 'aa' in 'after' of task 'a'\n"
        "t.toml:11:1: missing key 'name' in [[task]]\n"
        "t.toml:13:10: unknown task 'bb' in 'after'");
  CHECK(faults(kHead + kTask + "after = [\"source\"]\n") ==
        "t.toml:7:10: 'source' is no task; a task without 'after' takes the source's messages");
}

TEST_CASE("a string that is not closed is told where it begins") {
  CHECK(faults("name = \"t\n[source]\n") ==
        "t.toml:1:8: syntax error: the string has no closing quote in its line");
  CHECK(faults("name = 't # x\n") ==
        "t.toml:1:8: syntax error: the string has no closing quote in its line");
  CHECK_THAT(faults("name = \"it's\"\n[source\n"), Catch::StartsWith("t.toml:2:8: syntax error"));
}

TEST_CASE("a misspelt required key is one fault") {
  CHECK(faults("nme = \"t\"\n[source]\ntype = \"generator\"\n" + kTask) ==
        "t.toml:1:1: unknown key 'nme'; did you mean 'name'?");
}

TEST_CASE("an unknown type does not make its table's other keys faults") {
  CHECK(faults("name = \"t\"\n[source]\ntype = \"line\"\npath = \"x\"\nuri = \"y\"\n" + kTask) ==
        "t.toml:3:8: unknown type \"line\" in [source]; did you mean \"lines\"?");
}

TEST_CASE("numbers and waits outside of their range are faults") {
  CHECK(faults("name = \"t\"\n[source]\ntype = \"generator\"\nmax_pending = 0\n"
               "poll_interval = \"0s\"\nsize = \"1GiB\"\nrate = -1\n" +
               kTask +
               "timeout = \"999999h\"\n[failure]\nbackoff = { jitter = 1.5, factor = 0 }\n") ==
        "t.toml:4:15: 'max_pending' in [source]: must be at least 1, got integer 0\n"
        "t.toml:5:17: 'poll_interval' in [source]: must be at least 1us, got \"0s\"\n"
        "t.toml:6:8: 'size' in [source]: must be at most 16 MiB, got \"1GiB\"\n"
        "t.toml:7:8: 'rate' in [source]: must be at least 0, got integer -1\n"
        "t.toml:11:11: 'timeout' in [[task]]: must be at most 365d, got \"999999h\"\n"
        "t.toml:13:22: 'jitter' in [failure.backoff]: must be at most 1, got number 1.5\n"
        "t.toml:13:36: 'factor' in [failure.backoff]: must be at least 1, got integer 0");
}

TEST_CASE("a longest wait below the first is a fault, also against a default") {
  CHECK(faults("name = \"t\"\n[source]\ntype = \"generator\"\nmax_backoff = \"1ms\"\n" + kTask +
               "[failure]\nbackoff = { initial = \"40s\" }\n") ==
        "t.toml:4:15: 'max_backoff' in [source]: 1ms is below 'poll_interval', 10ms\n"
        "t.toml:9:23: 'max' in [failure.backoff]: 30s is below 'initial', 40s");
}

TEST_CASE("names and references are of their form") {
  CHECK(faults("name = \"a b\"\n[source]\ntype = \"generator\"\n[[task]]\nname = \"source\"\n"
               "uses = \"drop\"\n[[task]]\nname = \"b\"\nuses = \"lib:\"\nafter = [\"b:\", "
               "\"c:d:e\"]\n") ==
        "t.toml:1:8: 'name': \"a b\" is no name; use letters, digits, '-' and '_', at most 255\n"
        "t.toml:5:8: no task may be called 'source': that is where the messages come from\n"
        "t.toml:9:8: 'uses' in [[task]]: \"lib:\" is not of the form \"library:Task\"\n"
        "t.toml:10:10: 'after' in [[task]]: \"b:\" is not of the form \"task\" or \"task:output\"\n"
        "t.toml:10:16: 'after' in [[task]]: \"c:d:e\" is not of the form \"task\" or "
        "\"task:output\"");
  std::vector<Diagnostic> diagnostics;
  CHECK_FALSE(parse_topology("name = \"" + std::string(kMaxNameBytes + 1, 'a') +
                                 "\"\n[source]\n"
                                 "type = \"generator\"\n" +
                                 kTask,
                             "t.toml", diagnostics));
}

TEST_CASE("a [task] that should be [[task]] is told so") {
  CHECK(faults(kHead + "[task]\nname = \"a\"\nuses = \"drop\"\n") ==
        "t.toml:4:1: 'task': expected [[task]] with two brackets on each side, got a table");
}

TEST_CASE("an empty list of tasks is a fault") {
  CHECK(faults("task = []\n" + kHead) == "t.toml:1:8: at least one [[task]] is needed");
}

TEST_CASE("hostile texts are refused without harm") {
  CHECK_THAT(faults(std::string(kMaxTopologyBytes + 1, '#')),
             Catch::StartsWith("t.toml:1:1: too large"));
  std::string dots = "a";
  for (int i = 0; i < 100'000; ++i) dots += ".a";
  CHECK_THAT(faults(dots + " = 1\n"), Catch::Contains("a key of more than 32 parts"));
  CHECK_THAT(faults("x = { " + dots + " = 1 }\n"), Catch::Contains("a key of more than 32 parts"));
  CHECK_THAT(faults("[" + dots + "]\n"), Catch::Contains("a key of more than 32 parts"));
  CHECK_THAT(faults("x = " + std::string(100'000, '[')), Catch::Contains("syntax error"));
  std::string nested = "1";
  for (int i = 0; i < 40; ++i) nested = "{ a.a.a.a = " + nested + " }";
  CHECK_THAT(faults("x = " + nested + "\n"), Catch::Contains("nest too deeply"));
  CHECK_FALSE(faults(std::string("name = \"\0\"", 10)).empty());
  CHECK_FALSE(faults("name = \"\xff\xfe\"").empty());
  CHECK_THAT(faults("name = \"a\\u0000b\"\n[source]\ntype = \"generator\"\n" + kTask),
             Catch::Contains("must not hold a NUL character"));
}

TEST_CASE("a text that breaks an assumption of the parser is refused with its line") {
  CHECK(faults(kHead + "[[{task]]\nname = \"a\"\n") ==
        "t.toml:4:1: syntax error: this line is not understood");
  CHECK(faults("[{x]") == "t.toml:1:1: syntax error: this line is not understood");
}

// Undefined behaviour is what this was: the builds with sanitizers see it.
TEST_CASE("letters beyond ASCII are a syntax error outside of strings") {
  CHECK(faults("name = \"\u00e9\"\n\u00e9 = 1\n") ==
        "t.toml:2:1: syntax error in root table: expected keys, tables, whitespace or comments, "
        "saw '\u00e9'");
  CHECK_FALSE(faults("\ufefe").empty());
}

TEST_CASE("long strings with dots are no deep keys") {
  const Topology topology = parsed("name = \"t\"\n[source]\ntype = \"lines\"\npath = \"" +
                                   std::string(200, '.') + "\"\n" + kTask);
  CHECK(topology.source.endpoint.settings.text("path") == std::string(200, '.'));
}

TEST_CASE("what only a library can tell is handed out, faults or not") {
  std::vector<Diagnostic> diagnostics;
  TopologyReferences references;
  CHECK_FALSE(
      parse_topology("name = \"t\"\nlibraries = [\"x.so\"]\nbad = 1\n[[task]]\nname = \"a\"\n"
                     "uses = \"x:Y\"\n[[task]]\nname = \"b\"\nuses = \"drop\"\n",
                     "t.toml", diagnostics, &references));
  REQUIRE(references.libraries.size() == 1);
  CHECK(references.libraries[0].text == "x.so");
  CHECK(references.libraries[0].position == Position{2, 14});
  REQUIRE(references.parts.size() == 1);
  CHECK(references.parts[0].text == "x:Y");
  CHECK(references.parts[0].position == Position{6, 8});
  CHECK(references.parts[0].part == LibraryPart::task);
}

TEST_CASE("sources and sinks may be a library's, with a config of their own") {
  const std::string text = R"(name = "t"
[source]
type = "x:Feed"
max_pending = 7
config = { path = "in", deep = { a = 1 } }
[[task]]
name = "out"
uses = "sink"
sink = { type = "x:Keep", config = { path = "out" } }
[failure]
dead_letter = { type = "y:Keep" }
)";
  const Topology topology = parsed(text);
  CHECK(topology.source.endpoint.type == "x:Feed");
  CHECK(topology.source.max_pending == 7);
  CHECK(topology.source.endpoint.settings.table("config").table("deep").integer("a") == 1);
  CHECK(topology.tasks[0].config.text("type") == "x:Keep");
  CHECK(topology.tasks[0].config.table("config").text("path") == "out");
  CHECK(topology.failure.dead_letter->type == "y:Keep");

  std::vector<Diagnostic> diagnostics;
  TopologyReferences references;
  REQUIRE(parse_topology(text, "t.toml", diagnostics, &references));
  REQUIRE(references.parts.size() == 3);
  CHECK(references.parts[0].part == LibraryPart::source);
  CHECK(references.parts[0].position == Position{3, 8});
  CHECK(references.parts[1].text == "y:Keep");
  CHECK(references.parts[1].position == Position{11, 24});
  CHECK(references.parts[2].text == "x:Keep");
  CHECK(references.parts[2].part == LibraryPart::sink);
}

TEST_CASE(
    "a string that holds a number, true or false is one, so that a variable may stand there") {
  const Topology topology = parsed(
      "name = \"t\"\n[source]\ntype = \"lines\"\npath = \"p\"\nfollow = \"true\"\n"
      "max_pending = \"12\"\nmax_pending_bytes = \"64KiB\"\nblock = \"2s\"\n" +
      kTask + "[failure]\nmax_attempts = \"7\"\nbackoff = { factor = \"1.5\" }\n");
  CHECK(topology.source.endpoint.settings.boolean("follow"));
  CHECK(topology.source.max_pending == 12);
  CHECK(topology.source.max_pending_bytes == 65536);
  CHECK(topology.source.block == std::chrono::seconds(2));
  CHECK(topology.failure.max_attempts == 7);
  CHECK(topology.failure.backoff.factor == 1.5);
}

TEST_CASE("a string in place of a number is held to the number's bounds, and to being one") {
  const std::string head = "name = \"t\"\n[source]\ntype = \"generator\"\nmax_pending = ";
  CHECK(faults(head + "\"0\"\n" + kTask) ==
        "t.toml:4:15: 'max_pending' in [source]: must be at least 1, got \"0\"");
  for (const char* text : {"\"ten\"", "\"1 \"", "\"1.5\"", "\"0x10\""}) {
    CHECK_THAT(faults(head + text + "\n" + kTask), Catch::Contains("expected an integer"));
  }
}

TEST_CASE("an empty string leaves any optional key out") {
  const Topology topology = parsed(kHead + "max_pending = \"\"\nblock = \"\"\n" + kTask +
                                   "[failure]\nmax_attempts = \"\"\n");
  CHECK(topology.source.max_pending == SourceDefinition{}.max_pending);
  CHECK(topology.source.block == SourceDefinition{}.block);
  CHECK(topology.failure.max_attempts == FailureDefinition{}.max_attempts);
}

TEST_CASE("a type that is neither built in nor a library's is told what there is") {
  CHECK(faults("name = \"t\"\n[source]\ntype = \"x:\"\n" + kTask) ==
        "t.toml:3:8: 'type' in [source]: \"x:\" is not of the form \"library:Source\"");
  CHECK(faults("name = \"t\"\n[source]\ntype = \"qqqqqqq\"\n" + kTask) ==
        "t.toml:3:8: unknown type \"qqqqqqq\" in [source]; there are \"generator\", \"lines\", "
        "\"redis_stream\" or \"redis_list\", and \"library:Source\" for a library's");
  CHECK(faults("name = \"t\"\n[source]\ntype = \"x:Feed\"\npath = \"in\"\n" + kTask) ==
        "t.toml:4:1: unknown key 'path' in [source]");
}

namespace {

// A file that is there as long as this.
struct WrittenFile {
  explicit WrittenFile(const std::string& text) : path(folder.write("Topology.toml", text)) {}

  test::TemporaryFolder folder;
  std::string path;
};

}  // namespace

TEST_CASE("a file's variables come from the environment") {
  setenv("TOPOLOGY_TEST_PATH", "a \"quoted\" path", 1);
  unsetenv("TOPOLOGY_TEST_MISSING");
  const WrittenFile file(
      "name = \"${TOPOLOGY_TEST_MISSING:fallback}\" # ${NOT_LOOKED_AT}\n[source]\n"
      "type = \"lines\"\npath = \"${TOPOLOGY_TEST_PATH}\"\n" +
      kTask);
  std::vector<Diagnostic> diagnostics;
  const auto topology = load_topology(file.path, diagnostics);
  INFO(joined(diagnostics));
  REQUIRE(topology);
  CHECK(topology->name == "fallback");
  CHECK(topology->source.endpoint.settings.text("path") == "a \"quoted\" path");
  CHECK_THAT(topology->text, Catch::StartsWith("name = \"fallback\" # ${NOT_LOOKED_AT}\n"));
}

TEST_CASE("a missing variable is told with the faults of the rest, each at its place in the file") {
  setenv("TOPOLOGY_TEST_LONG", "a value that is longer than its variable's name is", 1);
  unsetenv("TOPOLOGY_TEST_MISSING");
  const WrittenFile file(
      "name = \"t\"\n[source]\ntype = \"lines\"\npath = \"${TOPOLOGY_TEST_MISSING}\"\n" + kTask +
      "sink = { path = \"${TOPOLOGY_TEST_LONG}\", tpe = \"lines\" }\n");
  std::vector<Diagnostic> diagnostics;
  CHECK_FALSE(load_topology(file.path, diagnostics));
  CHECK(joined(diagnostics) ==
        file.path +
            ":4:9: the environment variable 'TOPOLOGY_TEST_MISSING' is not set; set it, or "
            "write ${TOPOLOGY_TEST_MISSING:default}\n" +
            file.path + ":8:1: 'sink' in [[task]] is only for uses = \"sink\", not \"identity\"\n" +
            file.path + ":8:42: unknown key 'tpe' in [task.sink]; did you mean 'type'?");
}

TEST_CASE("text that came over the wire is not filled in") {
  CHECK(parsed("name = \"t\"\n[source]\ntype = \"lines\"\npath = \"${HOME}\"\n" + kTask)
            .source.endpoint.settings.text("path") == "${HOME}");
}

TEST_CASE("a file that cannot be read is one diagnostic without a place") {
  std::vector<Diagnostic> diagnostics;
  CHECK_FALSE(load_topology("/nonexistent/Topology.toml", diagnostics));
  CHECK(joined(diagnostics) ==
        "/nonexistent/Topology.toml: cannot read the file: No such file or directory");
  diagnostics.clear();
  CHECK_FALSE(load_topology("/", diagnostics));
  CHECK(joined(diagnostics) == "/: cannot read the file: Is a directory");
}

TEST_CASE("what becomes of pending entries is a list of rules") {
  const Topology topology = parsed(R"(
name = "t"
[source]
type = "redis_stream"
key = "s"
ack = "none"
ack_interval = "20ms"
block = "0s"
[[source.pending]]
min_idle = "1m"
min_deliveries = 5
action = "move"
to = { type = "redis_list", key = "aside" }
[[source.pending]]
min_idle = "30s"
)" + kTask);
  CHECK_FALSE(topology.source.acks);
  CHECK(topology.source.ack_interval == 20ms);
  CHECK(topology.source.block == 0ms);
  const Settings::List& rules = topology.source.endpoint.settings.list("pending");
  REQUIRE(rules.size() == 2);
  const auto& first = std::get<Settings>(rules[0].data);
  CHECK(first.text("action") == "move");
  CHECK(first.table("to").text("key") == "aside");
  CHECK(std::get<Settings>(rules[1].data).text("action") == "claim");
}

TEST_CASE("a pending rule's faults are named with their places") {
  CHECK(faults(R"(name = "t"
[source]
type = "redis_stream"
key = "s"
[[source.pending]]
min_idle = "1ms"
action = "move"
[[source.pending]]
min_idle = "1s"
to = { type = "redis_list", key = "aside" }
[[source.pending]]
[[task]]
name = "a"
uses = "identity"
)") == "t.toml:6:12: 'min_idle' in [[source.pending]]: must be at least 100ms, got \"1ms\"\n"
       "t.toml:7:10: action = \"move\" in [[source.pending]] needs 'to'\n"
       "t.toml:10:6: 'to' in [[source.pending]] is only for action = \"move\"\n"
       "t.toml:11:1: missing key 'min_idle' in [[source.pending]]");
}

TEST_CASE(
    "errors and timeouts may have policies of their own, which take the rest from [failure]") {
  const Topology topology = parsed(kHead + kTask + R"([failure]
policy = "retry"
max_attempts = 7
backoff = { initial = "1s", max = "2s" }
on_error = { policy = "best_effort" }
on_timeout = { max_attempts = 2, backoff = { initial = "10ms" } }
)");
  const FailureRule error = topology.failure.rule(false);
  CHECK(error.policy == FailurePolicy::best_effort);
  CHECK(error.max_attempts == 7);
  CHECK(error.backoff.initial == 1s);
  const FailureRule timeout = topology.failure.rule(true);
  CHECK(timeout.policy == FailurePolicy::retry);
  CHECK(timeout.max_attempts == 2);
  CHECK(timeout.backoff.initial == 10ms);
  CHECK(parsed(kHead + kTask + "[failure]\npolicy = \"none\"\n").failure.rule(true).policy ==
        FailurePolicy::none);
  CHECK(faults(kHead + kTask +
               "[failure]\non_timeout = { backoff = { initial = \"1m\", max = \"1s\" } }\n") ==
        "t.toml:8:50: 'max' in [failure.on_timeout.backoff]: 1s is below 'initial', 1m");
}

TEST_CASE("a task without a timeout of its own has that of [failure]") {
  const Topology topology = parsed(R"(name = "t"
[source]
type = "generator"
[[task]]
name = "a"
uses = "drop"
[[task]]
name = "b"
uses = "drop"
timeout = "5s"
[[task]]
name = "c"
uses = "drop"
timeout = "0s"
[failure]
task_timeout = "2s"
)");
  CHECK(topology.failure.task_timeout == 2s);
  CHECK(topology.tasks[0].timeout == 2s);
  CHECK(topology.tasks[1].timeout == 5s);
  CHECK(topology.tasks[2].timeout == 0s);
  CHECK(parsed(kHead + kTask).tasks[0].timeout == 0s);
}
