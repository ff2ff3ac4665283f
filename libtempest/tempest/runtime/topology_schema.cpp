#include "tempest/runtime/topology_schema.hpp"

#include <algorithm>
#include <cstdint>

#include "tempest/base/limits.hpp"
#include "tempest/base/quantity.hpp"
#include "tempest/topology.hpp"

namespace tempest::runtime {
namespace {

using Kind = ValueKind;

Settings::Value value(const char* text) {
  return {std::string(text)};
}
Settings::Value value(std::int64_t integer) {
  return {integer};
}
Settings::Value value(double number) {
  return {number};
}
Settings::Value value(bool boolean) {
  return {boolean};
}
Settings::Value value(Duration duration) {
  return {format_duration(duration)};
}

template <typename Integer>
Settings::Value whole(Integer integer) {
  return value(static_cast<std::int64_t>(integer));
}

KeySchema required(std::string name, Kind kind, std::string help) {
  return {.name = std::move(name), .kind = kind, .help = std::move(help), .required = true};
}

KeySchema optional(std::string name, Kind kind, std::string help) {
  return {.name = std::move(name), .kind = kind, .help = std::move(help)};
}

KeySchema with_default(std::string name, Kind kind, Settings::Value fallback, std::string help) {
  return {.name = std::move(name),
          .kind = kind,
          .help = std::move(help),
          .fallback = std::move(fallback)};
}

KeySchema one_of(std::string name, std::vector<std::string> allowed, std::string help) {
  const std::string first = allowed.front();
  return {.name = std::move(name),
          .help = std::move(help),
          .fallback = value(first.c_str()),
          .allowed = std::move(allowed)};
}

KeySchema within(KeySchema key, std::optional<double> minimum,
                 std::optional<double> maximum = std::nullopt) {
  key.minimum = minimum;
  key.maximum = maximum;
  return key;
}

KeySchema without(KeySchema key, std::vector<std::string> withheld) {
  key.withheld = std::move(withheld);
  return key;
}

KeySchema holding(KeySchema key, const TableSchema& table) {
  key.table = &table;
  return key;
}

// A wait of nothing would spin.
constexpr double kShortestWaitNs = 1'000;
// Half of it must be enough to see that this source is at work.
constexpr double kShortestIdleNs = 100'000'000;

KeySchema redis_uri() {
  return with_default("uri", Kind::text, value("redis://127.0.0.1:6379/0"),
                      "The Redis server and database");
}

VariantSchema generator_source() {
  return {
      "generator",
      "Makes messages, for trials and measurements",
      {within(with_default("count", Kind::integer, whole(0), "How many; 0: endlessly"), 0),
       within(with_default("size", Kind::size, whole(100), "Of each payload"), 0, kMaxPayloadBytes),
       within(with_default("rate", Kind::integer, whole(0),
                           "Messages per second; 0: as fast as they are taken"),
              0)}};
}

VariantSchema lines_source() {
  return {
      "lines",
      "Each line of a file is a message; ends with the file",
      {required("path", Kind::text, "The file; \"-\" for standard input"),
       optional("checkpoint", Kind::text,
                "A file for the place of the oldest line not yet acked: where the next start "
                "begins"),
       with_default("follow", Kind::boolean, value(false),
                    "At the end wait for more, and go on where the file is replaced"),
       within(with_default("rotate_wait", Kind::duration, value(Duration(std::chrono::seconds(5))),
                           "With follow: a file that was put aside is read until it was quiet "
                           "for so long"),
              0, 3.6e12),
       within(with_default("max_line", Kind::size, whole(kMaxPayloadBytes),
                           "Longer lines become dead letters; without these they are skipped, and "
                           "counted as lost"),
              1, kMaxPayloadBytes)}};
}

TableSchema make_move_target() {
  return {"Where entries are moved, in the same Redis",
          {},
          {{"redis_stream",
            "A stream: an entry of the same fields",
            {required("key", Kind::text, "The stream")}},
           {"redis_list",
            "A list: a JSON object of stream, id and fields",
            {required("key", Kind::text, "The list")}},
           {"redis_sorted_set",
            "A sorted set: the same JSON, with the entry's time in ms as its score",
            {required("key", Kind::text, "The sorted set")}}}};
}

const TableSchema& pending_schema() {
  static const TableSchema target = make_move_target();
  static const TableSchema schema = {
      "What becomes of pending entries that nobody works on; the first rule that fits one decides",
      {within({.name = "min_idle",
               .kind = Kind::duration,
               .help = "Since the entry was last given to a consumer",
               .required = true},
              kShortestIdleNs),
       within(with_default("min_deliveries", Kind::integer, whole(0),
                           "Only entries that were given out so often"),
              0),
       one_of("action", {"claim", "ack", "delete", "move"},
              "Read it here; ack it unread; ack and delete it; or move it, and ack it"),
       holding(optional("to", Kind::table, "With action = \"move\": where"), target)}};
  return schema;
}

VariantSchema redis_stream_source() {
  return {"redis_stream",
          "The entries of a Redis stream, through a consumer group",
          {redis_uri(), required("key", Kind::text, "The stream"),
           optional("group", Kind::text,
                    "The consumer group, made if missing; by default the "
                    "topology's name"),
           optional("consumer", Kind::text,
                    "The name within the group, the same at each start; by default the node's"),
           optional("field", Kind::text,
                    "The entry's field that is the payload; without it a JSON object of them all"),
           optional("key_field", Kind::text, "The entry's field that is the message's key"),
           with_default("start", Kind::text, value("0"),
                        "Where a group made new begins: an entry's id, \"0\" or \"$\""),
           holding(optional("pending", Kind::table_list,
                            "What becomes of entries that others left pending"),
                   pending_schema())}};
}

VariantSchema from_library(const char* form, std::string help) {
  return {form,
          std::move(help),
          {optional("config", Kind::free_table, "What it is given at its start")},
          true};
}

TableSchema make_sleep() {
  return {"How long the task waits for each message before it hands it on",
          {required("time", Kind::duration, "The wait")}};
}

TableSchema make_fail() {
  return {
      "Which messages fail, and how; the others are handed on",
      {within(with_default("every", Kind::integer, whole(1), "Every how many-th message fails"), 1),
       one_of("kind", {"retry", "fail", "throw"},
              "An error that asks for another attempt, one for good, or an exception"),
       optional("match", Kind::text, "Only messages that contain this text"),
       within(with_default("times", Kind::integer, whole(0),
                           "Only the first so many attempts of a message; 0: all"),
              0)}};
}

TableSchema make_backoff() {
  const Backoff backoff;
  return {"The waits between attempts",
          {with_default("initial", Kind::duration, value(backoff.initial), "The first wait"),
           within(with_default("factor", Kind::number, value(backoff.factor),
                               "By which each wait is longer than the one before"),
                  1, 1'000),
           with_default("max", Kind::duration, value(backoff.max), "The longest wait"),
           within(with_default("jitter", Kind::number, value(backoff.jitter),
                               "The share of each wait that is drawn at random"),
                  0, 1)}};
}

const TableSchema& backoff_schema() {
  static const TableSchema schema = make_backoff();
  return schema;
}

TableSchema make_failure_rule() {
  return {
      "In place of what [failure] says; what is left out is as there",
      {{.name = "policy",
        .help = "Tried again, then dead-lettered; left unacked; or acked all the same",
        .allowed = {"retry", "none", "best_effort"}},
       within(optional("max_attempts", Kind::integer, "The most attempts"), 1, kMaxAttempts),
       holding(optional("backoff", Kind::table, "The waits between attempts"), backoff_schema())}};
}

const TableSchema& handler_schema() {
  static const TableSchema schema = {
      "A failure handler of a library",
      {required("uses", Kind::text, "Which: \"library:Handler\""),
       optional("config", Kind::free_table, "What it is given at its start")}};
  return schema;
}

const TableSchema& failure_rule_schema() {
  static const TableSchema schema = make_failure_rule();
  return schema;
}

VariantSchema redis_list_source() {
  return {
      "redis_list",
      "The elements of a Redis list, as a reliable queue",
      {redis_uri(), required("key", Kind::text, "The list"),
       optional("consumer", Kind::text,
                "This reader's name, the same at each start; by default the node's"),
       within(with_default("lease", Kind::duration, value(Duration(std::chrono::seconds(30))),
                           "Without a sign of life for so long, a reader's messages are others'"),
              1e9),
       with_default("retry_delay", Kind::duration, value(Duration(std::chrono::seconds(10))),
                    "When a message that was left unacked is given again")}};
}

}  // namespace

const TableSchema& sink_schema() {
  static const TableSchema schema = {
      "Where messages are written",
      {},
      {{"lines",
        "A file, a line for each message",
        {required("path", Kind::text, "The file; \"-\" for standard output"),
         with_default("append", Kind::boolean, value(true),
                      "Add to the file; false: each process that writes it begins it anew"),
         one_of("line_breaks", {"refuse", "escape"},
                "A payload with a line break fails; or backslashes and line breaks are escaped, in "
                "every payload")}},
       {"redis_stream",
        "A Redis stream, an entry for each message",
        {redis_uri(), required("key", Kind::text, "The stream"),
         with_default("field", Kind::text, value("value"), "The entry's field for the payload"),
         within(with_default("max_length", Kind::integer, whole(0),
                             "About how many entries the stream keeps; 0: all"),
                0)}},
       {"redis_list",
        "A Redis list, an element at its end for each message",
        {redis_uri(), required("key", Kind::text, "The list"),
         within(with_default("max_length", Kind::integer, whole(0),
                             "How many elements the list keeps, the newest; 0: all"),
                0)}},
       {"null", "Nowhere: each message counts as written", {}},
       from_library("library:Sink", "A library's sink")},
      {}};
  return schema;
}

const TableSchema& source_schema() {
  const SourceDefinition source;
  static const TableSchema schema = {
      "Where the messages come from",
      {within(with_default("max_pending", Kind::integer, whole(source.max_pending),
                           "The most messages read but not yet acked"),
              1, 10'000'000),
       within(with_default("max_pending_bytes", Kind::size, whole(source.max_pending_bytes),
                           "The most bytes of payload read but not yet acked"),
              1),
       within(with_default("poll_interval", Kind::duration, value(source.poll_interval),
                           "The wait after a poll that found nothing; twice as long each time"),
              kShortestWaitNs),
       within(with_default("max_backoff", Kind::duration, value(source.max_backoff),
                           "The longest wait between two polls"),
              kShortestWaitNs),
       within(with_default("read_count", Kind::integer, whole(source.read_count),
                           "The most messages asked for in one poll"),
              1, kMaxFrameItems),
       one_of(
           "ack", {"batch", "individual", "none"},
           "Acked as they come, many at a time; one by one; or never, so that a crash loses them"),
       with_default("ack_interval", Kind::duration, value(source.ack_interval),
                    "How long acks wait for others to go with them"),
       with_default("block", Kind::duration, value(source.block),
                    "The longest a poll waits at the source; \"0s\": not at all")},
      {generator_source(), lines_source(), redis_stream_source(), redis_list_source(),
       from_library("library:Source", "A library's source")},
      {}};
  return schema;
}

const TableSchema& task_schema() {
  static const TableSchema schema = [] {
    TableSchema task;
    task.help = "A task of the pipeline";
    task.keys = {
        required("name", Kind::name, "Unlike any other task's"),
        required("uses", Kind::text, "What it runs: \"library:Task\", or a built-in"),
        optional("after", Kind::text_list,
                 "The tasks whose outputs it takes: \"task\", or \"task:output\" for a branch by "
                 "name; none: it takes the source's messages"),
        without(one_of("grouping", {"shuffle", "key"},
                       "Any worker, or always the same one for messages of the same key"),
                {"all"}),
        one_of("gather", {"none", "each", "all"},
               "Whether its input is held until all tasks before it are done with the source's "
               "message, and then handled one by one or in one call"),
        optional("timeout", Kind::duration,
                 "For one call; by default [failure] task_timeout; \"0s\": no limit"),
        optional("config", Kind::free_table, "What a library's task is given at its start"),
    };
    for (const BuiltinTask& builtin : builtin_tasks()) {
      if (!builtin.table) continue;
      task.keys.push_back(
          holding(optional(builtin.name, Kind::table, "With uses = \"" + builtin.name + "\""),
                  *builtin.table));
    }
    return task;
  }();
  return schema;
}

const TableSchema& failure_schema() {
  const FailureDefinition failure;
  static const TableSchema schema = {
      "What becomes of messages that fail",
      {one_of("policy", {"retry", "none", "best_effort"},
              "Tried again, then dead-lettered; left unacked; or acked all the same"),
       with_default("timeout", Kind::duration, value(failure.timeout),
                    "For how long a source message, with all that comes of it, may be worked on; "
                    "waiting does not count; \"0s\": no limit"),
       with_default("task_timeout", Kind::duration, value(failure.task_timeout),
                    "For one call of a task without a timeout of its own; \"0s\": no limit"),
       with_default(
           "max_age", Kind::duration, value(failure.max_age),
           "How old a message may get, since it was read, before it is given up whatever it "
           "waits for; \"0s\": any age"),
       within(with_default("max_attempts", Kind::integer, whole(failure.max_attempts),
                           "The most attempts of one delivery"),
              1, kMaxAttempts),
       holding(optional("backoff", Kind::table, "The waits between attempts"), backoff_schema()),
       holding(optional("dead_letter", Kind::table, "The sink for messages that failed for good"),
               sink_schema()),
       holding(optional("handler", Kind::table, "Decides about messages that have failed"),
               handler_schema()),
       holding(optional("on_error", Kind::table, "For what failed"), failure_rule_schema()),
       holding(optional("on_timeout", Kind::table,
                        "For what took too long: a task's timeout, or the whole message's"),
               failure_rule_schema())}};
  return schema;
}

const TableSchema& topology_schema() {
  static const TableSchema schema = {
      "A Tempest topology",
      {required("name", Kind::name, "Unlike any other topology's"),
       optional("libraries", Kind::text_list,
                "The shared libraries that hold its tasks, sources and sinks"),
       holding(required("source", Kind::table, "Where the messages come from"), source_schema()),
       holding(required("task", Kind::table_list, "The tasks of the pipeline"), task_schema()),
       holding(optional("failure", Kind::table, "What becomes of messages that fail"),
               failure_schema())}};
  return schema;
}

const std::vector<BuiltinTask>& builtin_tasks() {
  static const TableSchema sleep = make_sleep();
  static const TableSchema fail = make_fail();
  static const std::vector<BuiltinTask> tasks = {
      {"identity", "Hands each message on as it is"},
      {"drop", "Takes messages and hands nothing on"},
      {"sleep", "Waits, then hands the message on", &sleep, true},
      {"fail", "Fails on purpose", &fail, false},
      {"sink", "Writes messages where they outlive the process", &sink_schema(), true},
  };
  return tasks;
}

const VariantSchema* find_variant(const TableSchema& table, const std::string& type) {
  for (const VariantSchema& variant : table.variants) {
    if (variant.from_library ? is_library_reference(type) : variant.type == type) return &variant;
  }
  return nullptr;
}

bool is_library_reference(std::string_view text) {
  const auto is_word = [](char c) {
    return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') || c == '_' ||
           c == '-' || c == '.';
  };
  const std::size_t colon = text.find(':');
  if (colon == std::string_view::npos || colon == 0 || colon + 1 == text.size()) return false;
  const std::string_view library = text.substr(0, colon);
  const std::string_view name = text.substr(colon + 1);
  return std::all_of(library.begin(), library.end(), is_word) &&
         std::all_of(name.begin(), name.end(), [&](char c) { return c == ':' || is_word(c); });
}

const BuiltinTask* find_builtin_task(const std::string& name) {
  for (const BuiltinTask& task : builtin_tasks()) {
    if (task.name == name) return &task;
  }
  return nullptr;
}

}  // namespace tempest::runtime
