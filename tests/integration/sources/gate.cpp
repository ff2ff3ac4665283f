// Tasks that a test holds in its hand.

#include <fcntl.h>
#include <unistd.h>

#include <csignal>
#include <fstream>
#include <string>

#include "tempest/task.hpp"

namespace gate {

/// Adds a line with the attempt's number to FOLDER/at for each call: a test sees that it came here.
class Noted : public tempest::Task {
 public:
  tempest::Result<void> open(const tempest::Settings& config) override {
    folder_ = config.text("folder");
    extend_ = config.duration("extend");
    return {};
  }

 protected:
  void note(const tempest::Context& context) const {
    std::ofstream(folder_ + "/at", std::ios::app) << context.attempt() << "\n";
  }

  std::string folder_;
  tempest::Duration extend_{};
};

/// Waits until somebody opens the FIFO FOLDER/gate to write, then hands the message on. With
/// `extend` it asks for so much time first.
class Wait : public Noted {
 public:
  tempest::Result<void> handle(const tempest::Message& message,
                               tempest::Context& context) override {
    if (extend_ > tempest::Duration::zero()) context.extend(extend_);
    note(context);
    const int end = ::open((folder_ + "/gate").c_str(), O_RDONLY | O_CLOEXEC);
    if (end < 0) return tempest::TaskError{tempest::TaskError::Kind::fail, "no gate"};
    ::close(end);
    context.emit(message);
    return {};
  }
};

/// Kills its worker.
class Die : public Noted {
 public:
  tempest::Result<void> handle(const tempest::Message& /*message*/,
                               tempest::Context& context) override {
    note(context);
    static_cast<void>(std::raise(SIGKILL));
    return {};
  }
};

}  // namespace gate

using gate::Die;
using gate::Wait;
TEMPEST_TASKS(gate, Wait, Die)
