#include "tempest/runtime/topology_endpoints.hpp"

#include <array>
#include <filesystem>
#include <string>
#include <string_view>
#include <system_error>

#include "tempest/runtime/redis.hpp"

namespace tempest::runtime {
namespace {

const DocumentValue* find(const DocumentValue* in, std::string_view key) {
  const auto* table = in ? in->as<DocumentTable>() : nullptr;
  const auto* entry = table ? table->find(key) : nullptr;
  return entry ? &entry->value : nullptr;
}

const DocumentValue* find(const DocumentTable& document, std::string_view key) {
  const auto* entry = document.find(key);
  return entry ? &entry->value : nullptr;
}

void check_uri(const DocumentValue* table, const std::string& name, DocumentCheck& check) {
  const DocumentValue* type = find(table, "type");
  const DocumentValue* uri = find(table, "uri");
  const auto* type_text = type ? type->as<std::string>() : nullptr;
  const auto* text = uri ? uri->as<std::string>() : nullptr;
  if (!type_text || !type_text->starts_with("redis_") || !text || text->empty()) return;
  const auto address = parse_redis_uri(*text);
  if (!address) check.report(uri->position, "'uri' in " + name + ": " + address.error().message);
}

/// Names of this host are one host.
std::string host_of(const RedisAddress& address) {
  for (const std::string_view name : {"localhost", "127.0.0.1", "::1"}) {
    if (address.host == name) return "localhost";
  }
  return address.host;
}

bool is_one_redis(const Endpoint& one, const Endpoint& other) {
  constexpr const char* kDefault = "redis://127.0.0.1:6379/0";
  const auto first = parse_redis_uri(one.settings.text("uri", kDefault));
  const auto second = parse_redis_uri(other.settings.text("uri", kDefault));
  return first && second && first->unix_path == second->unix_path &&
         first->database == second->database &&
         (!first->unix_path.empty() ||
          (host_of(*first) == host_of(*second) && first->port == second->port));
}

bool is_one_file(const std::string& one, const std::string& other) {
  if (one.empty() || other.empty() || one == "-" || other == "-") return false;
  if (one == other) return true;
  std::error_code error;
  const auto real_path = [&error](const std::string& path) {
    const auto absolute = std::filesystem::absolute(path, error);
    return error ? absolute : std::filesystem::weakly_canonical(absolute, error);
  };
  const auto first = real_path(one);
  if (error) return false;
  const auto second = real_path(other);
  return !error && first == second;
}

bool is_redis(const Endpoint& endpoint) {
  return endpoint.type.starts_with("redis_");
}

/// The key of a source is also all that it keeps beside it.
bool is_key_of(const Endpoint& source, const std::string& key) {
  const std::string own = source.settings.text("key");
  if (key == own) return true;
  if (source.type != "redis_list" || !key.starts_with(own + ":")) return false;
  const std::string_view rest = std::string_view(key).substr(own.size() + 1);
  constexpr std::array<std::string_view, 5> kBeside = {"payloads", "attempts", "deaths", "delayed",
                                                       "readers"};
  for (const std::string_view name : kBeside) {
    if (rest == name) return true;
  }
  return rest.starts_with("processing:") || rest.starts_with("lease:");
}

/// Why letters would come back, or destroy what the source has; empty: they would not.
std::string loop_of(const Endpoint& source, const Endpoint& letters) {
  if (is_redis(source) && is_redis(letters)) {
    const bool is_own =
        is_one_redis(source, letters) && is_key_of(source, letters.settings.text("key"));
    return is_own ? "the key \"" + letters.settings.text("key") + "\" that [source] reads" : "";
  }
  if (source.type != "lines" || letters.type != "lines") return "";
  const std::string path = letters.settings.text("path");
  if (is_one_file(source.settings.text("path"), path)) return "the file that [source] reads";
  const bool is_checkpoint = is_one_file(source.settings.text("checkpoint"), path);
  return is_checkpoint ? "the checkpoint of [source]" : "";
}

void check_moves(const DocumentValue* source, const Topology& topology, DocumentCheck& check) {
  const DocumentValue* pending = find(source, "pending");
  const auto* rules = pending ? pending->as<DocumentList>() : nullptr;
  if (!rules) return;
  for (const DocumentValue& rule : *rules) {
    const DocumentValue* key = find(find(&rule, "to"), "key");
    const auto* text = key ? key->as<std::string>() : nullptr;
    if (text && is_key_of(topology.source.endpoint, *text)) {
      check.report(key->position,
                   "'to' in [[source.pending]] is the key that [source] reads: what "
                   "is moved there would be read again, for ever");
    }
  }
}

}  // namespace

void check_endpoints(const DocumentTable& document, const Topology& topology,
                     DocumentCheck& check) {
  const DocumentValue* source = find(document, "source");
  const DocumentValue* letters = find(find(document, "failure"), "dead_letter");
  check_uri(source, "[source]", check);
  check_uri(letters, "[failure.dead_letter]", check);
  const DocumentValue* tasks = find(document, "task");
  if (const auto* list = tasks ? tasks->as<DocumentList>() : nullptr) {
    for (const DocumentValue& task : *list) check_uri(find(&task, "sink"), "[task.sink]", check);
  }
  check_moves(source, topology, check);
  if (!letters || !topology.failure.dead_letter) return;
  const std::string loop = loop_of(topology.source.endpoint, *topology.failure.dead_letter);
  if (loop.empty()) return;
  check.report(letters->position, "'dead_letter' in [failure] is " + loop +
                                      ": letters would come back as messages, in letters again");
}

}  // namespace tempest::runtime
