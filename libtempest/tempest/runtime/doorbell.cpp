#include "tempest/runtime/doorbell.hpp"

#include <sys/eventfd.h>
#include <unistd.h>

#include <stdexcept>

namespace tempest::runtime {

Doorbell::Doorbell() : descriptor_(::eventfd(0, EFD_NONBLOCK | EFD_CLOEXEC)) {
  if (descriptor_ < 0) throw std::runtime_error("no file descriptor left for a node's wake-ups");
}

Doorbell::~Doorbell() {
  ::close(descriptor_);
}

void Doorbell::ready(std::uint32_t /*events*/, Turn& /*turn*/) {
  std::uint64_t rings = 0;
  [[maybe_unused]] const auto taken = ::read(descriptor_, &rings, sizeof rings);
}

void Doorbell::write() const {
  const std::uint64_t one = 1;
  [[maybe_unused]] const auto written = ::write(descriptor_, &one, sizeof one);
}

}  // namespace tempest::runtime
