#include "tempest/sink.hpp"
#include "tempest/source.hpp"
#include "tempest/task.hpp"

// Compiled three times, as the libraries that task_libraries_test.cpp loads.

namespace {

struct Echo : tempest::Task {
  tempest::Result<void> handle(const tempest::Message& message,
                               tempest::Context& context) override {
    context.emit(message);
    return {};
  }
};

struct Refuse : tempest::Task {
  tempest::Result<void> handle(const tempest::Message& /*message*/,
                               tempest::Context& /*context*/) override {
    return tempest::TaskError{tempest::TaskError::Kind::fail, "no", {}};
  }
};

struct Explode : tempest::Task {
  Explode() { throw 1; }
  tempest::Result<void> handle(const tempest::Message& /*message*/,
                               tempest::Context& /*context*/) override {
    return {};
  }
};

struct Feed : tempest::Source {
  tempest::Result<void> open() override { return {}; }
  tempest::Result<void> poll(std::size_t /*max_messages*/, tempest::Duration /*wait*/,
                             tempest::SourceBatch& /*batch*/) override {
    return {};
  }
  tempest::Result<void> ack(std::span<const tempest::SourceToken> /*tokens*/) override {
    return {};
  }
  std::string describe(const tempest::SourceToken& /*token*/) const override { return "fed"; }
};

struct Keep : tempest::Sink {
  tempest::Result<void> open() override { return {}; }
  tempest::Result<void> write(std::span<const tempest::Message> /*messages*/) override {
    return {};
  }
};

}  // namespace

#if defined(FIXTURE_good)
TEMPEST_TASKS(fixture_good, Echo, Refuse, Explode, Feed, Keep)
#elif defined(FIXTURE_old)
extern "C" __attribute__((visibility("default"))) const tempest::TaskLibrary*
tempest_library_fixture_old() {
  // Had anything but the version been looked at, this would crash.
  static const tempest::TaskLibrary description = {tempest::TaskLibrary::kAbi + 1,
                                                   reinterpret_cast<const char*>(1), nullptr, 7};
  return &description;
}
#endif
