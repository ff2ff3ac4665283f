#include "pipeline_node/options.hpp"

#include <catch2/catch.hpp>

using tempest::pipeline_node::advertised_endpoint;

TEST_CASE("others are told the address that a node is bound to, if it is one") {
  CHECK(advertised_endpoint("tcp://10.0.0.7:5560", "", "10.0.0.9") == "tcp://10.0.0.7:5560");
  CHECK(advertised_endpoint("ipc:///tmp/x", "host", "10.0.0.9") == "ipc:///tmp/x");
}

TEST_CASE("others are told where the broker reaches a node that is bound to all addresses") {
  for (const char* bound : {"tcp://0.0.0.0:5560", "tcp://*:5560", "tcp://[::]:5560"}) {
    CHECK(advertised_endpoint(bound, "", "10.0.0.9") == "tcp://10.0.0.9:5560");
    CHECK(advertised_endpoint(bound, "", "[fe80::1]") == "tcp://[fe80::1]:5560");
  }
}

TEST_CASE("others are told the host that --advertise gives, before any other") {
  CHECK(advertised_endpoint("tcp://0.0.0.0:5560", "pipeline", "10.0.0.9") == "tcp://pipeline:5560");
  CHECK(advertised_endpoint("tcp://10.0.0.7:5560", "pipeline", "") == "tcp://pipeline:5560");
}
