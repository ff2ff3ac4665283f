#include "tempest/runtime/redis.hpp"

#include <catch2/catch.hpp>
#include <string>

using Catch::Matchers::Contains;
using tempest::ErrorCode;
using tempest::runtime::parse_redis_uri;
using tempest::runtime::RedisAddress;
using tempest::runtime::RedisConnection;

TEST_CASE("a Redis URI gives host, port and database, or their defaults") {
  const auto full = parse_redis_uri("redis://cache.example:7000/3");
  REQUIRE(full);
  CHECK(full->host == "cache.example");
  CHECK(full->port == 7000);
  CHECK(full->database == 3);
  CHECK(full->shown() == "redis://cache.example:7000/3");

  for (const char* uri : {"redis://cache", "redis://cache/", "redis://cache:6379/0"}) {
    CAPTURE(uri);
    const auto parsed = parse_redis_uri(uri);
    REQUIRE(parsed);
    CHECK(parsed->port == 6379);
    CHECK(parsed->database == 0);
  }
}

TEST_CASE("a Redis URI gives user and password, decoded, and shows neither") {
  const auto both = parse_redis_uri("redis://reader:p%40ss%3a@h:1/2");
  REQUIRE(both);
  CHECK(both->user == "reader");
  CHECK(both->password == "p@ss:");
  CHECK(both->shown() == "redis://h:1/2");
  const auto password = parse_redis_uri("redis://:secret@h");
  REQUIRE(password);
  CHECK(password->user.empty());
  CHECK(password->password == "secret");
}

TEST_CASE("a Redis URI may be an IPv6 address or a unix socket") {
  const auto six = parse_redis_uri("redis://[::1]:7000/1");
  REQUIRE(six);
  CHECK(six->host == "::1");
  CHECK(six->port == 7000);
  CHECK(six->shown() == "redis://[::1]:7000/1");
  const auto local = parse_redis_uri("unix:///run/redis@home.sock?db=2");
  REQUIRE(local);
  CHECK(local->unix_path == "/run/redis@home.sock");
  CHECK(local->database == 2);
  CHECK(parse_redis_uri("unix://:secret@/run/redis.sock")->password == "secret");
}

TEST_CASE("a Redis URI may name a user without a password, and a path with any bytes") {
  const auto user = parse_redis_uri("redis://reader@h");
  REQUIRE(user);
  CHECK(user->user == "reader");
  CHECK(user->password.empty());
  CHECK(user->host == "h");
  const auto empty = parse_redis_uri("redis://reader:@h/1");
  REQUIRE(empty);
  CHECK(empty->user == "reader");
  CHECK(empty->password.empty());
  const auto nobody = parse_redis_uri("redis://:@h");
  REQUIRE(nobody);
  CHECK(*nobody == *parse_redis_uri("redis://h"));
  const auto path = parse_redis_uri("unix:///a%20b/s%3fdb.sock?db=1");
  REQUIRE(path);
  CHECK(path->unix_path == "/a b/s?db.sock");
  CHECK(path->database == 1);
}

TEST_CASE("the error that a script met is found, however old the server that wraps it") {
  using tempest::runtime::cause_of_reply;
  CHECK(cause_of_reply("ERR Error running script (call to f_a1): @user_script:3: @user_script: 3: "
                       "-OOM command not allowed when used memory > 'maxmemory'.") ==
        "OOM command not allowed when used memory > 'maxmemory'.");
  CHECK(cause_of_reply("ERR Error running script (call to f_a1): @user_script:12: -READONLY You "
                       "can't write") == "READONLY You can't write");
  CHECK(cause_of_reply("ERR Error running script (call to f_a1): @user_script:1: WRONGTYPE x") ==
        "WRONGTYPE x");
  for (const char* text : {"OOM command not allowed. script: f_a1, on @user_script:2.", "", "ERR x",
                           "ERR Error running script (call to f_a1): @user_script:3: "}) {
    CHECK(cause_of_reply(text) == text);
  }
}

TEST_CASE("a malformed Redis URI is a configuration error that does not repeat the password") {
  for (const char* uri :
       {"", "localhost:6379", "redis://", "redis://:secret@", "redis://:secret@h:port",
        "redis://:secret@h:0", "redis://:secret@h:70000", "redis://:secret@h/x",
        "redis://:secret@h/2147483648", "redis://u:secret%4@h", "unix://:secret@/s%4",
        "redis://[::1", "redis://[::1]x", "unix://relative", "unix:///s?db=x",
        "rediss://:secret@h"}) {
    CAPTURE(uri);
    const auto parsed = parse_redis_uri(uri);
    REQUIRE_FALSE(parsed);
    CHECK(parsed.error().code == ErrorCode::configuration);
    CHECK_THAT(parsed.error().message, !Contains("secret"));
  }
}

TEST_CASE("a Redis that is not there is unavailable, and its error names the address") {
  RedisAddress address;
  address.unix_path = "/nonexistent/redis.sock";
  address.password = "secret";
  RedisConnection connection(address);
  const auto connected = connection.connect();
  REQUIRE_FALSE(connected);
  CHECK(connected.error().code == ErrorCode::unavailable);
  CHECK_THAT(connected.error().message,
             Contains("unix:///nonexistent/redis.sock") && !Contains("secret"));
  const auto reply = connection.command({"PING"});
  REQUIRE_FALSE(reply);
  CHECK(reply.error().code == ErrorCode::unavailable);
}
