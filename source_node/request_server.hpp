#pragma once

#include <functional>
#include <memory>
#include <mutex>
#include <string>
#include <utility>
#include <vector>

#include "source_node/requests.hpp"
#include "tempest/failure.hpp"
#include "tempest/sink.hpp"
#include "tempest/source.hpp"

namespace tempest::source_node {

/// Owns the source, the dead-letter sink and the failure handler, and does with them what the
/// machine asks. Blocks as long as they do. After an `unavailable` the source (or the sink) is
/// opened again before it is used again. For one thread (source_io.hpp), or none but the caller's
/// (the simulator).
class RequestServer {
 public:
  /// How what a plan names is made; none of it is opened.
  struct Makers {
    std::function<Result<std::unique_ptr<Source>>(const Plan&)> source;
    std::function<Result<std::unique_ptr<Sink>>(const Plan&)> dead_letter_sink;
    std::function<Result<std::unique_ptr<FailureHandler>>(const Plan&)> failure_handler = {};
  };

  explicit RequestServer(Makers makers) : makers_(std::move(makers)) {}

  /// A poll's batch goes over into the response.
  Response serve(Request& request);
  /// Something waits behind the poll that is being served. From another thread, and only while it
  /// is: the source stays the same one.
  void interrupt_poll();
  /// The process ends: what is being served, and all after it, is to return at once. From another
  /// thread, at any time.
  void abandon();

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
  PollDone poll(PollRequest& request);
  AckDone ack(const AckRequest& request);
  DeadLettersDone write(const DeadLetterRequest& request);
  LeaveDone leave(const LeaveRequest& request);
  TendDone tend();
  DrainedDone drained();
  ChooseDone choose(const ChooseRequest& request);
  FailureChoice choose(const DeadLetter& failed, std::string& fault);
  Result<void> make_parts(const Plan& plan);
  Result<void> write(Sink& sink, const DeadLetters& letters);
  std::vector<std::string> warnings();

  Makers makers_;
  Opened<Source> source_;
  Opened<Sink> sink_;
  std::unique_ptr<FailureHandler> handler_;
  std::mutex abandoning_;  ///< Guards which source and sink there are, against abandon().
  bool abandoned_ = false;
};

}  // namespace tempest::source_node
