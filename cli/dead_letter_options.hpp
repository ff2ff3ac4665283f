#pragma once

#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "cli/dead_letter.hpp"
#include "cli/dead_letter_store.hpp"
#include "tempest/base/result.hpp"
#include "tempest/runtime/command_line.hpp"
#include "tempest/topology.hpp"

/// What the verbs of `tempest dlq` have in common.
namespace tempest::cli {

/// How to end with this error.
int exit_code_of(const Error& error);
/// Prints "program: message" on standard error; how to end with it.
int complain(const std::string& program, const Error& error);

/// --topology, --uri, --key, --field, --file: where the letters are.
void add_letter_store_options(runtime::CommandLine& line);
/// --topology-name, --task, --kind, --older, --newer, --text, --id, --limit.
void add_letter_filter_options(runtime::CommandLine& line, const std::string& default_limit);
/// --output.
void add_letter_output_option(runtime::CommandLine& line);

/// After parse(). Wrong values: line.failed().
LetterFilter read_letter_filter(runtime::CommandLine& line);
bool wants_json(runtime::CommandLine& line);
std::uint64_t read_letter_limit(runtime::CommandLine& line);

struct OpenedLetters {
  std::unique_ptr<LetterStore> store;
  std::optional<Topology> topology;  ///< Of --topology, where it was read.
};

/// Opens what add_letter_store_options() named. The topology is read only if the letters' place is
/// not given otherwise, or if `wants_topology`: TEMPEST_TOPOLOGY may be a name, as nodes take it.
/// Nothing: it has been said why, and `exit_code` says how to end.
std::optional<OpenedLetters> open_letters(runtime::CommandLine& line, const std::string& program,
                                          int& exit_code, bool wants_topology = false);

/// Prints letters as they come: a table at the end, or a JSON object a line at once.
class LetterList {
 public:
  explicit LetterList(bool json);
  ~LetterList();
  LetterList(const LetterList&) = delete;
  LetterList& operator=(const LetterList&) = delete;

  void add(const StoredLetter& letter);
  void print();
  std::uint64_t count() const { return count_; }

 private:
  struct Table;
  std::unique_ptr<Table> table_;
  std::uint64_t count_ = 0;
};

/// The letter's JSON with its id in front; indented, if asked for.
std::string letter_json(const StoredLetter& letter, bool indented);

/// On standard error, if there is any need: what was left out, and why.
void report_left_out(const LetterReader& reader, const std::string& program);

/// "1 letter", "12 letters".
std::string letters(std::uint64_t count);

}  // namespace tempest::cli
