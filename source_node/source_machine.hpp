#pragma once

#include <cstdint>
#include <memory>
#include <optional>
#include <set>
#include <span>
#include <string>
#include <unordered_set>
#include <vector>

#include "source_node/coordinators.hpp"
#include "source_node/dead_letter_box.hpp"
#include "source_node/message_store.hpp"
#include "source_node/message_traces.hpp"
#include "source_node/plan.hpp"
#include "source_node/read_pace.hpp"
#include "source_node/requests.hpp"
#include "source_node/waits.hpp"
#include "tempest/base/histogram.hpp"
#include "tempest/base/random.hpp"
#include "tempest/link/node.hpp"
#include "tempest/registry/member.hpp"
#include "tempest/wire/frames.hpp"

namespace tempest::source_node {

/// A source node's numbers since its start.
struct SourceNumbers {
  std::uint64_t read = 0;    ///< Messages taken in from the source.
  std::uint64_t acked = 0;   ///< Acks that the source has confirmed, whatever led to them.
  std::uint64_t failed = 0;  ///< Messages given up: left, dead-lettered, or acked by best effort.
  std::uint64_t left = 0;    ///< Of these, left unacked at the source.
  std::uint64_t dead_lettered = 0;   ///< Dead letters written.
  std::uint64_t resent = 0;          ///< Sent to a coordinator again.
  std::uint64_t lost_at_source = 0;  ///< Listed by the source, and no longer there.
  std::uint64_t given_again = 0;     ///< Read again while still held: skipped.
  std::uint64_t claimed = 0;         ///< Of `read`: taken over from other readers.
  std::uint64_t discarded = 0;       ///< Dropped at the source, by its pending rules.
  std::uint64_t moved = 0;           ///< Put elsewhere, by its pending rules.
  std::uint64_t stale_outcomes = 0;  ///< Said of a message that was not out there: dropped.
  std::uint64_t pending = 0;         ///< Held now.
  std::uint64_t pending_bytes = 0;
  std::uint64_t letters_waiting = 0;  ///< Dead letters that are not written yet.
  /// What is held of failed messages beside `pending_bytes`: dead letters, and failed attempts.
  std::uint64_t failure_bytes = 0;
  TimePoint first_read_at{};  ///< Zero until there is one.
  TimePoint last_ack_at{};
  bool ended = false;  ///< A finite source has given all it has.
};

/// Everything a source node decides. Reads messages within its bounds, holds each until the source
/// has confirmed its ack, sends them to coordinators within their windows, and brings what fails to
/// the end that the topology's policy wants.
///
/// Steps gather; turn() sends and asks. Never an ack but for a message whose tree is done, whose
/// dead letter is written, or which the policy says to ack all the same.
class SourceMachine {
 public:
  struct Options {
    link::Identity self;
    std::vector<std::string> brokers;
    link::Settings link;
    Duration drain_timeout = std::chrono::seconds(8);
    /// End with 0 once everything is read and done: a finite source at its end, another when it
    /// has nothing more to give.
    bool exit_when_drained = false;
    /// The same, but for a finite source only.
    bool exit_when_ended = false;
    std::uint64_t seed = 0;
  };

  SourceMachine(Options options, ReadPlan read_plan);

  void start(TimePoint now, link::Effects& effects);
  void receive(const link::FrameReceived& received, TimePoint now, link::Effects& effects);
  /// A request has been served.
  void take(Response response, TimePoint now, link::Effects& effects);
  /// Before a turn: if a poll has brought much, the next poll, so that the source is read
  /// while this turn works on what has come. Nothing is missed without it but time.
  void ask_ahead(TimePoint now, std::vector<Request>& requests);
  void turn(TimePoint now, link::Effects& effects, std::vector<Request>& requests);
  TimePoint next_turn() const;
  void stop(bool at_once, TimePoint now, link::Effects& effects);

  SourceNumbers numbers() const;
  /// From the read of a message to its confirmed ack.
  const Histogram& latency() const { return latency_; }
  /// Of the oldest message held; zero if there is none.
  Duration oldest_age(TimePoint now) const;
  link::Counters link_counters() const { return coordinators_.counters(); }
  link::Backlog link_backlog() const { return coordinators_.backlog(); }
  std::size_t coordinators_up() const { return coordinators_.up_count(); }
  std::uint64_t malformed() const { return malformed_ + coordinators_.malformed(); }
  std::uint64_t queued() const { return queue_.count; }
  const std::string& state() const { return state_; }
  /// Why it has finished, if for a fault that another try would not mend.
  const std::optional<Error>& failure() const { return failure_; }

 private:
  // The topology, and the source's own life (source_machine.cpp).
  void take_directory(TimePoint now, link::Effects& effects);
  void take_plan(Plan plan, link::Effects& effects);
  void settle(OpenDone done, TimePoint now, link::Effects& effects);
  void settle(PollDone done, TimePoint now, link::Effects& effects);
  void settle(AckDone done, TimePoint now, link::Effects& effects);
  void settle(DeadLettersDone done, TimePoint now, link::Effects& effects);
  void read_arrived(TimePoint now, link::Effects& effects);
  /// Of large messages it takes the memory.
  void read(SourceBatch& batch, std::span<const std::string> names, TimePoint now,
            link::Effects& effects);
  /// The source has said that so many of its messages are gone.
  void lose(std::uint64_t count, link::Effects& effects);
  void note_held();
  /// As of note_held(), and what it was asked about since.
  bool is_held(const SourceToken& token);
  void source_worked(link::Effects& effects);
  /// Away: tried again. Anything else is the end of the node.
  void source_failed(const Error& error, TimePoint now, link::Effects& effects);
  void warn(const std::vector<std::string>& warnings, link::Effects& effects);
  void ask(TimePoint now, std::vector<Request>& requests);
  void ask_acks(TimePoint now, std::vector<Request>& requests);
  void ask_source(TimePoint now, std::vector<Request>& requests);
  void ask_poll(TimePoint now, std::vector<Request>& requests);
  bool may_poll() const;
  /// Held, or brought by a poll and not taken in yet.
  ReadPace::Load load() const;
  /// Held of messages that have failed for good, and not been let go of.
  std::uint64_t letter_bytes() const { return dead_letters_.bytes() + failures_.bytes(); }
  /// The most of that: beyond it no coordinator tells of more.
  std::uint64_t letter_budget() const;
  void bound_failures(TimePoint now, link::Effects& effects);
  bool nothing_out() const;

  // What the source does besides being read and acked (source_upkeep.cpp).
  void settle(const LeaveDone& done, TimePoint now, link::Effects& effects);
  void settle(const TendDone& done, TimePoint now, link::Effects& effects);
  void settle(const DrainedDone& done, TimePoint now, link::Effects& effects);
  void ask_upkeep(TimePoint now, std::vector<Request>& requests);
  TimePoint next_upkeep() const;
  /// The node is to end once all is done, and nothing but acks is left.
  bool only_acks_left() const;
  /// From when acks that wait for others may go.
  TimePoint ack_at() const;

  /// Everything the source had is read and done.
  bool drained() const;
  void check_end(TimePoint now, link::Effects& effects);
  void finish(std::string_view reason, TimePoint now, link::Effects& effects);
  /// What is left unacked at the end is lost, if the source cannot give it again.
  void count_lost(link::Effects& effects);
  void show_state(TimePoint now, link::Effects& effects);
  std::string state_now() const;

  // What became of messages (message_fates.cpp).
  void take_events(TimePoint now, link::Effects& effects);
  void take_outcomes(const CoordinatorEvent& event, TimePoint now, link::Effects& effects);
  void take_lost(link::ChannelId channel, TimePoint now, link::Effects& effects);
  void take_returned(Coordinator& coordinator, link::ChannelId channel, TimePoint now);
  void take_acked(Coordinator& coordinator, link::ChannelId channel);
  /// Null (and counted) if this coordinator has no such message.
  HeldMessage* find_sent(link::ChannelId channel, MessageId id);
  /// The same, and the message is taken out of the coordinator's list.
  HeldMessage* take_sent(Coordinator& coordinator, link::ChannelId channel, MessageId id);
  void take_failed(Coordinator& coordinator, link::ChannelId channel,
                   const wire::Outcomes::Failed& failed, TimePoint now, link::Effects& effects);
  void give_up(std::uint32_t slot, DeadLetter letter, TimePoint now, link::Effects& effects);
  void give_up(std::uint32_t slot, FailedAttempt attempt, std::string_view failing_payload,
               TimePoint now, link::Effects& effects);
  DeadLetter letter_of(std::uint32_t slot, FailedAttempt attempt, std::string_view failing_payload);
  /// It will not be tried again: brings it to the end that the policy wants, or the handler.
  void end(std::uint32_t slot, DeadLetter letter, FailureChoice::Action action, TimePoint now,
           link::Effects& effects);
  void settle(const ChooseDone& done, TimePoint now, link::Effects& effects);
  void choose(FailureBox::Failed failed, const FailureChoice& choice, TimePoint now,
              link::Effects& effects);
  /// A message that no frame can hold; it is in no list.
  void refuse(std::uint32_t slot, TimePoint now, link::Effects& effects);
  /// The source could make no message of it.
  void refuse_unreadable(std::uint32_t slot, std::string_view fault, TimePoint now,
                         link::Effects& effects);
  /// True: the source has given it out as often as a message may be tried, and never heard that it
  /// was done: it is given up. It is in no list.
  bool refuse_worn_out(std::uint32_t slot, std::uint32_t given_before, TimePoint now,
                       link::Effects& effects);
  void queue_ack(std::uint32_t slot);
  void leave(std::uint32_t slot, FailurePolicy policy, TimePoint now, link::Effects& effects);
  void try_later(std::uint32_t slot, Duration wait, TimePoint now);
  void queue_due(TimePoint now);
  /// With max_age: gives up messages that are too old and not at a coordinator, which looks after
  /// those that it has.
  void give_up_expired(TimePoint now, link::Effects& effects);
  /// What is not out there or on its way to an ack is left to the source.
  void let_go_of_unsent(TimePoint now);
  /// What is known of a message that has failed, for those who trace it.
  void trace_failure(std::uint32_t slot, const FailedAttempt& attempt, wire::Sighting::Next next,
                     Duration again, TimePoint now);
  void trace_end(std::uint32_t slot, wire::Sighting::Kind kind, TimePoint now);
  void trace_taken_back(std::uint32_t slot, std::string_view coordinator, std::string_view why,
                        TimePoint now);
  void trace_acked(TimePoint now);

  Options options_;
  ReadPlan read_plan_;
  Random random_;
  registry::Member member_;
  Coordinators coordinators_;

  std::string plan_text_;                  ///< The text that was read last, good or bad.
  std::shared_ptr<const Plan> plan_;       ///< Null until there is one.
  std::shared_ptr<const Plan> next_plan_;  ///< Wants other endpoints: waits until all is done.
  bool opened_ = false;
  ReadPace pace_{SourceDefinition{}};
  AwayWatch source_;
  bool open_out_ = false;
  bool poll_out_ = false;
  bool ack_out_ = false;
  bool leave_out_ = false;
  TimePoint poll_until_{};  ///< While stopping: how long a poll is waited for.
  bool tend_out_ = false;
  bool drained_out_ = false;
  std::string away_told_;      ///< Why the source is away, as it was said last,
  std::string away_last_;      ///< and as the last call had it.
  Duration tend_interval_{0};  ///< Zero: it wants none.
  TimePoint tend_at_{};
  std::vector<SourceToken> leaving_;  ///< Given up, and the source not told yet.
  std::vector<SourceToken> untried_;  ///< The same, of what was not begun when the end came.
  std::uint64_t given_back_ = 0;      ///< Of these, what the source has been told of.
  TimePoint to_ack_since_ = kNever;
  bool finite_ = false;      ///< The source itself says when it has ended.
  bool gives_again_ = true;  ///< What is left unacked is not lost.
  /// The last poll found nothing; and nothing was pending then.
  bool found_nothing_ = false;
  bool is_idle_ = false;
  bool source_drained_ = false;  ///< It has said so since.
  /// What a poll has brought, until the next turn.
  std::optional<PollDone> arrived_;
  SourceBatch spent_;  ///< Taken in, and empty: for a poll to fill again.

  MessageStore store_;
  MessageList queue_;
  MessageList to_ack_;
  MessageList acking_;
  /// When, and a count that keeps the order of equals.
  struct Wait {
    TimePoint until;
    std::uint64_t order;
    std::uint32_t slot;
    auto operator<=>(const Wait&) const = default;
  };
  std::set<Wait> waiting_;
  std::uint64_t waits_made_ = 0;
  TimePoint expire_at_{};  ///< When to look for messages that are too old.
  DeadLetterBox dead_letters_;
  FailureBox failures_;
  AttemptLedger attempts_;
  bool held_back_told_ = false;  ///< That letters hold reading back; until they are all written.
  MessageTraces traces_;
  /// Tokens held, while the source gives its earlier reads again; only ever asked, never walked.
  struct TokenHash {
    std::size_t operator()(const SourceToken& token) const {
      return (token.high * 0x9e3779b97f4a7c15ULL) ^ token.low;
    }
  };
  std::unordered_set<SourceToken, TokenHash> held_tokens_;

  bool stopping_ = false;
  bool finished_ = false;
  std::optional<Error> failure_;
  TimePoint stop_at_ = kNever;
  std::string state_ = "starting";

  SourceNumbers numbers_;
  Histogram latency_;
  std::uint64_t malformed_ = 0;
  Throttle left_notices_{std::chrono::seconds(10)};
  Throttle failed_notices_{std::chrono::seconds(10)};
  Throttle handler_notices_{std::chrono::seconds(10)};

  // Reused from step to step.
  std::vector<CoordinatorEvent> events_;
  wire::Outcomes outcomes_;
};

}  // namespace tempest::source_node
