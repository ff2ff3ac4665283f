#include "tempest/builtin/unknown_name.hpp"

#include "tempest/base/spelling.hpp"

namespace tempest::builtin {

Error unknown_name(std::string_view what, std::string_view word,
                   std::span<const std::string> candidates) {
  std::string message = "unknown " + std::string(what) + " \"" + std::string(word) + "\"";
  if (const auto nearest = nearest_name(word, candidates)) {
    message += "; did you mean \"" + *nearest + "\"?";
  }
  message += " There are: ";
  for (std::size_t i = 0; i < candidates.size(); ++i) {
    if (i > 0) message += ", ";
    message += candidates[i];
  }
  return Error{ErrorCode::configuration, std::move(message)};
}

}  // namespace tempest::builtin
