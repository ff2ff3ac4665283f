#include "tempest/runtime/redis.hpp"

#include <hiredis/hiredis.h>

#include <algorithm>
#include <array>
#include <cassert>
#include <cerrno>
#include <csignal>
#include <mutex>
#include <utility>

#include "tempest/base/quantity.hpp"

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

Error error_of_reply(std::string_view text, const std::string& server) {
  const std::string_view word = text.substr(0, text.find(' '));
  const std::string reply = server + " says: " + std::string(text);
  if (is_passing(word) || text.starts_with("ERR max number of clients")) {
    return Error{ErrorCode::unavailable, reply};
  }
  if (word == "NOGROUP") return Error{ErrorCode::not_found, reply};
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
  assert(index < size());
  return RedisValue(reply_of(reply_)->element[index]);
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
  if (context == nullptr) {
    return Error{ErrorCode::unavailable, "cannot reach " + address_.shown() + ": out of memory"};
  }
  if (context->err != 0) {
    Error error{ErrorCode::unavailable,
                "cannot reach " + address_.shown() + ": " + std::string(context->errstr)};
    close();
    return error;
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
  if (!address_.password.empty()) {
    auto reply = address_.user.empty() ? exchange({"AUTH", address_.password})
                                       : exchange({"AUTH", address_.user, address_.password});
    if (!reply) return reply.error();
    if (reply->value().kind() == RedisValue::Kind::error) {
      Error error = error_of_reply(reply->value().text(), address_.shown());
      close();
      return error;
    }
  }
  if (address_.database != 0) {
    auto reply = command({"SELECT", std::to_string(address_.database)});
    if (!reply) {
      close();
      return reply.error();
    }
  }
  return {};
}

Result<RedisReply> RedisConnection::command(std::span<const std::string_view> arguments) {
  if (auto appended = append(arguments); !appended) return appended.error();
  auto reply = next_reply();
  if (!reply) return reply;
  if (auto checked = check(reply->value()); !checked) return checked.error();
  return reply;
}

Result<RedisReply> RedisConnection::exchange(std::initializer_list<std::string_view> arguments) {
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

void RedisConnection::close() {
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
  return RedisReply(reply);
}

Result<void> RedisConnection::check(RedisValue reply) const {
  if (reply.kind() != RedisValue::Kind::error) return {};
  return error_of_reply(reply.text(), address_.shown());
}

Error RedisConnection::lost(std::string_view during) {
  redisContext* context = context_of(context_.get());
  const int reason = errno;
  Error error{ErrorCode::unavailable,
              "lost " + address_.shown() + " " + std::string(during) + ": "};
  if (context->err == REDIS_ERR_IO && (reason == EAGAIN || reason == EWOULDBLOCK)) {
    error.message += "no answer within " + format_duration(timeouts_.reply);
  } else {
    error.message += context->errstr;
  }
  if (context->err == REDIS_ERR_PROTOCOL) error.code = ErrorCode::protocol;
  // A context with an error is dead: what is read after a timeout answers another command.
  close();
  return error;
}

}  // namespace tempest::runtime
