#include <sstream>
#include <string>
#include <vector>

#include "cli/dead_letter_store.hpp"
#include "cli/replay_to_source.hpp"
#include "cli/stats_tables.hpp"
#include "redis_pipe.hpp"

/// What the tools read of others: a Redis with dead letters, letters, and published statistics.
using namespace tempest;
using fuzz::require;

namespace {

constexpr std::size_t kMaxPages = 4;

void look_at(cli::LetterStore::Raw raw) {
  auto letter = cli::read_letter(std::move(raw.place), std::move(raw.text));
  if (!letter) return;
  cli::ReplayTarget target;
  static_cast<void>(cli::LetterFilter().matches(*letter));
  if (const auto fields = cli::entry_fields(*letter, target)) {
    require(fields->size() % 2 == 0, "a field without a value");
  }
  require(!cli::replay_mark(*letter).empty(), "a replay without a mark");
}

void read_stream(std::uint8_t choices, std::string_view replies) {
  const fuzz::Pipe pipe(replies);
  cli::LetterStream letters({fuzz::address_of(choices), "dead", "value"});
  if (!letters.open()) return;
  for (std::size_t i = 0; i < kMaxPages; ++i) {
    std::vector<cli::LetterStore::Raw> entries;
    if (!letters.read(entries) || entries.empty()) return;
    for (cli::LetterStore::Raw& raw : entries) look_at(std::move(raw));
  }
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  fuzz::Input input(data, size);
  const std::uint8_t choices = input.byte();
  const std::string rest(input.rest());
  std::ostringstream out;
  switch (choices >> 6) {
    case 0:
    case 1:
      read_stream(choices, rest);
      break;
    case 2:
      look_at({{"1-1", 0, 0}, rest});
      break;
    default:
      static_cast<void>(cli::print_stats_tables(rest, out));
  }
  return 0;
}
