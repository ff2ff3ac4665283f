#include <catch2/catch.hpp>
#include <chrono>
#include <cstdlib>
#include <string>
#include <thread>

#include "tempest/runtime/redis.hpp"
#include "tests/support/redis_server.hpp"
#include "tests/support/temporary_folder.hpp"

using namespace tempest;
using namespace std::chrono_literals;
using Catch::Matchers::Contains;
using tempest::runtime::parse_redis_uri;
using tempest::runtime::RedisConnection;
using tempest::runtime::RedisValue;
using tempest::test::RedisServer;

namespace {

std::string uri_with(const RedisServer& server, const std::string& credentials, int database = 0) {
  return "redis://" + credentials + "127.0.0.1:" + std::to_string(server.port()) + "/" +
         std::to_string(database);
}

}  // namespace

TEST_CASE("a command's arguments and reply may be any bytes") {
  RedisServer server;
  RedisConnection connection(*parse_redis_uri(server.uri()));
  REQUIRE(connection.connect());
  const std::string bytes("\0\r\n$-1\xff %s", 11);
  REQUIRE(connection.command({"SET", bytes, bytes}));
  auto reply = connection.command({"GET", bytes});
  REQUIRE(reply);
  CHECK(reply->value().text() == bytes);
}

TEST_CASE("a server is reached by its Unix socket as well") {
  RedisServer server;
  RedisConnection connection(*parse_redis_uri(server.unix_uri()));
  REQUIRE(connection.connect());
  auto reply = connection.command({"PING"});
  REQUIRE(reply);
  CHECK(reply->value().text() == "PONG");
}

TEST_CASE("a reply of too many elements costs the connection, not the memory") {
  RedisServer server;
  RedisConnection connection(*parse_redis_uri(server.uri()));
  REQUIRE(connection.connect());
  const std::string_view script =
      "local list = {} for i = 1, tonumber(ARGV[1]) do list[i] = 1 end return list";
  auto largest = connection.command({"EVAL", script, "0", "1048576"});
  REQUIRE(largest);
  CHECK(largest->value().size() == 1048576);
  auto larger = connection.command({"EVAL", script, "0", "1048577"});
  REQUIRE_FALSE(larger);
  CHECK(larger.error().code == ErrorCode::unavailable);
  CHECK_FALSE(connection.connected());
  CHECK(connection.connect());
}

TEST_CASE("pipelined commands are answered in order, errors among them") {
  RedisServer server;
  RedisConnection connection(*parse_redis_uri(server.uri()));
  REQUIRE(connection.connect());
  REQUIRE(connection.append({"RPUSH", "list", "a", "b"}));
  REQUIRE(connection.append({"GET", "list"}));
  REQUIRE(connection.append({"LRANGE", "list", "0", "-1"}));
  auto length = connection.next_reply();
  REQUIRE(length);
  CHECK(length->value().integer() == 2);
  auto wrong = connection.next_reply();
  REQUIRE(wrong);
  CHECK(wrong->value().kind() == RedisValue::Kind::error);
  CHECK(connection.check(wrong->value()).error().code == ErrorCode::configuration);
  auto items = connection.next_reply();
  REQUIRE(items);
  REQUIRE(items->value().size() == 2);
  CHECK(items->value()[1].text() == "b");
}

TEST_CASE("a connection is to the database that the URI names, after every connect") {
  RedisServer server;
  RedisConnection zero(*parse_redis_uri(uri_with(server, "")));
  RedisConnection three(*parse_redis_uri(uri_with(server, "", 3)));
  REQUIRE(zero.connect());
  REQUIRE(three.connect());
  REQUIRE(three.connect());
  REQUIRE(three.command({"SET", "key", "value"}));
  CHECK(zero.command({"GET", "key"})->value().is_nil());
  RedisConnection missing(*parse_redis_uri(uri_with(server, "", 99)));
  CHECK(missing.connect().error().code == ErrorCode::configuration);
}

TEST_CASE("a password is used, asked for, and never shown") {
  RedisServer server({.append_only = false, .password = "sesame"});
  RedisConnection right(*parse_redis_uri(uri_with(server, ":sesame@")));
  REQUIRE(right.connect());
  CHECK(right.command({"PING"}));
  RedisConnection user(*parse_redis_uri(uri_with(server, "default:sesame@")));
  REQUIRE(user.connect());
  CHECK(user.command({"PING"}));

  RedisConnection wrong(*parse_redis_uri(uri_with(server, ":tapioca@")));
  const auto refused = wrong.connect();
  REQUIRE_FALSE(refused);
  CHECK(refused.error().code == ErrorCode::configuration);
  CHECK_THAT(refused.error().message, !Contains("tapioca"));
  CHECK_FALSE(wrong.connected());

  RedisConnection none(*parse_redis_uri(uri_with(server, "")));
  REQUIRE(none.connect());
  const auto reply = none.command({"PING"});
  REQUIRE_FALSE(reply);
  CHECK(reply.error().code == ErrorCode::configuration);
  CHECK_THAT(reply.error().message, Contains("asks for a password"));
}

TEST_CASE("a server that says nothing is unavailable after the timeout, also the second time") {
  RedisServer server;
  RedisConnection connection(*parse_redis_uri(server.uri()), {.connect = 1s, .reply = 100ms});
  for (int round = 0; round < 2; ++round) {
    CAPTURE(round);
    REQUIRE(connection.connect());
    REQUIRE(connection.command({"PING"}));
    server.pause();
    const auto reply = connection.command({"PING"});
    server.resume();
    REQUIRE_FALSE(reply);
    CHECK(reply.error().code == ErrorCode::unavailable);
    CHECK_THAT(reply.error().message, Contains("no answer within 100ms"));
    CHECK_FALSE(connection.connected());
  }
}

TEST_CASE("a server that was killed is unavailable, and can be connected to again") {
  RedisServer server;
  RedisConnection connection(*parse_redis_uri(server.uri()));
  REQUIRE(connection.connect());
  REQUIRE(connection.command({"SET", "key", "value"}));
  server.kill();
  CHECK(connection.command({"PING"}).error().code == ErrorCode::unavailable);
  CHECK(connection.connect().error().code == ErrorCode::unavailable);
  server.start();
  REQUIRE(connection.connect());
  CHECK(connection.command({"GET", "key"})->value().text() == "value");
}

TEST_CASE("a password that is changed later is trouble at the server, to be waited for") {
  RedisServer server({.append_only = false, .password = "sesame"});
  RedisConnection admin(*parse_redis_uri(uri_with(server, ":sesame@")));
  REQUIRE(admin.connect());
  RedisConnection connection(*parse_redis_uri(uri_with(server, ":sesame@", 3)));
  REQUIRE(connection.connect());
  connection.has_worked();
  REQUIRE(admin.command({"CONFIG", "SET", "requirepass", "tapioca"}));
  const auto refused = connection.connect();
  REQUIRE_FALSE(refused);
  CHECK(refused.error().code == ErrorCode::unavailable);
  CHECK_THAT(refused.error().message, Contains("WRONGPASS") && Contains("mend that"));
  REQUIRE(admin.command({"CONFIG", "SET", "requirepass", "sesame"}));
  REQUIRE(connection.connect());
  REQUIRE(admin.command({"ACL", "SETUSER", "default", "-get"}));
  CHECK(connection.command({"GET", "key"}).error().code == ErrorCode::unavailable);
  REQUIRE(connection.command({"SET", "key", "value"}));
  CHECK(connection.command({"RPUSH", "key", "x"}).error().code == ErrorCode::unavailable);
}

TEST_CASE("a call that waits for a server that says nothing is ended by abandon()") {
  RedisServer server;
  RedisConnection connection(*parse_redis_uri(server.uri()), {.connect = 1s, .reply = 60s});
  REQUIRE(connection.connect());
  REQUIRE(connection.command({"PING"}));
  server.pause();
  const auto begin = std::chrono::steady_clock::now();
  ErrorCode code{};
  std::thread waiting([&] { code = connection.command({"PING"}).error().code; });
  connection.abandon();
  waiting.join();
  server.resume();
  CHECK(code == ErrorCode::unavailable);
  CHECK(std::chrono::steady_clock::now() - begin < 10s);
  CHECK(connection.connect().error().code == ErrorCode::unavailable);
}

TEST_CASE("a connection that the server has closed is known before it is used") {
  RedisServer server;
  RedisConnection connection(*parse_redis_uri(server.uri()));
  CHECK(connection.is_hung_up());
  REQUIRE(connection.connect());
  REQUIRE(connection.command({"PING"}));
  CHECK_FALSE(connection.is_hung_up());
  RedisConnection other(*parse_redis_uri(server.uri()));
  REQUIRE(other.connect());
  REQUIRE(other.command({"CLIENT", "KILL", "TYPE", "normal", "SKIPME", "yes"}));
  const auto deadline = std::chrono::steady_clock::now() + 5s;
  while (!connection.is_hung_up()) REQUIRE(std::chrono::steady_clock::now() < deadline);
}

TEST_CASE("a port that speaks TLS is told as one") {
  const tempest::test::TemporaryFolder folder;
  const std::string certificate = folder.path("certificate.pem");
  const std::string key = folder.path("key.pem");
  const std::string command =
      "openssl req -x509 -newkey rsa:2048 -nodes -subj /CN=localhost -keyout '" + key + "' -out '" +
      certificate + "' 2>/dev/null";
  if (std::system(command.c_str()) != 0) {
    WARN("there is no openssl to make a certificate with");
    return;
  }
  // Its plain port is an ephemeral one of the fixture's; TLS gets the one that was a server's.
  std::uint16_t port = 0;
  {
    RedisServer other;
    port = other.port();
  }
  RedisServer server(
      {.append_only = false,
       .arguments = {"--tls-port", std::to_string(port), "--tls-cert-file", certificate,
                     "--tls-key-file", key, "--tls-ca-cert-file", certificate}});
  RedisConnection connection(*parse_redis_uri("redis://127.0.0.1:" + std::to_string(port) + "/0"));
  REQUIRE(connection.connect());
  const auto reply = connection.command({"PING"});
  REQUIRE_FALSE(reply);
  CHECK(reply.error().code == ErrorCode::configuration);
  CHECK_THAT(reply.error().message, Contains("speaks TLS"));
}
