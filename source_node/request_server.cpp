#include "source_node/request_server.hpp"

#include <exception>
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
  } catch (...) {
    return Error{ErrorCode::internal, "the source or sink threw something unknown", {}};
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
    if (!done && means_away(done.error())) is_open = false;
    return done;
  });
}

Response RequestServer::serve(const Request& request) {
  struct Visitor {
    RequestServer& server;
    Response operator()(const OpenRequest& asked) const { return server.open(asked); }
    Response operator()(const PollRequest& asked) const { return server.poll(asked); }
    Response operator()(const AckRequest& asked) const { return server.ack(asked); }
    Response operator()(const DeadLetterRequest& asked) const { return server.write(asked); }
    Response operator()(const LeaveRequest& asked) const { return server.leave(asked); }
    Response operator()(const TendRequest& /*asked*/) const { return server.tend(); }
  };
  return std::visit(Visitor{*this}, request);
}

OpenDone RequestServer::open(const OpenRequest& request) {
  OpenDone done;
  done.result = guarded([&]() -> Result<void> {
    source_ = {};
    sink_ = {};
    auto source = makers_.source(*request.plan);
    if (!source) return source.error();
    if (request.plan->failure.dead_letter) {
      auto sink = makers_.dead_letter_sink(*request.plan);
      if (!sink) return sink.error();
      sink_.endpoint = std::move(*sink);
    }
    source_.endpoint = std::move(*source);
    return source_.use([&](Source& opened) -> Result<void> {
      done.finite = opened.is_finite();
      done.tend_interval = opened.tend_interval();
      return {};
    });
  });
  done.warnings = warnings();
  return done;
}

PollDone RequestServer::poll(const PollRequest& request) {
  PollDone done;
  done.result = source_.use(
      [&](Source& source) { return source.poll(request.max_messages, request.wait, done.batch); });
  done.warnings = warnings();
  return done;
}

AckDone RequestServer::ack(const AckRequest& request) {
  return {source_.use([&](Source& source) { return source.ack(request.tokens); })};
}

DeadLettersDone RequestServer::write(const DeadLetterRequest& request) {
  return {sink_.use([&](Sink& sink) { return write(sink, *request.letters); })};
}

LeaveDone RequestServer::leave(const LeaveRequest& request) {
  return {source_.use([&](Source& source) { return source.leave(request.tokens); })};
}

TendDone RequestServer::tend() {
  TendDone done;
  done.result = source_.use([&](Source& source) { return source.tend(done.tended); });
  return done;
}

Result<void> RequestServer::write(Sink& sink, const DeadLetters& letters) {
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

std::vector<std::string> RequestServer::warnings() {
  std::vector<std::string> warnings;
  const auto asked = guarded([&]() -> Result<void> {
    if (source_.endpoint) warnings = source_.endpoint->take_warnings();
    return {};
  });
  if (!asked) warnings.push_back(asked.error().message);
  return warnings;
}

}  // namespace tempest::source_node
