#include "tempest/runtime/local_address.hpp"

#include <catch2/catch.hpp>

using namespace tempest::runtime;

TEST_CASE("a node whose brokers are all on this machine listens for this machine alone") {
  for (const char* broker : {"tcp://127.0.0.1:5550", "tcp://127.3.2.1:1", "tcp://localhost:5550",
                             "ipc:///tmp/broker", "inproc://broker"}) {
    INFO(broker);
    const Reach reach = reach_from({"tcp://127.0.0.1:5550", broker});
    CHECK(reach.bind == "tcp://127.0.0.1:0");
    CHECK(reach.advertise == "127.0.0.1");
    CHECK(reach.doubt.empty());
  }
  CHECK(reach_from({"tcp://[::1]:5550"}).bind == "tcp://[::1]:0");
}

TEST_CASE("the local end of a connection within this machine is the loopback") {
  const auto local = local_end_towards(*numeric_address("127.0.0.1", 5550));
  REQUIRE(local);
  CHECK(is_loopback(*local));
  CHECK_FALSE(is_loopback(*numeric_address("10.1.2.3", 5550)));
  CHECK_FALSE(is_loopback(*numeric_address("fe80::1", 5550)));
}

TEST_CASE("a node whose broker's name is not known yet listens everywhere, and says its doubt") {
  const Reach reach = reach_from({"tcp://nobody-has-this-name.invalid:5550"});
  CHECK(reach.bind == "tcp://*:0");
  CHECK_FALSE(reach.advertise.empty());
  CHECK(reach.doubt.find("nobody-has-this-name.invalid") != std::string::npos);
}
