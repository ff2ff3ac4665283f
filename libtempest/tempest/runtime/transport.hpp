#pragma once

#include <memory>
#include <string>

namespace zmq {
class context_t;
}

namespace tempest::runtime {

/// The ZeroMQ context of a process, and every option a socket of ours gets, each in one place with
/// its reason. Outlives all loops made with it.
class Transport {
 public:
  Transport();
  ~Transport();

  zmq::context_t& context() { return *context_; }

 private:
  std::unique_ptr<zmq::context_t> context_;
};

/// The stats bus of the broker at this control endpoint: where PUBs connect to ("in") and SUBs
/// ("out"). "tcp://host:5550" gives 5551 and 5552; "inproc://x" and "ipc://x" give "x.stats-in"
/// and "x.stats-out". Empty if the endpoint is of no known form.
std::string stats_in_endpoint(const std::string& broker);
std::string stats_out_endpoint(const std::string& broker);

}  // namespace tempest::runtime
