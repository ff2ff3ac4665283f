#pragma once

#include <cstddef>
#include <initializer_list>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "tempest/runtime/redis.hpp"

namespace tempest::builtin {

/// Commands that are carried out in one step, in their order: a death at any moment finds all of
/// them done or none, and one that fails is the last. (A script, since after an error within
/// MULTI the commands that follow are carried out all the same.)
class RedisSteps {
 public:
  /// What the arguments view must outlive run().
  void add(std::span<const std::string_view> command);
  void add(std::initializer_list<std::string_view> command) {
    add(std::span(command.begin(), command.size()));
  }

  /// `keys`: all that the commands touch.
  Result<void> run(runtime::RedisConnection& connection,
                   std::initializer_list<std::string_view> keys) const;

 private:
  struct Command {
    std::string count;
    std::vector<std::string_view> words;
  };

  std::vector<Command> commands_;
};

}  // namespace tempest::builtin
