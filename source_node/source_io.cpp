#include "source_node/source_io.hpp"

#include <condition_variable>
#include <deque>
#include <exception>
#include <mutex>
#include <thread>
#include <utility>

#include "source_node/dead_letter_text.hpp"
#include "tempest/runtime/clock.hpp"

namespace tempest::source_node {

namespace {

bool means_away(const Error& error) {
  return error.code == ErrorCode::unavailable || error.code == ErrorCode::timeout;
}

/// A source or sink of a user's own may throw, in spite of all.
template <typename Call>
Result<void> guarded(Call call) {
  try {
    return call();
  } catch (const std::exception& fault) {
    return Error{ErrorCode::internal, std::string("the source or sink threw: ") + fault.what(), {}};
  }
}

/// A source or a sink, and whether it wants to be opened before its next use.
template <typename Endpoint>
struct Opened {
  std::unique_ptr<Endpoint> endpoint;
  bool is_open = false;

  template <typename Call>
  Result<void> use(Call call) {
    return guarded([&]() -> Result<void> {
      if (!is_open) {
        if (auto opened = endpoint->open(); !opened) return opened;
        is_open = true;
      }
      auto done = call(*endpoint);
      if (!done && means_away(done.error())) is_open = false;
      return done;
    });
  }
};

}  // namespace

class SourceIo::Impl {
 public:
  Impl(MakeSource make_source, MakeSink make_sink, std::function<void()> wake)
      : make_source_(std::move(make_source)),
        make_sink_(std::move(make_sink)),
        wake_(std::move(wake)),
        thread_([this] { serve_all(); }) {}

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
      Response response =
          std::visit([this](const auto& asked) -> Response { return serve(asked); }, request);
      lock.lock();
      responses_.push_back(std::move(response));
      lock.unlock();
      wake_();
      lock.lock();
    }
  }

  OpenDone serve(const OpenRequest& request) {
    OpenDone done;
    done.result = guarded([&]() -> Result<void> {
      source_ = {};
      sink_ = {};
      auto source = make_source_(*request.plan);
      if (!source) return source.error();
      if (request.plan->failure.dead_letter) {
        auto sink = make_sink_(*request.plan->failure.dead_letter);
        if (!sink) return sink.error();
        sink_.endpoint = std::move(*sink);
      }
      source_.endpoint = std::move(*source);
      return source_.use([&](Source& opened) -> Result<void> {
        done.finite = opened.is_finite();
        return {};
      });
    });
    done.warnings = warnings();
    return done;
  }

  PollDone serve(const PollRequest& request) {
    PollDone done;
    done.result = source_.use([&](Source& source) {
      return source.poll(request.max_messages, request.wait, done.batch);
    });
    done.warnings = warnings();
    return done;
  }

  AckDone serve(const AckRequest& request) {
    return {source_.use([&](Source& source) { return source.ack(request.tokens); })};
  }

  DeadLettersDone serve(const DeadLetterRequest& request) {
    return {sink_.use([&](Sink& sink) { return write(sink, *request.letters); })};
  }

  Result<void> write(Sink& sink, const DeadLetters& letters) {
    std::vector<std::string> texts;
    std::vector<Message> messages;
    texts.reserve(letters.size());
    messages.reserve(letters.size());
    const Moment now{runtime::monotonic_now(), std::chrono::system_clock::now()};
    for (const DeadLetter& letter : letters) {
      texts.push_back(dead_letter_text(letter, source_.endpoint->describe(letter.token), now));
      messages.emplace_back(texts.back(), letter.key);
    }
    return sink.write(messages);
  }

  std::vector<std::string> warnings() {
    return source_.endpoint ? source_.endpoint->take_warnings() : std::vector<std::string>{};
  }

  MakeSource make_source_;
  MakeSink make_sink_;
  std::function<void()> wake_;
  Opened<Source> source_;
  Opened<Sink> sink_;

  std::mutex mutex_;
  std::condition_variable arrived_;
  std::deque<Request> requests_;
  std::vector<Response> responses_;
  bool ending_ = false;

  std::thread thread_;  // The last, so that it begins when all else is there.
};

SourceIo::SourceIo(MakeSource make_source, MakeSink make_sink, std::function<void()> wake)
    : impl_(std::make_unique<Impl>(std::move(make_source), std::move(make_sink), std::move(wake))) {
}
SourceIo::~SourceIo() = default;

void SourceIo::submit(std::vector<Request>& requests) {
  impl_->submit(requests);
}
void SourceIo::collect(std::vector<Response>& responses) {
  impl_->collect(responses);
}

}  // namespace tempest::source_node
