#include "cli/dead_letter.hpp"

#include <algorithm>
#include <charconv>
#include <cstdio>
#include <ctime>
#include <nlohmann/json.hpp>

#include "tempest/base/base64.hpp"
#include "tempest/base/hash.hpp"
#include "tempest/base/json_nesting.hpp"
#include "tempest/wire/frames.hpp"

namespace tempest::cli {
namespace {

using Json = nlohmann::json;

Error no_letter(const std::string& why) {
  return Error{ErrorCode::protocol, "not a dead letter: " + why};
}

/// The text of `name`, or the bytes of `name`_base64; empty if neither is there. False: it is
/// something else.
bool take(const Json& json, const std::string& name, std::string& value) {
  if (const auto found = json.find(name); found != json.end()) {
    if (!found->is_string()) return false;
    value = found->get<std::string>();
    return true;
  }
  const auto found = json.find(name + "_base64");
  if (found == json.end()) return true;
  if (!found->is_string()) return false;
  auto bytes = from_base64(found->get_ref<const std::string&>());
  if (!bytes) return false;
  value = std::move(*bytes);
  return true;
}

std::uint64_t number(const Json& json, const char* name) {
  const auto found = json.find(name);
  return found != json.end() && found->is_number_unsigned() ? found->get<std::uint64_t>() : 0;
}

void take_mark(const std::string& mark, StoredLetter& letter) {
  const std::size_t space = mark.rfind(' ');
  if (space == std::string::npos) return;
  const char* end = mark.data() + mark.size();
  std::uint64_t count = 0;
  const auto [last, error] = std::from_chars(mark.data() + space + 1, end, count);
  if (error != std::errc() || last != end) return;
  letter.replays = count;
  letter.replayed_letter = mark.substr(0, space);
}

bool contains(const std::string& text, const std::string& part) {
  return text.find(part) != std::string::npos;
}

}  // namespace

std::string letter_id(std::string_view line) {
  char digits[17];
  std::snprintf(digits, sizeof digits, "%016llx",
                static_cast<unsigned long long>(hash_bytes(line)));
  return digits;
}

Result<StoredLetter> read_letter(LetterPlace place, std::string text) {
  if (nests_deeper(text)) return no_letter("it is nested too deep");
  const Json json = Json::parse(text, nullptr, false);
  if (json.is_discarded()) return no_letter("it is no JSON");
  if (!json.is_object()) return no_letter("it is no JSON object");
  for (const char* name : {"topology", "kind", "failed_at"}) {
    if (!json.contains(name)) return no_letter(std::string("it has no '") + name + "'");
  }
  if (!json.contains("payload") && !json.contains("payload_base64")) {
    return no_letter("it has no 'payload'");
  }
  StoredLetter letter;
  std::string mark;
  const std::pair<const char*, std::string*> texts[] = {
      {"topology", &letter.topology},
      {"version", &letter.version},
      {"task", &letter.task},
      {"kind", &letter.kind},
      {"reason", &letter.reason},
      {"worker", &letter.worker},
      {"source", &letter.source},
      {"read_at", &letter.read_at},
      {"key", &letter.key},
      {"failed_at", &letter.failed_at},
      {"payload", &letter.payload},
      {"failing_payload", &letter.failing_payload},
      {"replayed", &mark}};
  for (const auto& [name, value] : texts) {
    if (!take(json, name, *value)) {
      return no_letter(std::string("'") + name + "' is not what it should be");
    }
  }
  letter.attempts = number(json, "attempts");
  letter.delivery_attempts = number(json, "delivery_attempts");
  const auto unreadable = json.find("unreadable");
  letter.unreadable = unreadable != json.end() && *unreadable == true;
  take_mark(mark, letter);
  letter.place = std::move(place);
  letter.text = std::move(text);
  return letter;
}

std::string replay_mark(const StoredLetter& letter) {
  return letter.place.id + " " + std::to_string(letter.replays + 1);
}

std::optional<WallTime> parse_wall_time(const std::string& text) {
  std::tm parts{};
  const char* rest = ::strptime(text.c_str(), "%Y-%m-%dT%H:%M:%S", &parts);
  if (rest == nullptr) return std::nullopt;
  WallTime time = std::chrono::system_clock::from_time_t(::timegm(&parts));
  if (*rest == '.') {
    int place_ms = 100;
    for (++rest; *rest >= '0' && *rest <= '9'; ++rest, place_ms /= 10) {
      time += std::chrono::milliseconds((*rest - '0') * place_ms);
    }
  }
  if (std::string_view(rest) != "Z") return std::nullopt;
  return time;
}

std::optional<WallTime> StoredLetter::failed_time() const {
  return parse_wall_time(failed_at);
}

const std::vector<std::string>& letter_kinds() {
  static const std::vector<std::string> kinds = [] {
    std::vector<std::string> names;
    for (const wire::FailureKind kind : wire::kFailureKinds) {
      names.emplace_back(wire::to_string(kind));
    }
    return names;
  }();
  return kinds;
}

bool LetterFilter::empty() const {
  return topology.empty() && task.empty() && kind.empty() && text.empty() && ids.empty() &&
         !failed_before && !failed_after;
}

bool LetterFilter::matches(const StoredLetter& letter) const {
  if (!topology.empty() && letter.topology != topology) return false;
  if (!task.empty() && letter.task != task) return false;
  if (!kind.empty() && letter.kind != kind) return false;
  if (!ids.empty() && std::find(ids.begin(), ids.end(), letter.place.id) == ids.end()) return false;
  if (failed_before || failed_after) {
    const auto at = letter.failed_time();
    if (!at || (failed_before && *at >= *failed_before)) return false;
    if (failed_after && *at <= *failed_after) return false;
  }
  if (text.empty()) return true;
  return contains(letter.reason, text) || contains(letter.payload, text) ||
         contains(letter.failing_payload, text) || contains(letter.key, text);
}

}  // namespace tempest::cli
