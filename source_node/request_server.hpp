#pragma once

#include <functional>
#include <memory>
#include <string>
#include <vector>

#include "source_node/requests.hpp"
#include "tempest/sink.hpp"
#include "tempest/source.hpp"

namespace tempest::source_node {

/// Owns the source and the dead-letter sink, and does with them what the machine asks. Blocks as
/// long as they do. After an `unavailable` the source (or the sink) is opened again before it is
/// used again. For one thread (source_io.hpp), or none but the caller's (the simulator).
class RequestServer {
 public:
  using MakeSource = std::function<Result<std::unique_ptr<Source>>(const Plan&)>;
  using MakeSink = std::function<Result<std::unique_ptr<Sink>>(const Endpoint&)>;

  RequestServer(MakeSource make_source, MakeSink make_sink);

  Response serve(const Request& request);

 private:
  /// A source or a sink, and whether it wants to be opened before its next use.
  template <typename Endpoint>
  struct Opened {
    std::unique_ptr<Endpoint> endpoint;
    bool is_open = false;

    template <typename Call>
    Result<void> use(Call call);
  };

  OpenDone open(const OpenRequest& request);
  PollDone poll(const PollRequest& request);
  AckDone ack(const AckRequest& request);
  DeadLettersDone write(const DeadLetterRequest& request);
  LeaveDone leave(const LeaveRequest& request);
  TendDone tend();
  Result<void> write(Sink& sink, const DeadLetters& letters);
  std::vector<std::string> warnings();

  MakeSource make_source_;
  MakeSink make_sink_;
  Opened<Source> source_;
  Opened<Sink> sink_;
};

}  // namespace tempest::source_node
