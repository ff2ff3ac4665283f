#include "cli/replay_to_source.hpp"

#include <string_view>

#include "tempest/builtin/entry_json.hpp"
#include "tempest/builtin/redis_stream_source.hpp"

namespace tempest::cli {
namespace {

/// What a Lua script may unpack is bounded. Messages of more are put back and their letters removed
/// one after the other, so that a death in between leaves both.
constexpr std::size_t kMaxWordsInScript = 4'000;

// A letter that another replay has taken in the meantime gives nothing.
constexpr const char* kMoveToStream = R"(
if #redis.call('XRANGE', KEYS[1], ARGV[1], ARGV[1]) == 0 then return 0 end
redis.call('XADD', KEYS[2], '*', unpack(ARGV, 2))
redis.call('XDEL', KEYS[1], ARGV[1])
return 1)";
constexpr const char* kMoveToList = R"(
if #redis.call('XRANGE', KEYS[1], ARGV[1], ARGV[1]) == 0 then return 0 end
redis.call('RPUSH', KEYS[2], ARGV[2])
redis.call('XDEL', KEYS[1], ARGV[1])
return 1)";

}  // namespace

std::string ReplayTarget::shown() const {
  return (is_list ? "the list \"" : "the stream \"") + key + "\" of " + address.shown();
}

Result<ReplayTarget> replay_target_of(const SourceDefinition& source) {
  const Settings& settings = source.endpoint.settings;
  if (source.endpoint.type != "redis_stream" && source.endpoint.type != "redis_list") {
    return Error{ErrorCode::configuration, "a source of type \"" + source.endpoint.type +
                                               "\" takes no messages back; name a stream with "
                                               "--to-uri and --to-key, or use --from failed-task"};
  }
  auto address = runtime::parse_redis_uri(settings.text("uri", "redis://127.0.0.1:6379/0"));
  if (!address) return address.error();
  return ReplayTarget{*address, settings.text("key"), source.endpoint.type == "redis_list",
                      settings.text("field"), settings.text("key_field")};
}

std::optional<std::vector<std::string>> entry_fields(const StoredLetter& letter,
                                                     const ReplayTarget& target) {
  if (letter.unreadable) return std::nullopt;
  if (target.is_list) return std::vector<std::string>{letter.payload};
  std::vector<std::string> fields;
  if (target.field.empty()) {
    auto all = builtin::fields_of_entry_json(letter.payload);
    if (!all || all->empty()) return std::nullopt;
    fields = std::move(*all);
  } else {
    fields = {target.field, letter.payload};
    if (!target.key_field.empty() && target.key_field != target.field) {
      fields.insert(fields.end(), {target.key_field, letter.key});
    }
  }
  fields.insert(fields.end(), {std::string(builtin::kReplayedField), replay_mark(letter)});
  return fields;
}

SourceReplay::SourceReplay(LetterStore& store, ReplayTarget target)
    : store_(store), stream_(dynamic_cast<LetterStream*>(&store)), target_(std::move(target)) {}

bool SourceReplay::is_one_redis() const {
  if (stream_ == nullptr) return false;
  const runtime::RedisAddress& letters = stream_->options().address;
  const runtime::RedisAddress& messages = target_.address;
  return letters.host == messages.host && letters.port == messages.port &&
         letters.unix_path == messages.unix_path && letters.database == messages.database;
}

Result<void> SourceReplay::open() {
  if (is_one_redis()) return {};
  own_connection_ = std::make_unique<runtime::RedisConnection>(target_.address);
  return own_connection_->connect();
}

Result<void> SourceReplay::send(const StoredLetter& letter,
                                const std::vector<std::string>& fields) {
  std::vector<std::string_view> words;
  const bool in_one_step = !own_connection_ && fields.size() <= kMaxWordsInScript;
  if (in_one_step) {
    words = {"EVAL",      target_.is_list ? kMoveToList : kMoveToStream,
             "2",         stream_->options().key,
             target_.key, letter.place.id};
  } else if (target_.is_list) {
    words = {"RPUSH", target_.key};
  } else {
    words = {"XADD", target_.key, "*"};
  }
  words.insert(words.end(), fields.begin(), fields.end());
  runtime::RedisConnection& connection = own_connection_ ? *own_connection_ : stream_->connection();
  auto reply = connection.command(words);
  if (!reply) return reply.error();
  if (!in_one_step) {
    if (auto removed = store_.remove({&letter.place, 1}); !removed) return removed;
    ++replayed_;
  } else {
    replayed_ += reply->value().integer() == 1 ? 1 : 0;
  }
  return {};
}

Result<void> SourceReplay::replay(std::span<const StoredLetter> letters) {
  for (const StoredLetter& letter : letters) {
    const auto fields = entry_fields(letter, target_);
    if (!fields) {
      ++unfit_;
    } else if (auto sent = send(letter, *fields); !sent) {
      return sent;
    }
  }
  return {};
}

}  // namespace tempest::cli
