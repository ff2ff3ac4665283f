#include <cstdio>
#include <memory>

#include "stats_node/bus_thread.hpp"
#include "stats_node/http_server.hpp"
#include "stats_node/options.hpp"
#include "stats_node/stats_node.hpp"
#include "tempest/runtime/exit_code.hpp"
#include "tempest/runtime/first_process.hpp"
#include "tempest/runtime/logging.hpp"
#include "tempest/runtime/process_guard.hpp"

using namespace tempest;

namespace {

int fail(const Error& error) {
  std::fprintf(stderr, "tempest-stats: %s\n", error.message.c_str());
  return error.code == ErrorCode::invalid_argument ? runtime::kExitUsage
                                                   : runtime::kExitUnavailable;
}

int run(const stats_node::Options& options) {
  const link::Identity identity = runtime::make_identity(Role::stats, options.node.name, {});
  runtime::Transport transport;
  stats_node::StatsBoard board;
  std::unique_ptr<stats_node::HttpServer> http;
  if (!options.http.empty()) {
    auto started = stats_node::HttpServer::start(options.http, board);
    if (!started) return fail(started.error());
    http = std::move(*started);
    runtime::Log(options.node.name).info("serving http://" + http->address());
  }
  auto bus = stats_node::BusThread::start(transport, options.node.brokers, board);
  if (!bus) return fail(bus.error());
  stats_node::StatsNode node(identity, options.node.brokers, options.node.link,
                             runtime::random_seed(), board);
  runtime::NodeLoop loop(transport, runtime::loop_options(options.node, identity, {}));
  return runtime::run_loop(loop, node);
}

}  // namespace

int main(int argc, char** argv) {
  runtime::guard_process();
  runtime::stand_behind_first_process();
  runtime::CommandLine line("tempest-stats",
                            "Aggregates what all nodes report, publishes it, and serves it.");
  stats_node::add_options(line);
  if (const auto exit = line.parse(argc, argv)) return *exit;
  const stats_node::Options options = stats_node::read_options(line);
  if (line.failed()) return runtime::kExitUsage;
  return run(options);
}
