#include "source_node/source_io.hpp"

#include <algorithm>
#include <condition_variable>
#include <deque>
#include <mutex>
#include <thread>
#include <utility>

#include "tempest/runtime/clock.hpp"

namespace tempest::source_node {

namespace {

/// How long polls and acks took last. Known only while the last poll knew when the next is due:
/// else the next may wait, and be under way at any moment.
class RequestTimes {
 public:
  void record(const Request& request, const Response& response, Duration taken) {
    if (const auto* done = std::get_if<PollDone>(&response)) {
      poll_.reset();
      if (done->quiet_until > TimePoint{}) poll_ = taken;
    } else if (const auto* ack = std::get_if<AckRequest>(&request)) {
      each_ack_ = taken / std::max<std::size_t>(1, ack->tokens.size());
    }
  }

  std::optional<Duration> expected(const Request& request) const {
    if (!poll_ || std::holds_alternative<PollRequest>(request)) return poll_;
    const auto* ack = std::get_if<AckRequest>(&request);
    if (ack == nullptr || !each_ack_) return std::nullopt;
    return *each_ack_ * ack->tokens.size();
  }

 private:
  std::optional<Duration> poll_;
  std::optional<Duration> each_ack_;  ///< For each token.
};

}  // namespace

class SourceIo::Impl {
 public:
  Impl(RequestServer::Makers makers, std::function<void()> wake)
      : server_(std::move(makers)), wake_(std::move(wake)), thread_([this] { serve_all(); }) {}

  ~Impl() {
    {
      const std::lock_guard lock(mutex_);
      ending_ = true;
      if (is_polling_) server_.interrupt_poll();
    }
    server_.abandon();
    arrived_.notify_one();
    thread_.join();
  }

  void submit(Request request, std::function<void()> then) {
    {
      const std::lock_guard lock(mutex_);
      jobs_.push_back({std::move(request), std::move(then)});
      interrupt_poll();
    }
    arrived_.notify_one();
  }

  void serve_here(Request request) {
    Served served = serve(request);
    {
      const std::lock_guard lock(mutex_);
      times_.record(request, served.response, served.taken);
      responses_.push_back(std::move(served.response));
    }
    wake_();
  }

  void collect(std::vector<Response>& responses) {
    const std::lock_guard lock(mutex_);
    for (Response& response : responses_) responses.push_back(std::move(response));
    responses_.clear();
  }

  std::optional<Duration> expected_time(const Request& request) const {
    const std::lock_guard lock(mutex_);
    return times_.expected(request);
  }
  bool is_free() const {
    const std::lock_guard lock(mutex_);
    return !is_busy_ && !is_wanted_now();
  }
  bool is_wanted() const {
    const std::lock_guard lock(mutex_);
    return is_wanted_now();
  }

 private:
  struct Job {
    Request request;
    std::function<void()> then;
  };

  struct Served {
    Response response;
    Duration taken;
  };

  bool is_wanted_now() const { return ending_ || !jobs_.empty(); }

  void interrupt_poll() {
    if (!is_polling_ || is_interrupted_) return;
    is_interrupted_ = true;
    server_.interrupt_poll();
  }

  void serve_all() {
    std::unique_lock lock(mutex_);
    while (true) {
      is_busy_ = false;
      arrived_.wait(lock, [this] { return is_wanted_now(); });
      if (ending_) return;
      is_busy_ = true;
      Job job = take_next();
      is_polling_ = std::holds_alternative<PollRequest>(job.request);
      lock.unlock();
      Served served = serve(job.request);
      lock.lock();
      times_.record(job.request, served.response, served.taken);
      if (std::exchange(is_polling_, false)) {
        auto& poll = std::get<PollRequest>(job.request);
        poll.wait -= std::min(poll.wait, served.taken);
        auto& done = std::get<PollDone>(served.response);
        if (cut_short(poll, done)) {
          // Nobody needs to be told: the rest of it comes after what it was interrupted for.
          poll.batch = std::move(done.batch);
          jobs_.push_back(std::move(job));
          continue;
        }
      }
      responses_.push_back(std::move(served.response));
      lock.unlock();
      wake_();
      if (job.then) job.then();
      lock.lock();
    }
  }

  Served serve(Request& request) {
    const TimePoint begun_at = runtime::monotonic_now();
    Response response = server_.serve(request);
    return {std::move(response), runtime::monotonic_now() - begun_at};
  }

  /// The first that is no poll, or the poll.
  Job take_next() {
    const auto is_other = [](const Job& one) {
      return !std::holds_alternative<PollRequest>(one.request);
    };
    auto next = std::find_if(jobs_.begin(), jobs_.end(), is_other);
    if (next == jobs_.end()) next = jobs_.begin();
    Job job = std::move(*next);
    jobs_.erase(next);
    return job;
  }

  /// True if a poll ended before its time, with nothing, for an interruption: its own, or one that
  /// came too late for the poll before.
  bool cut_short(const PollRequest& rest, const PollDone& done) {
    const bool is_for_interruption = is_interrupted_ || was_interrupted_;
    was_interrupted_ = std::exchange(is_interrupted_, false);
    const SourceBatch& batch = done.batch;
    const bool found_nothing =
        done.result && done.warnings.empty() && batch.empty() && !batch.ended && batch.lost == 0;
    return is_for_interruption && found_nothing && rest.wait > Duration::zero();
  }

  RequestServer server_;
  std::function<void()> wake_;

  mutable std::mutex mutex_;
  std::condition_variable arrived_;
  std::deque<Job> jobs_;
  std::vector<Response> responses_;
  RequestTimes times_;
  bool is_busy_ = false;
  bool is_polling_ = false;
  bool is_interrupted_ = false;   ///< The poll under way.
  bool was_interrupted_ = false;  ///< The one before.
  bool ending_ = false;

  std::thread thread_;  // The last, so that it begins when all else is there.
};

SourceIo::SourceIo(RequestServer::Makers makers, std::function<void()> wake)
    : impl_(std::make_unique<Impl>(std::move(makers), std::move(wake))) {}
SourceIo::~SourceIo() = default;

void SourceIo::submit(std::vector<Request>& requests) {
  for (Request& request : requests) impl_->submit(std::move(request), {});
  requests.clear();
}
void SourceIo::submit(Request request, std::function<void()> then) {
  impl_->submit(std::move(request), std::move(then));
}
void SourceIo::serve_here(Request request) {
  impl_->serve_here(std::move(request));
}
void SourceIo::collect(std::vector<Response>& responses) {
  impl_->collect(responses);
}
std::optional<Duration> SourceIo::expected_time(const Request& request) const {
  return impl_->expected_time(request);
}
bool SourceIo::is_free() const {
  return impl_->is_free();
}
bool SourceIo::is_wanted() const {
  return impl_->is_wanted();
}

}  // namespace tempest::source_node
