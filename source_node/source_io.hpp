#pragma once

#include <functional>
#include <memory>
#include <optional>
#include <vector>

#include "source_node/request_server.hpp"
#include "source_node/requests.hpp"
#include "tempest/base/time.hpp"

namespace tempest::source_node {

/// The thread that owns the source and the dead-letter sink. It may block there as long as it
/// needs: requests wait in a mailbox, are served in the order they came in (but a poll after all
/// others), and their responses wait in another, of which `wake` tells. It may drive the node's
/// loop between them (runtime/node_loop.hpp).
class SourceIo {
 public:
  /// `wake` is called from the thread. All are called only while this lives.
  SourceIo(RequestServer::Makers makers, std::function<void()> wake);
  /// Waits for the request being served; drops the others.
  ~SourceIo();
  SourceIo(const SourceIo&) = delete;
  SourceIo& operator=(const SourceIo&) = delete;

  /// Takes all of `requests`.
  void submit(std::vector<Request>& requests);
  /// Takes the request; the thread does `then` right after it, if there is something.
  void submit(Request request, std::function<void()> then);
  /// In the thread itself, between two that were submitted: serves it at once.
  void serve_here(Request request);

  /// By how long the last of its kind took. Nothing: it is unknown, or the source may wait in it.
  std::optional<Duration> expected_time(const Request& request) const;
  /// The thread has nothing to do.
  bool is_free() const;
  /// Something has been submitted for the thread.
  bool is_wanted() const;

  /// Appends what has come back.
  void collect(std::vector<Response>& responses);

 private:
  class Impl;
  std::unique_ptr<Impl> impl_;
};

}  // namespace tempest::source_node
