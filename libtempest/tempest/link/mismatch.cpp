#include "tempest/link/mismatch.hpp"

namespace tempest::link {

std::string mismatch(const Party& meant, const Party& found) {
  const std::string who(found.name);
  if (!found.topology.empty() && meant.topology != found.topology) {
    return who + " serves topology " + std::string(found.topology) + ", not " +
           (meant.topology.empty() ? "a node without one" : std::string(meant.topology));
  }
  if (!meant.name.empty() && meant.name != found.name) {
    return std::string(meant.name) + " was meant, and this is " + who;
  }
  if (meant.incarnation != Incarnation{} && meant.incarnation != found.incarnation) {
    return who + " was started anew since: " + to_string(meant.incarnation) +
           " was meant, and this is " + to_string(found.incarnation);
  }
  return {};
}

}  // namespace tempest::link
