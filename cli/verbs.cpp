#include "cli/verbs.hpp"

#include <algorithm>
#include <iostream>
#include <vector>

#include "tempest/base/safe_text.hpp"
#include "tempest/base/spelling.hpp"
#include "tempest/runtime/exit_code.hpp"

namespace tempest::cli {

const Verb* find_verb(std::span<const Verb> verbs, const std::string& word) {
  const auto found = std::find_if(verbs.begin(), verbs.end(),
                                  [&word](const Verb& verb) { return word == verb.name; });
  return found == verbs.end() ? nullptr : &*found;
}

void print_verbs(std::span<const Verb> verbs) {
  for (const Verb& verb : verbs) {
    const std::string name = verb.name;
    std::cout << "  " << name << std::string(12 - name.size(), ' ') << verb.summary << "\n";
  }
}

int refuse_verb(const std::string& program, std::span<const Verb> verbs, const std::string& word) {
  std::string what = "missing verb";
  if (!word.empty()) {
    std::vector<std::string> names;
    for (const Verb& verb : verbs) names.emplace_back(verb.name);
    what = "there is no verb '" + word + "'";
    if (const auto nearest = nearest_name(word, names)) {
      what += "; did you mean '" + *nearest + "'?";
    }
  }
  std::cerr << program << ": " << safe_text(what) << "; see " << program << " --help\n";
  return runtime::kExitUsage;
}

}  // namespace tempest::cli
