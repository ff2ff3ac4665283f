#include "source_node/message_store.hpp"

namespace tempest::source_node {

std::string MessageStore::replayed(std::uint32_t slot) const {
  const auto found = replayed_.find(slot);
  return found == replayed_.end() ? std::string() : found->second;
}

}  // namespace tempest::source_node
