#include "source_node/request_server.hpp"

#include <algorithm>
#include <exception>
#include <utility>

#include "source_node/dead_letter_text.hpp"
#include "tempest/base/exception_text.hpp"
#include "tempest/runtime/clock.hpp"

namespace tempest::source_node {

namespace {

// Few enough that to name them costs nothing beside the poll itself.
constexpr std::size_t kNamedInAnyCase = 8;

// A source that says it will be quiet for longer is asked all the same.
constexpr Duration kLongestQuiet = std::chrono::hours(1);

FailureCause cause_of(wire::FailureKind kind) {
  switch (kind) {
    case wire::FailureKind::timeout:
      return FailureCause::timeout;
    case wire::FailureKind::task_timeout:
      return FailureCause::task_timeout;
    case wire::FailureKind::worker_lost:
      return FailureCause::worker_lost;
    case wire::FailureKind::expired:
      return FailureCause::expired;
    case wire::FailureKind::too_large:
      return FailureCause::too_large;
    case wire::FailureKind::never_done:
      return FailureCause::never_done;
    case wire::FailureKind::too_many:
      return FailureCause::too_many;
    case wire::FailureKind::error:
      break;
  }
  return FailureCause::error;
}

/// What is a user's own may throw, in spite of all.
template <typename Call>
Result<void> guarded(Call call) {
  try {
    return call();
  } catch (const std::exception& fault) {
    return Error{ErrorCode::internal, std::string("a user's class threw: ") + text_of(fault), {}};
  } catch (...) {
    return Error{ErrorCode::internal, "a user's class threw something unknown", {}};
  }
}

}  // namespace

template <typename Endpoint>
template <typename Call>
Result<void> RequestServer::Opened<Endpoint>::use(Call call) {
  return guarded([&]() -> Result<void> {
    if (!is_open) {
      if (auto opened = endpoint->open(); !opened) return opened;
      is_open = true;
    }
    auto done = call(*endpoint);
    if (!done && done.error().means_away()) is_open = false;
    return done;
  });
}

Response RequestServer::serve(Request& request) {
  struct Visitor {
    RequestServer& server;
    Response operator()(const OpenRequest& asked) const { return server.open(asked); }
    Response operator()(PollRequest& asked) const { return server.poll(asked); }
    Response operator()(const AckRequest& asked) const { return server.ack(asked); }
    Response operator()(const DeadLetterRequest& asked) const { return server.write(asked); }
    Response operator()(const LeaveRequest& asked) const { return server.leave(asked); }
    Response operator()(const TendRequest& /*asked*/) const { return server.tend(); }
    Response operator()(const DrainedRequest& /*asked*/) const { return server.drained(); }
    Response operator()(const ChooseRequest& asked) const { return server.choose(asked); }
  };
  return std::visit(Visitor{*this}, request);
}

void RequestServer::interrupt_poll() {
  // What goes wrong in it is no reason to do anything: the poll ends by itself.
  static_cast<void>(guarded([&]() -> Result<void> {
    if (source_.endpoint) source_.endpoint->interrupt();
    return {};
  }));
}

void RequestServer::abandon() {
  const std::lock_guard lock(abandoning_);
  abandoned_ = true;
  static_cast<void>(guarded([&]() -> Result<void> {
    if (source_.endpoint) source_.endpoint->abandon();
    if (sink_.endpoint) sink_.endpoint->abandon();
    return {};
  }));
}

OpenDone RequestServer::open(const OpenRequest& request) {
  OpenDone done;
  done.result = guarded([&]() -> Result<void> {
    if (auto made = make_parts(*request.plan); !made) return made;
    return source_.use([&](Source& opened) -> Result<void> {
      done.finite = opened.is_finite();
      done.gives_again = opened.gives_again();
      done.tend_interval = opened.tend_interval();
      return {};
    });
  });
  done.warnings = warnings();
  return done;
}

Result<void> RequestServer::make_parts(const Plan& plan) {
  {
    const std::lock_guard lock(abandoning_);
    source_ = {};
    sink_ = {};
  }
  handler_.reset();
  auto source = makers_.source(plan);
  if (!source) return source.error();
  std::unique_ptr<Sink> dead_letters;
  if (plan.failure.dead_letter) {
    auto sink = makers_.dead_letter_sink(plan);
    if (!sink) return sink.error();
    dead_letters = std::move(*sink);
  }
  if (plan.failure.handler) {
    auto handler = makers_.failure_handler(plan);
    if (!handler) return handler.error();
    handler_ = std::move(*handler);
  }
  const std::lock_guard lock(abandoning_);
  if (abandoned_) return Error{ErrorCode::unavailable, "this node ends", {}};
  source_.endpoint = std::move(*source);
  sink_.endpoint = std::move(dead_letters);
  return {};
}

PollDone RequestServer::poll(PollRequest& request) {
  PollDone done;
  done.batch = std::move(request.batch);
  done.result = source_.use([&](Source& source) {
    Result<void> polled = source.poll(request.max_messages, request.wait, done.batch);
    if (!request.with_names && done.batch.size() > kNamedInAnyCase) return polled;
    for (const SourceMessage& message : done.batch.messages()) {
      done.names.push_back(source.describe(message.token));
    }
    return polled;
  });
  done.warnings = warnings();
  if (done.batch.quiet_for > Duration::zero()) {
    done.quiet_until = runtime::monotonic_now() + std::min(done.batch.quiet_for, kLongestQuiet);
  }
  return done;
}

AckDone RequestServer::ack(const AckRequest& request) {
  return {source_.use([&](Source& source) { return source.ack(request.tokens); })};
}

DeadLettersDone RequestServer::write(const DeadLetterRequest& request) {
  return {sink_.use([&](Sink& sink) { return write(sink, *request.letters); })};
}

LeaveDone RequestServer::leave(const LeaveRequest& request) {
  return {source_.use([&](Source& source) {
    return request.untried ? source.give_back(request.tokens) : source.leave(request.tokens);
  })};
}

DrainedDone RequestServer::drained() {
  DrainedDone done;
  const auto asked = source_.use([&](Source& source) -> Result<void> {
    done.drained = source.drained();
    return done.drained ? Result<void>() : done.drained.error();
  });
  if (!asked) done.drained = asked.error();
  return done;
}

TendDone RequestServer::tend() {
  TendDone done;
  done.result = source_.use([&](Source& source) { return source.tend(done.tended); });
  return done;
}

ChooseDone RequestServer::choose(const ChooseRequest& request) {
  ChooseDone done;
  for (const DeadLetter& failed : *request.failed) {
    done.choices.push_back(choose(failed, done.fault));
  }
  return done;
}

FailureChoice RequestServer::choose(const DeadLetter& failed, std::string& fault) {
  if (!handler_ || !source_.endpoint) return {};
  FailureChoice choice;
  const auto asked = guarded([&]() -> Result<void> {
    const FailedAttempt& last = failed.attempts.back();
    const std::string source = source_.endpoint->describe(failed.token);
    choice = handler_->choose({failed.payload, failed.key, source, failed.failing_payload,
                               cause_of(last.kind), last.task, last.worker, last.reason,
                               last.delivery_attempts, failed.attempt,
                               runtime::monotonic_now() - failed.read_at});
    return {};
  });
  if (asked) return choice;
  fault = asked.error().message;
  return {};
}

Result<void> RequestServer::write(Sink& sink, const DeadLetters& letters) {
  std::vector<std::string> texts;
  std::vector<Message> messages;
  std::vector<SourceToken> tokens;
  texts.reserve(letters.size());
  messages.reserve(letters.size());
  tokens.reserve(letters.size());
  const Moment now{runtime::monotonic_now(), std::chrono::system_clock::now()};
  for (const DeadLetter& letter : letters) {
    texts.push_back(dead_letter_text(letter, source_.endpoint->describe(letter.token), now));
    messages.emplace_back(texts.back(), letter.key);
    tokens.push_back(letter.token);
  }
  // Then the node acks once more, which changes nothing.
  bool is_done = false;
  auto tried = source_.use([&](Source& source) -> Result<void> {
    auto done = source.write_and_ack(sink, messages, tokens);
    if (!done) return done.error();
    is_done = *done;
    return {};
  });
  if (!tried || is_done) return tried;
  return sink.write(messages);
}

std::vector<std::string> RequestServer::warnings() {
  std::vector<std::string> warnings;
  const auto asked = guarded([&]() -> Result<void> {
    if (source_.endpoint) warnings = source_.endpoint->take_warnings();
    if (!sink_.endpoint) return {};
    for (std::string& warning : sink_.endpoint->take_warnings()) {
      warnings.push_back("dead letters: " + std::move(warning));
    }
    return {};
  });
  if (!asked) warnings.push_back(asked.error().message);
  return warnings;
}

}  // namespace tempest::source_node
