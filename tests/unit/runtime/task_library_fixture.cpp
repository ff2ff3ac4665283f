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

struct Window : tempest::Task {
  void declare(tempest::Declarations& about) const override {
    using tempest::Setting;
    about.summary("Counts by windows")
        .setting("window", Setting::duration, "5m", "How long a window is open")
        .setting("size", Setting::size, "", "How much it holds")
        .setting("share", Setting::number, "0.5", "How much of it")
        .setting("strict", Setting::boolean, "false", "Whether")
        .required("limit", Setting::integer, "The most")
        .choice("mode", {"sliding", "tumbling"}, "Which kind")
        .output("late", "Messages that came too late")
        .output("error", "Messages that are none");
  }
  tempest::Result<void> handle(const tempest::Message& /*message*/,
                               tempest::Context& /*context*/) override {
    return {};
  }
};

struct Refuse : tempest::Task {
  tempest::Result<void> handle(const tempest::Message& /*message*/,
                               tempest::Context& /*context*/) override {
    return tempest::TaskError{tempest::TaskError::Kind::fail, "no", {}};
  }
};

struct Nameless : std::exception {
  const char* what() const noexcept override { return nullptr; }
};

struct ExplodeSilently : tempest::Task {
  ExplodeSilently() { throw Nameless(); }
  tempest::Result<void> handle(const tempest::Message& /*message*/,
                               tempest::Context& /*context*/) override {
    return {};
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
TEMPEST_TASKS(fixture_good, Echo, Window, Refuse, Explode, ExplodeSilently, Feed, Keep)
#elif defined(FIXTURE_old)
extern "C" __attribute__((visibility("default"))) const tempest::TaskLibrary*
tempest_library_fixture_old() {
  // Had anything but the version been looked at, this would crash.
  static const tempest::TaskLibrary description = {tempest::TaskLibrary::kAbi + 1,
                                                   reinterpret_cast<const char*>(1), nullptr, 7};
  return &description;
}
#endif
