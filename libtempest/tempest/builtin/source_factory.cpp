#include "tempest/builtin/source_factory.hpp"

#include <array>

#include "tempest/base/limits.hpp"
#include "tempest/builtin/configure_part.hpp"
#include "tempest/builtin/generator_source.hpp"
#include "tempest/builtin/lines_source.hpp"
#include "tempest/builtin/redis_list_source.hpp"
#include "tempest/builtin/redis_stream_source.hpp"
#include "tempest/builtin/unknown_name.hpp"

namespace tempest::builtin {
namespace {

Error wrong(std::string message) {
  return Error{ErrorCode::configuration, std::move(message)};
}

Result<std::unique_ptr<Source>> create_generator(const Settings& settings) {
  GeneratorSource::Options options;
  const std::int64_t count = settings.integer("count", 0);
  if (count < 0) return wrong("the generator's count must not be negative");
  if (count > 0) options.count = static_cast<std::uint64_t>(count);
  options.size_bytes = settings.size_bytes("size", options.size_bytes);
  if (options.size_bytes > kMaxPayloadBytes) {
    return wrong("the generator's size must not be above 16 MiB");
  }
  options.rate = settings.number("rate", 0);
  if (options.rate < 0) return wrong("the generator's rate must not be negative");
  return std::unique_ptr<Source>(std::make_unique<GeneratorSource>(options));
}

Result<std::unique_ptr<Source>> create_lines(const Settings& settings, const std::string& topology,
                                             bool failures_are_kept) {
  std::string path = settings.text("path");
  if (path.empty()) return wrong("a lines source needs a path (\"-\" for standard input)");
  LinesSource::Options options;
  options.checkpoint = settings.text("checkpoint");
  options.follow = settings.boolean("follow", false);
  options.rotate_wait = settings.duration("rotate_wait", options.rotate_wait);
  options.topology = topology;
  options.gives_long_lines = failures_are_kept;
  options.max_line_bytes = settings.size_bytes("max_line", options.max_line_bytes);
  if (path == "-" && (options.follow || !options.checkpoint.empty())) {
    return wrong("standard input has no places to come back to: neither checkpoint nor follow");
  }
  return std::unique_ptr<Source>(std::make_unique<LinesSource>(std::move(path), options));
}

Result<PendingRule> pending_rule(const Settings& settings) {
  PendingRule rule;
  rule.min_idle = settings.duration("min_idle");
  rule.min_deliveries = static_cast<std::uint64_t>(settings.integer("min_deliveries"));
  const std::string action = settings.text("action", "claim");
  rule.action = action == "ack"      ? PendingRule::Action::ack
                : action == "delete" ? PendingRule::Action::remove
                : action == "move"   ? PendingRule::Action::move
                                     : PendingRule::Action::claim;
  if (rule.min_idle <= Duration::zero()) return wrong("a pending rule needs a min_idle above 0");
  if (rule.action != PendingRule::Action::move) return rule;
  const Settings& to = settings.table("to");
  const std::string type = to.text("type");
  rule.target = type == "redis_list"         ? PendingRule::Target::list
                : type == "redis_sorted_set" ? PendingRule::Target::sorted_set
                                             : PendingRule::Target::stream;
  rule.target_key = to.text("key");
  if (rule.target_key.empty()) return wrong("a pending rule that moves needs the key it moves to");
  return rule;
}

Result<std::unique_ptr<Source>> create_redis_stream(const SourceDefinition& definition,
                                                    const std::string& topology,
                                                    const std::string& consumer) {
  const Settings& settings = definition.endpoint.settings;
  auto address = runtime::parse_redis_uri(settings.text("uri", "redis://127.0.0.1:6379/0"));
  if (!address) return address.error();
  RedisStreamSource::Options options;
  options.address = *address;
  options.key = settings.text("key");
  options.group = settings.text("group", topology);
  options.consumer = settings.text("consumer", consumer);
  options.field = settings.text("field");
  options.key_field = settings.text("key_field");
  options.start = settings.text("start", "0");
  options.ack_in_batches = definition.ack_in_batches;
  options.acks = definition.acks;
  for (const Settings::Value& item : settings.list("pending")) {
    const auto* table = std::get_if<Settings>(&item.data);
    if (table == nullptr) continue;
    auto rule = pending_rule(*table);
    if (!rule) return rule.error();
    options.pending.push_back(std::move(*rule));
  }
  if (options.key.empty()) return wrong("a redis_stream source needs the stream's key");
  if (options.group.empty()) return wrong("a redis_stream source needs a group");
  if (options.consumer.empty()) return wrong("a redis_stream source needs a consumer");
  return std::unique_ptr<Source>(std::make_unique<RedisStreamSource>(std::move(options)));
}

Result<std::unique_ptr<Source>> create_redis_list(const SourceDefinition& definition,
                                                  const std::string& consumer) {
  const Settings& settings = definition.endpoint.settings;
  auto address = runtime::parse_redis_uri(settings.text("uri", "redis://127.0.0.1:6379/0"));
  if (!address) return address.error();
  RedisListSource::Options options;
  options.address = *address;
  options.key = settings.text("key");
  options.consumer = settings.text("consumer", consumer);
  options.lease = settings.duration("lease", options.lease);
  options.retry_delay = settings.duration("retry_delay", options.retry_delay);
  options.ack_in_batches = definition.ack_in_batches;
  options.acks = definition.acks;
  if (options.key.empty()) return wrong("a redis_list source needs the list's key");
  if (options.consumer.empty()) return wrong("a redis_list source needs a consumer");
  if (options.lease <= Duration::zero()) return wrong("a redis_list source needs a lease above 0");
  return std::unique_ptr<Source>(std::make_unique<RedisListSource>(std::move(options)));
}

Result<std::unique_ptr<Source>> create_from_library(const SourceDefinition& definition,
                                                    const std::string& topology,
                                                    const std::string& consumer,
                                                    const runtime::TaskLibraries& libraries) {
  const std::string& type = definition.endpoint.type;
  auto source = libraries.create_source(type);
  if (!source) return source;
  const Settings& config = definition.endpoint.settings.table("config");
  const auto configured =
      configure_part("source", type, **source, config, [&](const Settings& settings) {
        return (*source)->configure(settings, {topology, consumer});
      });
  if (!configured) return configured.error();
  return source;
}

}  // namespace

std::span<const std::string> source_types() {
  static const std::array<std::string, 4> kTypes = {"generator", "lines", "redis_stream",
                                                    "redis_list"};
  return kTypes;
}

Result<std::unique_ptr<Source>> create_source(const SourceDefinition& definition,
                                              const std::string& topology,
                                              const std::string& consumer,
                                              const runtime::TaskLibraries& libraries,
                                              bool failures_are_kept) {
  const std::string& type = definition.endpoint.type;
  if (type.find(':') != std::string::npos) {
    return create_from_library(definition, topology, consumer, libraries);
  }
  if (type == "generator") return create_generator(definition.endpoint.settings);
  if (type == "lines") {
    return create_lines(definition.endpoint.settings, topology, failures_are_kept);
  }
  if (type == "redis_stream") return create_redis_stream(definition, topology, consumer);
  if (type == "redis_list") return create_redis_list(definition, consumer);
  return unknown_name("source type", type, source_types());
}

}  // namespace tempest::builtin
