#include "tempest/builtin/redis_stream_group.hpp"

#include <algorithm>
#include <utility>
#include <vector>

#include "tempest/base/quantity.hpp"
#include "tempest/builtin/redis_stream_id.hpp"
#include "tempest/runtime/clock.hpp"

namespace tempest::builtin {
namespace {

using runtime::RedisValue;

constexpr Duration kLookInterval = std::chrono::seconds(5);
constexpr Duration kTellLossInterval = std::chrono::minutes(1);
constexpr Duration kAbandonedInterval = std::chrono::minutes(1);
/// The same is said again.
constexpr Duration kTellAbandonedInterval = std::chrono::minutes(10);
/// A consumer that has been silent for so long is taken for gone, but for the look at the start.
constexpr std::int64_t kSilentMs = 60'000;
/// Of consumers with pending entries so many are named.
constexpr std::size_t kMaxNamed = 3;

/// No entry can have this id, so a read after it finds nothing.
constexpr std::string_view kBeyondAll = "18446744073709551615-18446744073709551614";

/// The value of `name` in a list of names and values; nothing if it is not there.
std::optional<RedisValue> find(RedisValue list, std::string_view name) {
  for (std::size_t i = 0; i + 1 < list.size(); i += 2) {
    if (list[i].text() == name) return list[i + 1];
  }
  return std::nullopt;
}

std::optional<std::uint64_t> count_of(RedisValue list, std::string_view name) {
  const auto value = find(list, name);
  if (!value || value->kind() != RedisValue::Kind::integer || value->integer() < 0) {
    return std::nullopt;
  }
  return static_cast<std::uint64_t>(value->integer());
}

SourceToken id_of(RedisValue list, std::string_view name) {
  const auto value = find(list, name);
  return value ? parse_stream_id(value->text()).value_or(SourceToken{}) : SourceToken{};
}

std::string ms_text(std::int64_t ms) {
  return format_duration(std::chrono::milliseconds(ms));
}

}  // namespace

std::optional<std::uint64_t> entries_lost_unread(const StreamFacts& facts) {
  const bool has_read_any = facts.last_read != SourceToken{};
  if (!facts.added || (!facts.read && has_read_any)) return std::nullopt;
  std::uint64_t unread = 0;
  if (facts.last_read < facts.last_added) {
    // What is left between the two is counted only where that is all there is.
    if (facts.first && *facts.first <= facts.last_read) return std::nullopt;
    unread = facts.length;
  }
  const std::uint64_t accounted = facts.read.value_or(0) + unread;
  return *facts.added - std::min(*facts.added, accounted);
}

RedisStreamGroup::RedisStreamGroup(Options options, RedisSession& session)
    : options_(std::move(options)), session_(session) {}

std::string RedisStreamGroup::shown() const {
  return "the group \"" + options_.reader.group + "\" of the stream \"" + options_.reader.key +
         "\"";
}

Result<void> RedisStreamGroup::ensure() {
  auto there = is_there();
  if (!there) return there.error();
  if (!*there) {
    if (auto created = create(); !created) return created;
  }
  seen_ = true;
  return {};
}

Result<bool> RedisStreamGroup::is_there() {
  const RedisReader& reader = options_.reader;
  auto reply = session_.connection().exchange({"XREADGROUP", "GROUP", reader.group, reader.consumer,
                                               "COUNT", "1", "STREAMS", reader.key, kBeyondAll});
  if (!reply) return reply.error();
  if (reply->value().kind() != RedisValue::Kind::error) return true;
  const std::string_view text = reply->value().text();
  if (text.starts_with("NOGROUP")) return false;
  Error error = session_.connection().check(reply->value()).error();
  if (text.starts_with("ERR unknown command")) {
    error.message =
        session_.connection().address().shown() + " has no streams; they came with Redis 5.0";
  } else if (text.starts_with("WRONGTYPE")) {
    error.message = "the key \"" + reader.key + "\" of " + session_.connection().address().shown() +
                    " is not a stream";
  }
  return error;
}

Result<void> RedisStreamGroup::create() {
  const RedisReader& reader = options_.reader;
  const std::string start = seen_ ? "0" : options_.start;
  auto reply = session_.connection().exchange(
      {"XGROUP", "CREATE", reader.key, reader.group, start, "MKSTREAM"});
  if (!reply) return reply.error();
  if (reply->value().kind() == RedisValue::Kind::error) {
    if (reply->value().text().starts_with("BUSYGROUP")) return {};
    Error error = session_.connection().check(reply->value()).error();
    error.message = "cannot create the group \"" + reader.group + "\" of the stream \"" +
                    reader.key + "\" at \"" + start + "\": " + error.message;
    return error;
  }
  lost_before_.reset();
  if (seen_) {
    session_.warn(shown() + " was gone at " + session_.connection().address().shown() +
                  ": it was deleted, or Redis has lost data. It was made again at the start of the "
                  "stream, so what is there is read, some of it for the second time");
  }
  return {};
}

Result<void> RedisStreamGroup::try_ack() {
  auto reply = session_.connection().exchange(
      {"XACK", options_.reader.key, options_.reader.group, kBeyondAll});
  if (!reply) return reply.error();
  auto checked = session_.connection().check(reply->value());
  if (!checked && checked.error().code == ErrorCode::configuration) return checked;
  return {};
}

Result<std::optional<StreamFacts>> RedisStreamGroup::ask_facts() {
  std::optional<StreamFacts> none;
  auto stream = session_.connection().exchange({"XINFO", "STREAM", options_.reader.key});
  if (!stream) return stream.error();
  auto groups = session_.connection().exchange({"XINFO", "GROUPS", options_.reader.key});
  if (!groups) return groups.error();
  StreamFacts facts;
  facts.added = count_of(stream->value(), "entries-added");
  const auto length = count_of(stream->value(), "length");
  const auto first = find(stream->value(), "first-entry");
  if (!length || !first) return none;
  facts.length = *length;
  if (first->size() == 2) facts.first = parse_stream_id((*first)[0].text());
  facts.last_added = id_of(stream->value(), "last-generated-id");
  for (std::size_t i = 0; i < groups->value().size(); ++i) {
    const RedisValue group = groups->value()[i];
    const auto name = find(group, "name");
    if (!name || name->text() != options_.reader.group) continue;
    facts.read = count_of(group, "entries-read");
    facts.last_read = id_of(group, "last-delivered-id");
    return std::optional(facts);
  }
  return none;
}

Result<std::uint64_t> RedisStreamGroup::look(bool at_once) {
  const TimePoint now = runtime::monotonic_now();
  if (!at_once && now < look_at_) return std::uint64_t{0};
  look_at_ = now + kLookInterval;
  auto lost = look_for_loss();
  if (!lost) return lost;
  if (options_.is_swept || now < look_for_abandoned_at_) return lost;
  look_for_abandoned_at_ = now + kAbandonedInterval;
  if (auto looked = look_for_abandoned(); !looked) return looked.error();
  return lost;
}

Result<std::uint64_t> RedisStreamGroup::look_for_loss() {
  auto facts = ask_facts();
  if (!facts) return facts.error();
  if (!*facts) return std::uint64_t{0};
  const auto lost = entries_lost_unread(**facts);
  const std::uint64_t read = (*facts)->read.value_or(0);
  const bool counts_on = read >= std::exchange(read_before_, read);
  if (!lost) return std::uint64_t{0};
  std::uint64_t news = 0;
  if (lost_before_) {
    // Redis sets its count anew at times, as after a crash: then nothing can be told.
    if (counts_on) news = *lost - std::min(*lost, *lost_before_);
  } else if ((*facts)->last_read != SourceToken{} && (*facts)->last_read < (*facts)->last_added) {
    // Of a group that has read all there is, what it lost was told in an earlier life.
    news = *lost;
  }
  lost_before_ = *lost;
  lost_ += news;
  const TimePoint now = runtime::monotonic_now();
  if (news > 0 && now >= tell_loss_at_) {
    tell_loss_at_ = now + kTellLossInterval;
    session_.warn(
        "about " + std::to_string(lost_) + " entries of the stream \"" + options_.reader.key +
        "\" were trimmed or deleted before " + shown() +
        " had read them, since this node began: they are lost. Trim less (MAXLEN of those "
        "who write), or read faster (more workers)");
  }
  return news;
}

Result<void> RedisStreamGroup::look_for_abandoned() {
  const RedisReader& reader = options_.reader;
  auto reply = session_.connection().exchange({"XINFO", "CONSUMERS", reader.key, reader.group});
  if (!reply) return reply.error();
  const bool is_first = !std::exchange(looked_for_abandoned_, true);
  struct Consumer {
    std::string name;
    std::int64_t pending = 0;
    std::int64_t idle_ms = 0;
  };
  std::vector<Consumer> found;
  std::map<std::string, std::int64_t> now_there;
  for (std::size_t i = 0; i < reply->value().size(); ++i) {
    const RedisValue row = reply->value()[i];
    const auto name = find(row, "name");
    const auto pending = find(row, "pending");
    const auto idle = find(row, "idle");
    if (!name || !pending || !idle || name->text() == reader.consumer) continue;
    if (pending->integer() <= 0 || (!is_first && idle->integer() < kSilentMs)) continue;
    Consumer consumer{std::string(name->text()), pending->integer(), idle->integer()};
    now_there[consumer.name] = consumer.pending;
    found.push_back(std::move(consumer));
  }
  const TimePoint now = runtime::monotonic_now();
  const bool is_news = now_there != std::exchange(told_, now_there);
  if (!is_news && now < tell_abandoned_at_) return {};
  tell_abandoned_at_ = now + kTellAbandonedInterval;
  std::int64_t all = 0;
  for (const Consumer& consumer : found) all += consumer.pending;
  if (all == 0) return {};
  std::sort(found.begin(), found.end(),
            [](const auto& a, const auto& b) { return a.pending > b.pending; });
  std::string named;
  for (std::size_t i = 0; i < found.size() && i < kMaxNamed; ++i) {
    auto oldest = session_.connection().exchange(
        {"XPENDING", reader.key, reader.group, "-", "+", "1", found[i].name});
    if (!oldest) return oldest.error();
    named += (i == 0 ? "" : ", ") + std::to_string(found[i].pending) + " at \"" + found[i].name +
             "\" (heard of " + ms_text(found[i].idle_ms) + " ago";
    if (oldest->value().size() == 1 && oldest->value()[0].size() == 4) {
      named += ", the first given out " + ms_text(oldest->value()[0][2].integer()) + " ago";
    }
    named += ")";
  }
  if (found.size() > kMaxNamed) {
    named += ", and others at " + std::to_string(found.size() - kMaxNamed) + " more";
  }
  session_.warn(std::to_string(all) + " entries of the stream \"" + reader.key +
                "\" are pending at other consumers of the group \"" + reader.group +
                "\": " + named +
                ". Where such a consumer does not come back, they wait for ever: "
                "[[source.pending]] with min_idle = \"1m\" takes them over");
  return {};
}

}  // namespace tempest::builtin
