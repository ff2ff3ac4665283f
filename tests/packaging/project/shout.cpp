#include <cctype>
#include <string>

#include "tempest/task.hpp"

/// Makes text upper case, and puts the topology's `suffix` behind it.
struct Shout : tempest::Task {
  tempest::Result<void> open(const tempest::Settings& config) override {
    suffix_ = config.text("suffix");
    return {};
  }

  tempest::Result<void> handle(const tempest::Message& message,
                               tempest::Context& context) override {
    std::string text(message.payload);
    for (char& c : text) c = static_cast<char>(std::toupper(static_cast<unsigned char>(c)));
    context.emit(text + suffix_);
    return {};
  }

 private:
  std::string suffix_;
};

TEMPEST_TASKS(shout, Shout)
