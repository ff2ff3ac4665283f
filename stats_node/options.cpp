#include "stats_node/options.hpp"

#include "stats_node/http_server.hpp"

namespace tempest::stats_node {

void add_options(runtime::CommandLine& line) {
  line.option("http", "HOST:PORT",
              "Where to serve /metrics, /stats, /livez, /readyz and /version; empty: nowhere",
              "127.0.0.1:9100");
  runtime::add_node_options(Role::stats, line);
  line.example("tempest-stats --broker tcp://127.0.0.1:5550", "metrics on port 9100")
      .example("tempest-stats --http=", "only publish the aggregate")
      .example("curl -s http://127.0.0.1:9100/stats", "the aggregate as it is now");
}

Options read_options(runtime::CommandLine& line) {
  Options options;
  options.node = runtime::read_node_options(Role::stats, line);
  options.http = line.text("http");
  std::string host;
  int port = 0;
  if (!options.http.empty() && !parse_address(options.http, host, port)) {
    line.fail("--http takes HOST:PORT, such as 127.0.0.1:9100, not '" + options.http + "'");
  }
  return options;
}

}  // namespace tempest::stats_node
