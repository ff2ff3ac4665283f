#include "broker/options.hpp"

#include "tempest/runtime/transport.hpp"

namespace tempest::broker {
namespace {

bool is_address(const std::string& bind) {
  if (!runtime::stats_in_endpoint(bind).empty()) return true;
  return bind.starts_with("tcp://") && (bind.ends_with(":0") || bind.ends_with(":*"));
}

}  // namespace

void add_options(runtime::CommandLine& line) {
  line.option("bind", "URL",
              "Where to listen; statistics go in at the next port and out at the one after",
              "tcp://127.0.0.1:5550");
  runtime::add_node_options(Role::broker, line);
  line.example("tempest-broker", "listen on this machine only")
      .example("tempest-broker --bind tcp://*:5550", "listen on every address")
      .example("tempest-broker --bind tcp://127.0.0.1:0", "take three free ports, and log them");
}

Options read_options(runtime::CommandLine& line) {
  Options options;
  options.node = runtime::read_node_options(Role::broker, line);
  options.bind = line.text("bind");
  if (!is_address(options.bind)) {
    line.fail("--bind takes an address such as tcp://127.0.0.1:5550, not '" + options.bind + "'");
  }
  return options;
}

}  // namespace tempest::broker
