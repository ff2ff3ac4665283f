#include "tempest/testing/source_contract.hpp"

#include <algorithm>
#include <atomic>
#include <chrono>
#include <iterator>
#include <set>
#include <span>
#include <thread>
#include <utility>

namespace tempest::testing {

namespace {

using Clock = std::chrono::steady_clock;
using Payloads = std::multiset<std::string>;

/// Within so long a call comes back that is to come back soon.
constexpr Duration kSoon = std::chrono::seconds(1);
constexpr Duration kLongWait = std::chrono::seconds(10);
constexpr Duration kShortWait = std::chrono::milliseconds(20);
/// So many polls in a row find nothing where there is nothing.
constexpr int kEmptyPolls = 5;

/// Of what is in `left`, so often as it is there, without what is in `right`.
Payloads without(const Payloads& left, const Payloads& right) {
  Payloads rest;
  std::set_difference(left.begin(), left.end(), right.begin(), right.end(),
                      std::inserter(rest, rest.end()));
  return rest;
}

std::string some_of(const Payloads& payloads) {
  std::string text = std::to_string(payloads.size());
  if (!payloads.empty()) text += ", such as \"" + payloads.begin()->substr(0, 40) + "\"";
  return text;
}

/// A source in the hands of something like a source node.
class Node {
 public:
  struct Given {
    SourceToken token;
    std::string payload;
  };

  Node(SourcePlace& place, ContractFaults& faults)
      : place_(place), faults_(faults), source_(place.make_source()) {}

  Source& source() { return *source_; }
  const std::vector<Given>& given() const { return given_; }
  bool ended() const { return ended_; }
  std::uint64_t lost() const { return lost_; }

  /// False, and a fault: it cannot be opened.
  bool open(const char* when) {
    const auto deadline = Clock::now() + place_.patience();
    while (true) {
      auto opened = source_->open();
      if (opened) return true;
      const bool is_away = opened.error().code == ErrorCode::unavailable;
      if (!is_away || Clock::now() > deadline) {
        faults_.add("open() fails " + std::string(when) + ": " + opened.error().message);
        return false;
      }
      std::this_thread::yield();
    }
  }

  /// One poll, and what goes with it. False: it failed, which is a fault unless it is `may_fail`.
  bool poll(std::size_t most, Duration wait, bool may_fail = false) {
    SourceBatch batch;
    const auto polled = source_->poll(most, wait, batch);
    if (batch.size() > most) faults_.add("poll() gives more than it was asked for");
    for (const SourceMessage& message : batch.messages()) {
      given_.push_back({message.token, std::string(message.payload)});
      if (source_->describe(message.token).empty()) faults_.add("describe() of a message is empty");
    }
    found_nothing_ = batch.empty() && !batch.has_more;
    ended_ = ended_ || batch.ended;
    lost_ += batch.lost;
    if (!polled && !may_fail) faults_.add("poll() fails: " + polled.error().message);
    return polled.ok();
  }

  void tend() {
    if (source_->tend_interval() <= Duration::zero()) return;
    SourceTended tended;
    if (auto done = source_->tend(tended); !done) {
      faults_.add("tend() fails: " + done.error().message);
    }
    lost_ += tended.lost;
  }

  /// Polls until so many are given, or `lost` besides, and then until there is nothing more.
  void read(std::size_t count, std::size_t lost = 0) {
    const auto deadline = Clock::now() + place_.patience();
    for (int empty = 0; empty < kEmptyPolls && !ended_ && Clock::now() < deadline;) {
      if (!poll(7, kShortWait)) return;
      tend();
      const bool is_all = given_.size() >= count && lost_ >= lost;
      empty = is_all && found_nothing_ ? empty + 1 : 0;
    }
  }

  Payloads payloads() const {
    Payloads all;
    for (const Given& one : given_) all.insert(one.payload);
    return all;
  }

  /// Acks the first `count` that were given.
  void ack(std::size_t count) {
    std::vector<SourceToken> tokens;
    for (std::size_t i = 0; i < std::min(count, given_.size()); ++i) {
      tokens.push_back(given_[i].token);
    }
    for (const char* how : {"", " the second time"}) {
      if (auto acked = source_->ack(tokens); !acked) {
        faults_.add("ack()" + std::string(how) + " fails: " + acked.error().message);
      }
    }
  }

  void expect_drained(bool expected, const char* when) {
    const auto deadline = Clock::now() + place_.patience();
    while (true) {
      const auto drained = source_->drained();
      if (!drained) return faults_.add("drained() fails: " + drained.error().message);
      if (*drained == expected) return;
      // That there is something, it must know at once; that there is nothing, some polls later.
      if (!expected || Clock::now() > deadline) break;
      poll(1, kShortWait);
    }
    faults_.add(std::string("drained() is ") + (expected ? "false" : "true") + " " + when);
  }

 private:
  SourcePlace& place_;
  ContractFaults& faults_;
  std::unique_ptr<Source> source_;
  std::vector<Given> given_;
  std::uint64_t lost_ = 0;
  bool ended_ = false;
  bool found_nothing_ = false;
};

class Check {
 public:
  explicit Check(SourcePlace& place) : place_(place) {}

  ContractFaults run() {
    read_once();
    if (is_usable_) give_again();
    if (is_usable_) leave();
    if (is_usable_ && !is_finite_) wait_and_stop();
    if (is_usable_ && gives_again_) lose();
    if (is_usable_) go_away();
    return std::move(faults_);
  }

 private:
  void put(std::size_t count) {
    const std::vector<std::string> payloads = place_.put(count);
    if (!place_.remembers_acks()) acked_.clear();
    there_.insert(payloads.begin(), payloads.end());
  }
  /// What a source that starts is to give.
  Payloads due() const { return place_.remembers_acks() ? without(there_, acked_) : there_; }

  void expect(const Node& node, const Payloads& wanted, const std::string& when) {
    const Payloads given = node.payloads();
    if (const Payloads missing = without(wanted, given); !missing.empty()) {
      faults_.add("messages are missing " + when + ": " + some_of(missing));
    }
    if (const Payloads more = without(given, wanted); !more.empty()) {
      faults_.add("messages are given that should not be " + when + ": " + some_of(more));
    }
    std::set<SourceToken> tokens;
    for (const Node::Given& one : node.given()) tokens.insert(one.token);
    if (tokens.size() < node.given().size()) faults_.add("two messages have one token " + when);
  }

  void ack(Node& node, std::size_t count) {
    node.ack(count);
    for (std::size_t i = 0; i < std::min(count, node.given().size()); ++i) {
      acked_.insert(node.given()[i].payload);
    }
  }

  void read_once() {
    put(10);
    Node node(place_, faults_);
    is_usable_ = node.open("at first");
    if (!is_usable_) return;
    is_finite_ = node.source().is_finite();
    gives_again_ = node.source().gives_again();
    node.expect_drained(false, "with messages that are not read");
    node.read(10);
    expect(node, there_, "in a first read");
    if (is_finite_ && !node.ended()) faults_.add("a finite source does not end");
    if (!is_finite_ && node.ended()) faults_.add("a source ends that says it is not finite");
    ack(node, node.given().size());
    node.expect_drained(true, "though everything is acked");
    if (auto nothing = node.source().ack({}); !nothing) faults_.add("ack() of nothing fails");
  }

  void give_again() {
    put(10);
    std::size_t half = 0;
    {
      Node node(place_, faults_);
      if (!(is_usable_ = node.open("the second time"))) return;
      node.read(due().size());
      expect(node, due(), "after a new start");
      half = node.given().size() / 2;
      ack(node, half);
    }
    Node node(place_, faults_);
    if (!(is_usable_ = node.open("after a process that held messages"))) return;
    if (!gives_again_) {
      there_ = acked_;
      return;
    }
    const Payloads wanted = due();
    node.expect_drained(false, "with messages that a process before it held");
    node.read(wanted.size());
    expect(node, wanted, "to the process after one that has acked half of them");
    ack(node, node.given().size());
    node.expect_drained(true, "though everything is acked by two processes");
  }

  void leave() {
    if (!gives_again_) return;
    put(4);
    {
      Node node(place_, faults_);
      if (!(is_usable_ = node.open("before messages are left"))) return;
      node.read(due().size());
      std::vector<SourceToken> tokens;
      for (const Node::Given& one : node.given()) tokens.push_back(one.token);
      const std::size_t two = std::min<std::size_t>(2, tokens.size());
      const auto left = node.source().leave(std::span(tokens).first(two));
      const auto given_back = node.source().give_back(std::span(tokens).subspan(two));
      if (!left || !given_back) faults_.add("leave() or give_back() fails");
    }
    Node node(place_, faults_);
    if (!(is_usable_ = node.open("after messages were left"))) return;
    const Payloads wanted = due();
    node.read(wanted.size());
    expect(node, wanted, "after they were left, or given back");
    ack(node, node.given().size());
  }

  /// Calls `stop` again and again while a poll waits, and once before one. The poll is to end
  /// within `longest`, and a moment.
  template <typename Stop>
  void expect_to_end(Node& node, Duration wait, Duration longest, const char* when, Stop stop) {
    for (const bool is_before : {false, true}) {
      if (is_before) stop();
      std::atomic<bool> has_polled{false};
      const auto begun_at = Clock::now();
      std::thread other([&] {
        while (!is_before && !has_polled && Clock::now() - begun_at < wait) {
          stop();
          std::this_thread::yield();
        }
      });
      node.poll(1, wait, true);
      has_polled = true;
      other.join();
      if (Clock::now() - begun_at > longest + kSoon) {
        faults_.add("a poll waits too long " + std::string(when));
      }
    }
  }

  void wait_and_stop() {
    Node node(place_, faults_);
    if (!(is_usable_ = node.open("with nothing there"))) return;
    node.read(0);
    const auto nothing = [] {};
    expect_to_end(node, Duration::zero(), Duration::zero(), "that may not wait", nothing);
    // It need not heed an interruption, but it must stand one.
    expect_to_end(node, kShortWait, kShortWait, "that is interrupted",
                  [&] { node.source().interrupt(); });
    put(1);
    node.read(due().size());
    expect(node, due(), "after interruptions");
    ack(node, node.given().size());
    expect_to_end(node, kLongWait, Duration::zero(), "after abandon()",
                  [&] { node.source().abandon(); });
  }

  void lose() {
    {
      // What stands behind what was read is lost, and only that.
      Node node(place_, faults_);
      if (!(is_usable_ = node.open("before messages are lost"))) return;
      node.read(due().size());
      ack(node, node.given().size());
    }
    put(6);
    if (!place_.lose(4)) return drain();
    Node node(place_, faults_);
    if (!(is_usable_ = node.open("after messages were lost"))) return;
    node.read(2, 4);
    if (node.given().size() + node.lost() != 6) {
      faults_.add("of 6 messages, of which 4 were lost, " + std::to_string(node.given().size()) +
                  " are given and " + std::to_string(node.lost()) + " counted as lost");
    }
    node.ack(node.given().size());
    node.expect_drained(true, "though all that is left is acked");
    acked_ = there_;
  }

  /// Reads and acks what there is.
  void drain() {
    Node node(place_, faults_);
    if (!(is_usable_ = node.open("to read what is left"))) return;
    node.read(due().size());
    ack(node, node.given().size());
  }

  void go_away() {
    if (!place_.set_away(true)) return;
    {
      Node node(place_, faults_);
      const auto opened = node.source().open();
      if (opened && node.poll(1, kShortWait, true)) {
        faults_.add("a source gives no error while what it reads is away");
      }
      if (!opened && opened.error().code != ErrorCode::unavailable) {
        faults_.add("open() of what is away is no `unavailable`: " + opened.error().message);
      }
      place_.set_away(false);
      if (!node.open("when what was away is back")) return;
    }
    put(3);
    Node node(place_, faults_);
    if (!node.open("after it was away")) return;
    node.read(due().size());
    expect(node, due(), "after what it reads was away");
    ack(node, node.given().size());
    node.expect_drained(true, "though everything is acked, after it was away");
  }

  SourcePlace& place_;
  ContractFaults faults_;
  Payloads there_;  ///< All that was put.
  Payloads acked_;
  bool is_usable_ = true;
  bool is_finite_ = false;
  bool gives_again_ = true;
};

}  // namespace

ContractFaults check_source(SourcePlace& place) {
  return Check(place).run();
}

}  // namespace tempest::testing
