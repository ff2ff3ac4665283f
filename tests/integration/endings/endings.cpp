#include <unistd.h>

#include <chrono>
#include <condition_variable>
#include <cstdlib>
#include <exception>
#include <mutex>
#include <string>
#include <thread>

#include "tempest/task.hpp"

// Tasks that end what they run in, or leave something behind.

namespace {

/// Does what a message says, and hands every other on.
struct End : tempest::Task {
  tempest::Result<void> handle(const tempest::Message& message,
                               tempest::Context& context) override {
    const std::string what(message.payload);
    if (what == "exit") std::exit(0);
    if (what == "_exit") ::_exit(0);
    if (what == "_Exit") std::_Exit(0);
    if (what == "quick_exit") std::quick_exit(0);
    if (what == "terminate") std::terminate();
    if (what == "thread") {
      std::thread([] { std::exit(0); }).detach();
      hang();
    }
    if (what == "child") {
      // A child is not the program: it may end as it likes.
      const int status = std::system("exit 0");
      if (status != 0) return tempest::TaskError{tempest::TaskError::Kind::fail, "no shell", {}};
    }
    if (what == "forked child") {
      if (::fork() == 0) std::exit(0);
    }
    if (what == "orphan") {
      // Its parent, the shell, ends first; whoever is process 1 inherits it.
      if (std::system("sh -c 'exec true' &") != 0) return {};
    }
    if (what == "hang") hang();
    context.emit(message);
    return {};
  }

  [[noreturn]] static void hang() {
    std::mutex mutex;
    std::unique_lock lock(mutex);
    for (;;) std::condition_variable().wait_for(lock, std::chrono::hours(1));
  }
};

struct EndAtOpen : tempest::Task {
  tempest::Result<void> open(const tempest::Settings& /*config*/) override { std::exit(0); }
  tempest::Result<void> handle(const tempest::Message& /*message*/,
                               tempest::Context& /*context*/) override {
    return {};
  }
};

struct Nameless : std::exception {
  const char* what() const noexcept override { return nullptr; }
};

struct ThrowAtOpen : tempest::Task {
  tempest::Result<void> open(const tempest::Settings& /*config*/) override { throw Nameless(); }
  tempest::Result<void> handle(const tempest::Message& /*message*/,
                               tempest::Context& /*context*/) override {
    throw Nameless();
  }
};

}  // namespace

TEMPEST_TASKS(endings, End, EndAtOpen, ThrowAtOpen)
