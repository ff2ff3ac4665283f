#include <zmq.h>

#include <algorithm>
#include <string>
#include <vector>

#include "bench/ceiling/ceiling.hpp"
#include "bench/ceiling/role_processes.hpp"
#include "bench/ceiling/sockets.hpp"

namespace tempest::ceiling {

namespace {

void run_echo(bool ipc, Board& board) {
  void* socket = open_socket(ZMQ_ROUTER);
  bind_socket(socket, ipc, board);
  while (true) {
    char from[16] = {};
    const int size = zmq_recv(socket, from, sizeof from, 0);
    zmq_msg_t frame;
    zmq_msg_init(&frame);
    zmq_msg_recv(&frame, socket, 0);
    zmq_send(socket, from, static_cast<std::size_t>(size), ZMQ_SNDMORE);
    zmq_msg_send(&frame, socket, 0);
  }
}

double at_share(const std::vector<std::uint64_t>& sorted, double share) {
  const auto last = static_cast<double>(sorted.size() - 1);
  return static_cast<double>(sorted[static_cast<std::size_t>(share * last)]) / 1e3;
}

}  // namespace

Result<Numbers> ping(const Settings& settings) {
  RoleProcesses echo({[&](Board& board) { run_echo(settings.ipc, board); }});
  void* socket = open_socket(ZMQ_DEALER, "pinger");
  connect_socket(socket, echo.board());
  const std::string payload(settings.size_bytes, '.');
  std::string answer(settings.size_bytes, ' ');
  std::vector<std::uint64_t> crossings;
  const auto warm_up = static_cast<std::uint64_t>(settings.warm_up_seconds * 1e9);
  const auto length = static_cast<std::uint64_t>(settings.seconds * 1e9);
  const std::uint64_t begin = now_ns();
  for (std::uint64_t at = begin; at < begin + warm_up + length;) {
    zmq_send(socket, payload.data(), payload.size(), 0);
    zmq_recv(socket, answer.data(), answer.size(), 0);
    const std::uint64_t after = now_ns();
    if (at >= begin + warm_up) crossings.push_back((after - at) / 2);
    at = after;
  }
  if (crossings.empty()) return Error{ErrorCode::unavailable, "no ping came back"};
  std::sort(crossings.begin(), crossings.end());
  return Numbers{{"crossing_p50_us", at_share(crossings, 0.5)},
                 {"crossing_p99_us", at_share(crossings, 0.99)},
                 {"crossing_p999_us", at_share(crossings, 0.999)}};
}

}  // namespace tempest::ceiling
