#include "tempest/builtin/redis_list_source.hpp"

#include <algorithm>
#include <charconv>
#include <cstdio>
#include <optional>
#include <random>
#include <utility>

#include "tempest/base/limits.hpp"
#include "tempest/base/quantity.hpp"
#include "tempest/builtin/joint_ack.hpp"
#include "tempest/builtin/limits.hpp"
#include "tempest/builtin/redis_list_scripts.hpp"
#include "tempest/builtin/redis_server_features.hpp"

namespace tempest::builtin {
namespace {

using runtime::RedisReply;
using runtime::RedisValue;

constexpr std::size_t kTokensPerScript = 1'000;
constexpr std::size_t kIdDigits = 32;
/// Of an element that is too large for a message, in its dead letter.
constexpr std::size_t kShownBytes = 1'024;
/// How many left messages are known as such; beyond them, one more keeps the source from being
/// drained.
constexpr std::size_t kMaxLeft = 100'000;
/// No bound: what a double holds exactly.
constexpr std::uint64_t kAnyNumber = 1ULL << 53;
constexpr std::size_t kLeastPollBytes = 4'096;

Error malformed() {
  return Error{ErrorCode::protocol, "Redis sent a reply about a list of an unknown form"};
}

std::string ms_text(Duration duration) {
  return std::to_string(std::chrono::ceil<std::chrono::milliseconds>(duration).count());
}

/// Earlier versions took ids from a counter: numbers, whose high half is 0.
std::string id_of(const SourceToken& token) {
  if (token.high == 0) return std::to_string(token.low);
  char digits[kIdDigits + 1];
  std::snprintf(digits, sizeof digits, "%016llx%016llx",
                static_cast<unsigned long long>(token.high),
                static_cast<unsigned long long>(token.low));
  return {digits, kIdDigits};
}

template <typename Number>
bool parse(std::string_view text, int base, Number& number) {
  const char* const end = text.data() + text.size();
  const auto parsed = std::from_chars(text.data(), end, number, base);
  return parsed.ec == std::errc{} && parsed.ptr == end;
}

std::optional<SourceToken> token_of(std::string_view id) {
  SourceToken token;
  if (id.size() != kIdDigits) {
    return parse(id, 10, token.low) ? std::optional(token) : std::nullopt;
  }
  const bool is_valid = parse(id.substr(0, kIdDigits / 2), 16, token.high) &&
                        parse(id.substr(kIdDigits / 2), 16, token.low) && token.high != 0;
  return is_valid ? std::optional(token) : std::nullopt;
}

std::uint64_t random_seed() {
  std::random_device device;
  return (static_cast<std::uint64_t>(device()) << 32) | device();
}

}  // namespace

RedisListSource::RedisListSource(Options options)
    : options_(std::move(options)),
      session_(options_.address, options_.timeouts),
      connection_(session_.connection()),
      random_(random_seed()),
      poll_bytes_(kPollTargetBytes) {}

Result<void> RedisListSource::open() {
  if (auto opened = session_.open(kSourceLoss); !opened) return opened;
  if (auto looked = look_at_key(); !looked) return looked;
  if (auto claimed = session_.claim({options_.key, {}, options_.consumer}); !claimed) {
    return claimed;
  }
  SourceTended unasked;
  if (auto renewed = tend(unasked); !renewed) return renewed;
  if (auto looked = look_at_own(); !looked) return looked;
  opened_before_ = true;
  connection_.has_worked();
  return {};
}

Result<void> RedisListSource::look_at_key() {
  if (key_known_) return {};
  auto type = connection_.command({"TYPE", options_.key});
  if (!type) return type.error();
  if (type->value().text() != "list" && type->value().text() != "none") {
    return Error{ErrorCode::configuration, "the key \"" + options_.key + "\" of " +
                                               options_.address.shown() + " is not a list"};
  }
  auto features = ask_features(connection_);
  if (!features) return features.error();
  can_wait_ = features->list_moves;
  key_known_ = true;
  if (!can_wait_) {
    session_.warn(
        options_.address.shown() + " is Redis " + features->version +
        ", which has no BLMOVE (6.2 has): an empty list is asked again and again instead");
  }
  return {};
}

Result<void> RedisListSource::look_at_own() {
  own_.clear();
  own_read_ = 0;
  while (!opened_before_) {
    auto taken = run(list_scripts::kTakeBackOwn, {});
    if (!taken) return taken.error();
    if (taken->value().integer() <= 0) return {};
  }
  // A reply that was lost with the last connection has left messages with this reader.
  auto ids = run(list_scripts::kOwn, {});
  if (!ids) return ids.error();
  for (std::size_t i = 0; i < ids->value().size(); ++i) {
    own_.emplace_back(ids->value()[i].text());
  }
  return {};
}

Result<RedisReply> RedisListSource::run(std::string_view script,
                                        std::span<const std::string> arguments) {
  const std::string text = std::string(list_scripts::kPrelude) + std::string(script);
  std::vector<std::string_view> words = {"EVAL", text, "1", options_.key, options_.consumer};
  words.insert(words.end(), arguments.begin(), arguments.end());
  return connection_.command(words);
}

Result<void> RedisListSource::run_for(std::string_view script, std::span<const SourceToken> tokens,
                                      const std::vector<std::string>& first) {
  while (!tokens.empty()) {
    const std::size_t count = std::min(tokens.size(), kTokensPerScript);
    std::vector<std::string> arguments = first;
    for (const SourceToken& token : tokens.first(count)) arguments.push_back(id_of(token));
    if (auto reply = run(script, arguments); !reply) return reply.error();
    tokens = tokens.subspan(count);
  }
  return {};
}

Result<void> RedisListSource::poll(std::size_t max_messages, Duration wait, SourceBatch& batch) {
  const std::size_t count = std::max<std::size_t>(1, std::min(max_messages, kMaxFrameItems));
  if (own_read_ < own_.size()) return poll_own(count, batch);
  auto taken = poll_new(count, batch);
  if (!taken) return taken.error();
  if (*taken > 0 || wait < std::chrono::milliseconds(1) || !can_wait_ || !suspects_.empty()) {
    return {};
  }
  if (auto waited = wait_for_elements(wait); !waited) return waited;
  taken = poll_new(count, batch);
  if (!taken) return taken.error();
  return {};
}

Result<void> RedisListSource::poll_own(std::size_t count, SourceBatch& batch) {
  const std::size_t asked = std::min({count, own_.size() - own_read_, kTokensPerScript});
  std::vector<std::string> arguments = {std::to_string(poll_bytes_)};
  const auto first = own_.begin() + static_cast<std::ptrdiff_t>(own_read_);
  arguments.insert(arguments.end(), first, first + static_cast<std::ptrdiff_t>(asked));
  auto rows = run(list_scripts::kTakeOwn, arguments);
  if (!rows) {
    if (!connection_.connected()) ask_for_less();
    return rows.error();
  }
  auto taken = take_rows(rows->value(), batch);
  if (!taken) return taken.error();
  if (*taken == 0) return malformed();
  own_read_ += *taken;
  return {};
}

Result<std::size_t> RedisListSource::poll_new(std::size_t count, SourceBatch& batch) {
  char prefix[25];
  std::snprintf(prefix, sizeof prefix, "%016llx%08llx",
                static_cast<unsigned long long>(random_.next() | (1ULL << 63)),
                static_cast<unsigned long long>(random_.next() >> 32));
  const std::vector<std::string> arguments = {std::to_string(count), std::to_string(poll_bytes_),
                                              prefix, options_.acks ? "1" : "0",
                                              std::to_string(most_out())};
  auto rows = run(list_scripts::kTake, arguments);
  if (!rows) {
    if (!connection_.connected()) ask_for_less();
    return rows.error();
  }
  return take_rows(rows->value(), batch);
}

void RedisListSource::ask_for_less() {
  poll_bytes_ = std::max(kLeastPollBytes, poll_bytes_ / 2);
}

std::uint64_t RedisListSource::most_out() const {
  std::uint64_t most = kAnyNumber;
  for (const auto& [token, bound] : suspects_) most = std::min(most, bound);
  return most;
}

Result<void> RedisListSource::wait_for_elements(Duration wait) {
  // From the head to the head: it moves nothing, and waits until there is something. The bound is
  // as for XREADGROUP: a wait near the reply's timeout would look like a dead server.
  const Duration bound = std::min(wait, options_.timeouts.reply / 2);
  char seconds[32];
  std::snprintf(seconds, sizeof seconds, "%.3f", std::chrono::duration<double>(bound).count());
  auto waited =
      connection_.command({"BLMOVE", options_.key, options_.key, "LEFT", "LEFT", seconds});
  if (!waited) return waited.error();
  return {};
}

Result<std::size_t> RedisListSource::take_rows(RedisValue rows, SourceBatch& batch) {
  const std::uint64_t bytes_before = batch.bytes();
  for (std::size_t i = 0; i < rows.size(); ++i) {
    if (auto taken = take_row(rows[i], batch); !taken) return taken.error();
  }
  // A reply of half the bytes shows that more may be asked for again.
  if (batch.bytes() - bytes_before >= poll_bytes_ / 2) {
    poll_bytes_ = std::min(kPollTargetBytes, poll_bytes_ + poll_bytes_ / 64);
  }
  return rows.size();
}

Result<void> RedisListSource::take_row(RedisValue row, SourceBatch& batch) {
  const auto token = row.size() == 5 ? token_of(row[0].text()) : std::nullopt;
  if (!token || row[2].kind() != RedisValue::Kind::integer ||
      row[3].kind() != RedisValue::Kind::integer) {
    return malformed();
  }
  if (row[1].is_nil()) return {};  // Acked by another that had taken it over.
  if (row[1].kind() != RedisValue::Kind::text) return malformed();
  if (row[4].integer() != 0) batch.redelivered = true;
  SourceMessage message;
  message.token = *token;
  message.payload = row[1].text();
  message.given_before =
      static_cast<std::uint32_t>(std::clamp<std::int64_t>(row[2].integer(), 0, 1U << 31));
  if (message.payload.size() > kMaxPayloadBytes) {
    fault_ = "the element " + describe(*token) +
             " is larger than a message may be: " + format_size_bytes(message.payload.size()) +
             ", of " + format_size_bytes(kMaxPayloadBytes);
    message.fault = fault_;
    message.payload = message.payload.substr(0, kShownBytes);
  }
  left_.erase(*token);
  if (options_.acks && row[3].integer() > 0) {
    suspects_[*token] = static_cast<std::uint64_t>(row[3].integer());
  }
  batch.add(message);
  return {};
}

Result<void> RedisListSource::ack(std::span<const SourceToken> tokens) {
  if (!options_.acks) return {};
  const std::size_t step = options_.ack_in_batches ? kTokensPerScript : 1;
  for (std::span<const SourceToken> rest = tokens; !rest.empty();) {
    const std::size_t count = std::min(rest.size(), step);
    if (auto done = run_for(list_scripts::kForget, rest.first(count), {}); !done) return done;
    rest = rest.subspan(count);
  }
  for (const SourceToken& token : tokens) suspects_.erase(token);
  return {};
}

Result<bool> RedisListSource::write_and_ack(Sink& sink, std::span<const Message> messages,
                                            std::span<const SourceToken> tokens) {
  if (!options_.acks) return false;
  // As kForget.
  const std::string held = options_.key + ":processing:" + options_.consumer;
  const std::string delayed = options_.key + ":delayed";
  const std::string payloads = options_.key + ":payloads";
  const std::string attempts = options_.key + ":attempts";
  const std::string deaths = options_.key + ":deaths";
  return write_and_ack_jointly(connection_, options_.key, sink, messages, tokens,
                               [&](const SourceToken& token, std::string& id, RedisSteps& steps) {
                                 id = id_of(token);
                                 steps.add({"ZREM", held, id});
                                 steps.add({"ZREM", delayed, id});
                                 steps.add({"HDEL", payloads, id});
                                 steps.add({"HDEL", attempts, id});
                                 steps.add({"HDEL", deaths, id});
                               });
}

Result<void> RedisListSource::leave(std::span<const SourceToken> tokens) {
  if (auto left = run_for(list_scripts::kLeave, tokens, {ms_text(options_.retry_delay)}); !left) {
    return left;
  }
  for (const SourceToken& token : tokens) {
    suspects_.erase(token);
    if (left_.size() < kMaxLeft) left_.insert(token);
  }
  return {};
}

Result<void> RedisListSource::give_back(std::span<const SourceToken> tokens) {
  for (const SourceToken& token : tokens) suspects_.erase(token);
  return run_for(list_scripts::kGiveBack, tokens, {});
}

Result<bool> RedisListSource::drained() {
  if (own_read_ < own_.size()) return false;
  auto reply = run(list_scripts::kLeft, {});
  if (!reply) return reply.error();
  const RedisValue left = reply->value();
  if (left.size() != 3) return malformed();
  if (left[0].integer() > 0 || left[1].integer() > 0) return false;
  for (std::size_t i = 0; i < left[2].size(); ++i) {
    const auto token = token_of(left[2][i].text());
    if (token && !left_.contains(*token)) return false;
  }
  return true;
}

Result<void> RedisListSource::tend(SourceTended& done) {
  const std::vector<std::string> arguments = {ms_text(options_.lease),
                                              ms_text(options_.retry_delay)};
  auto reply = run(list_scripts::kTend, arguments);
  if (!reply) return reply.error();
  const RedisValue counts = reply->value();
  if (counts.size() != 3) return malformed();
  done.readers_removed += static_cast<std::uint64_t>(counts[0].integer());
  if (counts[1].integer() > 0) {
    session_.warn(std::to_string(counts[1].integer()) + " messages of readers of the list \"" +
                  options_.key + "\" that are no longer heard of are given again");
  }
  if (counts[2].integer() > 0) {
    session_.warn(std::to_string(counts[2].integer()) + " waits at the list \"" + options_.key +
                  "\" were longer than any may be, so the clock of " + options_.address.shown() +
                  " was set back, it seems: they were shortened");
  }
  return {};
}

std::string RedisListSource::describe(const SourceToken& token) const {
  return options_.key + "#" + id_of(token);
}

}  // namespace tempest::builtin
