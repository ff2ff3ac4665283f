#pragma once

#include <catch2/catch.hpp>
#include <memory>
#include <string>
#include <utility>
#include <vector>

#include "tempest/builtin/source_factory.hpp"
#include "tempest/runtime/redis.hpp"
#include "tests/support/redis_server.hpp"

namespace tempest::test {

using Payloads = std::vector<std::string>;

/// A server, a connection of the test's own, and sources that read the stream "s".
struct Stream {
  Stream() { REQUIRE(redis.connect()); }

  std::string add(const std::string& text) {
    auto reply = redis.command({"XADD", "s", "*", "text", text});
    REQUIRE(reply);
    return std::string(reply->value().text());
  }

  void add_many(std::size_t count) {
    for (std::size_t i = 0; i < count; ++i) {
      REQUIRE(redis.append({"XADD", "s", "*", "text", std::to_string(i)}));
    }
    for (std::size_t i = 0; i < count; ++i) REQUIRE(redis.next_reply());
  }

  std::int64_t pending() {
    auto reply = redis.command({"XPENDING", "s", "group"});
    REQUIRE(reply);
    return reply->value()[0].integer();
  }

  std::unique_ptr<Source> source() {
    auto made = builtin::create_source(definition, "group", "me");
    REQUIRE(made);
    return std::move(*made);
  }

  std::unique_ptr<Source> opened_source() {
    auto made = source();
    REQUIRE(made->open());
    return made;
  }

  SourceDefinition make_definition() const {
    SourceDefinition made;
    made.endpoint.type = "redis_stream";
    made.endpoint.settings.set("uri", {server.uri()});
    made.endpoint.settings.set("key", {std::string("s")});
    made.endpoint.settings.set("field", {std::string("text")});
    return made;
  }

  RedisServer server;
  runtime::RedisConnection redis{*runtime::parse_redis_uri(server.uri())};
  SourceDefinition definition = make_definition();
};

inline SourceBatch poll(Source& source, std::size_t max_messages = 100,
                        Duration wait = Duration::zero()) {
  SourceBatch batch;
  REQUIRE(source.poll(max_messages, wait, batch));
  CHECK_FALSE(batch.ended);
  return batch;
}

inline Payloads payloads(const SourceBatch& batch) {
  Payloads result;
  for (const SourceMessage& message : batch.messages()) result.emplace_back(message.payload);
  return result;
}

inline std::vector<SourceToken> tokens(const SourceBatch& batch) {
  std::vector<SourceToken> result;
  for (const SourceMessage& message : batch.messages()) result.push_back(message.token);
  return result;
}

}  // namespace tempest::test
