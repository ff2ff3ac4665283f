#pragma once

#include <functional>
#include <memory>
#include <vector>

#include "source_node/request_server.hpp"
#include "source_node/requests.hpp"

namespace tempest::source_node {

/// The thread that owns the source and the dead-letter sink. It may block there as long as it
/// needs: requests wait in a mailbox, are served in the order they came in (but a poll after all
/// others), and their responses wait in another, of which `wake` tells.
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
  /// Appends what has come back.
  void collect(std::vector<Response>& responses);

 private:
  class Impl;
  std::unique_ptr<Impl> impl_;
};

}  // namespace tempest::source_node
