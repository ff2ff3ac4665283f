#include "tempest/builtin/sink_factory.hpp"

#include <algorithm>
#include <array>

#include "tempest/builtin/configure_part.hpp"
#include "tempest/builtin/lines_sink.hpp"
#include "tempest/builtin/redis_list_sink.hpp"
#include "tempest/builtin/redis_stream_sink.hpp"
#include "tempest/builtin/unknown_name.hpp"

namespace tempest::builtin {
namespace {

Error wrong(std::string message) {
  return Error{ErrorCode::configuration, std::move(message)};
}

/// No wait is shorter: a server on a busy machine takes some time.
constexpr Duration kShortestWait = std::chrono::milliseconds(50);

/// A connection that is not made and a reply that does not come, one after the other, fit in.
runtime::RedisTimeouts timeouts_within(Duration call_limit) {
  runtime::RedisTimeouts timeouts;
  if (call_limit <= Duration::zero()) return timeouts;
  timeouts.connect = std::min(timeouts.connect, std::max(call_limit / 4, kShortestWait));
  timeouts.reply = std::min(timeouts.reply, std::max(call_limit / 2, kShortestWait));
  return timeouts;
}

class NullSink : public Sink {
 public:
  Result<void> open() override { return {}; }
  Result<void> write(std::span<const Message> /*messages*/) override { return {}; }
};

Result<std::unique_ptr<Sink>> create_lines(const Settings& settings) {
  std::string path = settings.text("path");
  if (path.empty()) return wrong("a lines sink needs a path (\"-\" for standard output)");
  const bool escapes = settings.text("line_breaks", "refuse") == "escape";
  return std::unique_ptr<Sink>(std::make_unique<LinesSink>(
      std::move(path), settings.boolean("append", true),
      escapes ? LinesSink::LineBreaks::escape : LinesSink::LineBreaks::refuse));
}

Result<std::unique_ptr<Sink>> create_redis_stream(const Settings& settings, Duration call_limit) {
  auto address = runtime::parse_redis_uri(settings.text("uri", "redis://127.0.0.1:6379/0"));
  if (!address) return address.error();
  RedisStreamSink::Options options;
  options.address = *address;
  options.timeouts = timeouts_within(call_limit);
  options.key = settings.text("key");
  options.field = settings.text("field", options.field);
  const std::int64_t max_length = settings.integer("max_length", 0);
  if (options.key.empty()) return wrong("a redis_stream sink needs the stream's key");
  if (options.field.empty()) return wrong("a redis_stream sink's field must not be empty");
  if (max_length < 0) return wrong("a redis_stream sink's max_length must not be negative");
  options.max_length = static_cast<std::uint64_t>(max_length);
  return std::unique_ptr<Sink>(std::make_unique<RedisStreamSink>(std::move(options)));
}

Result<std::unique_ptr<Sink>> create_redis_list(const Settings& settings, Duration call_limit) {
  auto address = runtime::parse_redis_uri(settings.text("uri", "redis://127.0.0.1:6379/0"));
  if (!address) return address.error();
  RedisListSink::Options options;
  options.address = *address;
  options.timeouts = timeouts_within(call_limit);
  options.key = settings.text("key");
  const std::int64_t max_length = settings.integer("max_length", 0);
  if (options.key.empty()) return wrong("a redis_list sink needs the list's key");
  if (max_length < 0) return wrong("a redis_list sink's max_length must not be negative");
  options.max_length = static_cast<std::uint64_t>(max_length);
  return std::unique_ptr<Sink>(std::make_unique<RedisListSink>(std::move(options)));
}

Result<std::unique_ptr<Sink>> create_from_library(const Endpoint& endpoint,
                                                  const runtime::TaskLibraries& libraries) {
  auto sink = libraries.create_sink(endpoint.type);
  if (!sink) return sink;
  const Settings& config = endpoint.settings.table("config");
  const auto configured =
      configure_part("sink", endpoint.type, **sink, config,
                     [&](const Settings& settings) { return (*sink)->configure(settings); });
  if (!configured) return configured.error();
  return sink;
}

}  // namespace

std::span<const std::string> sink_types() {
  static const std::array<std::string, 4> kTypes = {"lines", "redis_stream", "redis_list", "null"};
  return kTypes;
}

Result<std::unique_ptr<Sink>> create_sink(const Endpoint& endpoint,
                                          const runtime::TaskLibraries& libraries,
                                          Duration call_limit) {
  if (endpoint.type.find(':') != std::string::npos) {
    return create_from_library(endpoint, libraries);
  }
  if (endpoint.type == "lines") return create_lines(endpoint.settings);
  if (endpoint.type == "redis_stream") return create_redis_stream(endpoint.settings, call_limit);
  if (endpoint.type == "redis_list") return create_redis_list(endpoint.settings, call_limit);
  if (endpoint.type == "null") return std::unique_ptr<Sink>(std::make_unique<NullSink>());
  return unknown_name("sink type", endpoint.type, sink_types());
}

}  // namespace tempest::builtin
