#include "bench/stream.hpp"

#include <signal.h>

#include <algorithm>
#include <array>
#include <cstdlib>
#include <filesystem>

#include "bench/nodes.hpp"
#include "bench/workload.hpp"
#include "tempest/runtime/clock.hpp"
#include "tempest/runtime/redis.hpp"

namespace tempest::bench {

namespace {

constexpr std::uint64_t kPipelined = 10'000;
constexpr Duration kStartPatience = std::chrono::seconds(10);

/// The first program of that name on PATH.
std::string find_program(const std::string& name) {
  const char* variable = std::getenv("PATH");
  std::string path = variable != nullptr ? variable : "/usr/bin";
  for (std::size_t begin = 0; begin <= path.size();) {
    const std::size_t end = std::min(path.find(':', begin), path.size());
    std::string file = path.substr(begin, end - begin) + "/" + name;
    if (std::filesystem::exists(file)) return file;
    begin = end + 1;
  }
  return {};
}

Result<std::unique_ptr<runtime::RedisConnection>> connect(const std::string& uri) {
  auto address = runtime::parse_redis_uri(uri);
  if (!address) return address.error();
  auto connection = std::make_unique<runtime::RedisConnection>(*address);
  if (auto connected = connection->connect(); !connected) return connected.error();
  return connection;
}

/// The value after `name` in a reply that is names and values in turn.
std::int64_t integer_of(runtime::RedisValue fields, std::string_view name) {
  for (std::size_t i = 0; i + 1 < fields.size(); i += 2) {
    if (fields[i].text() == name) return fields[i + 1].integer();
  }
  return -1;
}

}  // namespace

Result<std::unique_ptr<RedisServer>> RedisServer::start(bool durable) {
  const std::string program = find_program("redis-server");
  if (program.empty()) {
    return Error{ErrorCode::unavailable,
                 "there is no redis-server on PATH; install it, or name one with --redis"};
  }
  std::unique_ptr<RedisServer> server(new RedisServer());
  const runtime::ScratchFolder& folder = server->folder_;
  if (!folder.exists()) return Error{ErrorCode::unavailable, "no folder"};
  const std::string port = std::to_string(free_ports());
  auto child = Child::start("redis",
                            {program, "--port", port, "--bind", "127.0.0.1", "--dir", folder.path(),
                             "--save", "", "--appendonly", durable ? "yes" : "no", "--appendfsync",
                             "everysec", "--loglevel", "warning"},
                            {folder.file("log"), false, false});
  if (!child) return child.error();
  server->child_.emplace(std::move(*child));
  server->uri_ = "redis://127.0.0.1:" + port + "/0";
  const TimePoint deadline = runtime::monotonic_now() + kStartPatience;
  while (runtime::monotonic_now() < deadline) {
    if (connect(server->uri_)) return server;
    if (server->child_->wait(std::chrono::milliseconds(20))) break;
  }
  return Error{ErrorCode::unavailable, "redis-server does not start"};
}

RedisServer::~RedisServer() {
  if (!child_) return;
  child_->signal(SIGKILL);
  child_->wait(kStartPatience);
}

Result<void> fill_stream(const std::string& uri, const std::string& group, std::uint64_t count,
                         std::size_t size_bytes) {
  auto connected = connect(uri);
  if (!connected) return connected.error();
  runtime::RedisConnection& redis = **connected;
  if (auto gone = redis.command({"DEL", kStreamKey}); !gone) return gone.error();
  const std::string payload(size_bytes, '.');
  for (std::uint64_t done = 0; done < count;) {
    const std::uint64_t now = std::min(kPipelined, count - done);
    for (std::uint64_t i = 0; i < now; ++i) {
      auto sent = redis.append({"XADD", kStreamKey, "*", kStreamField, payload});
      if (!sent) return sent.error();
    }
    for (std::uint64_t i = 0; i < now; ++i) {
      auto reply = redis.next_reply();
      if (!reply) return reply.error();
      if (auto checked = redis.check(reply->value()); !checked) return checked.error();
    }
    done += now;
  }
  auto made = redis.command({"XGROUP", "CREATE", kStreamKey, group, "0"});
  if (!made) return made.error();
  return {};
}

Result<void> check_stream(const std::string& uri, const std::string& group, std::uint64_t count) {
  auto connected = connect(uri);
  if (!connected) return connected.error();
  auto groups = (*connected)->command({"XINFO", "GROUPS", kStreamKey});
  if (!groups) return groups.error();
  for (std::size_t i = 0; i < groups->value().size(); ++i) {
    const runtime::RedisValue found = groups->value()[i];
    if (found.size() < 2 || found[1].text() != group) continue;
    const std::int64_t pending = integer_of(found, "pending");
    const std::int64_t read = integer_of(found, "entries-read");
    if (pending == 0 && read == static_cast<std::int64_t>(count)) return {};
    return Error{ErrorCode::fail, "the stream's group has read " + std::to_string(read) +
                                      " entries of " + std::to_string(count) + ", and " +
                                      std::to_string(pending) + " are not acked"};
  }
  return Error{ErrorCode::fail, "the stream's group is gone"};
}

}  // namespace tempest::bench
