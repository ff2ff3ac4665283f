// A task that takes its worker down with it.

#include <cstdlib>

#include "tempest/task.hpp"

namespace poison {

/// Hands messages on; the process dies of the message "poison".
class DieOfPoison : public tempest::Task {
 public:
  tempest::Result<void> handle(const tempest::Message& message,
                               tempest::Context& context) override {
    if (message.payload == "poison") std::abort();
    context.emit(message);
    return {};
  }
};

}  // namespace poison

using poison::DieOfPoison;
TEMPEST_TASKS(poison, DieOfPoison)
