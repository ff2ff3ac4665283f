#pragma once

#include <span>
#include <string>

namespace tempest::cli {

/// A word of the command line that says what to do: of `tempest`, or of one of its verbs.
struct Verb {
  const char* name;
  const char* summary;
  /// Is given its own part of the command line (argv[0] is the verb), and gives the exit code.
  int (*command)(int argc, const char* const* argv);
};

/// Null if there is none of that name.
const Verb* find_verb(std::span<const Verb> verbs, const std::string& word);
/// A line each, as they stand in the help.
void print_verbs(std::span<const Verb> verbs);
/// Says on standard error that `word` is none of `program`'s verbs (or that there is none), with
/// the nearest right one; how to end with that.
int refuse_verb(const std::string& program, std::span<const Verb> verbs, const std::string& word);

}  // namespace tempest::cli
