#include "cli/dead_letter_options.hpp"

#include <algorithm>
#include <chrono>
#include <cstdio>
#include <iostream>
#include <limits>
#include <nlohmann/json.hpp>
#include <sstream>

#include "cli/checked_topology.hpp"
#include "cli/text_table.hpp"
#include "tempest/base/safe_text.hpp"
#include "tempest/base/spelling.hpp"
#include "tempest/runtime/exit_code.hpp"

namespace tempest::cli {
namespace {

constexpr std::size_t kReasonBytes = 60;

Result<std::unique_ptr<LetterStore>> store_of_flags(const runtime::CommandLine& line) {
  if (const std::string file = line.text("file"); !file.empty()) {
    return letter_store_of({"lines", [&] {
                              Settings settings;
                              settings.set("path", {file});
                              return settings;
                            }()});
  }
  Settings settings;
  settings.set("uri", {line.text("uri")});
  settings.set("key", {line.text("key")});
  settings.set("field", {line.text("field")});
  return letter_store_of({"redis_stream", settings});
}

}  // namespace

int exit_code_of(const Error& error) {
  switch (error.code) {
    case ErrorCode::unavailable:
    case ErrorCode::timeout:
      return runtime::kExitUnavailable;
    case ErrorCode::configuration:
    case ErrorCode::invalid_argument:
      return runtime::kExitConfiguration;
    case ErrorCode::internal:
      return runtime::kExitInternal;
    default:
      return runtime::kExitInputOutput;
  }
}

int complain(const std::string& program, const Error& error) {
  std::cerr << program << ": " << safe_text(error.message) << "\n";
  return exit_code_of(error);
}

void add_letter_store_options(runtime::CommandLine& line) {
  line.option("topology", "FILE", "A topology's file: its [failure] dead_letter is read")
      .option("uri", "URI", "Or: the Redis with the dead letters", "redis://127.0.0.1:6379/0")
      .option("key", "KEY", "Its stream of dead letters")
      .option("field", "FIELD", "The field with the letter", "value")
      .option("file", "FILE", "Or: a file with a dead letter in each line");
}

void add_letter_filter_options(runtime::CommandLine& line, const std::string& default_limit) {
  line.option("topology-name", "NAME", "Only letters of this topology")
      .option("task", "NAME", "Only what failed in this task")
      .option("kind", "KIND",
              "Only this kind of failure: error, timeout, task_timeout, worker_lost, expired, "
              "too_large, never_done or too_many")
      .option("older", "DURATION", "Only what failed longer ago")
      .option("newer", "DURATION", "Only what failed since then")
      .option("text", "TEXT", "Only with this in reason, payload, failing payload or key")
      .list("id", "ID", "Only this letter; several with commas")
      .option("limit", "N", "No more than so many, the oldest first; 0: all", default_limit);
}

void add_letter_output_option(runtime::CommandLine& line) {
  line.option("output", "FORMAT", "table, or json: an object a line (also: -o FORMAT)", "table");
}

LetterFilter read_letter_filter(runtime::CommandLine& line) {
  LetterFilter filter;
  filter.topology = line.text("topology-name");
  filter.task = line.text("task");
  filter.kind = line.text("kind");
  filter.text = line.text("text");
  // No id holds a comma.
  for (const std::string& list : line.texts("id")) {
    std::istringstream ids(list);
    for (std::string id; std::getline(ids, id, ',');) {
      if (!id.empty()) filter.ids.push_back(id);
    }
  }
  const auto& kinds = letter_kinds();
  if (!filter.kind.empty() && std::find(kinds.begin(), kinds.end(), filter.kind) == kinds.end()) {
    const auto nearest = nearest_name(filter.kind, kinds);
    line.fail("there is no kind of failure '" + filter.kind + "'" +
              (nearest ? "; did you mean '" + *nearest + "'?" : ""));
  }
  const WallTime now = std::chrono::system_clock::now();
  const auto ago = [&](const char* name) -> std::optional<WallTime> {
    if (line.text(name).empty()) return std::nullopt;
    return now - std::chrono::duration_cast<WallTime::duration>(line.duration(name));
  };
  filter.failed_before = ago("older");
  filter.failed_after = ago("newer");
  return filter;
}

bool wants_json(runtime::CommandLine& line) {
  const std::string format = line.text("output");
  if (format != "json" && format != "table") {
    line.fail("--output is table or json, not '" + format + "'");
  }
  return format == "json";
}

std::uint64_t read_letter_limit(runtime::CommandLine& line) {
  return static_cast<std::uint64_t>(
      line.integer("limit", 0, std::numeric_limits<std::int64_t>::max()));
}

std::optional<OpenedLetters> open_letters(runtime::CommandLine& line, const std::string& program,
                                          int& exit_code, bool wants_topology) {
  OpenedLetters letters;
  const std::string file = line.text("topology");
  const bool named = !line.text("file").empty() || !line.text("key").empty();
  if (!named && file.empty()) {
    line.fail("say where the dead letters are, with --topology, --uri and --key, or --file");
    exit_code = runtime::kExitUsage;
    return std::nullopt;
  }
  if (!file.empty() && (!named || wants_topology)) {
    std::vector<runtime::Diagnostic> diagnostics;
    letters.topology = runtime::load_topology(file, diagnostics);
    if (!letters.topology) {
      exit_code = report_diagnostics(diagnostics, file);
      return std::nullopt;
    }
  }
  if (!named && !letters.topology->failure.dead_letter) {
    std::cerr << safe_text(file)
              << ": there is no dead_letter in [failure], so there are no dead letters\n";
    exit_code = runtime::kExitConfiguration;
    return std::nullopt;
  }
  auto store =
      named ? store_of_flags(line) : letter_store_of(*letters.topology->failure.dead_letter);
  const Result<void> opened = store ? (*store)->open() : Result<void>(store.error());
  if (!opened) {
    exit_code = complain(program, opened.error());
    return std::nullopt;
  }
  letters.store = std::move(*store);
  return letters;
}

struct LetterList::Table {
  TextTable table{
      {"ID", "FAILED AT", "TOPOLOGY", "TASK", "KIND", ">ATTEMPTS", ">REPLAYS", "REASON"}};
};

LetterList::LetterList(bool json) : table_(json ? nullptr : std::make_unique<Table>()) {}
LetterList::~LetterList() = default;

void LetterList::add(const StoredLetter& letter) {
  ++count_;
  if (!table_) {
    std::cout << letter_json(letter, false) << "\n";
    return;
  }
  const std::uint64_t attempts = std::max(letter.attempts, letter.delivery_attempts);
  table_->table.add({letter.place.id, safe_text(letter.failed_at), safe_text(letter.topology),
                     letter.task.empty() ? "-" : safe_text(letter.task), safe_text(letter.kind),
                     std::to_string(attempts), std::to_string(letter.replays),
                     safe_text(letter.reason, kReasonBytes)});
}

void LetterList::print() {
  if (table_) table_->table.print(std::cout);
  std::cout.flush();
}

std::string letter_json(const StoredLetter& letter, bool indented) {
  using Json = nlohmann::ordered_json;
  Json json = {{"id", letter.place.id}};
  json.update(Json::parse(letter.text));
  json["id"] = letter.place.id;
  return json.dump(indented ? 2 : -1, ' ', false, Json::error_handler_t::replace);
}

void report_left_out(const LetterReader& reader, const std::string& program) {
  if (reader.unreadable() > 0) {
    std::cerr << program << ": " << reader.unreadable()
              << " entries are no dead letters, and are left alone\n";
  }
  if (reader.was_cut()) std::cerr << program << ": there are more; --limit 0 is all of them\n";
}

std::string letters(std::uint64_t count) {
  return std::to_string(count) + (count == 1 ? " letter" : " letters");
}

}  // namespace tempest::cli
