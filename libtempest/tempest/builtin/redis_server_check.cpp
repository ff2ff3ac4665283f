#include "tempest/builtin/redis_server_check.hpp"

#include <algorithm>
#include <charconv>
#include <utility>

#include "tempest/base/quantity.hpp"
#include "tempest/runtime/clock.hpp"

namespace tempest::builtin {
namespace {

using runtime::RedisValue;

/// A server tells whole seconds.
constexpr Duration kUptimeSlack = std::chrono::seconds(1);

std::string_view value_of(std::string_view info, std::string_view name) {
  for (std::size_t at = 0; at < info.size();) {
    const std::size_t end = std::min(info.find('\n', at), info.size());
    std::string_view line = info.substr(at, end - at);
    at = end + 1;
    if (!line.starts_with(name) || line.size() <= name.size() || line[name.size()] != ':') continue;
    line.remove_prefix(name.size() + 1);
    return line.substr(0, line.find('\r'));
  }
  return {};
}

std::string real_history(std::string_view id) {
  return id.find_first_not_of('0') == std::string_view::npos ? std::string() : std::string(id);
}

/// Where INFO is not allowed, HELLO is: it tells the role at least.
Result<RedisServerFacts> ask_role(runtime::RedisConnection& connection) {
  auto reply = connection.exchange({"HELLO"});
  if (!reply) return reply.error();
  RedisServerFacts facts;
  const RedisValue list = reply->value();
  for (std::size_t i = 0; i + 1 < list.size(); i += 2) {
    if (list[i].text() == "mode") facts.mode = list[i + 1].text();
    if (list[i].text() == "role") {
      facts.role = list[i + 1].text() == "replica" ? "slave" : list[i + 1].text();
    }
  }
  return facts;
}

Result<RedisServerFacts> ask_facts(runtime::RedisConnection& connection) {
  std::string info;
  for (const std::string_view section : {"server", "replication"}) {
    auto reply = connection.exchange({"INFO", section});
    if (!reply) return reply.error();
    if (reply->value().kind() == RedisValue::Kind::text) info += reply->value().text();
  }
  if (info.empty()) return ask_role(connection);
  return redis_server_facts(info);
}

}  // namespace

RedisServerFacts redis_server_facts(std::string_view info) {
  RedisServerFacts facts;
  facts.mode = value_of(info, "redis_mode");
  facts.run_id = value_of(info, "run_id");
  facts.role = value_of(info, "role");
  facts.history = real_history(value_of(info, "master_replid"));
  facts.old_history = real_history(value_of(info, "master_replid2"));
  const std::string_view replicas = value_of(info, "connected_slaves");
  facts.has_replicas = !replicas.empty() && replicas != "0";
  if (facts.role == "slave") {
    facts.master = std::string(value_of(info, "master_host")) + ":" +
                   std::string(value_of(info, "master_port"));
  }
  const std::string_view uptime = value_of(info, "uptime_in_seconds");
  std::int64_t seconds = 0;
  const auto parsed = std::from_chars(uptime.data(), uptime.data() + uptime.size(), seconds);
  constexpr std::int64_t kLongest = 1'000'000'000;
  if (parsed.ec == std::errc{} && seconds >= 0 && seconds < kLongest) {
    facts.uptime = std::chrono::seconds(seconds);
  }
  return facts;
}

Result<void> RedisServerCheck::connect(runtime::RedisConnection& connection) {
  const TimePoint last_heard = connection.last_reply_at();
  if (auto connected = connection.connect(); !connected) return connected;
  auto facts = ask_facts(connection);
  if (!facts) return facts.error();
  auto admitted = admit(*facts, connection.address().shown(), last_heard, runtime::monotonic_now());
  if (!admitted) {
    connection.close();
    return admitted.error();
  }
  if (!admitted->empty()) warning_ = std::move(*admitted);
  return {};
}

Result<std::string> RedisServerCheck::admit(const RedisServerFacts& found, const std::string& name,
                                            TimePoint last_heard, TimePoint now) {
  if (found.mode == "sentinel") {
    return Error{known_.run_id.empty() ? ErrorCode::configuration : ErrorCode::unavailable,
                 name +
                     " is a Redis Sentinel, which holds no data: give the address of the master "
                     "that it watches"};
  }
  if (found.role == "slave") {
    return Error{ErrorCode::unavailable,
                 name + " is a replica" + (found.master.empty() ? "" : " of " + found.master) +
                     ", which takes no writes: waiting until it is a master, or its address leads "
                     "to one"};
  }
  is_same_process_ = found.run_id == known_.run_id;
  if (found.run_id.empty()) return std::string();
  if (known_.run_id.empty() || goes_on(found, now - last_heard)) {
    known_ = found;
    stranger_.clear();
    return std::string();
  }
  if (stranger_ != found.run_id) {
    stranger_ = found.run_id;
    stranger_since_ = now;
  }
  if (now - stranger_since_ >= kPatience) {
    known_ = found;
    stranger_.clear();
    return name + " has been another Redis for " + format_duration(kPatience) +
           ", neither the one before nor a replica of it: it is used from now on";
  }
  return Error{ErrorCode::unavailable,
               name + " leads to another Redis (run id " + found.run_id.substr(0, 12) +
                   ") than before, which was no replica of that one: an old master after a "
                   "failover, perhaps. Nothing is read or written there; waiting until the address "
                   "leads to the right one, or to this one for " +
                   format_duration(kPatience)};
}

bool RedisServerCheck::goes_on(const RedisServerFacts& found, Duration silence) const {
  if (found.run_id == known_.run_id) return true;
  if (!known_.history.empty() &&
      (found.history == known_.history || found.old_history == known_.history)) {
    return true;
  }
  const bool may_have_failed_over = known_.has_replicas || !known_.old_history.empty();
  const bool started_since = !found.uptime || *found.uptime <= silence + kUptimeSlack;
  return started_since && !may_have_failed_over;
}

}  // namespace tempest::builtin
