#pragma once

#include <cstddef>
#include <functional>
#include <memory>
#include <optional>
#include <vector>

#include "tempest/runtime/leadership.hpp"
#include "tempest/runtime/loop_member.hpp"
#include "tempest/runtime/poller.hpp"

namespace tempest::runtime {

/// Drives the loop of one node, or of several together: then what they send each other wakes
/// nobody. One thread at a time does so: the loop's own, which is the one that calls run(), or that
/// of one node's calls while those are brief (runtime/leadership.hpp).
class LoopDriver : public std::enable_shared_from_this<LoopDriver> {
 public:
  using OnEnd = std::function<void(std::size_t member, int exit_code)>;

  /// Owned by shared pointers: a call that comes back late still asks whether it leads. `on_end` is
  /// told in the loop's own thread as each ends. All others outlive run().
  LoopDriver(std::vector<LoopMember*> members, OnEnd on_end);
  LoopDriver(const LoopDriver&) = delete;
  LoopDriver& operator=(const LoopDriver&) = delete;

  /// Until all have ended.
  void run();

 private:
  /// A member's connections, to be looked at.
  struct Look final : Watcher {
    void ready(std::uint32_t /*events*/, Turn& /*turn*/) override { wanted = true; }
    bool wanted = false;
  };
  enum class Left : std::uint8_t { ended, leadership };
  /// In place of a member: the loop's own thread.
  static constexpr std::size_t kOwnThread = ~std::size_t{0};

  Left drive(std::size_t driver);
  /// False: another thread drives the loop now, or may at any moment.
  bool make_calls(std::size_t member, std::size_t driver);
  bool has_reason(std::size_t member, TimePoint now) const;
  void wait();
  void wait_for_all(TimePoint until);
  bool has_news() const;
  /// Of those that have finished since.
  void end_finished();

  std::vector<LoopMember*> members_;
  OnEnd on_end_;
  std::size_t running_;  ///< Members that have not ended.
  Leadership leadership_;
  // Of several.
  std::unique_ptr<Poller> poller_;  ///< Waits for all members' own ones.
  std::vector<Look> looks_;
  unsigned rounds_without_look_ = 0;
};

}  // namespace tempest::runtime
