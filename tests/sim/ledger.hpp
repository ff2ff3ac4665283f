#pragma once

#include <cstdint>
#include <map>
#include <string>
#include <string_view>
#include <unordered_map>
#include <vector>

#include "scenario.hpp"
#include "tempest/source.hpp"
#include "tempest/task.hpp"

namespace tempest::sim {

/// What becomes of one message at one task: a hash of the two, so that it can be known beforehand.
enum class Fate : std::uint8_t { good, filtered, sick, throwing, bad, lethal };

struct Emission {
  std::string output;
  std::string payload;
  std::string key;
};

/// What is to happen, what has happened, and whether the two agree: the checkers that need no look
/// into the machines. Payloads say what they come from: "m17" is a source message, "m17.b0" the
/// first output that task b made of it.
class Ledger {
 public:
  explicit Ledger(const Scenario& scenario) : scenario_(scenario) {}

  // --- The rules, known to tasks and checkers alike ---

  Fate fate(TaskId task, std::string_view payload) const;
  std::vector<Emission> outputs(TaskId task, std::string_view payload, std::string_view key) const;
  /// Of a task with gather = "all": one output less its name, whatever it was given.
  static std::string gathered_payload(std::string_view first_part);

  // --- What happens ---

  void produced(unsigned number, const SourceToken& token, std::string payload, std::string key);
  /// A task has been given this.
  void started(TaskId task, std::string_view payload, std::uint32_t attempt);
  /// With gather = "all": all of it, in one call.
  void gathered(TaskId task, std::span<const Message> parts);
  void succeeded(TaskId task, std::string_view payload);
  void failed(TaskId task, std::string_view payload);
  /// An attempt takes so long that others are begun beside it, and is to blame if they kill the
  /// worker.
  void hung(TaskId task, std::string_view payload);
  /// A sink has confirmed it.
  void sunk(std::string_view task, std::string_view payload);
  /// A coordinator has lost a worker that did not say goodbye.
  void worker_lost() { ++worker_losses_; }
  std::uint32_t worker_losses() const { return worker_losses_; }
  /// The sink said no.
  void sink_refused(std::string_view task, std::string_view payload);
  void dead_lettered(std::string_view text);
  /// The entry is gone with a server whose replica did not have it yet: nobody can know of it.
  void vanished(const SourceToken& token) { sent_[by_token_[token]].vanished = true; }
  /// The entry was deleted while it was pending.
  void deleted(const SourceToken& token) { sent_[by_token_[token]].deleted = true; }
  /// A source has said that so many are lost.
  void told_lost(std::uint64_t count) { counts_.told_lost += count; }
  /// The source has carried the ack out.
  void acked(const SourceToken& token);

  // --- What has come of it ---

  /// A call has taken so long that it may have been given up.
  bool anything_hung() const { return anything_hung_; }

  /// At the end: these are pending at the source still.
  void check_end(const std::vector<SourceToken>& pending, bool all_read);

  /// The first thing that went wrong; empty if nothing did.
  const std::string& violation() const { return violation_; }
  void violate(std::string_view checker, const std::string& what);

  struct Counts {
    std::uint64_t messages = 0;
    std::uint64_t executions = 0;
    std::uint64_t duplicates = 0;
    std::uint64_t acked = 0;
    std::uint64_t dead_letters = 0;
    std::uint64_t left = 0;
    std::uint64_t lost = 0;       ///< Deleted, and so never done.
    std::uint64_t told_lost = 0;  ///< As sources say; one may be told of by several lives.
  };
  const Counts& counts() const { return counts_; }

 private:
  /// One delivery that a message gives rise to.
  struct Step {
    TaskId task{};
    std::string payload;
    unsigned message = 0;
    std::vector<Step*> parents;
    /// With gather = "all": the payloads that come in one call.
    std::vector<std::string> parts;
    std::uint32_t started = 0;
    std::uint32_t attempt = 0;  ///< The highest.
    std::uint32_t succeeded = 0;
    std::uint32_t failed = 0;
    std::uint32_t hung = 0;  ///< Calls that took long, and may have been given up.
  };
  struct Sent {
    std::string payload;
    std::string key;
    std::vector<Step*> steps;
    std::uint32_t to_do = 0;  ///< Steps without success.
    std::uint32_t dead_letters = 0;
    bool has_hung = false;  ///< One of its steps has.
    bool acked = false;
    bool vanished = false;
    bool deleted = false;
    bool lost = false;  ///< Acked without having been done, since it was deleted.
  };

  void expand(unsigned number);
  void expand_task(unsigned number, TaskId task,
                   std::vector<std::vector<std::pair<Step*, Emission>>>& inputs);
  Step& add_step(unsigned number, TaskId task, std::string payload);
  Step* find(TaskId task, std::string_view payload);
  Step* find_or_violate(TaskId task, std::string_view payload, const char* what);
  void check_gather(const Step& step);
  void check_order(const Step& step);
  bool excused(const Step& step) const;
  std::string name_of(TaskId task) const;
  std::string describe(const Step& step) const;
  std::uint64_t hash(TaskId task, std::string_view payload, std::uint64_t salt) const;
  double share(TaskId task, std::string_view payload, std::uint64_t salt) const;

  const Scenario& scenario_;
  std::vector<Sent> sent_;
  std::vector<std::unique_ptr<Step>> steps_;
  std::unordered_map<std::string, Step*> by_name_;  ///< Only ever asked.
  std::map<SourceToken, unsigned> by_token_;
  std::map<std::pair<TaskId, std::string>, unsigned> newest_of_key_;
  std::uint32_t worker_losses_ = 0;
  bool anything_hung_ = false;
  Counts counts_;
  std::string violation_;
};

}  // namespace tempest::sim
