#include <catch2/catch.hpp>
#include <chrono>
#include <functional>
#include <set>

#include "tempest/builtin/sink_factory.hpp"
#include "tests/integration/builtin/stream_fixture.hpp"

using namespace tempest;
using namespace std::chrono_literals;
using Catch::Matchers::Contains;
using tempest::test::Payloads;
using tempest::test::payloads;
using tempest::test::RedisServer;
using tempest::test::tokens;

namespace {

/// A server with the list "q", and readers of it.
struct Queue {
  Queue() { REQUIRE(redis.connect()); }

  void push(const std::string& text) { REQUIRE(redis.command({"RPUSH", "q", text})); }

  std::unique_ptr<Source> reader(const std::string& name) {
    SourceDefinition definition;
    definition.acks = acks;
    definition.endpoint.type = "redis_list";
    definition.endpoint.settings.set("uri", {server.uri()});
    definition.endpoint.settings.set("key", {std::string("q")});
    definition.endpoint.settings.set("lease", {std::string("1s")});
    definition.endpoint.settings.set("retry_delay", {std::string("50ms")});
    auto made = builtin::create_source(definition, "topology", name);
    REQUIRE(made);
    REQUIRE((*made)->open());
    return std::move(*made);
  }

  /// All that a reader gets until there are `count`, or for long enough to fail the test.
  static SourceBatch take(Source& source, std::size_t count) {
    SourceBatch all;
    const auto deadline = std::chrono::steady_clock::now() + 10s;
    while (all.size() < count) {
      REQUIRE(source.poll(1'000, Duration::zero(), all));
      SourceTended tended;
      REQUIRE(source.tend(tended));
      REQUIRE(std::chrono::steady_clock::now() < deadline);
    }
    return all;
  }

  /// The keys that the queue has made beside the list.
  std::set<std::string> keys() {
    auto reply = redis.command({"KEYS", "q*"});
    REQUIRE(reply);
    std::set<std::string> names;
    for (std::size_t i = 0; i < reply->value().size(); ++i) {
      names.emplace(reply->value()[i].text());
    }
    return names;
  }

  RedisServer server;
  runtime::RedisConnection redis{*runtime::parse_redis_uri(server.uri())};
  bool acks = true;
};

}  // namespace

TEST_CASE_METHOD(Queue, "a list's elements are given in order, any bytes, and gone once acked") {
  const std::string bytes("\0\r\n\xff", 4);
  for (const std::string& text : {std::string("same"), std::string("same"), bytes}) push(text);
  auto reader = this->reader("me");
  const SourceBatch batch = take(*reader, 3);
  CHECK(payloads(batch) == Payloads{"same", "same", bytes});
  CHECK(batch.messages()[0].token != batch.messages()[1].token);
  CHECK(batch.messages()[0].given_before == 0);
  REQUIRE(reader->ack(tokens(batch)));
  CHECK(reader->ack(tokens(batch)));
  CHECK(keys() == std::set<std::string>{"q:ids", "q:lease:me", "q:readers"});
}

TEST_CASE_METHOD(Queue, "a reader takes up at its start what its last life had, and counts that") {
  push("a");
  push("b");
  {
    auto first = reader("me");
    const SourceBatch batch = take(*first, 2);
    REQUIRE(first->ack(std::vector<SourceToken>{batch.messages()[0].token}));
  }
  auto second = reader("me");
  push("c");
  SourceBatch batch;
  REQUIRE(second->poll(100, 0ms, batch));
  CHECK(batch.redelivered);
  CHECK(payloads(batch) == Payloads{"b"});
  CHECK(batch.messages()[0].given_before == 1);
  CHECK(payloads(take(*second, 1)) == Payloads{"c"});
  // A lost connection is no attempt.
  REQUIRE(second->open());
  SourceBatch again;
  REQUIRE(second->poll(100, 0ms, again));
  CHECK(payloads(again) == Payloads{"b", "c"});
  CHECK(again.messages()[0].given_before == 1);
}

TEST_CASE_METHOD(Queue,
                 "what a dead reader had is others' once its lease is over, and not before") {
  for (int i = 0; i < 300; ++i) push(std::to_string(i));
  const auto begin = std::chrono::steady_clock::now();
  {
    auto dead = reader("dead");
    take(*dead, 300);
  }
  auto living = reader("me");
  const SourceBatch batch = take(*living, 300);
  CHECK(std::chrono::steady_clock::now() - begin >= 900ms);
  CHECK(batch.size() == 300);
  CHECK(batch.messages()[0].given_before == 1);
  REQUIRE(living->ack(tokens(batch)));
  CHECK(keys() == std::set<std::string>{"q:ids", "q:lease:me", "q:readers"});
}

TEST_CASE_METHOD(Queue, "a reader that is tended keeps what it has beyond its lease") {
  push("mine");
  auto reader = this->reader("me");
  take(*reader, 1);
  auto other = this->reader("other");
  const auto end = std::chrono::steady_clock::now() + 1'500ms;
  SourceBatch none;
  while (std::chrono::steady_clock::now() < end) {
    SourceTended tended;
    REQUIRE(reader->tend(tended));
    REQUIRE(other->tend(tended));
    REQUIRE(other->poll(10, 10ms, none));
  }
  CHECK(none.empty());
}

TEST_CASE_METHOD(Queue, "what is left unacked is given again after a while, to anybody") {
  push("again");
  auto reader = this->reader("me");
  const SourceBatch batch = take(*reader, 1);
  const auto begin = std::chrono::steady_clock::now();
  REQUIRE(reader->leave(tokens(batch)));
  auto other = this->reader("other");
  const SourceBatch second = take(*other, 1);
  CHECK(std::chrono::steady_clock::now() - begin >= 45ms);
  CHECK(second.messages()[0].given_before == 1);
  CHECK(second.messages()[0].token == batch.messages()[0].token);
}

TEST_CASE_METHOD(Queue, "an empty list is waited at, and what comes is seen at once") {
  auto reader = this->reader("me");
  SourceBatch batch;
  auto begin = std::chrono::steady_clock::now();
  REQUIRE(reader->poll(10, 50ms, batch));
  CHECK(batch.empty());
  CHECK(std::chrono::steady_clock::now() - begin >= 45ms);
  push("a");
  push("b");
  REQUIRE(reader->poll(10, 4s, batch));
  CHECK(payloads(batch) == Payloads{"a", "b"});
}

TEST_CASE_METHOD(Queue, "a list read without acks is forgotten as it is given out") {
  acks = false;
  push("a");
  auto reader = this->reader("me");
  CHECK(payloads(take(*reader, 1)) == Payloads{"a"});
  CHECK(keys() == std::set<std::string>{"q:ids", "q:lease:me", "q:readers"});
}

TEST_CASE_METHOD(Queue, "a list in a Redis that is killed and started again loses nothing") {
  for (int i = 0; i < 100; ++i) push(std::to_string(i));
  auto reader = this->reader("me");
  SourceBatch batch;
  REQUIRE(reader->poll(40, 0ms, batch));
  REQUIRE(batch.size() == 40);
  server.kill();
  CHECK(reader->ack(tokens(batch)).error().code == ErrorCode::unavailable);
  server.start();
  REQUIRE(reader->open());
  CHECK(take(*reader, 100).size() == 100);
}

TEST_CASE_METHOD(Queue, "a key that is no list is a configuration error in plain words") {
  REQUIRE(redis.command({"SET", "q", "text"}));
  SourceDefinition definition;
  definition.endpoint.type = "redis_list";
  definition.endpoint.settings.set("uri", {server.uri()});
  definition.endpoint.settings.set("key", {std::string("q")});
  auto made = builtin::create_source(definition, "topology", "me");
  REQUIRE(made);
  const auto opened = (*made)->open();
  REQUIRE_FALSE(opened);
  CHECK(opened.error().code == ErrorCode::configuration);
  CHECK_THAT(opened.error().message, Contains("not a list"));
}

TEST_CASE_METHOD(Queue, "a list sink adds at the end, confirmed, and keeps the newest") {
  Endpoint endpoint;
  endpoint.type = "redis_list";
  endpoint.settings.set("uri", {server.uri()});
  endpoint.settings.set("key", {std::string("out")});
  const auto max_length = GENERATE(std::int64_t{0}, std::int64_t{1'000});
  endpoint.settings.set("max_length", {max_length});
  auto sink = builtin::create_sink(endpoint);
  REQUIRE(sink);
  REQUIRE((*sink)->open());
  std::vector<Message> messages(2'499, Message("x"));
  messages.emplace_back("last");
  REQUIRE((*sink)->write(messages));
  auto length = redis.command({"LLEN", "out"});
  REQUIRE(length);
  CHECK(length->value().integer() == (max_length == 0 ? 2'500 : max_length));
  auto last = redis.command({"LINDEX", "out", "-1"});
  REQUIRE(last);
  CHECK(last->value().text() == "last");
  server.kill();
  CHECK((*sink)->write(messages).error().code == ErrorCode::unavailable);
}
