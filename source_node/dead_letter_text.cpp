#include "source_node/dead_letter_text.hpp"

#include <array>
#include <cstdio>
#include <ctime>
#include <nlohmann/json.hpp>

#include "tempest/builtin/json_text.hpp"

namespace tempest::source_node {

namespace {

using Json = nlohmann::ordered_json;

void put(Json& object, const char* name, std::string_view bytes) {
  auto field = builtin::json_text(name, bytes);
  object[field.name] = std::move(field.text);
}

std::string time_text(TimePoint time, const Moment& now) {
  const auto wall = now.wall - std::chrono::duration_cast<std::chrono::system_clock::duration>(
                                   now.monotonic - time);
  const auto ms =
      std::chrono::duration_cast<std::chrono::milliseconds>(wall.time_since_epoch()).count();
  const std::time_t seconds = static_cast<std::time_t>(ms / 1000);
  std::tm parts{};
  gmtime_r(&seconds, &parts);
  std::array<char, 32> date{};
  const std::size_t size = std::strftime(date.data(), date.size(), "%Y-%m-%dT%H:%M:%S", &parts);
  std::array<char, 8> fraction{};
  std::snprintf(fraction.data(), fraction.size(), ".%03dZ", static_cast<int>(ms % 1000));
  return std::string(date.data(), size) + fraction.data();
}

Json attempt_json(const FailedAttempt& attempt, const Moment& now) {
  Json json = {{"at", time_text(attempt.at, now)}, {"kind", wire::to_string(attempt.kind)}};
  put(json, "task", attempt.task);
  put(json, "worker", attempt.worker);
  json["delivery_attempts"] = attempt.delivery_attempts;
  put(json, "reason", attempt.reason);
  return json;
}

}  // namespace

std::string dead_letter_text(const DeadLetter& letter, std::string_view source_position,
                             const Moment& now) {
  const FailedAttempt& last = letter.attempts.back();
  Json json;
  json["topology"] = letter.topology;
  json["version"] = letter.version;
  put(json, "task", last.task);
  json["kind"] = wire::to_string(last.kind);
  put(json, "reason", last.reason);
  put(json, "worker", last.worker);
  json["delivery_attempts"] = last.delivery_attempts;
  json["attempts"] = letter.attempts.size();
  put(json, "source", source_position);
  json["read_at"] = time_text(letter.read_at, now);
  json["failed_at"] = time_text(last.at, now);
  put(json, "key", letter.key);
  put(json, "payload", letter.payload);
  put(json, "failing_payload", letter.failing_payload);
  if (letter.unreadable) json["unreadable"] = true;
  if (!letter.replayed.empty()) put(json, "replayed", letter.replayed);
  json["history"] = Json::array();
  for (const FailedAttempt& attempt : letter.attempts) {
    json["history"].push_back(attempt_json(attempt, now));
  }
  return json.dump();
}

}  // namespace tempest::source_node
