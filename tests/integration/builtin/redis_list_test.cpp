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
  CHECK(keys() == std::set<std::string>{"q:lease:me", "q:readers"});
}

TEST_CASE_METHOD(Queue,
                 "a reader takes up at its start what its last life had, and blames nothing") {
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
  CHECK(payloads(batch) == Payloads{"b", "c"});
  CHECK(batch.messages()[0].given_before == 0);
  // What was read is read again after a lost connection.
  REQUIRE(second->open());
  SourceBatch again;
  REQUIRE(second->poll(100, 0ms, again));
  CHECK(payloads(again) == Payloads{"b", "c"});
  CHECK(again.messages()[0].given_before == 0);
}

TEST_CASE_METHOD(Queue, "a backlog that nobody tried is blamed for no restart of its reader") {
  for (int i = 0; i < 1'000; ++i) push(std::to_string(i));
  for (int life = 0; life < 12; ++life) {
    auto reader = this->reader("me");
    const SourceBatch batch = take(*reader, 1'000);
    for (const SourceMessage& message : batch.messages()) REQUIRE(message.given_before == 0);
    REQUIRE(batch.messages()[999].payload == "999");
    REQUIRE(reader->give_back(tokens(batch)));
  }
}

TEST_CASE_METHOD(Queue, "what kills its reader is alone in the end, and alone is blamed") {
  for (const char* text : {"good", "poison", "better"}) push(text);
  std::set<std::string> done;
  int blamed = 0;
  int lives = 0;
  while (blamed < 3) {
    REQUIRE(++lives < 10);
    auto reader = this->reader("me");
    for (bool is_dead = false; !is_dead;) {
      SourceBatch batch;
      REQUIRE(reader->poll(10, 0ms, batch));
      if (batch.empty()) break;
      for (const SourceMessage& message : batch.messages()) {
        if (message.payload == "poison") {
          is_dead = true;
          blamed = static_cast<int>(message.given_before);
        } else {
          CHECK(message.given_before == 0);
        }
      }
      // Only what is not in the same call as the poison gets done.
      if (is_dead && lives < 4) break;
      for (const SourceMessage& message : batch.messages()) {
        if (message.payload != "poison") {
          done.emplace(message.payload);
          REQUIRE(reader->ack(std::vector<SourceToken>{message.token}));
        }
      }
    }
  }
  CHECK(done == std::set<std::string>{"good", "better"});
}

TEST_CASE_METHOD(Queue, "an attempt is counted when a message was tried in vain") {
  push("a");
  auto reader = this->reader("me");
  for (std::uint32_t attempts = 0; attempts < 3; ++attempts) {
    const SourceBatch batch = take(*reader, 1);
    CHECK(batch.messages()[0].given_before == attempts);
    REQUIRE(reader->leave(tokens(batch)));
  }
}

TEST_CASE_METHOD(Queue,
                 "the ack of an old element deletes nothing of a server that has forgotten it") {
  push("old");
  auto reader = this->reader("me");
  const SourceBatch old = take(*reader, 1);
  // As after a failover to a replica that had not heard of it.
  REQUIRE(redis.command({"FLUSHALL"}));
  push("new");
  const SourceBatch fresh = take(*reader, 1);
  REQUIRE(reader->ack(tokens(old)));
  REQUIRE(reader->open());
  CHECK(payloads(take(*reader, 1)) == Payloads{"new"});
  CHECK(old.messages()[0].token != fresh.messages()[0].token);
}

TEST_CASE_METHOD(Queue, "what an earlier version has left in Redis is read, and done") {
  REQUIRE(redis.command({"SET", "q:ids", "9"}));
  REQUIRE(redis.command({"HSET", "q:payloads", "7", "seven", "8", "eight", "9", "nine"}));
  REQUIRE(redis.command({"HSET", "q:attempts", "7", "4", "8", "1", "9", "9"}));
  REQUIRE(redis.command({"ZADD", "q:processing:me", "7", "7"}));
  REQUIRE(redis.command({"ZADD", "q:delayed", "8", "8"}));
  REQUIRE(redis.command({"ZADD", "q:processing:dead", "9", "9"}));
  REQUIRE(redis.command({"SADD", "q:readers", "me", "dead"}));
  auto reader = this->reader("me");
  const SourceBatch batch = take(*reader, 3);
  CHECK(payloads(batch) == Payloads{"seven", "nine", "eight"});
  // Being given out was counted then; it says nothing now.
  CHECK(batch.messages()[0].given_before == 0);
  CHECK(batch.messages()[1].given_before == 0);
  CHECK(reader->describe(batch.messages()[0].token) == "q#7");
  REQUIRE(reader->ack(tokens(batch)));
  CHECK(keys() == std::set<std::string>{"q:ids", "q:lease:me", "q:readers"});
}

TEST_CASE_METHOD(Queue, "acks make room in a Redis that is full") {
  for (int i = 0; i < 10; ++i) push(std::to_string(i));
  auto reader = this->reader("me");
  const SourceBatch batch = take(*reader, 5);
  REQUIRE(redis.command({"CONFIG", "SET", "maxmemory", "1"}));
  CHECK_FALSE(redis.command({"SET", "more", "x"}));
  SourceTended tended;
  CHECK(reader->tend(tended));
  CHECK(reader->ack(tokens(batch)));
  REQUIRE(reader->open());
  auto other = this->reader("other");
  const SourceBatch rest = take(*other, 10 - batch.size());
  CHECK(other->leave(tokens(rest)));
}

TEST_CASE_METHOD(Queue,
                 "a server's clock that was set back holds nothing up for longer than it may") {
  push("a");
  auto reader = this->reader("me");
  REQUIRE(reader->leave(tokens(take(*reader, 1))));
  push("b");
  { take(*this->reader("dead"), 1); }
  // As an hour later, after which the clock went back by it.
  REQUIRE(redis.command({"ZADD", "q:delayed", "XX", "INCR", "3600000",
                         redis.command({"ZRANGE", "q:delayed", "0", "0"})->value()[0].text()}));
  REQUIRE(redis.command({"PEXPIRE", "q:lease:dead", "3600000"}));
  const auto begin = std::chrono::steady_clock::now();
  const SourceBatch batch = take(*reader, 2);
  CHECK(std::chrono::steady_clock::now() - begin < 5s);
  CHECK(batch.size() == 2);
  const auto warnings = reader->take_warnings();
  REQUIRE_FALSE(warnings.empty());
  CHECK_THAT(warnings[0], Contains("clock") && Contains("set back"));
}

TEST_CASE_METHOD(Queue, "of two living readers of one name the second waits, and says so") {
  push("a");
  auto first = reader("me");
  SourceDefinition definition;
  definition.endpoint.type = "redis_list";
  definition.endpoint.settings.set("uri", {server.uri()});
  definition.endpoint.settings.set("key", {std::string("q")});
  auto made = builtin::create_source(definition, "topology", "me");
  REQUIRE(made);
  std::unique_ptr<Source> second = std::move(*made);
  const auto opened = second->open();
  REQUIRE_FALSE(opened);
  CHECK(opened.error().code == ErrorCode::unavailable);
  CHECK_THAT(opened.error().message, Contains("another node reads \"q\"") && Contains("\"me\""));
  // The first goes on, whatever it loses in between.
  REQUIRE(first->open());
  CHECK(payloads(take(*first, 1)) == Payloads{"a"});
  first.reset();
  CHECK(second->open());
}

TEST_CASE_METHOD(Queue, "a list is drained when nothing is left to be tried") {
  push("a");
  push("b");
  auto reader = this->reader("me");
  CHECK_FALSE(*reader->drained());
  const SourceBatch batch = take(*reader, 2);
  REQUIRE(reader->ack(std::vector<SourceToken>{batch.messages()[0].token}));
  auto other = this->reader("other");
  // The first may die, and then it is the other's.
  CHECK_FALSE(*other->drained());
  REQUIRE(reader->leave(std::vector<SourceToken>{batch.messages()[1].token}));
  // It waits to be tried again by anybody; but this node has done with it, and has told so.
  CHECK_FALSE(*other->drained());
  CHECK(*reader->drained());
  REQUIRE(reader->ack(tokens(take(*reader, 1))));
  CHECK(*other->drained());
}

TEST_CASE_METHOD(Queue, "an element that is too large fails with its first bytes") {
  push(std::string(17UL << 20, 'x'));
  push("small");
  auto reader = this->reader("me");
  const SourceBatch batch = take(*reader, 2);
  CHECK_THAT(std::string(batch.messages()[0].fault), Contains("larger than a message may be"));
  CHECK(batch.messages()[0].payload == std::string(1'024, 'x'));
  CHECK(batch.messages()[1].fault.empty());
}

TEST_CASE_METHOD(Queue, "large elements come a few at a time") {
  for (int i = 0; i < 40; ++i) push(std::string(1'000'000, 'x'));
  auto reader = this->reader("me");
  SourceBatch batch;
  REQUIRE(reader->poll(1'000, 0ms, batch));
  CHECK(batch.size() < 12);
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
  CHECK(batch.messages()[0].given_before == 0);
  REQUIRE(living->ack(tokens(batch)));
  CHECK(keys() == std::set<std::string>{"q:lease:me", "q:readers"});
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
  CHECK(keys() == std::set<std::string>{"q:lease:me", "q:readers"});
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
