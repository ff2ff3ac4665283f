#include "source_node/source_io.hpp"

#include <algorithm>
#include <condition_variable>
#include <deque>
#include <mutex>
#include <thread>
#include <utility>

#include "tempest/runtime/clock.hpp"

namespace tempest::source_node {

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
    arrived_.notify_one();
    thread_.join();
  }

  void submit(std::vector<Request>& requests) {
    if (requests.empty()) return;
    {
      const std::lock_guard lock(mutex_);
      for (Request& request : requests) requests_.push_back(std::move(request));
      if (is_polling_ && !is_interrupted_) {
        is_interrupted_ = true;
        server_.interrupt_poll();
      }
    }
    requests.clear();
    arrived_.notify_one();
  }

  void collect(std::vector<Response>& responses) {
    const std::lock_guard lock(mutex_);
    for (Response& response : responses_) responses.push_back(std::move(response));
    responses_.clear();
  }

 private:
  void serve_all() {
    std::unique_lock lock(mutex_);
    while (true) {
      arrived_.wait(lock, [this] { return ending_ || !requests_.empty(); });
      if (ending_) return;
      Request request = take_next();
      is_polling_ = std::holds_alternative<PollRequest>(request);
      lock.unlock();
      const TimePoint begun_at = runtime::monotonic_now();
      Response response = server_.serve(request);
      const Duration taken = runtime::monotonic_now() - begun_at;
      lock.lock();
      if (std::exchange(is_polling_, false)) {
        auto& poll = std::get<PollRequest>(request);
        poll.wait -= std::min(poll.wait, taken);
        auto& done = std::get<PollDone>(response);
        if (cut_short(poll, done)) {
          // Nobody needs to be told: the rest of it comes after what it was interrupted for.
          poll.batch = std::move(done.batch);
          requests_.push_back(std::move(request));
          continue;
        }
      }
      responses_.push_back(std::move(response));
      lock.unlock();
      wake_();
      lock.lock();
    }
  }

  /// The first that is no poll, or the poll.
  Request take_next() {
    const auto is_other = [](const Request& one) {
      return !std::holds_alternative<PollRequest>(one);
    };
    auto next = std::find_if(requests_.begin(), requests_.end(), is_other);
    if (next == requests_.end()) next = requests_.begin();
    Request request = std::move(*next);
    requests_.erase(next);
    return request;
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

  std::mutex mutex_;
  std::condition_variable arrived_;
  std::deque<Request> requests_;
  std::vector<Response> responses_;
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
  impl_->submit(requests);
}
void SourceIo::collect(std::vector<Response>& responses) {
  impl_->collect(responses);
}

}  // namespace tempest::source_node
