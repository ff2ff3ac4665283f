#include "stats_node/bus_thread.hpp"

#include <httplib.h>

#include <catch2/catch.hpp>
#include <nlohmann/json.hpp>
#include <optional>
#include <zmq.hpp>

#include "stats_node/aggregate_feed.hpp"
#include "stats_node/http_server.hpp"
#include "tempest/runtime/clock.hpp"
#include "tempest/wire/codec.hpp"
#include "tempest/wire/stats_builder.hpp"

using namespace tempest;
using namespace tempest::stats_node;
using namespace std::chrono_literals;
using Json = nlohmann::json;

namespace {

constexpr Duration kPatience = 20s;

/// What a broker's stats bus looks like from outside, with the test in the middle.
struct Bus {
  explicit Bus(runtime::Transport& transport)
      : to_stats(runtime::make_publisher(transport)),
        from_stats(runtime::make_subscriber(transport, "")) {
    to_stats.bind(runtime::stats_out_endpoint(kBroker));
    from_stats.bind(runtime::stats_in_endpoint(kBroker));
  }

  void publish(const std::string& topic, const std::string& body) {
    to_stats.send(zmq::buffer(topic), zmq::send_flags::sndmore);
    to_stats.send(zmq::buffer(body), zmq::send_flags::none);
  }
  void publish(const wire::StatsReport& report) {
    std::string body;
    wire::encode(report, body);
    publish("report/" + report.topology + "/" + report.node, body);
  }
  /// Publishes again and again (a subscriber may come late) until an aggregate is as wanted.
  std::optional<Json> publish_until(wire::StatsReport report,
                                    const std::function<bool(const Json&)>& wanted) {
    const TimePoint deadline = runtime::monotonic_now() + kPatience;
    from_stats.set(zmq::sockopt::rcvtimeo, 100);
    while (runtime::monotonic_now() < deadline) {
      ++report.uptime_ms;
      publish(report);
      zmq::message_t topic;
      if (!from_stats.recv(topic)) continue;
      zmq::message_t body;
      if (!from_stats.recv(body)) return std::nullopt;
      if (topic.to_string() != "aggregate") return std::nullopt;
      Json json = Json::parse(body.to_string());
      if (wanted(json)) return json;
    }
    return std::nullopt;
  }

  static inline const std::string kBroker = "inproc://bus";
  zmq::socket_t to_stats;
  zmq::socket_t from_stats;
};

wire::StatsReport report_of(double acked) {
  wire::StatsReport report;
  report.node = "source";
  report.role = Role::source;
  report.topology = "count";
  report.incarnation = {1, 1};
  report.uptime_ms = 1000;
  report.numbers.push_back({"tempest_messages_acked_total", {}, acked, true});
  return report;
}

bool lists_topology(const Json& json) {
  return json.at("topologies").contains("count");
}

}  // namespace

TEST_CASE("reports go in from the bus, and the aggregate goes out to it") {
  runtime::Transport transport;
  Bus bus(transport);
  StatsBoard board;
  auto thread = BusThread::start(transport, {Bus::kBroker}, board);
  REQUIRE(thread);
  const auto json = bus.publish_until(report_of(42), lists_topology);
  REQUIRE(json);
  CHECK(json->at("topologies").at("count").at("acked") == 42);
  const std::string time = json->at("time");
  CHECK(time.size() == std::string("2030-01-01T00:00:00.000Z").size());
  CHECK(time.back() == 'Z');
}

TEST_CASE("what is no report is counted, and the rest goes on") {
  runtime::Transport transport;
  Bus bus(transport);
  StatsBoard board;
  auto thread = BusThread::start(transport, {Bus::kBroker}, board);
  REQUIRE(thread);
  REQUIRE(bus.publish_until(report_of(1), lists_topology));
  bus.publish("report/x", "no report");
  bus.to_stats.send(zmq::str_buffer("report/alone"), zmq::send_flags::none);
  REQUIRE(bus.publish_until(report_of(2), [&](const Json&) { return board.malformed() == 2; }));
}

TEST_CASE("an aggregate feed gives what is published, once each") {
  runtime::Transport transport;
  Bus bus(transport);
  auto feed = AggregateFeed::open(transport, {Bus::kBroker});
  REQUIRE(feed);
  CHECK_FALSE((*feed)->next(1ms));
  const TimePoint deadline = runtime::monotonic_now() + kPatience;
  std::optional<std::string> got;
  while (!got && runtime::monotonic_now() < deadline) {
    bus.publish("aggregate", "{\"time\":1}");
    got = (*feed)->next(10ms);
  }
  CHECK(got == "{\"time\":1}");
  bus.publish("aggregate", "{\"time\":1}");
  bus.publish("aggregate", "{\"time\":2}");
  CHECK((*feed)->next(kPatience) == "{\"time\":2}");
}

TEST_CASE("a stats node is served over HTTP") {
  StatsBoard board;
  const auto report = report_of(5);
  board.take(report, runtime::monotonic_now());
  auto server = HttpServer::start("127.0.0.1:0", board);
  REQUIRE(server);
  std::string host;
  int port = 0;
  REQUIRE(parse_address((*server)->address(), host, port));
  CHECK(port > 0);
  httplib::Client client(host, port);

  // Nothing has been aggregated yet.
  CHECK(client.Get("/livez")->status == 503);
  board.make_aggregate("2030-01-01T00:00:00.000Z", runtime::monotonic_now());
  CHECK(client.Get("/livez")->status == 200);
  CHECK(client.Get("/readyz")->body == "no broker is up\n");
  CHECK(client.Get("/readyz")->status == 503);
  board.set_brokers_up(1);
  CHECK(client.Get("/readyz")->status == 200);
  auto stalled = report_of(6);
  stalled.uptime_ms = report.uptime_ms + 1;
  wire::StatsBuilder(stalled).gauge("tempest_stalled", 1.0);
  board.take(stalled, runtime::monotonic_now());
  CHECK(client.Get("/readyz")->status == 503);
  CHECK(client.Get("/readyz")->body.find("topology count stands still: ") == 0);
  stalled = report_of(5);
  stalled.uptime_ms = report.uptime_ms + 2;
  board.take(stalled, runtime::monotonic_now());
  CHECK(client.Get("/readyz")->status == 200);
  CHECK(Json::parse(client.Get("/stats")->body).at("topologies").at("count").at("acked") == 5);
  CHECK(client.Get("/metrics")->body.find("tempest_messages_acked_total{") != std::string::npos);
  CHECK(Json::parse(client.Get("/version")->body).contains("version"));
  CHECK(client.Get("/else")->status == 404);
  board.set_draining();
  CHECK(client.Get("/readyz")->body == "stopping\n");
  CHECK(client.Get("/livez")->status == 200);

  SECTION("and a second one at the same place is told so") {
    auto second = HttpServer::start((*server)->address(), board);
    REQUIRE_FALSE(second);
    CHECK(second.error().code == ErrorCode::unavailable);
    CHECK(second.error().message.find("in use") != std::string::npos);
  }
}

TEST_CASE("addresses are taken apart, and others refused") {
  std::string host;
  int port = 0;
  CHECK(parse_address("localhost:80", host, port));
  CHECK(host == "localhost");
  CHECK(port == 80);
  CHECK(parse_address("[::1]:9100", host, port));
  CHECK(host == "::1");
  for (const char* wrong : {"", ":80", "host", "host:", "host:x", "host:70000", "host:1x"}) {
    CHECK_FALSE(parse_address(wrong, host, port));
  }
}
