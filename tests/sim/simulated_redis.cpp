#include "simulated_redis.hpp"

#include <hiredis/hiredis.h>

#include <algorithm>
#include <charconv>
#include <cstdio>
#include <cstdlib>
#include <cstring>

#include "ledger.hpp"

namespace tempest::sim {

thread_local SimulatedRedis* SimulatedRedis::current = nullptr;
thread_local bool SimulatedRedis::reachable = true;
thread_local std::uint64_t SimulatedRedis::commands_left = ~0ULL;

namespace {

using Reply = SimulatedRedis::Reply;

Reply text_reply(std::string text, Reply::Kind kind = Reply::Kind::text) {
  Reply reply;
  reply.kind = kind;
  reply.text = std::move(text);
  return reply;
}

Reply integer_reply(std::int64_t value) {
  Reply reply;
  reply.kind = Reply::Kind::integer;
  reply.integer = value;
  return reply;
}

Reply array_reply(std::vector<Reply> elements) {
  Reply reply;
  reply.kind = Reply::Kind::array;
  reply.elements = std::move(elements);
  return reply;
}

std::string text_of(const SourceToken& token) {
  return std::to_string(token.high) + "-" + std::to_string(token.low);
}

SourceToken token_of(std::string_view text) {
  SourceToken token;
  const char* end = text.data() + text.size();
  const auto high = std::from_chars(text.data(), end, token.high);
  if (high.ptr != end) std::from_chars(high.ptr + 1, end, token.low);
  return token;
}

}  // namespace

SourceToken SimulatedRedis::add_entry(std::string payload, std::string key) {
  const SourceToken id{1000 + ids_given_ / 3, ids_given_ % 3};
  ++ids_given_;
  entries_.push_back({id, std::move(payload), std::move(key)});
  return id;
}

void SimulatedRedis::replicate() {
  replica_ = {entries_.size(), next_, has_group_, pending_};
}

void SimulatedRedis::fail_over() {
  ++life;
  for (std::size_t i = replica_.entries; i < entries_.size(); ++i) {
    ledger_.vanished(entries_[i].id);
  }
  entries_.resize(replica_.entries);
  next_ = replica_.next;
  has_group_ = replica_.has_group;
  pending_ = replica_.pending;
}

void SimulatedRedis::trim_pending(std::uint64_t share) {
  for (const auto& [token, place] : pending_) {
    Entry& entry = entries_[place.first];
    if (entry.is_deleted || random_.below(share) != 0) continue;
    entry.is_deleted = true;
    ledger_.deleted(token);
  }
}

std::vector<SourceToken> SimulatedRedis::pending() const {
  std::vector<SourceToken> tokens;
  for (const auto& [token, place] : pending_) tokens.push_back(token);
  return tokens;
}

Reply SimulatedRedis::carry_out(const Command& command) {
  const std::string& name = command.front();
  if (error_reply > 0 && name != "XREADGROUP" && random_.fraction() < error_reply) {
    if (name == "XADD" && command[1].starts_with("out.") && random_.below(2) == 0) {
      ledger_.sink_refused(std::string_view(command[1]).substr(4), command.back());
      return text_reply("ERR the sink does not like it", Reply::Kind::error);
    }
    return text_reply("OOM command not allowed", Reply::Kind::error);
  }
  if (refuses_letters && (name == "XADD" || name == "EVAL") &&
      std::find(command.begin(), command.end(), "dead") != command.end()) {
    return text_reply("OOM command not allowed", Reply::Kind::error);
  }
  if (name == "XREADGROUP") return read_group(command);
  if (name == "XACK") return ack(command);
  if (name == "XADD") return add(command);
  if (name == "EVAL") return run_steps(command);
  if (name == "CONFIG") return array_reply({text_reply("appendonly"), text_reply("yes")});
  if (name == "XGROUP") {
    if (std::exchange(has_group_, true)) {
      return text_reply("BUSYGROUP Consumer Group name already exists", Reply::Kind::error);
    }
    return text_reply("OK", Reply::Kind::status);
  }
  return text_reply("ERR unknown command " + name, Reply::Kind::error);
}

Reply SimulatedRedis::reply_of(const Entry& entry) {
  if (entry.is_deleted) return array_reply({text_reply(text_of(entry.id)), Reply{}});
  return array_reply(
      {text_reply(text_of(entry.id)), array_reply({text_reply("text"), text_reply(entry.payload),
                                                   text_reply("key"), text_reply(entry.key)})});
}

// XREADGROUP GROUP group consumer COUNT count [BLOCK ms] STREAMS key id
Reply SimulatedRedis::read_group(const Command& command) {
  const std::string& consumer = command[3];
  const std::size_t count = std::stoul(command[5]);
  const std::string& from = command.back();
  if (!has_group_) return text_reply("NOGROUP No such consumer group", Reply::Kind::error);
  std::vector<Reply> entries;
  if (from == ">") {
    for (; next_ < entries_.size() && entries.size() < count; ++next_) {
      if (entries_[next_].is_deleted) continue;  // Before a failover it was pending.
      pending_[entries_[next_].id] = {next_, consumer};
      entries.push_back(reply_of(entries_[next_]));
    }
    if (entries.empty()) return {};
  } else {
    for (auto at = pending_.upper_bound(token_of(from)); at != pending_.end(); ++at) {
      if (at->second.second != consumer) continue;
      if (entries.size() == count) break;
      entries.push_back(reply_of(entries_[at->second.first]));
    }
  }
  const std::string& key = command[command.size() - 2];
  return array_reply({array_reply({text_reply(key), array_reply(std::move(entries))})});
}

// XACK key group id...
Reply SimulatedRedis::ack(const Command& command) {
  std::int64_t count = 0;
  for (std::size_t i = 3; i < command.size(); ++i) {
    const SourceToken token = token_of(command[i]);
    if (pending_.erase(token) == 0) continue;
    ++count;
    ledger_.acked(token);
  }
  return integer_reply(count);
}

// XADD key * field value
Reply SimulatedRedis::add(const Command& command) {
  const std::string& key = command[1];
  if (key == "dead") {
    ledger_.dead_lettered(command.back());
  } else {
    ledger_.sunk(std::string_view(key).substr(4), command.back());
  }
  return text_reply("1-" + std::to_string(++added_));
}

// EVAL script n key... {m command word...}..., the script being that of builtin/redis_steps.cpp.
Reply SimulatedRedis::run_steps(const Command& command) {
  for (std::size_t at = 3 + std::stoul(command[2]); at < command.size();) {
    const std::size_t words = std::stoul(command[at]);
    const auto first = command.begin() + static_cast<std::ptrdiff_t>(at + 1);
    const Command step(first, first + static_cast<std::ptrdiff_t>(words));
    if (step.front() == "XADD") {
      add(step);
    } else if (step.front() == "XACK") {
      ack(step);
    } else {
      return text_reply("ERR unknown command " + step.front(), Reply::Kind::error);
    }
    at += 1 + words;
  }
  return {};
}

namespace {

/// What a redisContext* of this program points to.
struct Connection {
  redisContext base;
  /// The client sets bounds in it; nothing is ever parsed here.
  redisReplyObjectFunctions functions;
  redisReader reader;
  std::uint64_t life = 0;
  std::vector<SimulatedRedis::Command> unsent;
  std::deque<Reply> replies;
  bool is_lost = false;
};

Connection* connection_of(redisContext* context) {
  return reinterpret_cast<Connection*>(context);
}

bool is_reachable() {
  return SimulatedRedis::current != nullptr && SimulatedRedis::current->is_up &&
         SimulatedRedis::reachable && SimulatedRedis::commands_left > 0;
}

/// Sends everything. Commands are carried out in order; the connection may break anywhere, and
/// what has been carried out by then may not be known to the client.
void flush(Connection& connection) {
  auto& redis = *SimulatedRedis::current;
  const auto commands = std::exchange(connection.unsent, {});
  std::size_t breaks_after = commands.size();
  std::size_t replies_lost = 0;
  if (!commands.empty() && redis.lost_reply > 0 && redis.random().fraction() < redis.lost_reply) {
    breaks_after = redis.random().below(commands.size() + 1);
    replies_lost = redis.random().below(breaks_after + 1);
    connection.is_lost = true;
  }
  for (std::size_t i = 0; i < breaks_after; ++i) {
    if (SimulatedRedis::commands_left == 0) {
      connection.is_lost = true;
      break;
    }
    --SimulatedRedis::commands_left;
    connection.replies.push_back(redis.carry_out(commands[i]));
  }
  while (replies_lost-- > 0 && !connection.replies.empty()) connection.replies.pop_back();
}

redisReply* make_reply(const Reply& from) {
  auto* reply = static_cast<redisReply*>(std::calloc(1, sizeof(redisReply)));
  constexpr int kTypes[] = {REDIS_REPLY_NIL,    REDIS_REPLY_INTEGER, REDIS_REPLY_STRING,
                            REDIS_REPLY_STATUS, REDIS_REPLY_ERROR,   REDIS_REPLY_ARRAY};
  reply->type = kTypes[static_cast<std::size_t>(from.kind)];
  reply->integer = from.integer;
  reply->len = from.text.size();
  reply->str = static_cast<char*>(std::malloc(from.text.size() + 1));
  std::memcpy(reply->str, from.text.c_str(), from.text.size() + 1);
  reply->elements = from.elements.size();
  if (!from.elements.empty()) {
    reply->element =
        static_cast<redisReply**>(std::calloc(from.elements.size(), sizeof(redisReply*)));
    for (std::size_t i = 0; i < from.elements.size(); ++i) {
      reply->element[i] = make_reply(from.elements[i]);
    }
  }
  return reply;
}

int fail(redisContext* context, const char* why) {
  context->err = REDIS_ERR_EOF;
  std::snprintf(context->errstr, sizeof context->errstr, "%s", why);
  return REDIS_ERR;
}

}  // namespace
}  // namespace tempest::sim

// --- In place of hiredis -------------------------------------------------------------------------

extern "C" {

using tempest::sim::Connection;
using tempest::sim::connection_of;
using tempest::sim::SimulatedRedis;

redisContext* redisConnectWithTimeout(const char* /*ip*/, int /*port*/, const timeval /*tv*/) {
  auto* connection = new Connection{};
  connection->reader.fn = &connection->functions;
  connection->base.reader = &connection->reader;
  connection->base.fd = -1;
  if (!tempest::sim::is_reachable()) {
    tempest::sim::fail(&connection->base, "Connection refused");
  } else {
    connection->life = SimulatedRedis::current->life;
  }
  return &connection->base;
}

redisContext* redisConnectUnixWithTimeout(const char* /*path*/, const timeval tv) {
  return redisConnectWithTimeout("", 0, tv);
}

int redisSetTimeout(redisContext* /*context*/, const timeval /*tv*/) {
  return REDIS_OK;
}

int redisEnableKeepAlive(redisContext* /*context*/) {
  return REDIS_OK;
}

void redisFree(redisContext* context) {
  delete connection_of(context);
}

int redisAppendCommandArgv(redisContext* context, int count, const char** arguments,
                           const size_t* sizes) {
  auto& command = connection_of(context)->unsent.emplace_back();
  for (int i = 0; i < count; ++i) command.emplace_back(arguments[i], sizes[i]);
  return REDIS_OK;
}

int redisBufferWrite(redisContext* context, int* done) {
  *done = 1;
  Connection& connection = *connection_of(context);
  if (connection.unsent.empty()) return REDIS_OK;
  if (!tempest::sim::is_reachable() || connection.life != SimulatedRedis::current->life) {
    connection.is_lost = true;
  }
  if (!connection.is_lost) flush(connection);
  // That it did not arrive is seen when its reply does not.
  return REDIS_OK;
}

int redisGetReply(redisContext* context, void** reply) {
  Connection& connection = *connection_of(context);
  int done = 0;
  redisBufferWrite(context, &done);
  if (connection.replies.empty()) {
    return tempest::sim::fail(context, "Server closed the connection");
  }
  *reply = tempest::sim::make_reply(connection.replies.front());
  connection.replies.pop_front();
  return REDIS_OK;
}

void freeReplyObject(void* object) {
  auto* reply = static_cast<redisReply*>(object);
  if (reply == nullptr) return;
  for (size_t i = 0; i < reply->elements; ++i) freeReplyObject(reply->element[i]);
  std::free(reply->element);
  std::free(reply->str);
  std::free(reply);
}
}
