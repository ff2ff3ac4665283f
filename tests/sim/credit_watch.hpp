#pragma once

#include <cstdint>
#include <map>
#include <set>
#include <string_view>
#include <utility>
#include <vector>

#include "tempest/base/ids.hpp"
#include "tempest/wire/frames.hpp"

namespace tempest::sim {

class World;

/// Reads what nodes send each other, and keeps its own accounts of each session by it: what a
/// sender of work (a source to a coordinator, a coordinator to a worker) has been allowed, what it
/// has out, and how many frames it has not seen confirmed. So a machine that miscounts is found,
/// whatever it believes itself.
class CreditWatch {
 public:
  explicit CreditWatch(World& world) : world_(world) {}

  /// Some host is about to take what has come in, then to send what comes of it.
  void begin_step();
  /// The host's machine is given this.
  void received(std::size_t host, std::string_view frame);
  /// The host's machine has sent this.
  void sent(std::size_t host, std::string_view frame);
  /// Its process is gone, and its sessions with it.
  void died(std::size_t host);

  /// Of what tasks it has sent deliveries in this step.
  const std::vector<TaskId>& fed() const { return fed_; }

  /// One worker as a coordinator's newest session with it has it.
  struct AtWorker {
    bool has_attached = false;
    std::uint64_t window_messages = 0;
    std::size_t out = 0;
    bool is_blocked = false;  ///< By frames that are not confirmed.
  };
  AtWorker at_worker(std::size_t coordinator, std::size_t worker) const;
  /// Credit that the source has from the coordinator, in messages.
  std::uint64_t window_of_source(std::size_t source, std::size_t coordinator) const;

 private:
  /// One end of one session.
  struct End {
    std::uint64_t last_received = 0;  ///< In order.
    std::uint64_t last_sent = 0;
    std::uint64_t confirmed = 0;
    std::uint64_t confirmed_at_step = 0;
    std::uint64_t sent_at_step = 0;
    std::uint64_t step = 0;
    // Of an end that sends work.
    bool has_attached = false;
    wire::Window window;
    std::map<std::uint64_t, std::uint64_t> out;  ///< By packed id: bytes.
    /// By packed id: task and key slot of what is out of tasks grouped by key.
    std::map<std::uint64_t, std::pair<TaskId, std::size_t>> slots_out;
    std::uint64_t out_bytes = 0;
    std::set<std::uint64_t> answered;  ///< Where workers stutter.
  };
  /// By host and session.
  using Key = std::pair<std::size_t, std::uint64_t>;

  void take_body(std::size_t host, End& end, wire::BodyKind kind, std::string_view body);
  void hand_out(std::size_t host, End& end, std::uint64_t id, std::uint64_t bytes);
  /// What is out of a key slot is at one worker, whichever coordinator has sent it.
  void check_owner(std::size_t host, std::uint64_t session, TaskId task, std::size_t slot);
  void answered(std::size_t host, End& end, std::uint64_t id, const char* what);
  void open(std::size_t host, std::string_view frame);
  const End* newest(std::size_t host, std::size_t peer) const;
  std::uint64_t unconfirmed(const End& end) const { return end.last_sent - end.confirmed; }

  World& world_;
  std::map<Key, End> ends_;
  std::set<Key> welcomed_;
  std::set<Key> dead_;  ///< Ends of lives of hosts that are over.
  /// By host and its peer: the newest session that the host knows.
  std::map<std::pair<std::size_t, std::size_t>, std::uint64_t> newest_;
  std::map<std::uint64_t, std::size_t> openers_;    ///< By HELLO.
  std::map<std::uint64_t, std::size_t> accepters_;  ///< By session.
  std::uint64_t step_ = 0;
  std::vector<TaskId> fed_;
  /// Since slots are watched, and nobody comes or goes: who has been given anything of a slot.
  std::map<std::pair<TaskId, std::size_t>, std::size_t> owners_;
  wire::Messages messages_;
  wire::Outcomes outcomes_;
  wire::Deliveries deliveries_;
  wire::Results results_;
};

}  // namespace tempest::sim
