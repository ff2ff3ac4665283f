#pragma once

#include <atomic>
#include <condition_variable>
#include <cstdint>
#include <mutex>

#include "tempest/base/time.hpp"

namespace tempest::runtime {

/// Which of two threads drives a loop. The loop's own thread always may; another may in its place,
/// and lends the loop while it makes a call of which nobody knows how long it takes. If that takes
/// long, the loop's own thread goes on with the loop, and whoever comes back from the call finds
/// that it does not lead any more.
///
///     leader                                     the loop's own thread, while it does not lead
///     token = lend(now)                          wait_to_lead()
///     make the call
///     if (!take_back(token)) leave the loop
///
/// What the leader did is known to the next. A loan that comes back costs two writes of one word.
class Leadership {
 public:
  /// When the loan began: no two are the same.
  using Token = std::int64_t;

  /// How long a loan may last before the loop's own thread takes over: long beside the calls that
  /// are worth it, short beside anybody's lease.
  static constexpr Duration kPatience = std::chrono::milliseconds(5);

  /// By the leader.
  Token lend(TimePoint now);
  /// By whoever has lent it, or was given the token. False: another leads by now.
  bool take_back(Token token);
  /// By the leader, if it is not the loop's own thread: that one goes on.
  void give_back();
  /// By the loop's own thread after it has lent or passed on the loop: waits until it leads.
  void wait_to_lead();

 private:
  bool take_over(TimePoint now);

  /// Zero: somebody leads. Else the loan's token.
  std::atomic<Token> lent_{0};
  /// Of all loans; the leader's to write.
  std::atomic<Token> last_token_{0};
  /// The loop's own thread looks at loans only while there are any; else it has to be woken.
  std::atomic<bool> is_asleep_{false};
  std::mutex mutex_;
  std::condition_variable changed_;
  bool is_given_back_ = false;
};

}  // namespace tempest::runtime
