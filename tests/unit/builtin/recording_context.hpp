#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "tempest/task.hpp"

namespace tempest::test {

/// Keeps what a task emits.
class RecordingContext : public Context {
 public:
  void emit(const Message& message, std::string_view /*output*/) override {
    payloads.emplace_back(message.payload);
    keys.emplace_back(message.key);
  }
  std::string_view task() const override { return "task"; }
  std::string_view origin() const override { return "source"; }
  std::uint32_t attempt() const override { return attempt_number; }

  std::uint32_t attempt_number = 1;
  std::vector<std::string> payloads;
  std::vector<std::string> keys;
};

}  // namespace tempest::test
