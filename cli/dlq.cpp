#include <iostream>
#include <string>
#include <vector>

#include "cli/commands.hpp"
#include "cli/dead_letter_options.hpp"
#include "cli/dlq_replay.hpp"
#include "cli/letter_census.hpp"
#include "cli/verbs.hpp"
#include "tempest/base/safe_text.hpp"
#include "tempest/runtime/exit_code.hpp"
#include "tempest/runtime/safe_output.hpp"

namespace tempest::cli {
namespace {

constexpr std::size_t kRemovedTogether = 500;

int list(int argc, const char* const* argv) {
  const std::string program = "tempest dlq ls";
  runtime::CommandLine line(program, "Lists dead letters, the oldest first.");
  add_letter_store_options(line);
  add_letter_filter_options(line, "100");
  add_letter_output_option(line);
  line.example("tempest dlq ls --topology Topology.toml --newer 1h", "what failed in the last hour")
      .example(
          "tempest dlq ls --key wordcount.dead --limit 0 -o json | jq .reason | sort | uniq -c",
          "how often for which reason");
  if (const auto exit = line.parse(argc, argv)) return *exit;
  const LetterFilter filter = read_letter_filter(line);
  const std::uint64_t limit = read_letter_limit(line);
  LetterList shown(wants_json(line));
  if (line.failed()) return runtime::kExitUsage;
  int exit_code = runtime::kExitOk;
  auto opened = open_letters(line, program, exit_code);
  if (!opened) return exit_code;

  LetterReader reader(*opened->store, filter, limit);
  const auto read = reader.for_each([&shown](const StoredLetter& letter) -> Result<void> {
    shown.add(letter);
    return {};
  });
  if (!read) return complain(program, read.error());
  shown.print();
  report_left_out(reader, program);
  return runtime::kExitOk;
}

void print_letter(const StoredLetter& letter) {
  const std::pair<const char*, std::string> rows[] = {
      {"id", letter.place.id},
      {"topology", letter.topology + " (version " + letter.version + ")"},
      {"task", letter.task},
      {"kind", letter.kind},
      {"reason", letter.reason},
      {"worker", letter.worker},
      {"attempts", std::to_string(letter.attempts) + ", of the failing delivery " +
                       std::to_string(letter.delivery_attempts)},
      {"source", letter.source},
      {"read at", letter.read_at},
      {"failed at", letter.failed_at},
      {"replayed", letter.replays == 0 ? ""
                                       : std::to_string(letter.replays) + " times, from letter " +
                                             letter.replayed_letter},
      {"key", letter.key},
      {"payload", letter.payload},
      {"failing payload", letter.failing_payload}};
  for (const auto& [name, value] : rows) {
    if (value.empty()) continue;
    const std::string title(name);
    std::cout << title << std::string(17 - title.size(), ' ') << safe_text(value) << "\n";
  }
}

int show(int argc, const char* const* argv) {
  const std::string program = "tempest dlq show";
  runtime::CommandLine line(program, "Shows dead letters whole.");
  line.positional("ID", "A letter's id, as `tempest dlq ls` gives it", true, true);
  add_letter_store_options(line);
  add_letter_output_option(line);
  line.example("tempest dlq show 1700000000000-0 --topology Topology.toml", "one letter")
      .example("tempest dlq show 1700000000000-0 --key wordcount.dead -o json", "with its history");
  if (const auto exit = line.parse(argc, argv)) return *exit;
  const bool json = wants_json(line);
  if (line.failed()) return runtime::kExitUsage;
  int exit_code = runtime::kExitOk;
  auto opened = open_letters(line, program, exit_code);
  if (!opened) return exit_code;

  LetterFilter filter;
  filter.ids = line.texts("ID");
  LetterReader reader(*opened->store, filter, 0);
  std::vector<std::string> missing = filter.ids;
  bool is_first = true;
  const auto read = reader.for_each([&](const StoredLetter& letter) -> Result<void> {
    std::erase(missing, letter.place.id);
    if (json) {
      std::cout << letter_json(letter, true) << "\n";
      return {};
    }
    if (!is_first) std::cout << "\n";
    is_first = false;
    print_letter(letter);
    return {};
  });
  if (!read) return complain(program, read.error());
  std::cout.flush();
  for (const std::string& id : missing) {
    std::cerr << program << ": there is no letter " << safe_text(id) << " in "
              << opened->store->shown() << "\n";
  }
  return missing.empty() ? runtime::kExitOk : runtime::kExitCheckFailed;
}

int export_letters(int argc, const char* const* argv) {
  const std::string program = "tempest dlq export";
  runtime::CommandLine line(program,
                            "Writes dead letters to standard output as they are, a line each, and "
                            "leaves them where they are. Such a file is one for --file.");
  add_letter_store_options(line);
  add_letter_filter_options(line, "0");
  line.example("tempest dlq export --topology Topology.toml > dead.jsonl", "all of them");
  if (const auto exit = line.parse(argc, argv)) return *exit;
  const LetterFilter filter = read_letter_filter(line);
  const std::uint64_t limit = read_letter_limit(line);
  if (line.failed()) return runtime::kExitUsage;
  int exit_code = runtime::kExitOk;
  auto opened = open_letters(line, program, exit_code);
  if (!opened) return exit_code;

  LetterReader reader(*opened->store, filter, limit);
  const Error unwritten{ErrorCode::io, "cannot write to standard output"};
  const auto written = reader.for_each([&](const StoredLetter& letter) -> Result<void> {
    if (!(runtime::raw_output() << letter.text << "\n")) return unwritten;
    return {};
  });
  if (!written) return complain(program, written.error());
  if (!runtime::raw_output().flush()) return complain(program, unwritten);
  report_left_out(reader, program);
  return runtime::kExitOk;
}

int remove(int argc, const char* const* argv) {
  const std::string program = "tempest dlq rm";
  runtime::CommandLine line(program, "Removes dead letters for good, with the messages in them.");
  add_letter_store_options(line);
  add_letter_filter_options(line, "0");
  add_letter_output_option(line);
  line.flag("dry-run", "Only list what would be removed")
      .flag("force", "Remove all where no filter says which, and do not ask")
      .example("tempest dlq rm --topology Topology.toml --older 30d --dry-run", "what would go")
      .example("tempest dlq rm --topology Topology.toml --id 1700000000000-0", "one letter");
  if (const auto exit = line.parse(argc, argv)) return *exit;
  const LetterFilter filter = read_letter_filter(line);
  const std::uint64_t limit = read_letter_limit(line);
  const bool dry = line.has_flag("dry-run");
  LetterList shown(wants_json(line));
  if (filter.empty() && !dry && !line.has_flag("force")) {
    line.fail("no filter says which letters to remove; --force removes them all");
  }
  if (line.failed()) return runtime::kExitUsage;
  int exit_code = runtime::kExitOk;
  auto opened = open_letters(line, program, exit_code);
  if (!opened) return exit_code;
  if (!dry) {
    const auto refused =
        announce(*opened->store, {program, "remove", filter, limit, line.has_flag("force")});
    if (!refused) return complain(program, refused.error());
    if (*refused) return **refused;
  }

  LetterReader reader(*opened->store, filter, limit);
  std::vector<LetterPlace> places;
  std::uint64_t count = 0;
  const auto remove_gathered = [&]() -> Result<void> {
    auto removed = opened->store->remove(places);
    places.clear();
    return removed;
  };
  auto done = reader.for_each([&](const StoredLetter& letter) -> Result<void> {
    ++count;
    if (dry) {
      shown.add(letter);
      return {};
    }
    places.push_back(letter.place);
    return places.size() < kRemovedTogether ? Result<void>() : remove_gathered();
  });
  if (done && !places.empty()) done = remove_gathered();
  if (!done) return complain(program, done.error());
  if (dry) shown.print();
  report_left_out(reader, program);
  std::cerr << program << ": " << (dry ? "would remove " : "removed ") << letters(count) << "\n";
  return runtime::kExitOk;
}

constexpr Verb kVerbs[] = {
    {"ls", "List dead letters", list},
    {"show", "Show some of them whole", show},
    {"replay", "Run their messages again, from the start or from the failed task",
     dlq_replay_command},
    {"rm", "Remove them", remove},
    {"export", "Write them to standard output", export_letters},
};

void print_help() {
  std::cout << "Looks after dead letters: messages that failed for good.\n\n"
               "Usage:\n  tempest dlq VERB [options]\n\nVerbs:\n";
  print_verbs(kVerbs);
  std::cout << "\nOptions:\n  -h, --help  Show this help; tempest dlq VERB --help shows a verb's\n"
               "\nExamples:\n"
               "  tempest dlq ls --topology Topology.toml\n"
               "      what failed, and why\n"
               "  tempest dlq replay --topology Topology.toml --task count --from failed-task\n"
               "      after the fault is mended\n";
}

}  // namespace

int dlq_command(int argc, const char* const* argv) {
  const std::string word = argc > 1 ? argv[1] : "";
  if (word == "--help" || word == "-h" || word == "help") {
    print_help();
    return runtime::kExitOk;
  }
  const Verb* verb = find_verb(kVerbs, word);
  if (verb == nullptr) return refuse_verb("tempest dlq", kVerbs, word);
  std::vector<const char*> words(argv + 1, argv + argc);
  for (const char*& each : words) {
    if (std::string(each) == "-o") each = "--output";
  }
  return verb->command(static_cast<int>(words.size()), words.data());
}

}  // namespace tempest::cli
