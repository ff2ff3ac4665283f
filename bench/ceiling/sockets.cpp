#include "bench/ceiling/sockets.hpp"

#include <unistd.h>
#include <zmq.h>

#include <cstring>

namespace tempest::ceiling {

void* open_socket(int type, const std::string& routing_id) {
  void* context = zmq_ctx_new();
  void* socket = zmq_socket(context, type);
  // The window bounds what is under way; a mark would only add a wait.
  const int no_mark = 0;
  zmq_setsockopt(socket, ZMQ_SNDHWM, &no_mark, sizeof no_mark);
  zmq_setsockopt(socket, ZMQ_RCVHWM, &no_mark, sizeof no_mark);
  if (!routing_id.empty()) {
    zmq_setsockopt(socket, ZMQ_ROUTING_ID, routing_id.data(), routing_id.size());
  }
  return socket;
}

void bind_socket(void* socket, bool ipc, Board& board) {
  const std::string wanted =
      ipc ? "ipc://@tempest-ceiling-" + std::to_string(::getpid()) : "tcp://127.0.0.1:*";
  if (zmq_bind(socket, wanted.c_str()) != 0) ::_exit(1);
  std::size_t size = sizeof board.endpoint;
  zmq_getsockopt(socket, ZMQ_LAST_ENDPOINT, board.endpoint, &size);
  board.ready = true;
}

void connect_socket(void* socket, Board& board) {
  while (!board.ready) sleep_seconds(0.001);
  if (zmq_connect(socket, board.endpoint) != 0) ::_exit(1);
}

}  // namespace tempest::ceiling
