#include "tempest/builtin/redis_stream_source.hpp"

#include <algorithm>
#include <utility>

#include "tempest/base/limits.hpp"
#include "tempest/base/quantity.hpp"
#include "tempest/builtin/entry_json.hpp"
#include "tempest/builtin/joint_ack.hpp"
#include "tempest/builtin/limits.hpp"
#include "tempest/builtin/redis_stream_id.hpp"

namespace tempest::builtin {
namespace {

using runtime::RedisReply;
using runtime::RedisValue;

/// Ids in one XACK; several are sent together.
constexpr std::size_t kAcksPerCommand = 1'000;

/// Of kReplayedField: longer ones are not what `tempest dlq replay` writes.
constexpr std::size_t kMaxReplayedBytes = 256;

/// How much of an entry that is no message stands in its dead letter.
constexpr std::size_t kShownBytes = 1'024;

/// The beginning of `bytes`, without half a character at its end.
std::string_view shown(std::string_view bytes) {
  if (bytes.size() <= kShownBytes) return bytes;
  std::size_t size = kShownBytes;
  for (int i = 0; i < 3 && (static_cast<unsigned char>(bytes[size]) & 0xc0) == 0x80; ++i) --size;
  return bytes.substr(0, size);
}

Error malformed() {
  return Error{ErrorCode::protocol, "Redis sent an entry without an id"};
}

}  // namespace

RedisStreamSource::RedisStreamSource(Options options)
    : options_(std::move(options)),
      connection_(options_.address, options_.timeouts),
      reader_({options_.key, options_.group, options_.consumer, options_.acks,
               options_.timeouts.reply / 2 - std::chrono::milliseconds(1)},
              connection_) {
  if (options_.pending.empty() || !options_.acks) return;
  pending_worker_.emplace(RedisPendingWorker::Options{options_.key, options_.group,
                                                      options_.consumer, options_.pending},
                          connection_);
}

Result<void> RedisStreamSource::open() {
  // All of it is pending in Redis, and is read again.
  entries_.reset();
  ahead_.reset();
  if (auto connected = connection_.connect(); !connected) return connected;
  if (auto looked = look_at_server(); !looked) return looked;
  auto created = create_group(options_.start);
  if (!created) return created.error();
  if (*created && opened_before_) {
    warn("the group \"" + options_.group + "\" of the stream \"" + options_.key +
         "\" was gone when " + options_.address.shown() +
         " came back: Redis has lost data; the group was made again");
  }
  opened_before_ = true;
  // A reply that was lost with the last connection has left entries pending that ">" never gives.
  reading_pending_ = true;
  pending_cursor_ = {};
  return {};
}

Result<void> RedisStreamSource::look_at_server() {
  if (server_known_) return {};
  auto durability = durability_warning(connection_, kSourceLoss);
  if (!durability) return durability.error();
  if (pending_worker_) {
    auto features = ask_features(connection_);
    if (!features) return features.error();
    if (options_.features) *features = *options_.features;
    pending_worker_->set_features(*features);
    if (!features->pending_idle) {
      warn(
          options_.address.shown() + " is Redis " + features->version +
          ", which cannot look for idle entries alone (6.2 can): all that is pending is looked at");
    }
  }
  server_known_ = true;
  if (!durability->empty()) warn(std::move(*durability));
  if (!options_.acks) {
    warn("the stream \"" + options_.key +
         "\" is read with ack = \"none\": what this node holds when it dies is lost");
  }
  return {};
}

Result<bool> RedisStreamSource::create_group(std::string_view start) {
  auto reply =
      connection_.exchange({"XGROUP", "CREATE", options_.key, options_.group, start, "MKSTREAM"});
  if (!reply) return reply.error();
  if (reply->value().kind() != RedisValue::Kind::error) return true;
  const std::string_view text = reply->value().text();
  if (text.starts_with("BUSYGROUP")) return false;
  if (text.starts_with("ERR unknown command")) {
    return Error{ErrorCode::configuration,
                 options_.address.shown() + " has no streams; they came with Redis 5.0"};
  }
  if (text.starts_with("WRONGTYPE")) {
    return Error{ErrorCode::configuration, "the key \"" + options_.key + "\" of " +
                                               options_.address.shown() + " is not a stream"};
  }
  Error error = connection_.check(reply->value()).error();
  error.message = "cannot create the group \"" + options_.group + "\" of the stream \"" +
                  options_.key + "\" at \"" + std::string(start) + "\": " + error.message;
  return error;
}

Result<void> RedisStreamSource::poll(std::size_t max_messages, Duration wait, SourceBatch& batch) {
  const std::size_t count = std::max<std::size_t>(1, std::min(max_messages, count_limit_));
  if (reading_pending_) {
    if (auto polled = poll_pending(count, batch); !polled || reading_pending_) return polled;
  }
  if (pending_worker_ && pending_worker_->has_claims()) {
    auto polled = poll_claims(count, batch);
    if (!polled || !batch.empty()) return polled;
  }
  if (!entries_) {
    if (auto got = read_new(count, wait); !got || !entries_) return got;
  }
  const RedisValue list = entries_->list();
  const std::size_t first = entries_->given;
  entries_->given += std::min(count, list.size() - first);
  if (auto taken = take_entries(list, first, entries_->given - first, batch); !taken) return taken;
  if (entries_->given == list.size()) entries_.reset();
  return ack_deleted(batch);
}

Result<void> RedisStreamSource::read_new(std::size_t count, Duration wait) {
  if (auto settled = settle(); !settled) return settled;
  if (ahead_) {
    entries_ = std::exchange(ahead_, std::nullopt);
  } else {
    auto reply = read(">", count, wait);
    if (!reply) return reply.error();
    if (!*reply) return {};
    entries_ = held(std::move(**reply));
  }
  // There is more, it seems. Without acks nothing may be read that is not given out at once: it
  // would be lost with this process.
  if (options_.acks && entries_->list().size() >= count) return reader_.ask_ahead(count);
  return {};
}

Result<void> RedisStreamSource::settle() {
  if (!reader_.is_out()) return {};
  auto reply = reader_.take();
  if (!reply) {
    // A group that is gone is made anew by the next read.
    return reply.error().code == ErrorCode::not_found ? Result<void>() : reply.error();
  }
  if (*reply) ahead_ = held(std::move(**reply));
  return {};
}

RedisStreamSource::Entries RedisStreamSource::held(RedisReply reply) {
  Entries entries{std::move(reply), 0};
  hold(entries.list());
  return entries;
}

/// The pending worker is to leave them alone.
void RedisStreamSource::hold(RedisValue list) {
  if (!pending_worker_) return;
  for (std::size_t i = 0; i < list.size(); ++i) {
    if (list[i].size() == 0) continue;
    if (const auto token = parse_stream_id(list[i][0].text())) pending_worker_->hold(*token);
  }
}

Result<void> RedisStreamSource::poll_pending(std::size_t count, SourceBatch& batch) {
  auto reply = read(stream_id(pending_cursor_), count, Duration::zero());
  if (!reply) return reply.error();
  const bool any = *reply && (**reply).value()[0][1].size() > 0;
  if (!any) {
    reading_pending_ = false;
    return {};
  }
  batch.redelivered = true;
  const Entries own = held(std::move(**reply));
  const RedisValue list = own.list();
  if (const auto last = parse_stream_id(list[list.size() - 1][0].text())) pending_cursor_ = *last;
  if (auto taken = take_entries(list, 0, list.size(), batch); !taken) return taken;
  return ack_deleted(batch);
}

Result<void> RedisStreamSource::poll_claims(std::size_t count, SourceBatch& batch) {
  auto entries = pending_worker_->claim(count, batch.lost);
  if (!entries) return entries.error();
  batch.redelivered = true;
  hold(entries->value());
  const std::size_t claimed = entries->value().size();
  if (auto taken = take_entries(entries->value(), 0, claimed, batch); !taken) return taken;
  batch.claimed = batch.size();
  // Before Redis 7 these are nils without an id, and the worker has acked them.
  deleted_.clear();
  return {};
}

Result<void> RedisStreamSource::leave(std::span<const SourceToken> tokens) {
  if (pending_worker_) pending_worker_->let_go(tokens);
  return {};
}

Duration RedisStreamSource::tend_interval() const {
  return pending_worker_ ? pending_worker_->interval() : Duration::zero();
}

Result<void> RedisStreamSource::tend(SourceTended& done) {
  if (!pending_worker_) return {};
  if (auto settled = settle(); !settled) return settled;
  return pending_worker_->work(reading_pending_, done);
}

Result<std::optional<RedisReply>> RedisStreamSource::read(std::string_view from, std::size_t count,
                                                          Duration wait) {
  auto reply = reader_.read(from, count, wait);
  if (reply || reply.error().code != ErrorCode::not_found) return reply;
  // The stream or its group was deleted, so whatever is there now was never read.
  auto created = create_group("0");
  if (!created) return created.error();
  warn("the group \"" + options_.group + "\" of the stream \"" + options_.key +
       "\" was deleted at " + options_.address.shown() +
       ": made again, from the start of the stream");
  return std::optional<RedisReply>{};
}

Result<void> RedisStreamSource::take_entries(RedisValue entries, std::size_t first,
                                             std::size_t count, SourceBatch& batch) {
  std::size_t bytes = 0;
  batch.reserve(count);
  deleted_.clear();
  for (std::size_t i = first; i < first + count; ++i) {
    if (entries[i].size() != 2) continue;
    const auto token = parse_stream_id(entries[i][0].text());
    if (!token) return malformed();
    const RedisValue fields = entries[i][1];
    if (fields.is_nil()) {
      deleted_.push_back(*token);
      if (pending_worker_) pending_worker_->let_go(std::span(&*token, 1));
      continue;
    }
    SourceMessage message;
    message.token = *token;
    take_fields(fields, message);
    bytes += message.payload.size() + message.key.size();
    batch.add(message);
  }
  learn_entry_size(count, bytes);
  return {};
}

void RedisStreamSource::take_fields(RedisValue fields, SourceMessage& message) {
  std::size_t payloads = 0;
  std::size_t keys = 0;
  for (std::size_t i = 0; i + 1 < fields.size(); i += 2) {
    const std::string_view name = fields[i].text();
    const std::string_view value = fields[i + 1].text();
    if (!options_.field.empty() && name == options_.field) {
      message.payload = value;
      ++payloads;
    }
    if (!options_.key_field.empty() && name == options_.key_field) {
      message.key = value;
      ++keys;
    }
    if (name == kReplayedField && value.size() <= kMaxReplayedBytes) message.replayed = value;
  }
  if (options_.field.empty()) {
    json_.clear();
    append_entry_json(fields, kReplayedField, json_);
    message.payload = json_;
  } else if (payloads != 1) {
    refuse(fields,
           "has the field \"" + options_.field + "\", which is the payload, " +
               (payloads == 0 ? "not at all" : std::to_string(payloads) + " times"),
           message);
    return;
  }
  if (keys > 1) {
    refuse(fields,
           "has the field \"" + options_.key_field + "\", which is the key, " +
               std::to_string(keys) + " times",
           message);
  } else if (message.payload.size() + message.key.size() > kMaxPayloadBytes) {
    refuse(fields,
           "is larger than a message may be: " +
               format_size_bytes(message.payload.size() + message.key.size()) + ", of " +
               format_size_bytes(kMaxPayloadBytes),
           message);
  }
}

void RedisStreamSource::refuse(RedisValue fields, std::string why, SourceMessage& message) {
  fault_ = "the entry " + stream_id(message.token) + " of the stream \"" + options_.key + "\" " +
           std::move(why);
  if (message.payload.empty()) {
    json_.clear();
    append_entry_json(fields, kReplayedField, json_);
    message.payload = json_;
  }
  message.payload = shown(message.payload);
  message.key = shown(message.key);
  message.fault = fault_;
}

void RedisStreamSource::learn_entry_size(std::size_t entries, std::size_t bytes) {
  if (entries == 0) return;
  const std::size_t average = std::max<std::size_t>(1, bytes / entries);
  const std::size_t fitting = std::max<std::size_t>(1, kPollTargetBytes / average);
  // Grows only as what was read shows that it may; shrinks at once.
  const std::size_t grown = entries >= count_limit_ ? count_limit_ * 2 : count_limit_;
  count_limit_ = std::min({fitting, grown, kMaxFrameItems});
}

Result<void> RedisStreamSource::ack_deleted(SourceBatch& batch) {
  if (deleted_.empty()) return {};
  if (auto acked = ack_in_batches(deleted_); !acked) return acked;
  batch.lost += deleted_.size();
  warn(std::to_string(deleted_.size()) + " pending entries of the stream \"" + options_.key +
       "\" were deleted before they were done: lost at the source");
  return {};
}

Result<void> RedisStreamSource::ack(std::span<const SourceToken> tokens) {
  if (!options_.acks) return {};
  auto acked = options_.ack_in_batches ? ack_in_batches(tokens) : ack_one_by_one(tokens);
  if (acked && pending_worker_) pending_worker_->let_go(tokens);
  return acked;
}

Result<bool> RedisStreamSource::write_and_ack(Sink& sink, std::span<const Message> messages,
                                              std::span<const SourceToken> tokens) {
  if (!options_.acks) return false;
  return write_and_ack_jointly(
      connection_, options_.key, sink, messages, tokens,
      [this](const SourceToken& token, std::string& id, RedisSteps& steps) {
        id = stream_id(token);
        steps.add({"XACK", options_.key, options_.group, id});
      });
}

Result<void> RedisStreamSource::ack_in_batches(std::span<const SourceToken> tokens) {
  id_text_.resize(tokens.size() * kMaxStreamIdBytes);
  std::size_t commands = 0;
  for (std::size_t begin = 0; begin < tokens.size(); begin += kAcksPerCommand, ++commands) {
    const std::size_t end = std::min(tokens.size(), begin + kAcksPerCommand);
    arguments_.assign({"XACK", options_.key, options_.group});
    for (std::size_t i = begin; i < end; ++i) {
      char* const text = id_text_.data() + i * kMaxStreamIdBytes;
      arguments_.emplace_back(text, write_stream_id(tokens[i], text));
    }
    if (auto sent = connection_.append(arguments_); !sent) return sent;
  }
  Result<void> outcome;
  for (; commands > 0; --commands) {
    auto reply = connection_.next_reply();
    if (!reply) return reply.error();
    // A count below the number of ids is no error: those were acked before.
    if (auto checked = connection_.check(reply->value()); !checked) outcome = checked;
  }
  return outcome;
}

Result<void> RedisStreamSource::ack_one_by_one(std::span<const SourceToken> tokens) {
  for (const SourceToken& token : tokens) {
    auto reply = connection_.command({"XACK", options_.key, options_.group, stream_id(token)});
    if (!reply) return reply.error();
  }
  return {};
}

void RedisStreamSource::warn(std::string text) {
  if (warnings_.size() < kMaxWarnings) warnings_.push_back(std::move(text));
}

std::vector<std::string> RedisStreamSource::take_warnings() {
  return std::exchange(warnings_, {});
}

std::string RedisStreamSource::describe(const SourceToken& token) const {
  return stream_id(token);
}

}  // namespace tempest::builtin
