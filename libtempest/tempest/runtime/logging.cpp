#include "tempest/runtime/logging.hpp"

#include <spdlog/sinks/stdout_sinks.h>
#include <spdlog/spdlog.h>

#include <algorithm>
#include <atomic>
#include <nlohmann/json.hpp>

#include "tempest/base/safe_text.hpp"
#include "tempest/runtime/clock.hpp"

namespace tempest::runtime {

namespace {

constexpr Duration kRepeatInterval = std::chrono::seconds(5);
// Texts remembered for leaving out repeats. A log that has more different texts than this within
// five seconds repeats a few of them; it does not grow.
constexpr std::size_t kMaxRemembered = 256;

std::atomic<LogFormat> chosen_format{LogFormat::text};

spdlog::level::level_enum spdlog_level(link::Notice::Level level) {
  switch (level) {
    case link::Notice::Level::debug:
      return spdlog::level::debug;
    case link::Notice::Level::info:
      return spdlog::level::info;
    case link::Notice::Level::warning:
      return spdlog::level::warn;
    case link::Notice::Level::error:
      return spdlog::level::err;
  }
  return spdlog::level::err;
}

std::string quoted_if_needed(const std::string& value) {
  const bool plain = !value.empty() && std::all_of(value.begin(), value.end(), [](char c) {
    return static_cast<unsigned char>(c) > ' ' && c != '"' && c != '=' && c != 0x7f;
  });
  return safe_text(
      plain ? value
            : nlohmann::json(value).dump(-1, ' ', false, nlohmann::json::error_handler_t::replace));
}

std::string as_text(const std::string& node, const link::Notice& notice, std::uint64_t left_out) {
  std::string line = safe_text(notice.text);
  for (const link::Field& field : notice.fields) {
    line += " " + field.name + "=" + quoted_if_needed(field.value);
  }
  if (left_out > 0) line += " left_out=" + std::to_string(left_out);
  if (!node.empty()) line += " node=" + quoted_if_needed(node);
  return line;
}

/// The members of the line's object after time and level, which the pattern writes.
std::string as_json(const std::string& node, const link::Notice& notice, std::uint64_t left_out) {
  nlohmann::ordered_json line;
  line["message"] = notice.text;
  for (const link::Field& field : notice.fields) {
    line[field.name] = field.is_number ? nlohmann::ordered_json::parse(field.value)
                                       : nlohmann::ordered_json(field.value);
  }
  if (left_out > 0) line["left_out"] = left_out;
  if (!node.empty()) line["node"] = node;
  // Safe for a terminal as well, and JSON still.
  return safe_text(line.dump(-1, ' ', false, nlohmann::json::error_handler_t::replace).substr(1));
}

}  // namespace

Result<void> start_logging(std::string_view level, std::string_view format) {
  if (format != "text" && format != "json") {
    return Error{ErrorCode::invalid_argument,
                 "the log format is text or json, not '" + std::string(format) + "'"};
  }
  const std::string name = level == "warning" ? "warn" : std::string(level);
  const auto parsed = spdlog::level::from_str(name);
  if (parsed == spdlog::level::off && name != "off") {
    return Error{
        ErrorCode::invalid_argument,
        "the log level is debug, info, warning, error or off, not '" + std::string(level) + "'"};
  }
  chosen_format = format == "json" ? LogFormat::json : LogFormat::text;
  auto logger = std::make_shared<spdlog::logger>("tempest",
                                                 std::make_shared<spdlog::sinks::stderr_sink_mt>());
  const auto utc = spdlog::pattern_time_type::utc;
  if (log_format() == LogFormat::json) {
    logger->set_pattern(R"({"time":"%Y-%m-%dT%H:%M:%S.%eZ","level":"%l",%v)", utc);
  } else {
    logger->set_pattern("%Y-%m-%dT%H:%M:%S.%eZ %l: %v", utc);
  }
  logger->set_level(parsed);
  spdlog::set_default_logger(std::move(logger));
  return {};
}

LogFormat log_format() {
  return chosen_format;
}

void Log::write(const link::Notice& notice) {
  const TimePoint now = monotonic_now();
  if (repeats_.size() >= kMaxRemembered) {
    std::erase_if(repeats_, [now](const auto& entry) {
      return now - entry.second.written > kRepeatInterval;
    });
  }
  std::uint64_t left_out = 0;
  std::string key = notice.text;
  for (const link::Field& field : notice.fields) key += '\n' + field.value;
  const auto found = repeats_.find(key);
  if (found != repeats_.end()) {
    if (now - found->second.written < kRepeatInterval) {
      ++found->second.left_out;
      return;
    }
    left_out = found->second.left_out;
    found->second = {now, 0};
  } else if (repeats_.size() < kMaxRemembered) {
    repeats_.emplace(std::move(key), Repeat{now, 0});
  }
  const std::string line = log_format() == LogFormat::json ? as_json(node_, notice, left_out)
                                                           : as_text(node_, notice, left_out);
  spdlog::default_logger_raw()->log(spdlog_level(notice.level), "{}", line);
}

}  // namespace tempest::runtime
