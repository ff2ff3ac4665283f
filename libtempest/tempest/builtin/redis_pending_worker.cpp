#include "tempest/builtin/redis_pending_worker.hpp"

#include <algorithm>
#include <charconv>
#include <utility>

#include "tempest/base/quantity.hpp"
#include "tempest/builtin/entry_json.hpp"
#include "tempest/builtin/json_text.hpp"
#include "tempest/builtin/redis_stream_id.hpp"
#include "tempest/runtime/clock.hpp"

namespace tempest::builtin {
namespace {

using runtime::RedisReply;
using runtime::RedisValue;

constexpr std::size_t kPageEntries = 1'000;
/// Of one pass's part: bounds how long acks wait behind it.
constexpr std::size_t kMaxPages = 16;
/// Found and not yet claimed; the rest is found again.
constexpr std::size_t kMaxClaims = 16'384;
constexpr Duration kLongestInterval = std::chrono::seconds(5);
constexpr Duration kShortestInterval = std::chrono::milliseconds(20);

/// Consumers that hold nothing and were not heard of for ARGV[3] ms. Looking and removing must be
/// one step: a removed consumer's pending entries are gone with it.
constexpr std::string_view kRemoveConsumers = R"(
local removed = 0
for _, consumer in ipairs(redis.call('XINFO', 'CONSUMERS', KEYS[1], ARGV[1])) do
  local it = {}
  for i = 1, #consumer, 2 do it[consumer[i]] = consumer[i + 1] end
  if it.name ~= ARGV[2] and it.pending == 0 and it.idle >= tonumber(ARGV[3]) then
    redis.call('XGROUP', 'DELCONSUMER', KEYS[1], ARGV[1], it.name)
    removed = removed + 1
  end
end
return removed
)";

/// Writes an entry elsewhere, then acks it. A script and no MULTI: an error of the write ends a
/// script before its ack, and a transaction would go on to it.
/// An entry of more words than a script can unpack is written and then acked: a death in between
/// moves it twice.
constexpr std::size_t kMaxWordsInScript = 4'000;
constexpr std::string_view kMove = R"(
redis.call(ARGV[3], KEYS[2], unpack(ARGV, 4))
return redis.call('XACK', KEYS[1], ARGV[1], ARGV[2])
)";

/// A server's clock that runs behind by no more than this is taken for a slow answer.
constexpr Duration kClockSlack = std::chrono::seconds(1);

/// Of entries with no idle time at all those that still are like that: it begins to count now, at
/// the same consumer. Returns how many are gone from the stream.
constexpr std::string_view kMend = R"(
local gone = 0
for i = 2, #ARGV, 2 do
  local row = redis.call('XPENDING', KEYS[1], ARGV[1], ARGV[i], ARGV[i], 1)[1]
  if row and row[2] == ARGV[i + 1] and row[3] == 0 then
    local claimed = redis.call('XCLAIM', KEYS[1], ARGV[1], row[2], 0, ARGV[i], 'JUSTID')
    if #claimed == 0 then gone = gone + 1 end
  end
end
return gone
)";

std::int64_t number_of(std::string_view text) {
  std::int64_t number = -1;
  std::from_chars(text.data(), text.data() + text.size(), number);
  return number;
}

std::int64_t in_ms(Duration duration) {
  return std::chrono::ceil<std::chrono::milliseconds>(duration).count();
}

Error malformed() {
  return Error{ErrorCode::protocol, "Redis sent a reply about pending entries of an unknown form"};
}

/// An entry as it is moved to a list or a sorted set. With its id, so that two of the same content
/// are two members.
std::string moved_text(const std::string& key, RedisValue entry) {
  std::string text = "{\"";
  const JsonText stream = json_text("stream", key);
  text += stream.name + "\":";
  append_json_string(stream.text, text);
  text += ",\"id\":\"" + std::string(entry[0].text()) + "\",\"fields\":";
  append_entry_json(entry[1], {}, text);
  return text + '}';
}

}  // namespace

RedisPendingWorker::RedisPendingWorker(Options options, runtime::RedisConnection& connection)
    : options_(std::move(options)), connection_(connection), by_rule_(options_.rules.size()) {
  const auto [shortest, longest] =
      std::minmax_element(options_.rules.begin(), options_.rules.end(),
                          [](const auto& a, const auto& b) { return a.min_idle < b.min_idle; });
  shortest_idle_ = shortest->min_idle;
  longest_idle_ = longest->min_idle;
}

Duration RedisPendingWorker::interval() const {
  // Often enough that what this source holds is never found idle: it is refreshed at half the time.
  return std::clamp(shortest_idle_ / 4, kShortestInterval, kLongestInterval);
}

void RedisPendingWorker::let_go(std::span<const SourceToken> tokens) {
  for (const SourceToken& token : tokens) held_.erase(token);
}

Result<void> RedisPendingWorker::work(bool own_unread, SourceTended& done) {
  if (auto looked = look_at_clock(); !looked) return looked;
  bool came_around = false;
  for (std::size_t page = 0; page < kMaxPages && !came_around && claims_.size() < kMaxClaims;
       ++page) {
    auto sorted = sort_page(own_unread);
    if (!sorted) return sorted.error();
    came_around = *sorted;
    if (auto carried_out = carry_out(done); !carried_out) return carried_out;
  }
  if (!came_around) return refresh_held(done);
  cursor_ = {};
  is_mending_ = false;
  return remove_consumers(done);
}

Result<void> RedisPendingWorker::look_at_targets() {
  for (const PendingRule& rule : options_.rules) {
    if (rule.action != PendingRule::Action::move) continue;
    const std::string_view wanted = rule.target == PendingRule::Target::stream ? "stream"
                                    : rule.target == PendingRule::Target::list ? "list"
                                                                               : "zset";
    auto type = connection_.exchange({"TYPE", rule.target_key});
    if (!type) return type.error();
    const std::string_view found = type->value().text();
    if (type->value().kind() != RedisValue::Kind::status || found == wanted || found == "none") {
      continue;
    }
    return Error{ErrorCode::configuration, "cannot move pending entries to \"" + rule.target_key +
                                               "\" of " + connection_.address().shown() +
                                               ": it holds a " + std::string(found)};
  }
  return {};
}

void RedisPendingWorker::forget_claims() {
  claims_.clear();
  to_keep_.clear();
  to_mend_.clear();
  for (Tokens& tokens : by_rule_) tokens.clear();
  cursor_ = {};
}

Result<bool> RedisPendingWorker::has_claimable(const std::set<SourceToken>& left) {
  std::uint64_t least_deliveries = ~0ULL;
  for (const PendingRule& rule : options_.rules) {
    least_deliveries = std::min(least_deliveries, rule.min_deliveries);
  }
  const std::string count = std::to_string(kPageEntries);
  SourceToken from;
  while (true) {
    const std::string from_text = stream_id(from);
    auto reply =
        connection_.command({"XPENDING", options_.key, options_.group, from_text, "+", count});
    if (!reply) return reply.error();
    const RedisValue rows = reply->value();
    for (std::size_t i = 0; i < rows.size(); ++i) {
      const auto token = rows[i].size() == 4 ? parse_stream_id(rows[i][0].text()) : std::nullopt;
      if (!token) return malformed();
      from = next_stream_id(*token);
      const auto deliveries = static_cast<std::uint64_t>(rows[i][3].integer());
      if (deliveries >= least_deliveries && !left.contains(*token)) return true;
    }
    if (rows.size() < kPageEntries) return false;
  }
}

Result<void> RedisPendingWorker::look_at_clock() {
  const TimePoint asked_at = runtime::monotonic_now();
  auto reply = connection_.exchange({"TIME"});
  if (!reply) return reply.error();
  const TimePoint told_at = runtime::monotonic_now();
  const RedisValue time = reply->value();
  if (time.size() != 2) return {};
  const std::int64_t seconds = number_of(time[0].text());
  const std::int64_t rest_us = number_of(time[1].text());
  constexpr std::int64_t kLatest = 9'000'000'000;
  if (seconds <= 0 || seconds > kLatest || rest_us < 0 || rest_us >= 1'000'000) return {};
  const Duration server = std::chrono::seconds(seconds) + std::chrono::microseconds(rest_us);
  const Duration most = server - asked_at.time_since_epoch();
  if (clock_offset_ && most < *clock_offset_ - kClockSlack) {
    warning_ = "the clock of " + connection_.address().shown() + " was set back by about " +
               format_duration(std::chrono::round<std::chrono::seconds>(*clock_offset_ - most)) +
               ": the idle times of pending entries begin anew";
    is_mending_ = true;
    cursor_ = {};
  }
  clock_offset_ = server - told_at.time_since_epoch();
  return {};
}

Result<void> RedisPendingWorker::mend_idle_times(SourceTended& done) {
  const auto entries = std::exchange(to_mend_, {});
  if (entries.empty()) return {};
  std::vector<std::string> ids;
  ids.reserve(entries.size());
  for (const auto& [token, consumer] : entries) ids.push_back(stream_id(token));
  std::vector<std::string_view> words = {"EVAL", kMend, "1", options_.key, options_.group};
  for (std::size_t i = 0; i < entries.size(); ++i) {
    words.insert(words.end(), {ids[i], entries[i].second});
  }
  auto reply = connection_.exchange(words);
  if (!reply) return reply.error();
  // Where scripts are not allowed, they wait until the clock has come that far again.
  done.lost += static_cast<std::uint64_t>(std::max<std::int64_t>(0, reply->value().integer()));
  return {};
}

Result<void> RedisPendingWorker::refresh_held(SourceTended& done) {
  const TimePoint now = runtime::monotonic_now();
  if (now - refreshed_at_ < shortest_idle_ / 4) return {};
  refreshed_at_ = now;
  to_keep_.assign(held_.begin(), held_.end());
  return keep_held(done);
}

Result<bool> RedisPendingWorker::sort_page(bool own_unread) {
  const std::string idle = std::to_string(in_ms(shortest_idle_ / 2));
  const std::string from = stream_id(cursor_);
  const std::string count = std::to_string(kPageEntries);
  std::vector<std::string_view> arguments = {"XPENDING", options_.key, options_.group};
  if (features_.pending_idle && !is_mending_) arguments.insert(arguments.end(), {"IDLE", idle});
  arguments.insert(arguments.end(), {from, "+", count});
  const bool begins = cursor_ == SourceToken{};
  if (begins) pass_began_ = runtime::monotonic_now();
  auto reply = connection_.command(arguments);
  // The stream or its group is gone: the source makes it again at its next read.
  if (!reply && reply.error().code == ErrorCode::not_found) return true;
  if (!reply) return reply.error();
  // An entry of a later page that has grown old since the first was asked for would be claimed
  // before those of the first page that were just as old, and were passed over.
  pass_age_ =
      begins ? Duration::zero()
             : std::chrono::ceil<std::chrono::milliseconds>(runtime::monotonic_now() - pass_began_);
  const RedisValue rows = reply->value();
  for (std::size_t i = 0; i < rows.size(); ++i) {
    const RedisValue row = rows[i];
    const auto token = row.size() == 4 ? parse_stream_id(row[0].text()) : std::nullopt;
    if (!token) return malformed();
    if (is_mending_ && row[2].integer() == 0) to_mend_.emplace_back(*token, row[1].text());
    sort_entry(*token, row[1].text() == options_.consumer,
               std::chrono::milliseconds(row[2].integer()),
               static_cast<std::uint64_t>(row[3].integer()), own_unread);
    cursor_ = next_stream_id(*token);
    if (claims_.size() >= kMaxClaims) return false;
  }
  return rows.size() < kPageEntries;
}

void RedisPendingWorker::sort_entry(const SourceToken& token, bool own, Duration idle,
                                    std::uint64_t deliveries, bool own_unread) {
  if (own && (held_.contains(token) || own_unread)) {
    if (idle >= shortest_idle_ / 2) to_keep_.push_back(token);
    return;
  }
  // Taken over by another consumer's worker while this source was held up: it is at work there.
  if (held_.contains(token)) return;
  const PendingRule* rule = rule_for(idle - pass_age_, deliveries);
  if (rule == nullptr) return;
  if (rule->action != PendingRule::Action::claim) {
    by_rule_[static_cast<std::size_t>(rule - options_.rules.data())].push_back(token);
  } else {
    claims_.emplace(token, rule->min_idle);
  }
}

const PendingRule* RedisPendingWorker::rule_for(Duration idle, std::uint64_t deliveries) const {
  for (const PendingRule& rule : options_.rules) {
    if (idle >= rule.min_idle && deliveries >= rule.min_deliveries) return &rule;
  }
  return nullptr;
}

Result<void> RedisPendingWorker::carry_out(SourceTended& done) {
  if (auto mended = mend_idle_times(done); !mended) return mended;
  if (auto kept = keep_held(done); !kept) return kept;
  for (std::size_t i = 0; i < by_rule_.size(); ++i) {
    const PendingRule& rule = options_.rules[i];
    const Tokens tokens = std::exchange(by_rule_[i], {});
    if (tokens.empty()) continue;
    auto settled = rule.action == PendingRule::Action::move ? move(rule, tokens, done)
                                                            : discard(rule, tokens, done);
    if (!settled) return settled;
  }
  return {};
}

Result<void> RedisPendingWorker::keep_held(SourceTended& done) {
  const Tokens tokens = std::exchange(to_keep_, {});
  Tokens unread;
  for (std::size_t begin = 0; begin < tokens.size(); begin += kPageEntries) {
    const std::size_t end = std::min(tokens.size(), begin + kPageEntries);
    const Tokens page(tokens.begin() + static_cast<std::ptrdiff_t>(begin),
                      tokens.begin() + static_cast<std::ptrdiff_t>(end));
    // With the ids alone the count of deliveries stays; an entry that another has claimed in the
    // meantime is no longer that idle, and stays his.
    auto kept = take(page, shortest_idle_ / 2, true);
    if (!kept) return kept.error();
    std::unordered_set<SourceToken, TokenHash> missing(page.begin(), page.end());
    for (std::size_t i = 0; i < kept->value().size(); ++i) {
      if (const auto token = parse_stream_id(kept->value()[i].text())) missing.erase(*token);
    }
    // What is held will be done, whatever became of its entry.
    for (const SourceToken& token : page) {
      if (missing.contains(token) && !held_.contains(token)) unread.push_back(token);
    }
  }
  auto gone = settle_gone(unread);
  if (!gone) return gone.error();
  done.lost += *gone;
  return {};
}

Result<RedisReply> RedisPendingWorker::take(const Tokens& tokens, Duration min_idle,
                                            bool ids_only) {
  const std::string idle = std::to_string(in_ms(min_idle));
  std::vector<std::string> ids;
  ids.reserve(tokens.size());
  for (const SourceToken& token : tokens) ids.push_back(stream_id(token));
  std::vector<std::string_view> arguments = {"XCLAIM", options_.key, options_.group,
                                             options_.consumer, idle};
  arguments.insert(arguments.end(), ids.begin(), ids.end());
  if (ids_only) arguments.emplace_back("JUSTID");
  return connection_.command(arguments);
}

Result<RedisReply> RedisPendingWorker::claim(std::size_t count, std::uint64_t& lost) {
  Tokens tokens;
  Duration min_idle = longest_idle_;
  while (!claims_.empty() && tokens.size() < count) {
    const auto first = claims_.begin();
    tokens.push_back(first->first);
    min_idle = std::min(min_idle, first->second);
    claims_.erase(first);
  }
  auto reply = take(tokens, min_idle, false);
  if (!reply) return reply;
  if (reply->value().kind() != RedisValue::Kind::array) return malformed();
  auto missing = settle_missing(tokens, reply->value());
  if (!missing) return missing.error();
  lost += *missing;
  return reply;
}

Result<std::uint64_t> RedisPendingWorker::settle_missing(const Tokens& asked, RedisValue got) {
  std::unordered_set<SourceToken, TokenHash> missing(asked.begin(), asked.end());
  for (std::size_t i = 0; i < got.size(); ++i) {
    // Before Redis 7 a deleted entry is a nil.
    if (got[i].size() != 2) continue;
    const auto token = parse_stream_id(got[i][0].text());
    if (!token) return malformed();
    missing.erase(*token);
  }
  // In the order asked, so that a run is like another.
  Tokens unknown;
  for (const SourceToken& token : asked) {
    if (missing.contains(token)) unknown.push_back(token);
  }
  return settle_gone(unknown);
}

Result<std::uint64_t> RedisPendingWorker::settle_gone(const Tokens& unknown) {
  for (const SourceToken& token : unknown) {
    const std::string id = stream_id(token);
    if (auto sent = connection_.append({"XRANGE", options_.key, id, id}); !sent) {
      return sent.error();
    }
  }
  std::uint64_t deleted = 0;
  std::vector<std::string> ids;
  for (const SourceToken& token : unknown) {
    auto reply = connection_.next_reply();
    if (!reply) return reply.error();
    if (reply->value().kind() != RedisValue::Kind::array || reply->value().size() > 0) continue;
    ++deleted;
    ids.push_back(stream_id(token));
  }
  if (ids.empty()) return deleted;
  std::vector<std::string_view> arguments = {"XACK", options_.key, options_.group};
  arguments.insert(arguments.end(), ids.begin(), ids.end());
  if (auto acked = connection_.command(arguments); !acked) return acked.error();
  return deleted;
}

Result<void> RedisPendingWorker::discard(const PendingRule& rule, const Tokens& tokens,
                                         SourceTended& done) {
  auto taken = take(tokens, rule.min_idle, true);
  if (!taken) return taken.error();
  const RedisValue ids = taken->value();
  if (ids.size() == 0) return {};
  std::vector<std::string_view> acks = {"XACK", options_.key, options_.group};
  std::vector<std::string_view> deletes = {"XDEL", options_.key};
  for (std::size_t i = 0; i < ids.size(); ++i) {
    acks.push_back(ids[i].text());
    deletes.push_back(ids[i].text());
  }
  const bool removes = rule.action == PendingRule::Action::remove;
  if (auto sent = connection_.append({"MULTI"}); !sent) return sent;
  if (auto sent = connection_.append(acks); !sent) return sent;
  if (removes) {
    if (auto sent = connection_.append(deletes); !sent) return sent;
  }
  if (auto finished = finish_transaction(removes ? 2 : 1); !finished) return finished;
  done.discarded += ids.size();
  return {};
}

Result<void> RedisPendingWorker::move(const PendingRule& rule, const Tokens& tokens,
                                      SourceTended& done) {
  auto taken = take(tokens, rule.min_idle, false);
  if (!taken) return taken.error();
  const RedisValue entries = taken->value();
  auto missing = settle_missing(tokens, entries);
  if (!missing) return missing.error();
  done.lost += *missing;

  std::size_t sent = 0;
  for (std::size_t i = 0; i < entries.size(); ++i) {
    if (entries[i].size() != 2 || is_long(rule, entries[i])) continue;
    if (auto appended = append_move(rule, entries[i]); !appended) return appended;
    ++sent;
  }
  Result<void> outcome;
  for (; sent > 0; --sent) {
    auto reply = connection_.next_reply();
    if (!reply) return reply.error();
    auto checked = connection_.check(reply->value());
    if (checked) {
      ++done.moved;
    } else {
      outcome = std::move(checked);
    }
  }
  for (std::size_t i = 0; i < entries.size() && outcome; ++i) {
    if (entries[i].size() != 2 || !is_long(rule, entries[i])) continue;
    outcome = move_long(rule, entries[i]);
    if (outcome) ++done.moved;
  }
  if (outcome) return {};
  Error error = outcome.error();
  error.message = "cannot move pending entries to \"" + rule.target_key + "\": " + error.message;
  return error;
}

bool RedisPendingWorker::is_long(const PendingRule& rule, RedisValue entry) {
  return rule.target == PendingRule::Target::stream && entry[1].size() > kMaxWordsInScript;
}

Result<void> RedisPendingWorker::move_long(const PendingRule& rule, RedisValue entry) {
  std::vector<std::string_view> arguments = {"XADD", rule.target_key, "*"};
  for (std::size_t i = 0; i < entry[1].size(); ++i) arguments.push_back(entry[1][i].text());
  if (auto written = connection_.command(arguments); !written) return written.error();
  auto acked = connection_.command({"XACK", options_.key, options_.group, entry[0].text()});
  if (!acked) return acked.error();
  return {};
}

Result<void> RedisPendingWorker::append_move(const PendingRule& rule, RedisValue entry) {
  std::vector<std::string_view> arguments = {
      "EVAL", kMove, "2", options_.key, rule.target_key, options_.group, entry[0].text()};
  std::string text;
  std::string score;
  if (rule.target == PendingRule::Target::stream) {
    arguments.insert(arguments.end(), {"XADD", "*"});
    for (std::size_t i = 0; i < entry[1].size(); ++i) arguments.push_back(entry[1][i].text());
    return connection_.append(arguments);
  }
  text = moved_text(options_.key, entry);
  if (rule.target == PendingRule::Target::list) {
    arguments.insert(arguments.end(), {"RPUSH", text});
  } else {
    const auto token = parse_stream_id(entry[0].text());
    score = std::to_string(token ? token->high : 0);
    arguments.insert(arguments.end(), {"ZADD", score, text});
  }
  return connection_.append(arguments);
}

Result<void> RedisPendingWorker::finish_transaction(std::size_t commands) {
  if (auto sent = connection_.append({"EXEC"}); !sent) return sent;
  Result<void> outcome;
  for (std::size_t i = 0; i < commands + 2; ++i) {
    auto reply = connection_.next_reply();
    if (!reply) return reply.error();
    if (auto checked = connection_.check(reply->value()); !checked) outcome = checked;
  }
  return outcome;
}

Result<void> RedisPendingWorker::remove_consumers(SourceTended& done) {
  // Shows this consumer to others as alive: an empty read of new entries would not, before 7.2.
  auto seen =
      connection_.exchange({"XREADGROUP", "GROUP", options_.group, options_.consumer, "COUNT", "1",
                            "STREAMS", options_.key, "18446744073709551615-18446744073709551614"});
  if (!seen) return seen.error();
  auto reply = connection_.exchange({"EVAL", kRemoveConsumers, "1", options_.key, options_.group,
                                     options_.consumer, std::to_string(in_ms(longest_idle_))});
  if (!reply) return reply.error();
  // Where scripts or XINFO are not allowed, dead consumers stay: they cost nothing but a line.
  done.readers_removed += static_cast<std::uint64_t>(reply->value().integer());
  return {};
}

}  // namespace tempest::builtin
