#include "tempest/runtime/redis.hpp"

#include <hiredis/hiredis.h>
#include <poll.h>
#include <sys/socket.h>

#include <algorithm>
#include <array>
#include <cassert>
#include <cerrno>
#include <csignal>
#include <mutex>
#include <utility>

#include "tempest/base/quantity.hpp"
#include "tempest/runtime/clock.hpp"
#include "tempest/runtime/tls_probe.hpp"

namespace tempest::runtime {
namespace {

const redisReply* reply_of(const void* reply) {
  return static_cast<const redisReply*>(reply);
}
redisContext* context_of(void* context) {
  return static_cast<redisContext*>(context);
}

timeval to_timeval(Duration duration) {
  const auto us = std::chrono::duration_cast<std::chrono::microseconds>(duration).count();
  return {static_cast<time_t>(us / 1'000'000), static_cast<suseconds_t>(us % 1'000'000)};
}

// hiredis 0.14 writes without MSG_NOSIGNAL: a connection that was reset would kill the process of
// a program that has not ignored the signal itself.
void ignore_broken_pipes() {
  static std::once_flag once;
  std::call_once(once, [] {
    struct sigaction current {};
    if (sigaction(SIGPIPE, nullptr, &current) == 0 && current.sa_handler == SIG_DFL) {
      std::signal(SIGPIPE, SIG_IGN);
    }
  });
}

/// hiredis reserves room for as many elements as an array says it has, up to 2^31, before any has
/// come: a few bytes could ask for 16 GiB.
constexpr int kMaxArrayElements = 1 << 20;

void bound_arrays(redisContext& context) {
  static const redisReplyObjectFunctions original = *context.reader->fn;
  static redisReplyObjectFunctions bounded = [] {
    redisReplyObjectFunctions functions = original;
    functions.createArray = [](const redisReadTask* task, int elements) -> void* {
      return elements > kMaxArrayElements ? nullptr : original.createArray(task, elements);
    };
    return functions;
  }();
  context.reader->fn = &bounded;
}

/// Error replies after which another try may go well: Redis itself says so by their first word.
bool is_passing(std::string_view word) {
  constexpr std::array<std::string_view, 10> kPassing = {
      "LOADING",   "BUSY",       "MASTERDOWN", "CLUSTERDOWN", "TRYAGAIN",
      "UNBLOCKED", "NOREPLICAS", "OOM",        "MISCONF",     "READONLY"};
  return std::find(kPassing.begin(), kPassing.end(), word) != kPassing.end();
}

/// Error replies about who is asking, or where: wrong from the start they are a matter of the
/// configuration, and later on one that may be mended at the server.
bool is_about_client(std::string_view text) {
  constexpr std::array<std::string_view, 13> kBeginnings = {"NOAUTH",
                                                            "WRONGPASS",
                                                            "NOPERM",
                                                            "WRONGTYPE",
                                                            "DENIED",
                                                            "MOVED",
                                                            "ASK ",
                                                            "CROSSSLOT",
                                                            "ERR invalid password",
                                                            "ERR AUTH",
                                                            "ERR Client sent AUTH",
                                                            "ERR operation not permitted",
                                                            "ERR unknown command"};
  return std::any_of(kBeginnings.begin(), kBeginnings.end(),
                     [&](std::string_view beginning) { return text.starts_with(beginning); });
}

Error error_of_reply(std::string_view text, const std::string& server, bool worked) {
  const std::string reply = server + " says: " + std::string(text);
  text = cause_of_reply(text);
  const std::string_view word = text.substr(0, text.find(' '));
  if (is_passing(word) || text.starts_with("ERR max number of clients")) {
    return Error{ErrorCode::unavailable, reply};
  }
  if (word == "NOGROUP") return Error{ErrorCode::not_found, reply};
  if (worked && is_about_client(text)) {
    return Error{ErrorCode::unavailable,
                 reply +
                     " (it took the same before: mend that at the server, or start this node "
                     "again with what is right now)"};
  }
  if (word == "MOVED" || word == "ASK" || word == "CROSSSLOT") {
    return Error{ErrorCode::configuration,
                 server + " is part of a Redis Cluster, and Tempest speaks with single servers: " +
                     std::string(text)};
  }
  if (word == "NOAUTH") {
    return Error{ErrorCode::configuration, server +
                                               " asks for a password: give it in the URI, "
                                               "redis://:password@host:port"};
  }
  return Error{ErrorCode::configuration, reply};
}

}  // namespace

RedisValue::Kind RedisValue::kind() const {
  if (reply_ == nullptr) return Kind::nil;
  switch (reply_of(reply_)->type) {
    case REDIS_REPLY_INTEGER:
      return Kind::integer;
    case REDIS_REPLY_STRING:
      return Kind::text;
    case REDIS_REPLY_STATUS:
      return Kind::status;
    case REDIS_REPLY_ERROR:
      return Kind::error;
    case REDIS_REPLY_ARRAY:
      return Kind::array;
    default:
      return Kind::nil;
  }
}

std::string_view RedisValue::text() const {
  const redisReply* reply = reply_of(reply_);
  switch (kind()) {
    case Kind::text:
    case Kind::status:
    case Kind::error:
      return {reply->str, reply->len};
    default:
      return {};
  }
}

std::int64_t RedisValue::integer() const {
  return kind() == Kind::integer ? reply_of(reply_)->integer : 0;
}

std::size_t RedisValue::size() const {
  return kind() == Kind::array ? reply_of(reply_)->elements : 0;
}

RedisValue RedisValue::operator[](std::size_t index) const {
  return RedisValue(index < size() ? reply_of(reply_)->element[index] : nullptr);
}

void RedisReply::Free::operator()(void* reply) const {
  freeReplyObject(reply);
}

void RedisConnection::Close::operator()(void* context) const {
  redisFree(context_of(context));
}

RedisConnection::RedisConnection(RedisAddress address, RedisTimeouts timeouts)
    : address_(std::move(address)), timeouts_(timeouts) {
  ignore_broken_pipes();
}

RedisConnection::~RedisConnection() = default;

Result<void> RedisConnection::connect() {
  // Never redisReconnect(): it forgets the timeout, AUTH and SELECT.
  close();
  const timeval limit = to_timeval(timeouts_.connect);
  redisContext* context = address_.unix_path.empty()
                              ? redisConnectWithTimeout(address_.host.c_str(), address_.port, limit)
                              : redisConnectUnixWithTimeout(address_.unix_path.c_str(), limit);
  context_.reset(context);
  heard_ = false;
  if (context == nullptr) {
    return Error{ErrorCode::unavailable, "cannot reach " + address_.shown() + ": out of memory"};
  }
  if (context->err != 0) {
    Error error{ErrorCode::unavailable,
                "cannot reach " + address_.shown() + ": " + std::string(context->errstr)};
    close();
    return error;
  }
  if (!publish_socket()) {
    close();
    return Error{ErrorCode::unavailable,
                 "this node has ended: not connected to " + address_.shown()};
  }
  if (redisSetTimeout(context, to_timeval(timeouts_.reply)) != REDIS_OK) {
    return lost("while its timeout was set");
  }
  bound_arrays(*context);
  // TCP's alone: at a Unix socket the attempt would leave hiredis's context with an error for good.
  if (address_.unix_path.empty() && redisEnableKeepAlive(context) != REDIS_OK) {
    return lost("while its keep-alive was set");
  }
  return greet();
}

Result<void> RedisConnection::greet() {
  if (!address_.password.empty() || !address_.user.empty()) {
    auto reply = address_.user.empty() ? exchange({"AUTH", address_.password})
                                       : exchange({"AUTH", address_.user, address_.password});
    if (!reply) return reply.error();
    if (reply->value().kind() == RedisValue::Kind::error) return greeting_refused(reply->value());
  }
  if (address_.database != 0) {
    auto reply = exchange({"SELECT", std::to_string(address_.database)});
    if (!reply) return reply.error();
    if (reply->value().kind() == RedisValue::Kind::error) return greeting_refused(reply->value());
  }
  return {};
}

Error RedisConnection::greeting_refused(RedisValue reply) {
  Error error = error_of_reply(reply.text(), address_.shown(), worked_);
  if (worked_) error.code = ErrorCode::unavailable;
  close();
  return error;
}

Result<RedisReply> RedisConnection::command(std::span<const std::string_view> arguments) {
  if (auto appended = append(arguments); !appended) return appended.error();
  auto reply = next_reply();
  if (!reply) return reply;
  if (auto checked = check(reply->value()); !checked) return checked.error();
  return reply;
}

Result<RedisReply> RedisConnection::exchange(std::span<const std::string_view> arguments) {
  if (auto appended = append(arguments); !appended) return appended.error();
  return next_reply();
}

Result<void> RedisConnection::append(std::span<const std::string_view> arguments) {
  if (!connected()) {
    return Error{ErrorCode::unavailable, "not connected to " + address_.shown()};
  }
  argument_data_.clear();
  argument_sizes_.clear();
  for (const std::string_view argument : arguments) {
    argument_data_.push_back(argument.data());
    argument_sizes_.push_back(argument.size());
  }
  if (redisAppendCommandArgv(context_of(context_.get()), static_cast<int>(arguments.size()),
                             argument_data_.data(), argument_sizes_.data()) != REDIS_OK) {
    return lost("while a command was made");
  }
  return {};
}

bool RedisConnection::publish_socket() {
  const std::lock_guard lock(abandoning_);
  socket_ = context_of(context_.get())->fd;
  return !abandoned_;
}

void RedisConnection::abandon() {
  const std::lock_guard lock(abandoning_);
  abandoned_ = true;
  if (socket_ >= 0) ::shutdown(socket_, SHUT_RDWR);
}

bool RedisConnection::is_hung_up() const {
  if (!connected()) return true;
  pollfd wanted{context_of(context_.get())->fd, POLLIN | POLLRDHUP, 0};
  if (wanted.fd < 0 || ::poll(&wanted, 1, 0) <= 0) return false;
  char byte = 0;
  return (wanted.revents & (POLLHUP | POLLERR | POLLRDHUP)) != 0 ||
         ::recv(wanted.fd, &byte, 1, MSG_PEEK | MSG_DONTWAIT) == 0;
}

void RedisConnection::close() {
  {
    // Its number may be another socket's as soon as it is closed.
    const std::lock_guard lock(abandoning_);
    socket_ = -1;
  }
  context_.reset();
  deferred_ = Deferred::none;
  deferred_reply_.reset();
}

Result<void> RedisConnection::defer(std::span<const std::string_view> arguments) {
  assert(!has_deferred());
  if (auto appended = append(arguments); !appended) return appended;
  for (int done = 0; done == 0;) {
    if (redisBufferWrite(context_of(context_.get()), &done) != REDIS_OK) {
      return lost("while a command was sent");
    }
  }
  deferred_ = Deferred::on_its_way;
  return {};
}

Result<RedisReply> RedisConnection::take_deferred() {
  assert(has_deferred());
  if (std::exchange(deferred_, Deferred::none) == Deferred::on_its_way) return read_reply();
  return *std::exchange(deferred_reply_, std::nullopt);
}

Result<RedisReply> RedisConnection::next_reply() {
  // Replies come in the order of their commands.
  if (deferred_ == Deferred::on_its_way) {
    auto reply = read_reply();
    if (!reply) return reply;
    deferred_reply_ = std::move(*reply);
    deferred_ = Deferred::here;
  }
  return read_reply();
}

Result<RedisReply> RedisConnection::read_reply() {
  if (!connected()) {
    return Error{ErrorCode::unavailable, "not connected to " + address_.shown()};
  }
  void* reply = nullptr;
  if (redisGetReply(context_of(context_.get()), &reply) != REDIS_OK || reply == nullptr) {
    return lost("while waiting for a reply");
  }
  heard_ = true;
  last_reply_at_ = monotonic_now();
  return RedisReply(reply);
}

Result<void> RedisConnection::check(RedisValue reply) const {
  if (reply.kind() != RedisValue::Kind::error) return {};
  return error_of_reply(reply.text(), address_.shown(), worked_);
}

Error RedisConnection::lost(std::string_view during) {
  redisContext* context = context_of(context_.get());
  const int reason = errno;
  Error error{ErrorCode::unavailable,
              "lost " + address_.shown() + " " + std::string(during) + ": "};
  const bool timed_out =
      context->err == REDIS_ERR_IO && (reason == EAGAIN || reason == EWOULDBLOCK);
  if (timed_out) {
    error.message += "no answer within " + format_duration(timeouts_.reply);
  } else {
    error.message += context->errstr;
  }
  if (context->err == REDIS_ERR_PROTOCOL) error.code = ErrorCode::protocol;
  const bool was_refused = !heard_ && !timed_out && context->fd >= 0;
  // A context with an error is dead: what is read after a timeout answers another command.
  close();
  if (was_refused && address_.unix_path.empty() && speaks_tls(address_.host, address_.port)) {
    error.code = worked_ ? ErrorCode::unavailable : ErrorCode::configuration;
    error.message = address_.shown() +
                    " speaks TLS, and Tempest does not: use the server's plain port within a "
                    "trusted network, or a tunnel";
  }
  return error;
}

std::string_view cause_of_reply(std::string_view text) {
  constexpr std::string_view kPlace = "user_script:";
  if (!text.starts_with("ERR Error running script")) return text;
  const std::size_t at = text.rfind(kPlace);
  if (at == std::string_view::npos) return text;
  std::string_view cause = text.substr(at + kPlace.size());
  cause.remove_prefix(std::min(cause.find_first_not_of("0123456789: "), cause.size()));
  if (cause.starts_with('-')) cause.remove_prefix(1);
  return cause.empty() ? text : cause;
}

bool means_out_of_memory(RedisValue reply) {
  return reply.kind() == RedisValue::Kind::error && cause_of_reply(reply.text()).starts_with("OOM");
}

}  // namespace tempest::runtime
