#include "tempest/testing/sink_contract.hpp"

#include <algorithm>
#include <array>
#include <chrono>
#include <cstddef>
#include <set>
#include <span>
#include <thread>
#include <utility>

namespace tempest::testing {

namespace {

using Clock = std::chrono::steady_clock;
using Payloads = std::vector<std::string>;

constexpr Duration kSoon = std::chrono::seconds(1);
/// More than a pipe takes in one piece.
constexpr std::size_t kLongRecord = 9'000;
constexpr std::size_t kLargeRecord = 1UL << 20;
constexpr std::size_t kWriters = 2;
constexpr std::size_t kRecordsOfEach = 200;

Payloads numbered(const std::string& prefix, std::size_t count, std::size_t size = 0) {
  Payloads payloads;
  for (std::size_t i = 0; i < count; ++i) {
    payloads.push_back(prefix + std::to_string(i));
    if (payloads.back().size() < size) payloads.back().append(size - payloads.back().size(), '.');
  }
  return payloads;
}

std::vector<Message> messages_of(const Payloads& payloads) {
  std::vector<Message> messages;
  messages.reserve(payloads.size());
  for (const std::string& payload : payloads) messages.emplace_back(payload);
  return messages;
}

/// True if `part` stands in `all` in this order, whatever stands in between.
bool stands_in_order(const Payloads& part, const Payloads& all) {
  auto at = all.begin();
  for (const std::string& one : part) {
    at = std::find(at, all.end(), one);
    if (at == all.end()) return false;
    ++at;
  }
  return true;
}

bool is_away(const Result<void>& result) {
  return !result && result.error().code == ErrorCode::unavailable;
}

class Check {
 public:
  explicit Check(SinkPlace& place) : place_(place) {}

  ContractFaults run() {
    auto sink = opened_sink();
    if (!sink) return std::move(faults_);
    write(*sink, numbered("first ", 5), "five records");
    write(*sink, numbered("many ", 1'000), "a thousand records");
    write(*sink, {std::string()}, "an empty record");
    write(*sink, {std::string(kLargeRecord, 'x')}, "a record of a megabyte");
    if (auto none = sink->write({}); !none) faults_.add("write() of nothing fails");
    for (const std::string& odd : odd_payloads()) write_odd(*sink, odd);
    sink = opened_sink();
    if (!sink) return std::move(faults_);
    write(*sink, numbered("second ", 3), "what a sink adds that starts");
    write_together();
    go_away(*sink);
    abandon(*sink);
    look("at the end");
    return std::move(faults_);
  }

 private:
  std::unique_ptr<Sink> opened_sink() {
    auto sink = place_.make_sink();
    if (auto opened = sink->open(); !opened) {
      faults_.add("open() fails: " + opened.error().message);
      return nullptr;
    }
    return sink;
  }

  static Payloads odd_payloads() {
    std::string every_byte;
    for (int byte = 0; byte < 256; ++byte) every_byte += static_cast<char>(byte);
    return {"two\nlines", "a line and its end\n", "\n", "\r\n", every_byte, "\\n",
            " ",          std::string(1, '\0')};
  }

  void write(Sink& sink, const Payloads& payloads, const std::string& what) {
    if (auto written = sink.write(messages_of(payloads)); !written) {
      return faults_.add("write() of " + what + " fails: " + written.error().message);
    }
    expected_.insert(expected_.end(), payloads.begin(), payloads.end());
    look("after " + what);
  }

  /// A record that a sink may refuse, but not break.
  void write_odd(Sink& sink, const std::string& payload) {
    const auto written = sink.write(messages_of({payload}));
    if (written) {
      expected_.push_back(payload);
    } else if (written.error().code != ErrorCode::fail) {
      faults_.add("a record that cannot be written is no `fail`: " + written.error().message);
    }
    look("after a record of odd bytes");
  }

  /// All that was said to be written is there, once and in its order; nothing else is.
  void look(const std::string& when) {
    Payloads there = place_.written();
    const bool is_same = std::multiset<std::string>(there.begin(), there.end()) ==
                         std::multiset<std::string>(expected_.begin(), expected_.end());
    if (!is_same) {
      faults_.add("what is written is not what was said to be, " + when + ": " +
                  std::to_string(there.size()) + " records in place of " +
                  std::to_string(expected_.size()));
    } else if (place_.keeps_order() && there != expected_) {
      faults_.add("records stand in another order than they were written in, " + when);
    }
    expected_ = std::move(there);  // A fault is told once.
  }

  void write_together() {
    std::array<Payloads, kWriters> payloads;
    std::array<Result<void>, kWriters> written;
    std::array<std::unique_ptr<Sink>, kWriters> sinks;
    for (std::size_t i = 0; i < kWriters; ++i) {
      payloads[i] = numbered(std::to_string(i) + " of several, ", kRecordsOfEach, kLongRecord);
      sinks[i] = opened_sink();
      if (!sinks[i]) return;
    }
    std::vector<std::thread> threads;
    for (std::size_t i = 0; i < kWriters; ++i) {
      threads.emplace_back([&, i] {
        const std::vector<Message> messages = messages_of(payloads[i]);
        for (std::size_t at = 0; at < messages.size() && written[i]; at += 8) {
          written[i] = sinks[i]->write(std::span(messages).subspan(at, 8));
        }
      });
    }
    for (std::thread& thread : threads) thread.join();
    const Payloads there = place_.written();
    Payloads wanted = expected_;
    for (std::size_t i = 0; i < kWriters; ++i) {
      if (!written[i]) faults_.add("write() fails beside another: " + written[i].error().message);
      wanted.insert(wanted.end(), payloads[i].begin(), payloads[i].end());
      if (written[i] && place_.keeps_order() && !stands_in_order(payloads[i], there)) {
        faults_.add("records of one of several sinks are broken, missing, or in another order");
      }
    }
    if (std::multiset<std::string>(there.begin(), there.end()) !=
        std::multiset<std::string>(wanted.begin(), wanted.end())) {
      faults_.add("several sinks that write at a time break each other's records");
    }
    expected_ = there;
  }

  void go_away(Sink& sink) {
    if (!place_.set_away(true)) return;
    const auto begun_at = Clock::now();
    const auto written = sink.write(messages_of({"while it was away"}));
    if (!is_away(written)) faults_.add("write() to what is away is no `unavailable`");
    if (Clock::now() - begun_at > place_.patience()) {
      faults_.add("write() to what is away takes too long");
    }
    place_.set_away(false);
    const auto deadline = Clock::now() + place_.patience();
    const Payloads again = {"when it was back"};
    Result<void> done;
    do {
      done = sink.open();
      if (done) done = sink.write(messages_of(again));
    } while (is_away(done) && Clock::now() < deadline);
    if (!done)
      return faults_.add("a sink that was away does not come back: " + done.error().message);
    // What was not said to be written may be there, or again.
    const Payloads there = place_.written();
    Payloads wanted = expected_;
    wanted.push_back(again.front());
    if (place_.keeps_order() ? !stands_in_order(wanted, there) : there.size() < wanted.size()) {
      faults_.add("after a sink was away, something is missing that it said was written");
    }
    expected_ = there;
  }

  void abandon(Sink& sink) {
    place_.set_away(true);
    sink.abandon();
    const auto begun_at = Clock::now();
    static_cast<void>(sink.write(messages_of({"abandoned"})));
    if (Clock::now() - begun_at > kSoon) faults_.add("write() waits after abandon()");
    place_.set_away(false);
    expected_ = place_.written();
  }

  SinkPlace& place_;
  ContractFaults faults_;
  Payloads expected_;
};

}  // namespace

ContractFaults check_sink(SinkPlace& place) {
  return Check(place).run();
}

}  // namespace tempest::testing
