#include "broker/broker_node.hpp"

#include <catch2/catch.hpp>
#include <functional>
#include <optional>
#include <thread>
#include <zmq.hpp>

#include "tempest/runtime/clock.hpp"

using namespace tempest;
using namespace tempest::broker;
using namespace std::chrono_literals;

namespace {

constexpr Duration kPatience = 20s;

runtime::NodeOptions options() {
  runtime::NodeOptions options;
  options.name = "broker";
  return options;
}

/// What was published, as a subscriber to `topic` sees it once it is connected.
std::optional<std::string> publish_through(zmq::socket_t& publisher, zmq::socket_t& subscriber,
                                           const std::string& topic, const std::string& body) {
  subscriber.set(zmq::sockopt::rcvtimeo, 20);
  const TimePoint deadline = runtime::monotonic_now() + kPatience;
  while (runtime::monotonic_now() < deadline) {
    publisher.send(zmq::buffer(topic), zmq::send_flags::sndmore);
    publisher.send(zmq::buffer(body), zmq::send_flags::none);
    zmq::message_t part;
    if (!subscriber.recv(part)) continue;
    if (!subscriber.recv(part)) return std::nullopt;
    return part.to_string();
  }
  return std::nullopt;
}

}  // namespace

TEST_CASE("the stats bus forwards what nodes publish to those who asked for it") {
  runtime::Transport transport;
  const std::string broker = GENERATE("inproc://broker", "tcp://127.0.0.1:0");
  auto opened = Broker::open(transport, options(), broker);
  REQUIRE(opened);
  const std::string endpoint = (*opened)->endpoint();

  auto publisher = runtime::make_publisher(transport);
  REQUIRE(runtime::connect_socket(publisher, runtime::stats_in_endpoint(endpoint)));
  auto everything = runtime::make_subscriber(transport, "report/");
  REQUIRE(runtime::connect_socket(everything, runtime::stats_out_endpoint(endpoint)));
  auto others = runtime::make_subscriber(transport, "aggregate");
  REQUIRE(runtime::connect_socket(others, runtime::stats_out_endpoint(endpoint)));

  CHECK(publish_through(publisher, everything, "report/count/source", "numbers") == "numbers");
  // Publishers take no note of who subscribes to what: the bus does.
  CHECK(publish_through(publisher, others, "aggregate", "sums") == "sums");
}

TEST_CASE("a broker publishes its own statistics, and ends when it is asked to") {
  runtime::Transport transport;
  auto opened = Broker::open(transport, options(), "tcp://127.0.0.1:0");
  REQUIRE(opened);
  Broker& broker = **opened;
  auto subscriber = runtime::make_subscriber(transport, "report//broker");
  REQUIRE(runtime::connect_socket(subscriber, runtime::stats_out_endpoint(broker.endpoint())));
  subscriber.set(zmq::sockopt::rcvtimeo, 20'000);
  int exit_code = -1;
  std::thread thread([&] { exit_code = broker.run(); });
  zmq::message_t topic;
  CHECK(subscriber.recv(topic));
  broker.loop().request_stop(false);
  thread.join();
  CHECK(exit_code == 0);
}

TEST_CASE("a broker whose port is taken says what to do") {
  runtime::Transport transport;
  auto first = Broker::open(transport, options(), "tcp://127.0.0.1:0");
  REQUIRE(first);
  auto second = Broker::open(transport, options(), (*first)->endpoint());
  REQUIRE_FALSE(second);
  CHECK(second.error().code == ErrorCode::unavailable);
  CHECK(second.error().message.find("in use") != std::string::npos);
  CHECK(second.error().message.find("--bind") != std::string::npos);
  // And also if it is only a port of the stats bus.
  auto third = Broker::open(transport, options(), runtime::stats_in_endpoint((*first)->endpoint()));
  CHECK_FALSE(third);
}

TEST_CASE("several brokers find free ports on one machine") {
  runtime::Transport transport;
  std::vector<std::unique_ptr<Broker>> brokers;
  for (int i = 0; i < 5; ++i) {
    auto opened = Broker::open(transport, options(), "tcp://127.0.0.1:*");
    REQUIRE(opened);
    brokers.push_back(std::move(*opened));
  }
}
