#include <algorithm>
#include <catch2/catch.hpp>
#include <set>
#include <string>
#include <string_view>
#include <thread>
#include <vector>

#include "tempest/base/limits.hpp"
#include "tempest/builtin/entry_json.hpp"
#include "tempest/builtin/sink_factory.hpp"
#include "tempest/builtin/source_factory.hpp"
#include "tempest/runtime/redis.hpp"
#include "tests/integration/builtin/stream_fixture.hpp"
#include "tests/support/redis_server.hpp"

using namespace tempest;
using namespace std::chrono_literals;
using Catch::Matchers::Contains;
using tempest::runtime::parse_redis_uri;
using tempest::runtime::RedisConnection;
using tempest::test::Payloads;
using tempest::test::payloads;
using tempest::test::poll;
using tempest::test::RedisServer;
using tempest::test::Stream;
using tempest::test::tokens;

TEST_CASE_METHOD(Stream, "the group is made at the start of the stream, backlog and all") {
  const std::string id = add("before");
  auto source = opened_source();
  add("after");
  const SourceBatch batch = poll(*source);
  CHECK(payloads(batch) == Payloads{"before", "after"});
  CHECK_FALSE(batch.redelivered);
  CHECK(source->describe(batch.messages()[0].token) == id);
  CHECK(source->take_warnings().empty());
}

TEST_CASE_METHOD(Stream, "the group of a stream that is not there yet is made with it") {
  auto source = opened_source();
  CHECK(poll(*source).empty());
  add("first");
  CHECK(payloads(poll(*source)) == Payloads{"first"});
}

TEST_CASE_METHOD(Stream, "a group that is told to start at the end skips the backlog") {
  add("before");
  definition.endpoint.settings.set("start", {std::string("$")});
  auto source = opened_source();
  add("after");
  CHECK(payloads(poll(*source)) == Payloads{"after"});
}

TEST_CASE_METHOD(Stream, "acked entries are no longer pending, however they are acked") {
  definition.ack_in_batches = GENERATE(true, false);
  add_many(20);
  auto source = opened_source();
  const auto read = tokens(poll(*source));
  REQUIRE(read.size() == 20);
  CHECK(pending() == 20);
  REQUIRE(source->ack(std::span(read).first(7)));
  CHECK(pending() == 13);
  REQUIRE(source->ack(read));
  CHECK(pending() == 0);
  CHECK(source->ack(read));
  CHECK(source->ack({}));
}

TEST_CASE_METHOD(Stream, "many thousands are read and acked, each once") {
  add_many(5'000);
  auto source = opened_source();
  std::set<std::string> seen;
  std::vector<SourceToken> all;
  while (all.size() < 5'000) {
    const SourceBatch batch = poll(*source, 1'000);
    REQUIRE_FALSE(batch.empty());
    for (const SourceMessage& message : batch.messages()) seen.emplace(message.payload);
    for (const SourceToken& token : tokens(batch)) all.push_back(token);
  }
  CHECK(seen.size() == 5'000);
  REQUIRE(source->ack(all));
  CHECK(pending() == 0);
}

TEST_CASE_METHOD(Stream, "a source's own pending entries come first, all of them, then new ones") {
  add_many(250);
  {
    auto first = opened_source();
    std::size_t count = 0;
    std::vector<SourceToken> read;
    while (count < 250) {
      const SourceBatch batch = poll(*first, 100);
      count += batch.size();
      for (const SourceToken& token : tokens(batch)) read.push_back(token);
    }
    REQUIRE(first->ack(std::span(read).first(50)));
  }
  add("new");
  auto second = opened_source();
  Payloads redelivered;
  SourceBatch batch = poll(*second, 60);
  for (; batch.redelivered; batch = poll(*second, 60)) {
    REQUIRE(batch.size() <= 60);
    REQUIRE(redelivered.size() < 200);
    for (const std::string& payload : payloads(batch)) redelivered.push_back(payload);
  }
  REQUIRE(redelivered.size() == 200);
  CHECK(redelivered.front() == "50");
  CHECK(redelivered.back() == "249");
  CHECK(payloads(batch) == Payloads{"new"});
}

TEST_CASE_METHOD(Stream, "pending entries of another consumer are left to it") {
  add("one");
  auto mine = opened_source();
  REQUIRE(poll(*mine).size() == 1);
  definition.endpoint.settings.set("consumer", {std::string("other")});
  auto other = opened_source();
  CHECK(poll(*other).empty());
  add("two");
  CHECK(payloads(poll(*other)) == Payloads{"two"});
}

TEST_CASE_METHOD(Stream, "entries deleted while pending are acked away and counted as lost") {
  add("keep");
  const std::string id = add("gone");
  {
    auto first = opened_source();
    REQUIRE(poll(*first).size() == 2);
  }
  REQUIRE(redis.command({"XDEL", "s", id}));
  auto second = opened_source();
  const SourceBatch batch = poll(*second);
  CHECK(batch.redelivered);
  CHECK(payloads(batch) == Payloads{"keep"});
  CHECK(batch.lost == 1);
  // Acked by the next poll, once it was told of.
  CHECK(poll(*second).lost == 0);
  CHECK(pending() == 1);
  const auto warnings = second->take_warnings();
  REQUIRE(warnings.size() == 1);
  CHECK_THAT(warnings[0], Contains("deleted"));
}

TEST_CASE_METHOD(Stream, "a poll of an empty stream waits as long as it may, or for an entry") {
  auto source = opened_source();
  auto begin = std::chrono::steady_clock::now();
  CHECK(poll(*source, 10, 50ms).empty());
  CHECK(std::chrono::steady_clock::now() - begin >= 45ms);
  add("there");
  begin = std::chrono::steady_clock::now();
  CHECK(payloads(poll(*source, 10, 4s)) == Payloads{"there"});
  CHECK(std::chrono::steady_clock::now() - begin < 4s);
}

TEST_CASE_METHOD(Stream, "payloads may be any bytes") {
  const std::string bytes("\0\r\n\xff\xfe*3", 7);
  add(bytes);
  add("");
  auto source = opened_source();
  CHECK(payloads(poll(*source)) == Payloads{bytes, ""});
}

TEST_CASE_METHOD(Stream, "without a field the payload is a JSON object of all, in their order") {
  definition = make_definition();
  Settings settings;
  settings.set("uri", {server.uri()});
  settings.set("key", {std::string("s")});
  settings.set("key_field", {std::string("who")});
  definition.endpoint.settings = settings;
  REQUIRE(redis.command({"XADD", "s", "*", "who", "me", "a", "1\"2", "raw", "x\xff"}));
  auto source = opened_source();
  const SourceBatch batch = poll(*source);
  CHECK(payloads(batch) == Payloads{R"({"who":"me","a":"1\"2","raw":{"base64":"eP8="}})"});
  CHECK(batch.messages()[0].key == "me");
}

TEST_CASE_METHOD(Stream, "without a field an entry of any form can be made again of its payload") {
  Settings settings;
  settings.set("uri", {server.uri()});
  settings.set("key", {std::string("s")});
  definition.endpoint.settings = settings;
  using Fields = std::vector<std::string>;
  const std::vector<Fields> entries = {
      {"a", "1", "b", "2", "a", "3"},
      {"a", "1", "a", "1"},
      {"", "", "\n\"\\\x01", "\x7f\xf0\x9f\x98\x80"},
      {"n\xff", "\xed\xa0\x80", std::string("\0", 1), "\xc0\x80"},
      {"a_base64", "aGk=", "base64", "{}"},
  };
  for (const Fields& fields : entries) {
    std::vector<std::string_view> words = {"XADD", "s", "*"};
    words.insert(words.end(), fields.begin(), fields.end());
    REQUIRE(redis.command(words));
  }
  auto source = opened_source();
  const Payloads read = payloads(poll(*source));
  REQUIRE(read.size() == entries.size());
  for (std::size_t i = 0; i < read.size(); ++i) {
    CAPTURE(read[i]);
    const auto again = builtin::fields_of_entry_json(read[i]);
    REQUIRE(again);
    CHECK(*again == entries[i]);
  }
  CHECK(read[0] == R"([["a","1"],["b","2"],["a","3"]])");
  for (const char* text : {"", "[", "{}x", "7", "\"a\"", "[\"a\"]", "[[\"a\"]]", "{\"a\":1}",
                           R"([["a","b","c"]])", R"({"a":{}})", R"({"a":{"base64":"eP8="},"b":[]})",
                           R"({"a":{"base64":"?"}})", R"({"a":{"b":"c"}})", R"([{"a":"b"}])"}) {
    CAPTURE(text);
    CHECK_FALSE(builtin::fields_of_entry_json(text));
  }
}

TEST_CASE_METHOD(Stream, "an entry of very many fields takes time in proportion to them") {
  Settings settings;
  settings.set("uri", {server.uri()});
  settings.set("key", {std::string("s")});
  definition.endpoint.settings = settings;
  std::vector<std::string> fields;
  for (int i = 0; i < 160'000; ++i) fields.push_back("field-" + std::to_string(i));
  std::vector<std::string_view> words = {"XADD", "s", "*"};
  for (const std::string& field : fields) words.insert(words.end(), {field, "v"});
  REQUIRE(redis.command(words));
  auto source = opened_source();
  const auto begin = std::chrono::steady_clock::now();
  const SourceBatch batch = poll(*source);
  REQUIRE(batch.size() == 1);
  CHECK(builtin::fields_of_entry_json(batch.messages()[0].payload)->size() == 320'000);
  CHECK(std::chrono::steady_clock::now() - begin < 5s);
}

TEST_CASE_METHOD(Stream, "an entry without the field, or with two, is an error of its own") {
  const std::string none(redis.command({"XADD", "s", "*", "other", "x"})->value().text());
  REQUIRE(redis.command({"XADD", "s", "*", "text", "1", "text", "2"}));
  add("good");
  auto source = opened_source();
  const SourceBatch batch = poll(*source);
  REQUIRE(batch.size() == 3);
  CHECK_THAT(std::string(batch.messages()[0].fault), Contains(none) && Contains("not at all"));
  CHECK(batch.messages()[0].payload == R"({"other":"x"})");
  CHECK_THAT(std::string(batch.messages()[1].fault), Contains("2 times"));
  CHECK(batch.messages()[2].fault.empty());
  CHECK(batch.messages()[2].payload == "good");
}

TEST_CASE_METHOD(Stream, "an entry that is too large fails with its id and its first bytes") {
  const std::string id = add(std::string(kMaxPayloadBytes + 1, 'x'));
  add("small");
  auto source = opened_source();
  SourceBatch batch = poll(*source);
  REQUIRE(source->poll(100, Duration::zero(), batch));
  REQUIRE(batch.size() == 2);
  CHECK_THAT(std::string(batch.messages()[0].fault),
             Contains(id) && Contains("larger than a message may be"));
  CHECK(batch.messages()[0].payload == std::string(1'024, 'x'));
  CHECK(batch.messages()[1].payload == "small");
  CHECK(batch.lost == 0);
  REQUIRE(source->ack(tokens(batch)));
  CHECK(pending() == 0);
}

TEST_CASE_METHOD(Stream, "polls of large entries become small ones") {
  const std::string large(1'000'000, 'x');
  for (int i = 0; i < 150; ++i) add(large);
  auto source = opened_source();
  REQUIRE(poll(*source, 2).size() == 2);
  CHECK(poll(*source, 1'000).size() <= 10);
}

TEST_CASE_METHOD(Stream, "a Redis that is restarted in mid-run loses nothing") {
  add_many(100);
  auto source = opened_source();
  const SourceBatch before = poll(*source, 40);
  REQUIRE(before.size() == 40);
  const auto read = tokens(before);
  REQUIRE(source->ack(std::span(read).first(10)));

  server.kill();
  // What was read ahead is still given out, and given again after open().
  SourceBatch ahead;
  Result<void> polled;
  for (int i = 0; i < 10 && polled; ++i) polled = source->poll(10, 0ms, ahead);
  REQUIRE_FALSE(polled);
  CHECK(polled.error().code == ErrorCode::unavailable);
  CHECK(ahead.size() <= 40);
  CHECK(source->ack(read).error().code == ErrorCode::unavailable);
  CHECK(source->open().error().code == ErrorCode::unavailable);
  server.start();
  REQUIRE(source->open());
  REQUIRE(redis.connect());
  CHECK(pending() == 70);

  Payloads rest;
  std::vector<SourceToken> to_ack;
  for (SourceBatch batch = poll(*source, 1'000); !batch.empty(); batch = poll(*source, 1'000)) {
    for (const std::string& payload : payloads(batch)) rest.push_back(payload);
    for (const SourceToken& token : tokens(batch)) to_ack.push_back(token);
  }
  REQUIRE(rest.size() == 90);
  CHECK(rest.front() == "10");
  CHECK(rest.back() == "99");
  REQUIRE(source->ack(to_ack));
  CHECK(pending() == 0);
  CHECK(source->take_warnings().empty());
}

TEST_CASE_METHOD(Stream, "while more is there than was asked for, the next read is sent ahead") {
  add_many(100);
  auto source = opened_source();
  CHECK(poll(*source, 20).size() == 20);
  CHECK(pending() == 40);
  // Given out in its order, and never more than is asked for.
  CHECK(payloads(poll(*source, 5)) == Payloads{"20", "21", "22", "23", "24"});
  std::size_t given = 25;
  for (SourceBatch batch = poll(*source, 30); !batch.empty(); batch = poll(*source, 30)) {
    REQUIRE(batch.size() <= 30);
    for (const std::string& payload : payloads(batch)) CHECK(payload == std::to_string(given++));
    REQUIRE(source->ack(tokens(batch)));
  }
  CHECK(given == 100);
  CHECK(pending() == 25);
}

TEST_CASE_METHOD(Stream, "a group that was flushed is made again, with a warning") {
  add("before");
  auto source = opened_source();
  const auto read = tokens(poll(*source));
  REQUIRE(redis.command({"FLUSHALL"}));
  CHECK(poll(*source).empty());
  REQUIRE(source->take_warnings().size() == 1);
  add("after");
  CHECK(payloads(poll(*source)) == Payloads{"after"});
  CHECK(source->ack(read));
}

TEST_CASE_METHOD(Stream, "a group that is flushed while a poll waits is made again") {
  auto source = opened_source();
  Result<void> polled;
  SourceBatch batch;
  std::thread waiting([&] { polled = source->poll(10, 4s, batch); });
  const auto deadline = std::chrono::steady_clock::now() + 3s;
  bool blocked = false;
  while (!blocked && std::chrono::steady_clock::now() < deadline) {
    auto clients = redis.command({"INFO", "clients"});
    REQUIRE(clients);
    blocked = clients->value().text().find("blocked_clients:1") != std::string_view::npos;
  }
  const bool flushed = redis.command({"FLUSHALL"}).ok();
  waiting.join();
  REQUIRE(blocked);
  REQUIRE(flushed);
  if (!polled) {
    CHECK(polled.error().code == ErrorCode::unavailable);
    REQUIRE(source->open());
  }
  add("after");
  Payloads read = payloads(poll(*source));
  if (read.empty()) read = payloads(poll(*source));
  CHECK(read == Payloads{"after"});
  CHECK(source->take_warnings().size() == 1);
}

TEST_CASE_METHOD(Stream, "a Redis that forgets everything at its restart is warned of") {
  RedisServer forgetful({.append_only = false, .password = {}});
  definition.endpoint.settings.set("uri", {forgetful.uri()});
  auto source = opened_source();
  const auto warnings = source->take_warnings();
  REQUIRE(warnings.size() == 1);
  CHECK_THAT(warnings[0], Contains("append-only"));
  forgetful.kill();
  forgetful.start();
  REQUIRE(source->open());
  const auto again = source->take_warnings();
  REQUIRE(again.size() == 1);
  CHECK_THAT(again[0], Contains("has lost data"));
}

TEST_CASE_METHOD(Stream, "what a retry cannot mend is a configuration error in plain words") {
  REQUIRE(redis.command({"SET", "text", "x"}));
  definition.endpoint.settings.set("key", {std::string("text")});
  const auto wrong_type = source()->open();
  REQUIRE_FALSE(wrong_type);
  CHECK(wrong_type.error().code == ErrorCode::configuration);
  CHECK_THAT(wrong_type.error().message, Contains("the key \"text\"") && Contains("not a stream"));

  definition = make_definition();
  definition.endpoint.settings.set("start", {std::string("yesterday")});
  const auto wrong_start = source()->open();
  REQUIRE_FALSE(wrong_start);
  CHECK(wrong_start.error().code == ErrorCode::configuration);
  CHECK_THAT(wrong_start.error().message, Contains("yesterday"));
}

TEST_CASE_METHOD(Stream, "a stream sink adds each payload, confirmed, any bytes") {
  Endpoint endpoint;
  endpoint.type = "redis_stream";
  endpoint.settings.set("uri", {server.uri()});
  endpoint.settings.set("key", {std::string("out")});
  endpoint.settings.set("field", {std::string("f")});
  auto sink = builtin::create_sink(endpoint);
  REQUIRE(sink);
  REQUIRE((*sink)->open());
  const std::string bytes("\0\r\n\xff", 4);
  std::vector<Message> messages(2'500, Message("x"));
  messages[1] = bytes;
  REQUIRE((*sink)->write(messages));
  auto entries = redis.command({"XRANGE", "out", "-", "+"});
  REQUIRE(entries);
  REQUIRE(entries->value().size() == 2'500);
  CHECK(entries->value()[0][1][0].text() == "f");
  CHECK(entries->value()[1][1][1].text() == bytes);
}

TEST_CASE_METHOD(Stream, "a stream sink keeps about as many entries as it is told to") {
  Endpoint endpoint;
  endpoint.type = "redis_stream";
  endpoint.settings.set("uri", {server.uri()});
  endpoint.settings.set("key", {std::string("out")});
  endpoint.settings.set("max_length", {std::int64_t{100}});
  auto sink = builtin::create_sink(endpoint);
  REQUIRE(sink);
  REQUIRE((*sink)->open());
  REQUIRE((*sink)->write(std::vector<Message>(3'000, Message("x"))));
  auto length = redis.command({"XLEN", "out"});
  REQUIRE(length);
  CHECK(length->value().integer() >= 100);
  CHECK(length->value().integer() < 1'000);
}

TEST_CASE_METHOD(Stream, "a stream sink says when it could not write, and writes after an open") {
  Endpoint endpoint;
  endpoint.type = "redis_stream";
  endpoint.settings.set("uri", {server.uri()});
  endpoint.settings.set("key", {std::string("out")});
  auto sink = builtin::create_sink(endpoint);
  REQUIRE(sink);
  const std::vector<Message> messages(10, Message("x"));
  CHECK((*sink)->write(messages).error().code == ErrorCode::unavailable);
  REQUIRE((*sink)->open());
  server.kill();
  CHECK((*sink)->write(messages).error().code == ErrorCode::unavailable);
  server.start();
  REQUIRE((*sink)->open());
  CHECK((*sink)->write(messages));

  REQUIRE(redis.connect());
  REQUIRE(redis.command({"DEL", "out"}));
  REQUIRE(redis.command({"SET", "out", "text"}));
  // Not the messages' fault, and it may be mended.
  CHECK((*sink)->write(messages).error().code == ErrorCode::unavailable);
  auto late = builtin::create_sink(endpoint);
  REQUIRE(late);
  const auto opened = (*late)->open();
  REQUIRE_FALSE(opened);
  CHECK(opened.error().code == ErrorCode::configuration);
  CHECK_THAT(opened.error().message, Contains("\"out\"") && Contains("holds a string"));
  REQUIRE(redis.command({"DEL", "out"}));
  // The error replies were all read: this one's own replies follow.
  CHECK((*sink)->write(messages));
}

TEST_CASE_METHOD(Stream, "a stream that is read without acks keeps nothing pending, and warns") {
  definition.acks = false;
  add_many(10);
  auto source = opened_source();
  CHECK_THAT(source->take_warnings().at(0), Contains("lost"));
  const auto read = tokens(poll(*source));
  REQUIRE(read.size() == 10);
  CHECK(pending() == 0);
  CHECK(source->ack(read));
}
