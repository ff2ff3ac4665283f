#pragma once

#include <cstdint>
#include <map>
#include <memory>
#include <string>
#include <vector>

#include "cli/dead_letter.hpp"
#include "cli/dead_letter_store.hpp"
#include "tempest/base/result.hpp"
#include "tempest/source.hpp"
#include "tempest/topology.hpp"

/// `tempest dlq replay --from failed-task`: what the failing task was given goes through a topology
/// of that task and of those after it, in this process.
namespace tempest::cli {

/// The task and all that come after it, the task taking the source's messages, and the rest as in
/// `topology`. What fails again is left to the source. Errors (`configuration`): a task gathers
/// what also comes from one that would not run again.
Result<Topology> topology_from_task(const Topology& topology, const std::string& task);

/// Tasks that are neither before nor after this one: what was under way in them when a message
/// failed is not run again with it.
std::vector<std::string> tasks_beside(const Topology& topology, const std::string& task);

/// True if the letter says what its failing task was given.
bool has_failing_delivery(const StoredLetter& letter);

/// The failing payloads of letters as messages; the ack of one removes its letter, so a letter
/// stays until everything is done that its message gives rise to.
class LetterSource : public Source {
 public:
  struct Options {
    LetterFilter filter;
    std::uint64_t limit = 0;  ///< As in LetterReader.
    double rate = 0;          ///< Messages per second; 0: as fast as they are taken.
    bool keeps_key = false;   ///< The failing task had the message's own key.
  };

  /// `store` is open and outlives this.
  LetterSource(LetterStore& store, Options options);

  Result<void> open() override;
  Result<void> poll(std::size_t max_messages, Duration wait, SourceBatch& batch) override;
  Result<void> ack(std::span<const SourceToken> tokens) override;
  bool is_finite() const override { return true; }
  std::string describe(const SourceToken& token) const override;

 private:
  /// How many may be given now; waits up to `wait` for the first.
  std::size_t allowed(std::size_t max_messages, Duration wait) const;

  LetterStore& store_;
  Options options_;
  LetterReader reader_;
  std::vector<StoredLetter> page_;
  std::size_t next_in_page_ = 0;
  bool ended_ = false;
  std::uint64_t given_ = 0;
  TimePoint begun_{};
  std::map<std::uint64_t, LetterPlace> places_;  ///< Of what is given and not acked, by number.
};

}  // namespace tempest::cli
