#pragma once

#include <deque>
#include <map>
#include <memory>
#include <string>
#include <vector>

#include "source_node/source_machine.hpp"
#include "tempest/link/server.hpp"

namespace tempest::source_node {

/// A coordinator at the other end of a real link, without a socket: notes what it is sent, and says
/// what the test tells it to.
class FakeCoordinator {
 public:
  struct Received {
    MessageId id;
    std::string key;
    std::string payload;
    std::uint64_t trace = 0;
  };

  FakeCoordinator(std::string name, std::string endpoint);

  void receive(std::string_view frame, TimePoint now);
  void turn(TimePoint now) { server->turn(now, output); }

  void give_window(std::uint64_t messages, std::uint64_t bytes, TimePoint now);
  void ack(const std::vector<MessageId>& ids, TimePoint now);
  void ack_all(TimePoint now);
  void fail(MessageId id, wire::FailureKind kind, TimePoint now,
            std::string_view payload = "the word");
  void give_back(const std::vector<MessageId>& ids, TimePoint now);
  /// As after kill -9 and a new start at the same address.
  void restart();

  std::vector<std::string> payloads() const;

  std::string name;
  std::string endpoint;
  std::unique_ptr<link::Server> server;
  link::Output output;
  PeerId peer;
  bool attached = false;
  std::uint64_t initial_window = 1'000'000;
  std::vector<Received> received;  ///< Without an outcome yet, unless the test left it there.
  /// wire::failure_cost() of what it may tell of, and has told of.
  std::uint64_t failures_granted = 0;
  std::uint64_t failures_told = 0;
  std::uint64_t frames = 0;
  std::uint64_t lives = 0;

 private:
  template <typename Body>
  void send(const Body& body, TimePoint now);
};

/// A source that gives what the test puts into it.
struct FakeSource {
  struct Message {
    std::string payload;
    SourceToken token;
    std::uint32_t given_before = 0;
  };

  std::deque<Message> backlog;
  bool finite = false;
  bool gives_again = true;
  bool blocks = false;        ///< An empty poll takes all the time it may.
  bool more_to_come = false;  ///< Of a finite one: it has not ended yet.
  TimePoint quiet_until{};    ///< What it says with each poll.
  bool away = false;
  std::string why_away = "connection refused";
  bool acks_fail = false;
  bool sink_away = false;
  Duration tend_interval{0};
  std::vector<SourceToken> acked;
  std::vector<SourceToken> left;
  std::vector<SourceToken> given_back;
  bool drained = true;  ///< What it says when asked.
  std::size_t drained_asked = 0;
  std::vector<TimePoint> tend_times;
  std::vector<std::size_t> ack_batches;
  std::vector<PollRequest> polls;
  std::vector<TimePoint> poll_times;
  std::size_t opens = 0;
  DeadLetters dead_letters;
  DeadLetters asked;  ///< What the failure handler was asked about.
  FailureChoice choice;
  std::string handler_fault;
};

/// A source machine with a broker, coordinators and a source around it, all in one thread and on
/// one clock that the test moves.
class SourceHarness {
 public:
  explicit SourceHarness(Plan plan = default_plan(), bool exit_when_drained = false);

  static Plan default_plan();

  FakeCoordinator& add_coordinator(const std::string& name, std::uint64_t window = 1'000'000);
  /// Tells the machine what the directory lists, as a broker does.
  void publish_directory();
  void set_plan(const std::string& text, Plan plan);

  /// Puts count messages, "0", "1", ..., at the end of the source's backlog.
  void fill(std::size_t count, std::size_t payload_bytes = 0);

  /// Turns until frames and wake-ups are used up; requests wait.
  void step();
  /// Answers the oldest request; false if there is none.
  bool serve_one();
  /// step() and serve_one() until nothing moves.
  void run();
  /// Lets time pass in steps, running all the while.
  void pass(Duration time, Duration step = std::chrono::milliseconds(1));
  void stop(bool at_once = false);

  /// The request waiting, of this kind; null if there is none.
  template <typename Kind>
  const Kind* waiting() const {
    for (const Request& request : requests) {
      if (const Kind* found = std::get_if<Kind>(&request)) return found;
    }
    return nullptr;
  }

  bool notified(const std::string& text) const;
  SourceNumbers numbers() const { return machine.numbers(); }

  TimePoint now = TimePoint{} + std::chrono::hours(1);
  FakeSource source;
  std::map<std::string, std::unique_ptr<FakeCoordinator>> coordinators;
  std::map<std::string, Plan> plans;
  std::string topology_text = "first";
  std::deque<Request> requests;
  std::vector<std::string> notices;
  std::vector<wire::Watch> watches;  ///< What publish_directory() lists.
  std::vector<wire::Sightings> sightings;
  bool finished = false;
  SourceMachine machine;

 private:
  void exchange();
  void route(const link::Effects::Send& send);
  void hear(link::ChannelId channel, link::Output& output);
  void take_broker_events();

  link::Server broker_;
  link::Output broker_output_;
  PeerId broker_peer_;
  bool broker_up_ = false;
  std::uint64_t revision_ = 0;
  std::map<link::ChannelId, std::string> channels_;  ///< To which coordinator's name.
  link::Effects effects_;
  std::uint64_t next_message_ = 0;
};

}  // namespace tempest::source_node
