#include "bench/nodes.hpp"

#include <netinet/in.h>
#include <signal.h>
#include <sys/socket.h>
#include <unistd.h>

#include <array>
#include <fstream>
#include <nlohmann/json.hpp>
#include <sstream>

#include "tempest/runtime/clock.hpp"
#include "tempest/runtime/node_program.hpp"

namespace tempest::bench {

namespace {

constexpr Duration kEndPatience = std::chrono::seconds(10);
// Reports come once a second, and at a node's end.
constexpr Duration kReportPatience = std::chrono::seconds(3);

bool is_free(std::uint16_t port) {
  const int socket = ::socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
  sockaddr_in address{};
  address.sin_family = AF_INET;
  address.sin_port = htons(port);
  address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
  const bool bound = ::bind(socket, reinterpret_cast<sockaddr*>(&address), sizeof address) == 0;
  ::close(socket);
  return bound;
}

std::string text_of(const std::string& path) {
  std::ifstream in(path);
  std::ostringstream text;
  text << in.rdbuf();
  return text.str();
}

}  // namespace

std::string kind_of(const std::string& node) {
  const std::size_t dash = node.rfind('-');
  return dash == std::string::npos ? node : node.substr(0, dash);
}

std::uint16_t free_ports() {
  // Below the ephemeral ones, which connections of others take at any moment.
  const auto first = static_cast<std::uint16_t>(20'000 + ::getpid() % 8'000);
  for (std::uint16_t port = first; port < 32'000; port = static_cast<std::uint16_t>(port + 3)) {
    if (is_free(port) && is_free(port + 1) && is_free(port + 2)) return port;
  }
  return first;
}

Nodes::Nodes(const Settings& settings) : settings_(settings) {}

Nodes::~Nodes() {
  children_.clear();
}

Result<std::unique_ptr<Nodes>> Nodes::start(const Settings& settings) {
  std::unique_ptr<Nodes> nodes(new Nodes(settings));
  if (!nodes->folder_.exists()) return Error{ErrorCode::unavailable, "no folder for the run"};
  std::ofstream(nodes->file("Topology.toml")) << topology_text(settings);
  if (settings.transport == Transport::process) return nodes;
  const bool tcp = settings.transport == Transport::tcp;
  nodes->broker_ =
      tcp ? "tcp://127.0.0.1:" + std::to_string(free_ports()) : "ipc://" + nodes->file("broker");
  if (auto added = nodes->add("broker", "tempest-broker", {"--bind", nodes->broker_}); !added) {
    return added.error();
  }
  const std::size_t workers = settings.separate ? tasks_of(settings).size() : settings.workers;
  const std::string bind = tcp ? "tcp://127.0.0.1:0" : "ipc://" + nodes->file("pipeline");
  auto added = nodes->add("pipeline", "tempest-pipeline",
                          {"--topology", nodes->file("Topology.toml"), "--bind", bind,
                           "--min-workers", std::to_string(workers)});
  if (!added) return added.error();
  for (std::size_t i = 1; i <= workers; ++i) {
    std::vector<std::string> arguments = {"--topology", kTopologyName, "--threads",
                                          std::to_string(settings.threads)};
    if (settings.separate) {
      arguments.insert(arguments.end(), {"--task", tasks_of(settings)[i - 1].name});
    }
    added = nodes->add("task-" + std::to_string(i), "tempest-task", std::move(arguments));
    if (!added) return added.error();
  }
  nodes->watch_ = std::make_unique<StatsWatch>(nodes->broker_);
  return nodes;
}

Result<void> Nodes::add(const std::string& name, const std::string& program,
                        std::vector<std::string> arguments) {
  std::vector<std::string> command = {runtime::program_folder() + "/" + program};
  if (!broker_.empty()) {
    command.insert(command.end(), {"--name", name});
    if (name != "broker") command.insert(command.end(), {"--broker", broker_});
  }
  command.insert(command.end(), arguments.begin(), arguments.end());
  command.insert(command.end(), {"--log-level", "warning"});
  auto child = Child::start(name, std::move(command),
                            {file("log"), broker_.empty(), settings_.count_syscalls});
  if (!child) return child.error();
  children_.push_back(std::move(*child));
  return {};
}

Result<void> Nodes::start_source(const std::string& name, bool ends) {
  std::vector<std::string> arguments;
  if (ends) arguments = {"--exit-when-drained", "--record", file("record")};
  if (!broker_.empty()) {
    arguments.insert(arguments.end(), {"--topology", kTopologyName});
    return add(name, "tempest-source", std::move(arguments));
  }
  arguments.insert(arguments.begin(), {"run", file("Topology.toml"), "--json"});
  arguments.insert(arguments.end(), {"--workers", std::to_string(settings_.workers), "--threads",
                                     std::to_string(settings_.threads)});
  return add("tempest", "tempest", std::move(arguments));
}

std::optional<source_node::FlowRecordFile> Nodes::record() const {
  auto opened = source_node::FlowRecordFile::open(file("record"));
  if (!opened) return std::nullopt;
  return std::move(*opened);
}

Result<NodeCounts> Nodes::finish() {
  return broker_.empty() ? finish_one() : finish_processes();
}

Result<NodeCounts> Nodes::finish_processes() {
  for (std::size_t i = children_.size() - 1; i-- > 1;) {
    children_[i].signal(SIGTERM);
  }
  for (std::size_t i = children_.size() - 1; i-- > 1;) {
    const auto code = children_[i].wait(kEndPatience);
    if (code == 0) continue;
    return Error{ErrorCode::unavailable, children_[i].name() + " has ended with " +
                                             (code ? std::to_string(*code) : "nothing in time")};
  }
  const TimePoint deadline = runtime::monotonic_now() + kReportPatience;
  while (watch_->wait(std::chrono::milliseconds(300)) && runtime::monotonic_now() < deadline) {
  }
  NodeCounts counts;
  for (const BenchTask& task : tasks_of(settings_)) {
    counts.handled.push_back(
        watch_->sum("tempest_task_handled_total", {{"task", task.name}, {"outcome", "done"}}));
  }
  counts.read = watch_->sum("tempest_messages_read_total");
  counts.acked = watch_->sum("tempest_messages_acked_total");
  counts.frames_sent = watch_->sum("tempest_link_frames_sent_total");
  counts.source_frames_sent = watch_->sum("tempest_link_frames_sent_total", {}, "source");
  children_.front().signal(SIGTERM);
  children_.front().wait(kEndPatience);
  return counts;
}

Result<NodeCounts> Nodes::finish_one() {
  const auto summary = nlohmann::json::parse(source().output(), nullptr, false);
  if (!summary.is_object() || !summary.contains("handled")) {
    return Error{ErrorCode::unavailable, "tempest run gave no summary"};
  }
  NodeCounts counts;
  counts.read = summary.value("read", std::uint64_t{0});
  counts.acked = summary.value("acked", std::uint64_t{0});
  for (const BenchTask& task : tasks_of(settings_)) {
    counts.handled.push_back(summary["handled"].value(task.name, std::uint64_t{0}));
  }
  return counts;
}

std::string Nodes::log() const {
  return text_of(file("log"));
}

}  // namespace tempest::bench
