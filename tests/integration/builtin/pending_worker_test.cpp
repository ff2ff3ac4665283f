#include <catch2/catch.hpp>
#include <chrono>
#include <functional>
#include <set>
#include <string_view>
#include <vector>

#include "tempest/base/settings.hpp"
#include "tempest/builtin/redis_server_features.hpp"
#include "tempest/builtin/redis_stream_source.hpp"
#include "tests/integration/builtin/stream_fixture.hpp"

using namespace tempest;
using namespace std::chrono_literals;
using Catch::Matchers::Contains;
using tempest::test::Payloads;
using tempest::test::payloads;
using tempest::test::poll;
using tempest::test::RedisServer;
using tempest::test::tokens;

namespace {

constexpr Duration kMinIdle = 100ms;

Settings rule(const std::string& action, std::int64_t min_deliveries = 0,
              const std::string& min_idle = "100ms") {
  Settings settings;
  settings.set("min_idle", {min_idle});
  settings.set("min_deliveries", {min_deliveries});
  settings.set("action", {action});
  return settings;
}

Settings move_rule(const std::string& type, const std::string& key) {
  Settings to;
  to.set("type", {type});
  to.set("key", {key});
  Settings settings = rule("move");
  settings.set("to", {to});
  return settings;
}

/// Consumers of one group, some of which look after what others left.
struct Pending : tempest::test::Stream {
  std::unique_ptr<Source> consumer(const std::string& name, const std::vector<Settings>& rules) {
    Settings::List list;
    for (const Settings& settings : rules) list.push_back({settings});
    definition.endpoint.settings.set("pending", {list});
    auto made = builtin::create_source(definition, "group", name);
    REQUIRE(made);
    REQUIRE((*made)->open());
    return std::move(*made);
  }

  /// A consumer that reads all there is and is never heard of again.
  std::size_t leave_pending(const std::string& name) {
    auto dead = consumer(name, {});
    std::size_t count = 0;
    for (SourceBatch batch = poll(*dead, 1'000); !batch.empty(); batch = poll(*dead, 1'000)) {
      count += batch.size();
    }
    return count;
  }

  /// As if all that is pending had been given to `consumer` that long ago.
  void set_idle(const std::string& consumer, std::chrono::milliseconds idle) {
    auto rows = redis.command({"XPENDING", "s", "group", "-", "+", "100000"});
    REQUIRE(rows);
    const std::string idle_ms = std::to_string(idle.count());
    std::vector<std::string_view> arguments = {"XCLAIM", "s", "group", consumer, "0"};
    for (std::size_t i = 0; i < rows->value().size(); ++i) {
      arguments.push_back(rows->value()[i][0].text());
    }
    arguments.insert(arguments.end(), {"IDLE", idle_ms, "JUSTID"});
    REQUIRE(redis.command(arguments));
  }

  std::set<std::string> consumers() {
    auto reply = redis.command({"XINFO", "CONSUMERS", "s", "group"});
    REQUIRE(reply);
    std::set<std::string> names;
    for (std::size_t i = 0; i < reply->value().size(); ++i) {
      names.emplace(reply->value()[i][1].text());
    }
    return names;
  }

  /// Until `done` says so, or for long enough to fail the test.
  static void tend(Source& source, SourceTended& tended, const std::function<bool()>& done) {
    const auto deadline = std::chrono::steady_clock::now() + 10s;
    while (!done()) {
      REQUIRE(source.tend(tended));
      REQUIRE(std::chrono::steady_clock::now() < deadline);
    }
  }

  /// Tends and polls until `count` messages have come.
  static SourceBatch claim(Source& source, std::size_t count) {
    SourceTended tended;
    SourceBatch all;
    tend(source, tended, [&] {
      REQUIRE(source.poll(1'000, Duration::zero(), all));
      return all.size() >= count;
    });
    return all;
  }
};

}  // namespace

TEST_CASE_METHOD(Pending, "what a dead consumer left is claimed, in order, and the consumer goes") {
  add_many(2'500);
  REQUIRE(leave_pending("dead") == 2'500);
  auto source = consumer("me", {rule("claim")});
  CHECK(source->tend_interval() > Duration::zero());
  const SourceBatch claimed = claim(*source, 2'500);
  REQUIRE(claimed.size() == 2'500);
  CHECK(claimed.claimed == 2'500);
  CHECK(claimed.redelivered);
  CHECK(claimed.lost == 0);
  for (std::size_t i = 0; i < 2'500; ++i) {
    REQUIRE(claimed.messages()[i].payload == std::to_string(i));
  }
  REQUIRE(source->ack(tokens(claimed)));
  CHECK(pending() == 0);
  SourceTended tended;
  tend(*source, tended, [&] { return consumers() == std::set<std::string>{"me"}; });
  CHECK(tended.readers_removed == 1);
}

TEST_CASE_METHOD(Pending, "what grows old enough in the midst of a pass is claimed in order too") {
  constexpr std::size_t kMessages = 12'000;
  add_many(kMessages);
  REQUIRE(leave_pending("dead") == kMessages);
  // All grow old enough at one moment, which comes between two of a pass's many pages.
  set_idle("dead", 1h - 300ms);
  auto source = consumer("me", {rule("claim", 0, "1h")});
  const SourceBatch claimed = claim(*source, kMessages);
  REQUIRE(claimed.size() == kMessages);
  for (std::size_t i = 0; i < kMessages; ++i) {
    REQUIRE(claimed.messages()[i].payload == std::to_string(i));
  }
}

TEST_CASE_METHOD(Pending, "what the source itself holds is neither claimed nor left to look idle") {
  add_many(1'500);
  auto source = consumer("me", {rule("claim", 0, "1s")});
  SourceBatch held = poll(*source, 1'000);
  while (held.size() < 1'500) REQUIRE(source->poll(1'000, Duration::zero(), held));
  auto other = consumer("other", {rule("claim", 0, "1s")});

  const auto end = std::chrono::steady_clock::now() + 2'500ms;
  SourceTended tended;
  while (std::chrono::steady_clock::now() < end) {
    REQUIRE(source->tend(tended));
    REQUIRE(other->tend(tended));
    REQUIRE(poll(*source).empty());
    REQUIRE(poll(*other).empty());
  }
  auto rows = redis.command({"XPENDING", "s", "group", "-", "+", "2000"});
  REQUIRE(rows);
  REQUIRE(rows->value().size() == 1'500);
  for (std::size_t i = 0; i < 1'500; ++i) {
    REQUIRE(rows->value()[i][1].text() == "me");
    REQUIRE(rows->value()[i][3].integer() == 1);
  }
  // Not held any more, they are anybody's.
  REQUIRE(source->leave(tokens(held)));
  CHECK(claim(*source, 1'500).claimed == 1'500);
}

TEST_CASE_METHOD(Pending, "a source that was stopped for a while leaves what others took to them") {
  add("one");
  auto source = consumer("me", {rule("claim")});
  REQUIRE(payloads(poll(*source)) == Payloads{"one"});
  auto other = consumer("other", {rule("claim")});
  CHECK(payloads(claim(*other, 1)) == Payloads{"one"});
  SourceTended tended;
  for (int i = 0; i < 10; ++i) REQUIRE(source->tend(tended));
  auto rows = redis.command({"XPENDING", "s", "group", "-", "+", "10"});
  REQUIRE(rows);
  CHECK(rows->value()[0][1].text() == "other");
}

TEST_CASE_METHOD(Pending, "a consumer that still holds something stays") {
  add("one");
  REQUIRE(leave_pending("slow") == 1);
  auto source = consumer("me", {rule("claim", 1'000)});
  SourceTended tended;
  const auto end = std::chrono::steady_clock::now() + 3 * kMinIdle;
  while (std::chrono::steady_clock::now() < end) REQUIRE(source->tend(tended));
  CHECK(tended.readers_removed == 0);
  CHECK(consumers() == std::set<std::string>{"me", "slow"});
  CHECK(pending() == 1);
}

TEST_CASE_METHOD(Pending, "entries deleted while pending are lost at the source, not done") {
  add("keep");
  const std::string gone = add("gone");
  REQUIRE(leave_pending("dead") == 2);
  REQUIRE(redis.command({"XDEL", "s", gone}));
  auto source = consumer("me", {rule("claim")});
  SourceTended tended;
  SourceBatch all;
  tend(*source, tended, [&] {
    REQUIRE(source->poll(100, Duration::zero(), all));
    return all.lost > 0 && !all.empty();
  });
  CHECK(payloads(all) == Payloads{"keep"});
  CHECK(all.lost == 1);
  CHECK(pending() == 1);
}

TEST_CASE_METHOD(Pending, "entries are acked or deleted unread where a rule says so") {
  const bool deletes = GENERATE(false, true);
  add_many(10);
  REQUIRE(leave_pending("dead") == 10);
  auto source = consumer("me", {rule(deletes ? "delete" : "ack")});
  SourceTended tended;
  tend(*source, tended, [&] { return tended.discarded == 10; });
  CHECK(pending() == 0);
  CHECK(poll(*source).empty());
  auto length = redis.command({"XLEN", "s"});
  REQUIRE(length);
  CHECK(length->value().integer() == (deletes ? 0 : 10));
}

TEST_CASE_METHOD(Pending, "entries are moved to a stream with their fields") {
  add("one");
  add("two");
  REQUIRE(leave_pending("dead") == 2);
  auto source = consumer("me", {move_rule("redis_stream", "aside")});
  SourceTended tended;
  tend(*source, tended, [&] { return tended.moved == 2; });
  CHECK(pending() == 0);
  auto moved = redis.command({"XRANGE", "aside", "-", "+"});
  REQUIRE(moved);
  REQUIRE(moved->value().size() == 2);
  CHECK(moved->value()[1][1][0].text() == "text");
  CHECK(moved->value()[1][1][1].text() == "two");
}

TEST_CASE_METHOD(Pending, "entries are moved to a list or a sorted set as JSON with their ids") {
  const bool sorted = GENERATE(false, true);
  const std::string first = add("same");
  const std::string second = add("same");
  REQUIRE(leave_pending("dead") == 2);
  auto source = consumer("me", {move_rule(sorted ? "redis_sorted_set" : "redis_list", "aside")});
  SourceTended tended;
  tend(*source, tended, [&] { return tended.moved == 2; });
  CHECK(pending() == 0);
  auto moved = sorted ? redis.command({"ZRANGE", "aside", "0", "-1"})
                      : redis.command({"LRANGE", "aside", "0", "-1"});
  REQUIRE(moved);
  REQUIRE(moved->value().size() == 2);
  CHECK(moved->value()[0].text() ==
        R"({"stream":"s","id":")" + first + R"(","fields":{"text":"same"}})");
  CHECK(moved->value()[1].text() ==
        R"({"stream":"s","id":")" + second + R"(","fields":{"text":"same"}})");
}

TEST_CASE_METHOD(Pending, "an entry of more fields than a script can hold is moved as others are") {
  std::vector<std::string> words = {"XADD", "s", "*"};
  for (int i = 0; i < 6'000; ++i) words.insert(words.end(), {std::to_string(i), "v"});
  REQUIRE(redis.command(std::vector<std::string_view>(words.begin(), words.end())));
  add("small");
  REQUIRE(leave_pending("dead") == 2);
  const std::string type = GENERATE("redis_stream", "redis_list");
  auto source = consumer("me", {move_rule(type, "aside")});
  SourceTended tended;
  tend(*source, tended, [&] { return tended.moved == 2; });
  CHECK(pending() == 0);
  if (type != "redis_stream") return;
  auto moved = redis.command({"XRANGE", "aside", "-", "+"});
  REQUIRE(moved);
  REQUIRE(moved->value().size() == 2);
  const bool is_first = moved->value()[0][1].size() == 12'000;
  CHECK(moved->value()[is_first ? 0 : 1][1].size() == 12'000);
}

TEST_CASE_METHOD(Pending, "what cannot be moved stays pending, and is an error in plain words") {
  add("one");
  REQUIRE(leave_pending("dead") == 1);
  auto source = consumer("me", {move_rule("redis_list", "aside")});
  REQUIRE(redis.command({"SET", "aside", "text"}));
  SourceTended tended;
  Result<void> outcome;
  const auto deadline = std::chrono::steady_clock::now() + 10s;
  while (outcome && std::chrono::steady_clock::now() < deadline) outcome = source->tend(tended);
  REQUIRE_FALSE(outcome);
  CHECK(outcome.error().code == ErrorCode::unavailable);
  CHECK_THAT(outcome.error().message, Contains("cannot move") && Contains("aside"));
  CHECK(pending() == 1);

  auto late = builtin::create_source(definition, "group", "late");
  REQUIRE(late);
  const auto opened = (*late)->open();
  REQUIRE_FALSE(opened);
  CHECK(opened.error().code == ErrorCode::configuration);
  CHECK_THAT(opened.error().message, Contains("cannot move") && Contains("aside"));
}

TEST_CASE_METHOD(Pending, "the first rule that fits an entry decides") {
  const std::string often = add("often");
  add("seldom");
  REQUIRE(leave_pending("dead") == 2);
  for (int i = 0; i < 3; ++i) {
    REQUIRE(redis.command({"XCLAIM", "s", "group", "dead", "0", often}));
  }
  auto source = consumer("me", {rule("ack", 4), rule("claim")});
  SourceTended tended;
  SourceBatch claimed;
  tend(*source, tended, [&] {
    REQUIRE(source->poll(100, Duration::zero(), claimed));
    return tended.discarded == 1 && claimed.claimed > 0;
  });
  CHECK(payloads(claimed) == Payloads{"seldom"});
  CHECK(pending() == 1);
}

TEST_CASE_METHOD(Pending,
                 "a server that cannot look for idle entries is told of, and done without") {
  add_many(1'200);
  REQUIRE(leave_pending("dead") == 1'200);
  builtin::RedisStreamSource::Options options;
  options.address = *runtime::parse_redis_uri(server.uri());
  options.key = "s";
  options.group = "group";
  options.consumer = "me";
  options.field = "text";
  options.pending.emplace_back().min_idle = kMinIdle;
  options.features = builtin::redis_features("redis_version:6.0.16\r\n");
  builtin::RedisStreamSource source(options);
  REQUIRE(source.open());
  const auto warnings = source.take_warnings();
  REQUIRE(warnings.size() == 1);
  CHECK_THAT(warnings[0], Contains("6.0.16") && Contains("6.2"));
  CHECK(claim(source, 1'200).claimed == 1'200);
}

TEST_CASE("what a server can do is told by its version") {
  const auto old = builtin::redis_features("# Server\r\nredis_version:4.0.14\r\nos:Linux\r\n");
  CHECK_FALSE(old.streams);
  CHECK_FALSE(old.list_moves);
  CHECK(old.version == "4.0.14");
  CHECK(builtin::redis_features("redis_version:5.0.7\r\n").streams);
  CHECK_FALSE(builtin::redis_features("redis_version:6.0.16\r\n").pending_idle);
  CHECK(builtin::redis_features("redis_version:6.2.0\r\n").pending_idle);
  CHECK(builtin::redis_features("redis_version:7.0.15\r\n").list_moves);
  CHECK(builtin::redis_features("").pending_idle);
}

TEST_CASE_METHOD(Pending, "a group that goes while claims are outstanding is made again") {
  add_many(100);
  REQUIRE(leave_pending("dead") == 100);
  auto source = consumer("me", {rule("claim")});
  const auto deadline = std::chrono::steady_clock::now() + 10s;
  SourceTended tended;
  // Until there are claims, which only a poll can show; so the group goes at every point of it.
  for (int round = 0; round < 20; ++round) {
    REQUIRE(std::chrono::steady_clock::now() < deadline);
    for (int i = 0; i < round; ++i) REQUIRE(source->tend(tended));
    REQUIRE(redis.command({"XGROUP", "DESTROY", "s", "group"}));
    SourceBatch batch;
    REQUIRE(source->poll(10, Duration::zero(), batch));
    REQUIRE(source->tend(tended));
    REQUIRE(source->drained());
  }
  SourceBatch batch;
  while (batch.size() < 100) REQUIRE(source->poll(1'000, Duration::zero(), batch));
  CHECK(source->ack(tokens(batch)));
}

TEST_CASE_METHOD(Pending,
                 "own entries that are trimmed before they are read again are lost, all of them") {
  add_many(2'000);
  {
    auto first = consumer("me", {rule("claim")});
    SourceBatch batch;
    while (batch.size() < 2'000) REQUIRE(first->poll(1'000, Duration::zero(), batch));
  }
  auto source = consumer("me", {rule("claim")});
  REQUIRE(redis.command({"XTRIM", "s", "MAXLEN", "500"}));
  SourceTended tended;
  SourceBatch batch;
  const auto deadline = std::chrono::steady_clock::now() + 10s;
  // Looked after before they have been read again: both ways lead to those that are gone.
  const auto idle = std::chrono::steady_clock::now() + 200ms;
  while (std::chrono::steady_clock::now() < idle) REQUIRE(source->tend(tended));
  while (batch.size() < 500 || batch.lost + tended.lost < 1'500) {
    REQUIRE(std::chrono::steady_clock::now() < deadline);
    REQUIRE(source->poll(1'000, Duration::zero(), batch));
    REQUIRE(source->tend(tended));
  }
  CHECK(batch.lost + tended.lost == 1'500);
  CHECK(batch.size() == 500);
}

TEST_CASE("idle times go on after the server's clock was set back, and it is said") {
  RedisServer server({.has_own_clock = true});
  server.set_clock(3'600);
  runtime::RedisConnection redis(*runtime::parse_redis_uri(server.uri()));
  REQUIRE(redis.connect());
  SourceDefinition definition;
  definition.endpoint.type = "redis_stream";
  definition.endpoint.settings.set("uri", {server.uri()});
  definition.endpoint.settings.set("key", {std::string("s")});
  const auto consumer = [&](const std::string& name) {
    auto made = builtin::create_source(definition, "group", name);
    REQUIRE(made);
    REQUIRE((*made)->open());
    return std::move(*made);
  };
  REQUIRE(redis.command({"XADD", "s", "*", "text", "one"}));
  REQUIRE(poll(*consumer("dead")).size() == 1);
  definition.endpoint.settings.set("pending", {Settings::List{{rule("claim", 0, "300ms")}}});
  const bool began_before = GENERATE(true, false);
  CAPTURE(began_before);
  std::unique_ptr<Source> source;
  SourceTended tended;
  if (began_before) {
    source = consumer("me");
    REQUIRE(source->tend(tended));
  }
  server.set_clock(0);
  if (!began_before) source = consumer("me");
  SourceBatch claimed;
  const auto deadline = std::chrono::steady_clock::now() + 5s;
  while (claimed.empty()) {
    REQUIRE(std::chrono::steady_clock::now() < deadline);
    REQUIRE(source->tend(tended));
    REQUIRE(source->poll(10, Duration::zero(), claimed));
  }
  CHECK(claimed.claimed == 1);
  bool was_said = false;
  for (const std::string& warning : source->take_warnings()) {
    was_said = was_said || warning.find("was set back by about 1h") != std::string::npos;
  }
  CHECK(was_said == began_before);
}

TEST_CASE_METHOD(Pending,
                 "sources with more to claim than one may note down take nothing of each other") {
  add_many(40'000);
  REQUIRE(leave_pending("dead") == 40'000);
  auto one = consumer("one", {rule("claim", 0, "300ms")});
  auto two = consumer("two", {rule("claim", 0, "300ms")});
  std::set<SourceToken> all;
  std::size_t count = 0;
  SourceTended tended;
  // Both hold what they were given for far longer than min_idle, while their claims are full.
  const auto end = std::chrono::steady_clock::now() + 3s;
  while (std::chrono::steady_clock::now() < end) {
    for (Source* source : {one.get(), two.get()}) {
      REQUIRE(source->tend(tended));
      if (count >= 2'000) continue;
      SourceBatch batch;
      REQUIRE(source->poll(100, Duration::zero(), batch));
      count += batch.size();
      for (const SourceToken& token : tokens(batch)) all.insert(token);
    }
  }
  REQUIRE(count >= 2'000);
  CHECK(all.size() == count);
  auto rows = redis.command({"XPENDING", "s", "group"});
  REQUIRE(rows);
  // What neither has been given waits for the next poll, at the dead one.
  CHECK(rows->value()[3].size() == 3);
  for (const char* name : {"one", "two"}) {
    auto own = redis.command({"XPENDING", "s", "group", "-", "+", "100000", name});
    REQUIRE(own);
    for (std::size_t i = 0; i < own->value().size(); ++i) {
      REQUIRE(own->value()[i][3].integer() == 2);
    }
  }
}
