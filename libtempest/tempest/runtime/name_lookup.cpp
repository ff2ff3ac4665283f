#include "tempest/runtime/name_lookup.hpp"

#include <system_error>
#include <thread>
#include <utility>

namespace tempest::runtime {

std::shared_ptr<NameLookup> NameLookup::begin(const std::string& host, std::uint16_t port,
                                              std::shared_ptr<Doorbell> doorbell) {
  auto lookup = std::make_shared<NameLookup>();
  try {
    std::thread([lookup, host, port, doorbell = std::move(doorbell)] {
      auto found = look_up_address(host, port);
      {
        const std::lock_guard lock(lookup->mutex_);
        lookup->answer_ = std::move(found);
      }
      doorbell->ring();
    }).detach();
  } catch (const std::system_error& error) {
    lookup->answer_ = Error{ErrorCode::unavailable, std::string("no thread: ") + error.what()};
  }
  return lookup;
}

std::optional<Result<SocketAddress>> NameLookup::answer() const {
  const std::lock_guard lock(mutex_);
  return answer_;
}

}  // namespace tempest::runtime
