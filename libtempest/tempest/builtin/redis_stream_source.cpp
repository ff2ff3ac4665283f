#include "tempest/builtin/redis_stream_source.hpp"

#include <algorithm>
#include <utility>

#include "tempest/base/limits.hpp"
#include "tempest/base/quantity.hpp"
#include "tempest/builtin/entry_json.hpp"
#include "tempest/builtin/joint_ack.hpp"
#include "tempest/builtin/limits.hpp"
#include "tempest/builtin/redis_server_features.hpp"
#include "tempest/builtin/redis_stream_id.hpp"
#include "tempest/runtime/clock.hpp"

namespace tempest::builtin {
namespace {

using runtime::RedisReply;
using runtime::RedisValue;

/// Ids in one XACK; several are sent together.
constexpr std::size_t kAcksPerCommand = 1'000;

/// Of kReplayedField: longer ones are not what `tempest dlq replay` writes.
constexpr std::size_t kMaxReplayedBytes = 256;

/// How many left entries are known as such; beyond them, one more keeps the source from being
/// drained, if a rule may claim it.
constexpr std::size_t kMaxLeft = 100'000;

/// So much more is asked for after a read that found as many entries as it asked for.
constexpr std::size_t kGrowth = 8;

/// Of how many entries of a read the size is looked at before the next is asked for.
constexpr std::size_t kSampledEntries = 32;

/// For so long no more is asked for than what the server did not hang up at.
constexpr Duration kCeilingTime = std::chrono::minutes(10);

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
      session_(options_.address, options_.timeouts),
      connection_(session_.connection()),
      group_({{options_.key, options_.group, options_.consumer},
              options_.start,
              !options_.pending.empty()},
             session_),
      reader_({options_.key, options_.group, options_.consumer, options_.acks,
               options_.timeouts.reply / 2 - std::chrono::milliseconds(1)},
              connection_),
      ceiling_(kMaxFrameItems) {
  if (options_.pending.empty() || !options_.acks) return;
  pending_worker_.emplace(RedisPendingWorker::Options{options_.key, options_.group,
                                                      options_.consumer, options_.pending},
                          connection_);
}

Result<void> RedisStreamSource::open() {
  // All of it is pending in Redis, and is read again.
  entries_.reset();
  ahead_.reset();
  found_nothing_new_ = false;
  if (auto opened = session_.open(kSourceLoss); !opened) return opened;
  ask_for_less();
  if (auto claimed = session_.claim({options_.key, options_.group, options_.consumer}); !claimed) {
    return claimed;
  }
  if (auto ensured = group_.ensure(); !ensured) return ensured;
  if (!opened_before_) {
    if (auto looked = look_at_server(); !looked) return looked;
  }
  auto lost = group_.look(true);
  if (!lost) return lost.error();
  lost_unread_ += *lost;
  opened_before_ = true;
  connection_.has_worked();
  // A reply that was lost with the last connection has left entries pending that ">" never gives.
  reading_pending_ = true;
  pending_cursor_ = {};
  return {};
}

Result<void> RedisStreamSource::look_at_server() {
  if (!options_.acks) {
    session_.warn("the stream \"" + options_.key +
                  "\" is read with ack = \"none\": what this node holds when it dies is lost");
  } else if (auto allowed = group_.try_ack(); !allowed) {
    return allowed;
  }
  if (!pending_worker_) return {};
  if (auto right = pending_worker_->look_at_targets(); !right) return right;
  auto features = ask_features(connection_);
  if (!features) return features.error();
  if (options_.features) *features = *options_.features;
  pending_worker_->set_features(*features);
  if (!features->pending_idle) {
    session_.warn(
        options_.address.shown() + " is Redis " + features->version +
        ", which cannot look for idle entries alone (6.2 can): all that is pending is looked at");
  }
  return {};
}

Result<void> RedisStreamSource::heal(Result<void> done) {
  if (done || done.error().code != ErrorCode::not_found) return done;
  found_nothing_new_ = false;
  if (pending_worker_) pending_worker_->forget_claims();
  return group_.ensure();
}

Result<void> RedisStreamSource::poll(std::size_t max_messages, Duration wait, SourceBatch& batch) {
  count_before_ = batch.size();
  bytes_before_ = batch.bytes();
  const std::size_t count = std::max<std::size_t>(1, std::min(max_messages, kMaxFrameItems));
  found_deleted_.clear();
  if (auto acked = ack_deleted(); !acked) return acked;
  auto polled = heal(poll_any(count, wait, batch));
  // What a poll has lost would go down with its error.
  if (polled) tell_lost(batch);
  return polled;
}

Result<void> RedisStreamSource::poll_any(std::size_t count, Duration wait, SourceBatch& batch) {
  if (reading_pending_) {
    if (auto polled = poll_pending(count, batch); !polled || added(batch) > 0) return polled;
    if (!found_deleted_.empty()) return {};
  }
  if (pending_worker_ && pending_worker_->has_claims()) {
    auto polled = poll_claims(count, batch);
    if (!polled || added(batch) > 0) return polled;
  }
  return poll_new(count, wait, batch);
}

std::size_t RedisStreamSource::room(std::size_t wanted, const SourceBatch& batch) const {
  if (added(batch) >= wanted) return 0;
  const std::size_t most = std::min(count_limit_, wanted - added(batch));
  if (added(batch) == 0) return most;
  const std::uint64_t used = batch.bytes() - bytes_before_;
  const std::uint64_t left = kPollTargetBytes - std::min<std::uint64_t>(used, kPollTargetBytes);
  return std::min<std::size_t>(most, left / entry_bytes_);
}

Result<void> RedisStreamSource::poll_new(std::size_t count, Duration wait, SourceBatch& batch) {
  // As long as there is more, and the batch has room: of entries whose size is not known, few are
  // asked for at first.
  for (bool goes_on = true; goes_on && room(count, batch) > 0;) {
    if (!entries_) {
      if (auto got = read_new(count, added(batch) == 0 ? wait : Duration::zero(), batch); !got) {
        // What has been read so far is given out; the trouble will be there the next time too.
        return added(batch) == 0 ? got : Result<void>();
      }
      if (!entries_) return {};
    }
    goes_on = entries_->is_full();
    const RedisValue list = entries_->list();
    const std::size_t first = entries_->given;
    entries_->given += std::min(count - added(batch), list.size() - first);
    note_given(list, first, batch);
    if (auto taken = take_entries(list, first, entries_->given - first, batch); !taken) {
      return taken;
    }
    if (entries_->given == list.size()) entries_.reset();
  }
  return {};
}

void RedisStreamSource::note_given(RedisValue list, std::size_t first, SourceBatch& batch) {
  const auto begin = parse_stream_id(list[first][0].text());
  // A replica that lagged has taken the server's place: what it gives for new may be held here.
  if (begin && *begin <= newest_given_) batch.redelivered = true;
  const auto last = parse_stream_id(list[entries_->given - 1][0].text());
  if (last) newest_given_ = std::max(newest_given_, *last);
}

Result<void> RedisStreamSource::read_new(std::size_t wanted, Duration wait,
                                         const SourceBatch& batch) {
  if (auto settled = settle(); !settled) return settled;
  if (ahead_) {
    entries_ = std::exchange(ahead_, std::nullopt);
  } else {
    const std::size_t asked = room(wanted, batch);
    auto reply = read(">", asked, wait);
    if (!reply) return reply.error();
    found_nothing_new_ = !*reply;
    if (!*reply) return {};
    entries_ = held(std::move(**reply), asked);
  }
  learn_entry_size(entries_->list(), entries_->asked);
  // There is more, it seems. Without acks nothing may be read that is not given out at once: it
  // would be lost with this process.
  const std::size_t have = added(batch) + entries_->list().size();
  if (!options_.acks || !entries_->is_full() ||
      (have < wanted && entries_->list().size() < count_limit_)) {
    return {};
  }
  ahead_asked_ = std::min(wanted, count_limit_);
  return reader_.ask_ahead(ahead_asked_);
}

Result<void> RedisStreamSource::settle() {
  if (!reader_.is_out()) return {};
  auto reply = reader_.take();
  if (!reply) {
    if (!connection_.connected()) cut_at_ = ahead_asked_;
    return reply.error();
  }
  if (*reply) ahead_ = held(std::move(**reply), ahead_asked_);
  return {};
}

RedisStreamSource::Entries RedisStreamSource::held(RedisReply reply, std::size_t asked) {
  Entries entries{std::move(reply), asked, 0};
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
  while (const std::size_t asked = room(count, batch)) {
    auto reply = read(stream_id(pending_cursor_), asked, Duration::zero());
    if (!reply) return added(batch) == 0 ? Result<void>(reply.error()) : Result<void>();
    const bool any = *reply && (**reply).value()[0][1].size() > 0;
    if (!any) {
      reading_pending_ = false;
      return {};
    }
    batch.redelivered = true;
    const Entries own = held(std::move(**reply), asked);
    const RedisValue list = own.list();
    learn_entry_size(list, asked);
    if (const auto last = parse_stream_id(list[list.size() - 1][0].text())) pending_cursor_ = *last;
    if (auto taken = take_entries(list, 0, list.size(), batch); !taken) return taken;
  }
  return {};
}

Result<void> RedisStreamSource::poll_claims(std::size_t count, SourceBatch& batch) {
  while (pending_worker_->has_claims()) {
    const std::size_t asked = room(count, batch);
    if (asked == 0) break;
    auto entries = pending_worker_->claim(asked, lost_unread_);
    if (!entries) {
      if (!connection_.connected()) cut_at_ = asked;
      if (added(batch) == 0) return entries.error();
      break;
    }
    batch.redelivered = true;
    hold(entries->value());
    const std::size_t claimed = entries->value().size();
    learn_entry_size(entries->value(), asked);
    if (auto taken = take_entries(entries->value(), 0, claimed, batch); !taken) return taken;
    // Before Redis 7 these are nils without an id, and the worker has acked them.
    pending_worker_->let_go(found_deleted_);
    found_deleted_.clear();
  }
  batch.claimed = batch.size();
  return {};
}

Result<void> RedisStreamSource::leave(std::span<const SourceToken> tokens) {
  for (const SourceToken& token : tokens) {
    if (left_.size() < kMaxLeft) left_.insert(token);
  }
  return give_back(tokens);
}

Result<void> RedisStreamSource::give_back(std::span<const SourceToken> tokens) {
  if (pending_worker_) pending_worker_->let_go(tokens);
  return {};
}

Result<bool> RedisStreamSource::drained() {
  if (reading_pending_ || entries_ || ahead_ || reader_.is_out() || !found_nothing_new_)
    return false;
  auto lost = group_.look(true);
  if (!lost) return lost.error();
  lost_unread_ += *lost;
  // To be told of, or acked, by a poll first.
  if (lost_unread_ > 0 || !told_deleted_.empty()) return false;
  if (!pending_worker_) return true;
  auto claimable = pending_worker_->has_claimable(left_);
  if (claimable) return !*claimable;
  if (claimable.error().code != ErrorCode::not_found) return claimable.error();
  auto healed = heal(claimable.error());
  if (!healed) return healed.error();
  return false;
}

Duration RedisStreamSource::tend_interval() const {
  constexpr Duration kLookInterval = std::chrono::seconds(5);
  return pending_worker_ ? pending_worker_->interval() : kLookInterval;
}

Result<void> RedisStreamSource::tend(SourceTended& done) {
  auto settled = settle();
  if (!settled) return heal(settled);
  auto lost = group_.look(false);
  if (!lost) return lost.error();
  lost_unread_ += *lost;
  if (!pending_worker_) return {};
  auto worked = pending_worker_->work(reading_pending_, done);
  if (std::string warning = pending_worker_->take_warning(); !warning.empty()) {
    session_.warn(std::move(warning));
  }
  return heal(std::move(worked));
}

Result<std::optional<RedisReply>> RedisStreamSource::read(std::string_view from, std::size_t count,
                                                          Duration wait) {
  auto reply = reader_.read(from, count, wait);
  if (!reply && !connection_.connected()) cut_at_ = count;
  return reply;
}

void RedisStreamSource::ask_for_less() {
  const std::size_t cut_at = std::exchange(cut_at_, 0);
  // A server that has ended in the meantime hung up on everybody.
  if (cut_at == 0 || !session_.is_same_process()) return;
  ceiling_ = std::max<std::size_t>(1, cut_at / 2);
  ceiling_until_ = runtime::monotonic_now() + kCeilingTime;
  count_limit_ = std::min(count_limit_, ceiling_);
}

Result<void> RedisStreamSource::take_entries(RedisValue entries, std::size_t first,
                                             std::size_t count, SourceBatch& batch) {
  batch.reserve(count);
  for (std::size_t i = first; i < first + count; ++i) {
    if (entries[i].size() != 2) continue;
    const auto token = parse_stream_id(entries[i][0].text());
    if (!token) return malformed();
    const RedisValue fields = entries[i][1];
    if (fields.is_nil()) {
      found_deleted_.push_back(*token);
      continue;
    }
    SourceMessage message;
    message.token = *token;
    take_fields(fields, message);
    if (!left_.empty()) left_.erase(*token);
    largest_bytes_ = std::max(largest_bytes_, message.payload.size());
    batch.add(message);
  }
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

void RedisStreamSource::learn_entry_size(RedisValue entries, std::size_t asked) {
  if (entries.size() == 0) return;
  // A few of them show it; a large one among the others is seen when it is taken.
  const std::size_t step = 1 + entries.size() / kSampledEntries;
  std::size_t bytes = 0;
  std::size_t count = 0;
  std::size_t largest = 0;
  for (std::size_t i = 0; i < entries.size(); i += step, ++count) {
    const std::size_t before = bytes;
    if (entries[i].size() != 2) continue;
    const RedisValue fields = entries[i][1];
    for (std::size_t j = 0; j < fields.size(); ++j) bytes += fields[j].text().size();
    largest = std::max(largest, bytes - before);
  }
  // A large entry is remembered for a while: more of them may come.
  largest_bytes_ = std::max(largest, largest_bytes_ - largest_bytes_ / 8);
  entry_bytes_ = std::max<std::size_t>({1, bytes / count, largest_bytes_ / 4});
  if (ceiling_ < kMaxFrameItems && runtime::monotonic_now() >= ceiling_until_) {
    ceiling_ = kMaxFrameItems;
  }
  const std::size_t fitting = std::max<std::size_t>(1, kPollTargetBytes / entry_bytes_);
  // Grows only as what was read shows that it may; shrinks at once.
  const std::size_t grown =
      entries.size() >= asked ? std::max(count_limit_, asked * kGrowth) : count_limit_;
  count_limit_ = std::min({fitting, grown, kMaxFrameItems, ceiling_});
}

void RedisStreamSource::tell_lost(SourceBatch& batch) {
  std::uint64_t deleted = 0;
  for (const SourceToken& token : found_deleted_) deleted += told_deleted_.insert(token).second;
  batch.lost += deleted + std::exchange(lost_unread_, 0);
  if (deleted == 0) return;
  session_.warn(std::to_string(deleted) + " pending entries of the stream \"" + options_.key +
                "\" were deleted before they were done: lost at the source");
}

/// Only once they were told of: a reply that is lost, or a death, would leave them uncounted.
Result<void> RedisStreamSource::ack_deleted() {
  if (told_deleted_.empty()) return {};
  const std::vector<SourceToken> tokens(told_deleted_.begin(), told_deleted_.end());
  if (auto acked = ack_in_batches(tokens); !acked) return acked;
  if (pending_worker_) pending_worker_->let_go(tokens);
  told_deleted_.clear();
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

std::string RedisStreamSource::describe(const SourceToken& token) const {
  return stream_id(token);
}

}  // namespace tempest::builtin
