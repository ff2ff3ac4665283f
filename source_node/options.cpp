#include "source_node/options.hpp"

#include "tempest/base/limits.hpp"
#include "tempest/base/utf8.hpp"

namespace tempest::source_node {

void add_options(runtime::CommandLine& line) {
  line.option("topology", "NAME", "Whose source this is: the name in its Topology.toml");
  line.option(
      "consumer", "NAME",
      "Under which name to read, where the source knows of such (a Redis stream): the same "
      "at each start, and no other node's. By default --name, else the host's name; a second "
      "source of the topology on one host has HOST-2, and so on");
  line.flag("exit-when-drained", "End with 0 once everything is read and done");
  line.flag("exit-when-ended",
            "The same, but only where the source itself comes to an end (a file's last line)");
  line.list(
      "library", "FILE",
      "A library to load, where the source or the dead letters' sink is of one, besides those "
      "that the topology names: a path, or a name to look for");
  line.list("library-path", "DIR", "Where to look for libraries");
  line.option("record", "FILE", "Keep a record of the flow in FILE, for measurements");
  runtime::add_node_options(Role::source, line);
  line.example("tempest-source --topology wordcount", "feed a topology of this machine's broker")
      .example("tempest-source --broker tcp://10.0.0.5:5550 --topology wordcount --name source-1",
               "with a name of its own, which a restart keeps")
      .example("tempest-source --topology wordcount --exit-when-drained",
               "until there is nothing more to read");
}

Options read_options(runtime::CommandLine& line) {
  Options options;
  options.node = runtime::read_node_options(Role::source, line);
  options.topology = line.text("topology");
  options.consumer = line.text("consumer");
  options.record = line.text("record");
  options.exit_when_drained = line.has_flag("exit-when-drained");
  options.exit_when_ended = line.has_flag("exit-when-ended");
  options.libraries = {line.texts("library"), line.texts("library-path")};
  if (options.topology.empty()) {
    line.fail("--topology says whose source this is, and is missing");
  } else if (!is_name(options.topology)) {
    line.fail("--topology takes up to " + std::to_string(kMaxNameBytes) +
              " bytes of UTF-8 without control characters");
  }
  // The default node name has the process id in it: a consumer of that name would be orphaned, with
  // what it had read, by each restart.
  if (options.consumer.empty() && line.given("name")) options.consumer = options.node.name;
  return options;
}

SourceNodeOptions node_options(const Options& options, const link::Identity& identity) {
  SourceNodeOptions node;
  node.machine.self = identity;
  node.machine.brokers = options.node.brokers;
  node.machine.link = options.node.link;
  node.machine.drain_timeout = options.node.drain_timeout;
  node.machine.exit_when_drained = options.exit_when_drained;
  node.machine.exit_when_ended = options.exit_when_ended;
  node.libraries = options.libraries;
  node.machine.seed = runtime::random_seed();
  node.consumer = options.consumer;
  node.record = options.record;
  return node;
}

}  // namespace tempest::source_node
