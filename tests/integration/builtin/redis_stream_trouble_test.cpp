#include <algorithm>
#include <catch2/catch.hpp>
#include <set>
#include <string>
#include <string_view>
#include <vector>

#include "tempest/builtin/redis_server_check.hpp"
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

namespace {

/// Polls until `count` messages have come; opens the source again where it is away.
SourceBatch read_all(Source& source, std::size_t count) {
  SourceBatch all;
  const auto deadline = std::chrono::steady_clock::now() + 20s;
  while (all.size() < count) {
    REQUIRE(std::chrono::steady_clock::now() < deadline);
    auto polled = source.poll(1'000, 0ms, all);
    if (polled) continue;
    REQUIRE(polled.error().code == ErrorCode::unavailable);
    static_cast<void>(source.open());
  }
  return all;
}

Endpoint sink_endpoint(const RedisServer& server) {
  Endpoint endpoint;
  endpoint.type = "redis_stream";
  endpoint.settings.set("uri", {server.uri()});
  endpoint.settings.set("key", {std::string("out")});
  return endpoint;
}

}  // namespace

TEST_CASE_METHOD(Stream, "a group that is made again misses nothing, wherever it began at first") {
  add("before");
  definition.endpoint.settings.set("start", {std::string("$")});
  auto source = opened_source();
  add("first");
  CHECK(payloads(poll(*source)) == Payloads{"first"});
  const std::string how = GENERATE("FLUSHALL", "DEL", "DESTROY");
  const bool is_cut = GENERATE(false, true);
  CAPTURE(how, is_cut);
  if (how == "FLUSHALL") {
    REQUIRE(redis.command({"FLUSHALL"}));
  } else if (how == "DEL") {
    REQUIRE(redis.command({"DEL", "s"}));
  } else {
    REQUIRE(redis.command({"XGROUP", "DESTROY", "s", "group"}));
  }
  add_many(20);
  if (is_cut) REQUIRE(source->open());
  const std::size_t count = how == "DESTROY" ? 22 : 20;
  const SourceBatch batch = read_all(*source, count);
  CHECK(batch.size() == count);
  CHECK(payloads(batch).back() == "19");
  const auto warnings = source->take_warnings();
  REQUIRE(warnings.size() == 1);
  CHECK_THAT(warnings[0], Contains("was gone") && Contains("made again"));
}

TEST_CASE_METHOD(Stream, "a reader needs no more rights than to read and to ack") {
  add("one");
  REQUIRE(redis.command({"XGROUP", "CREATE", "s", "group", "0"}));
  REQUIRE(
      redis.command({"ACL", "SETUSER", "reader", "on", ">secret", "~s", "+xreadgroup", "+xack"}));
  definition.endpoint.settings.set(
      "uri", {"redis://reader:secret@127.0.0.1:" + std::to_string(server.port())});
  auto source = opened_source();
  const SourceBatch batch = poll(*source);
  CHECK(payloads(batch) == Payloads{"one"});
  SourceTended tended;
  CHECK(source->tend(tended));
  CHECK(source->ack(tokens(batch)));
  CHECK(pending() == 0);
  CHECK(source->take_warnings().empty());

  REQUIRE(redis.command({"ACL", "SETUSER", "reader", "-xack"}));
  CHECK(source->ack(tokens(batch)).error().code == ErrorCode::unavailable);
  const auto late = this->source()->open();
  REQUIRE_FALSE(late);
  CHECK(late.error().code == ErrorCode::configuration);
  REQUIRE(redis.command({"ACL", "SETUSER", "reader", "resetpass", ">other"}));
  CHECK(source->open().error().code == ErrorCode::unavailable);
  REQUIRE(redis.command({"ACL", "SETUSER", "reader", ">secret", "+xack"}));
  CHECK(source->open());
  CHECK(source->ack(tokens(batch)));
}

TEST_CASE_METHOD(Stream, "a Redis that is full is read, and acks make room in it") {
  add_many(10);
  {
    auto first = opened_source();
    REQUIRE(poll(*first, 5).size() == 5);
  }
  REQUIRE(redis.command({"CONFIG", "SET", "maxmemory", "1"}));
  auto source = opened_source();
  const SourceBatch batch = read_all(*source, 10);
  CHECK(source->ack(tokens(batch)));
  CHECK(pending() == 0);
}

TEST_CASE_METHOD(Stream, "what was trimmed before it was read is counted, and told once") {
  add_many(10);
  {
    auto first = opened_source();
    REQUIRE(first->ack(tokens(poll(*first))));
  }
  add_many(1'000);
  REQUIRE(redis.command({"XTRIM", "s", "MAXLEN", "10"}));
  {
    auto source = opened_source();
    const SourceBatch batch = read_all(*source, 10);
    CHECK(batch.lost == 990);
    REQUIRE(source->ack(tokens(batch)));
    const auto warnings = source->take_warnings();
    REQUIRE(warnings.size() == 1);
    CHECK_THAT(warnings[0], Contains("990 entries") && Contains("trimmed"));
    // While it runs, too.
    add_many(30);
    REQUIRE(redis.command({"XTRIM", "s", "MAXLEN", "5"}));
    SourceBatch more;
    REQUIRE(source->open());
    while (more.size() < 5) REQUIRE(source->poll(100, 0ms, more));
    CHECK(more.lost == 25);
    REQUIRE(source->ack(tokens(more)));
  }
  // The next life has nothing of that to tell.
  auto source = opened_source();
  CHECK(poll(*source).lost == 0);
  CHECK(source->take_warnings().empty());
}

TEST_CASE_METHOD(Stream, "what was trimmed long before a group read, or after, is no loss") {
  add_many(20);
  REQUIRE(redis.command({"XTRIM", "s", "MAXLEN", "10"}));
  auto source = opened_source();
  const SourceBatch batch = read_all(*source, 10);
  REQUIRE(source->ack(tokens(batch)));
  REQUIRE(redis.command({"XTRIM", "s", "MAXLEN", "0"}));
  REQUIRE(source->open());
  CHECK(poll(*source).lost == 0);
  add_many(3);
  REQUIRE(source->open());
  CHECK(read_all(*source, 3).lost == 0);
  CHECK(source->take_warnings().empty());
}

TEST_CASE_METHOD(Stream, "entries that wait at another consumer are told of, with what helps") {
  add_many(12);
  definition.endpoint.settings.set("consumer", {std::string("pod-1")});
  { REQUIRE(read_all(*opened_source(), 12).size() == 12); }
  definition.endpoint.settings.set("consumer", {std::string("pod-2")});
  auto source = opened_source();
  const auto warnings = source->take_warnings();
  REQUIRE(warnings.size() == 1);
  CHECK_THAT(warnings[0], Contains("12 entries") && Contains("12 at \"pod-1\"") &&
                              Contains("[[source.pending]]") && Contains("min_idle"));
}

TEST_CASE_METHOD(Stream, "a Redis that may drop keys is warned of, at sources and sinks") {
  REQUIRE(redis.command({"CONFIG", "SET", "maxmemory-policy", "allkeys-lru"}));
  auto source = opened_source();
  const auto warnings = source->take_warnings();
  REQUIRE(warnings.size() == 1);
  CHECK_THAT(warnings[0], Contains("allkeys-lru") && Contains("noeviction"));
  auto sink = builtin::create_sink(sink_endpoint(server));
  REQUIRE(sink);
  REQUIRE((*sink)->open());
  REQUIRE((*sink)->take_warnings().size() == 1);
}

TEST_CASE_METHOD(Stream, "a sink whose idle connection was closed writes all the same, and once") {
  auto sink = builtin::create_sink(sink_endpoint(server));
  REQUIRE(sink);
  REQUIRE((*sink)->open());
  for (int i = 0; i < 3; ++i) {
    REQUIRE(redis.command({"CLIENT", "KILL", "TYPE", "normal", "SKIPME", "yes"}));
    const auto begin = std::chrono::steady_clock::now();
    CHECK((*sink)->write(std::vector<Message>(2, Message("x"))));
    CHECK(std::chrono::steady_clock::now() - begin < 400ms);
  }
  CHECK(redis.command({"XLEN", "out"})->value().integer() == 6);
}

TEST_CASE_METHOD(Stream,
                 "entries deleted while pending are told of before they are acked, and once") {
  add_many(5);
  { REQUIRE(poll(*opened_source()).size() == 5); }
  REQUIRE(redis.command({"XTRIM", "s", "MAXLEN", "2"}));
  auto source = opened_source();
  const SourceBatch found = poll(*source);
  CHECK(found.lost == 3);
  CHECK(pending() == 5);
  CHECK(source->drained().ok());
  // The acks do not get through: they are looked for again, and not counted again.
  REQUIRE(redis.command({"CLIENT", "KILL", "TYPE", "normal", "SKIPME", "yes"}));
  SourceBatch again;
  CHECK_FALSE(source->poll(100, 0ms, again));
  CHECK(again.lost == 0);
  REQUIRE(source->open());
  std::uint64_t lost = 0;
  for (int i = 0; i < 5; ++i) lost += poll(*source).lost;
  CHECK(lost == 0);
  CHECK(pending() == 2);
}

TEST_CASE_METHOD(Stream, "a server that does not send so much at once is asked for less") {
  const std::string text(100'000, 'x');
  for (int i = 0; i < 100; ++i) add(text);
  auto source = opened_source();
  REQUIRE(redis.command({"CONFIG", "SET", "client-output-buffer-limit", "normal 1mb 0 0"}));
  const SourceBatch batch = read_all(*source, 100);
  std::set<SourceToken> seen;
  for (const SourceToken& token : tokens(batch)) seen.insert(token);
  CHECK(seen.size() == 100);
}

TEST_CASE_METHOD(Stream, "large entries are not asked for by the hundred, not even at first") {
  const std::string large(4'000'000, 'x');
  for (int i = 0; i < 20; ++i) add(large);
  auto source = opened_source();
  while (true) {
    const SourceBatch batch = poll(*source, 1'000);
    if (batch.empty()) break;
    CHECK(batch.size() <= 4);
    REQUIRE(source->ack(tokens(batch)));
  }
  CHECK(pending() == 0);
}

TEST_CASE_METHOD(Stream, "of two living readers of one consumer the second waits, and says so") {
  auto first = opened_source();
  auto second = source();
  const auto opened = second->open();
  REQUIRE_FALSE(opened);
  CHECK(opened.error().code == ErrorCode::unavailable);
  CHECK_THAT(opened.error().message,
             Contains("another node reads \"s\"") && Contains("--consumer"));
  REQUIRE(first->open());
  definition.endpoint.settings.set("consumer", {std::string("other")});
  CHECK(source()->open());
  first.reset();
  CHECK(second->open());
}

TEST_CASE_METHOD(Stream, "nothing is read at a replica, or at an old master that comes back") {
  add_many(2);
  auto source = opened_source();
  REQUIRE(poll(*source, 1).size() == 1);
  auto sink = builtin::create_sink(sink_endpoint(server));
  REQUIRE(sink);
  REQUIRE((*sink)->open());
  RedisServer replica;
  RedisConnection there(*parse_redis_uri(replica.uri()));
  REQUIRE(there.connect());
  REQUIRE(there.command({"REPLICAOF", "127.0.0.1", std::to_string(server.port())}));
  const auto deadline = std::chrono::steady_clock::now() + 15s;
  const auto is_followed = [&] {
    auto info = redis.command({"INFO", "replication"});
    return info && info->value().text().find("connected_slaves:1") != std::string_view::npos;
  };
  while (!is_followed()) REQUIRE(std::chrono::steady_clock::now() < deadline);
  // The connection may be lost any time; now the master is known to have a replica.
  REQUIRE(source->open());
  REQUIRE((*sink)->open());
  server.kill();
  REQUIRE(there.command({"REPLICAOF", "NO", "ONE"}));
  server.start();
  REQUIRE(redis.connect());
  REQUIRE(redis.command({"DEL", "s"}));
  const auto opened = source->open();
  REQUIRE_FALSE(opened);
  CHECK(opened.error().code == ErrorCode::unavailable);
  CHECK_THAT(opened.error().message, Contains("another Redis"));
  CHECK_FALSE((*sink)->write(std::vector<Message>(1, Message("x"))));
  CHECK(redis.command({"EXISTS", "s", "out"})->value().integer() == 0);

  REQUIRE(redis.command({"REPLICAOF", "127.0.0.1", std::to_string(replica.port())}));
  const auto at_replica = source->open();
  REQUIRE_FALSE(at_replica);
  CHECK(at_replica.error().code == ErrorCode::unavailable);
  CHECK_THAT(at_replica.error().message, Contains("is a replica"));
}

TEST_CASE("the right server is known by its process, its history, or its start") {
  using builtin::RedisServerCheck;
  using builtin::RedisServerFacts;
  const TimePoint now = TimePoint{} + 1h;
  const auto facts = [](const char* run_id, const char* history, const char* old_history,
                        Duration uptime, bool has_replicas = false) {
    RedisServerFacts made;
    made.mode = "standalone";
    made.role = "master";
    made.run_id = run_id;
    made.history = history;
    made.old_history = old_history;
    made.uptime = uptime;
    made.has_replicas = has_replicas;
    return made;
  };
  const bool has_replicas = GENERATE(false, true);
  RedisServerCheck check;
  REQUIRE(check.admit(facts("a", "A", "", 1h, has_replicas), "r", {}, now));
  CHECK(check.admit(facts("a", "A", "", 1h, has_replicas), "r", now, now));
  // Started since; a failover is possible only where there were replicas.
  CHECK(check.admit(facts("c", "C", "", 2s), "r", now, now + 5s).ok() == !has_replicas);
  RedisServerCheck other;
  REQUIRE(other.admit(facts("a", "A", "", 1h, has_replicas), "r", {}, now));
  CHECK(other.admit(facts("b", "B", "A", 1h), "r", now, now + 5s));
  // The old master, which never stopped; and after it has started again.
  CHECK_FALSE(other.admit(facts("a", "A", "", 2h), "r", now, now + 5s));
  CHECK_FALSE(other.admit(facts("a2", "A2", "", 1s), "r", now, now + 5s));
  CHECK_FALSE(other.admit(facts("x", "X", "", 10h), "r", now, now + 5s));
  CHECK_FALSE(other.admit(facts("x", "X", "", 10h), "r", now, now + 5s + 59s));
  const auto at_last = other.admit(facts("x", "X", "", 10h), "r", now, now + 5s + 60s);
  REQUIRE(at_last);
  CHECK_THAT(*at_last, Contains("another Redis"));
  RedisServerFacts sentinel = facts("s", "", "", 1h);
  sentinel.mode = "sentinel";
  RedisServerCheck fresh;
  CHECK(fresh.admit(sentinel, "r", {}, now).error().code == ErrorCode::configuration);
}

TEST_CASE_METHOD(Stream, "a stream is drained when it is read and nobody may claim anything") {
  add_many(30'000);
  definition.endpoint.settings.set("consumer", {std::string("dead")});
  { REQUIRE(read_all(*opened_source(), 30'000).size() == 30'000); }
  definition.endpoint.settings.set("consumer", {std::string("me")});
  {
    auto without = opened_source();
    CHECK_FALSE(*without->drained());
    CHECK(poll(*without).empty());
    // Nobody will ever be given those without a rule: that is said, and no reason to stay.
    CHECK(*without->drained());
  }
  Settings rule;
  rule.set("min_idle", {std::string("100ms")});
  definition.endpoint.settings.set("pending", {Settings::List{{rule}}});
  auto source = opened_source();
  std::size_t claimed = 0;
  std::vector<SourceToken> left;
  const auto deadline = std::chrono::steady_clock::now() + 30s;
  SourceTended tended;
  while (true) {
    REQUIRE(std::chrono::steady_clock::now() < deadline);
    const SourceBatch batch = poll(*source, 1'000);
    claimed += batch.size();
    if (batch.empty() && *source->drained()) break;
    if (!batch.empty() && left.empty()) {
      left = {batch.messages()[0].token};
      REQUIRE(source->leave(left));
      const auto read = tokens(batch);
      REQUIRE(source->ack(std::span(read).subspan(1)));
    } else if (!batch.empty()) {
      REQUIRE(source->ack(tokens(batch)));
    }
    REQUIRE(source->tend(tended));
  }
  CHECK(claimed >= 30'000);
}
