#include "cli/broker_query.hpp"

#include <catch2/catch.hpp>
#include <sstream>
#include <thread>

#include "broker/broker_node.hpp"
#include "cli/text_table.hpp"

using namespace tempest;
using namespace tempest::cli;
using namespace std::chrono_literals;

TEST_CASE("a broker that is up answers with the nodes it knows, itself first") {
  runtime::Transport transport;
  runtime::NodeOptions options;
  options.name = "the broker";
  auto broker = broker::Broker::open(transport, options, "tcp://127.0.0.1:0");
  REQUIRE(broker);
  std::thread thread([&] { (*broker)->run(); });
  const auto nodes = ask_for_nodes({"tcp://127.0.0.1:1", (*broker)->endpoint()}, 20s);
  (*broker)->loop().request_stop(false);
  thread.join();
  REQUIRE(nodes);
  REQUIRE(nodes->size() == 1);
  CHECK(nodes->front().name == "the broker");
  CHECK(nodes->front().role == Role::broker);
  CHECK(nodes->front().state == "running");
}

TEST_CASE("where no broker answers, the error says what to do") {
  const auto nodes = ask_for_nodes({"tcp://127.0.0.1:1"}, 200ms);
  REQUIRE_FALSE(nodes);
  CHECK(nodes.error().code == ErrorCode::unavailable);
  CHECK(nodes.error().message ==
        "no broker answers at tcp://127.0.0.1:1; start one with tempest-broker, or name another "
        "with --broker");
  const auto wrong = ask_for_nodes({"nowhere"}, 200ms);
  REQUIRE_FALSE(wrong);
  CHECK(wrong.error().code == ErrorCode::invalid_argument);
}

TEST_CASE("a table has columns as wide as they need, without spaces at the ends of lines") {
  TextTable table({"NAME", ">COUNT", "END"});
  CHECK(table.empty());
  table.add({"a", "12345678", "x"});
  table.add({"longer", "1", ""});
  std::ostringstream out;
  table.print(out);
  CHECK(out.str() ==
        "NAME       COUNT  END\n"
        "a       12345678  x\n"
        "longer         1\n");
}
