#include "source_node/source_io.hpp"

#include <condition_variable>
#include <deque>
#include <mutex>
#include <thread>
#include <utility>

namespace tempest::source_node {

class SourceIo::Impl {
 public:
  Impl(RequestServer::Makers makers, std::function<void()> wake)
      : server_(std::move(makers)), wake_(std::move(wake)), thread_([this] { serve_all(); }) {}

  ~Impl() {
    {
      const std::lock_guard lock(mutex_);
      ending_ = true;
    }
    arrived_.notify_one();
    thread_.join();
  }

  void submit(std::vector<Request>& requests) {
    if (requests.empty()) return;
    {
      const std::lock_guard lock(mutex_);
      for (Request& request : requests) requests_.push_back(std::move(request));
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
      Request request = std::move(requests_.front());
      requests_.pop_front();
      lock.unlock();
      Response response = server_.serve(request);
      lock.lock();
      responses_.push_back(std::move(response));
      lock.unlock();
      wake_();
      lock.lock();
    }
  }

  RequestServer server_;
  std::function<void()> wake_;

  std::mutex mutex_;
  std::condition_variable arrived_;
  std::deque<Request> requests_;
  std::vector<Response> responses_;
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
