#include <zmq.h>

#include <algorithm>
#include <cstring>
#include <string>
#include <vector>

#include "bench/ceiling/ceiling.hpp"
#include "bench/ceiling/role_processes.hpp"
#include "bench/ceiling/sockets.hpp"

namespace tempest::ceiling {

namespace {

// What each message has in a frame besides its payload: an id and a length, as ours.
constexpr std::size_t kHeadBytes = 8;

struct Shape {
  std::size_t size_bytes;
  std::size_t batch;
  std::size_t window;
  bool copies;
};

/// A frame: how many messages, then each with its head. The payload is made anew for each message,
/// as a source has to.
void fill(zmq_msg_t* frame, const Shape& shape, const std::string& payload, std::uint64_t& id) {
  zmq_msg_init_size(frame, sizeof(std::uint64_t) + shape.batch * (kHeadBytes + shape.size_bytes));
  char* at = static_cast<char*>(zmq_msg_data(frame));
  const std::uint64_t count = shape.batch;
  std::memcpy(at, &count, sizeof count);
  at += sizeof count;
  for (std::size_t i = 0; i < shape.batch; ++i, ++id) {
    std::memcpy(at, &id, kHeadBytes);
    std::memcpy(at + kHeadBytes, payload.data(), shape.size_bytes);
    at += kHeadBytes + shape.size_bytes;
  }
}

void run_source(const Shape& shape, Board& board) {
  void* socket = open_socket(ZMQ_DEALER, "source");
  connect_socket(socket, board);
  const std::string payload(shape.size_bytes, '.');
  std::uint64_t id = 0;
  std::size_t under_way = 0;
  std::uint64_t done = 0;
  while (!board.stop) {
    for (; under_way < shape.window; ++under_way) {
      zmq_msg_t frame;
      fill(&frame, shape, payload, id);
      zmq_msg_send(&frame, socket, 0);
    }
    std::uint64_t count = 0;
    while (zmq_recv(socket, &count, sizeof count, under_way == shape.window ? 0 : ZMQ_DONTWAIT) >=
           0) {
      --under_way;
      done += count;
    }
    board.done.store(done, std::memory_order_relaxed);
  }
}

/// The frame's messages, one by one, in a frame of its own.
void copy_messages(zmq_msg_t* frame, const Shape& shape) {
  zmq_msg_t copy;
  zmq_msg_init_size(&copy, zmq_msg_size(frame));
  const char* from = static_cast<const char*>(zmq_msg_data(frame));
  char* to = static_cast<char*>(zmq_msg_data(&copy));
  std::uint64_t count = 0;
  std::memcpy(&count, from, sizeof count);
  std::memcpy(to, &count, sizeof count);
  std::size_t at = sizeof count;
  for (std::uint64_t i = 0; i < count; ++i) {
    std::memcpy(to + at, from + at, kHeadBytes);
    std::memcpy(to + at + kHeadBytes, from + at + kHeadBytes, shape.size_bytes);
    at += kHeadBytes + shape.size_bytes;
  }
  zmq_msg_close(frame);
  zmq_msg_init(frame);
  zmq_msg_move(frame, &copy);
}

void run_middle(const Shape& shape, bool ipc, Board& board) {
  void* socket = open_socket(ZMQ_ROUTER);
  bind_socket(socket, ipc, board);
  while (!board.stop) {
    char from[16] = {};
    const int size = zmq_recv(socket, from, sizeof from, 0);
    zmq_msg_t frame;
    zmq_msg_init(&frame);
    zmq_msg_recv(&frame, socket, 0);
    if (zmq_msg_size(&frame) == 0) continue;  // The worker's greeting.
    const bool from_source = size == 6 && std::memcmp(from, "source", 6) == 0;
    if (from_source && shape.copies) copy_messages(&frame, shape);
    zmq_send(socket, from_source ? "worker" : "source", 6, ZMQ_SNDMORE);
    zmq_msg_send(&frame, socket, 0);
  }
}

void run_worker(Board& board) {
  void* socket = open_socket(ZMQ_DEALER, "worker");
  connect_socket(socket, board);
  zmq_send(socket, "", 0, 0);
  while (!board.stop) {
    zmq_msg_t frame;
    zmq_msg_init(&frame);
    zmq_msg_recv(&frame, socket, 0);
    zmq_send(socket, zmq_msg_data(&frame), sizeof(std::uint64_t), 0);
    zmq_msg_close(&frame);
  }
}

Shape shape_of(const Settings& settings) {
  // Tried on two cores, 2 to 64 frames under way: see docs/performance.md.
  constexpr std::size_t kBestFrameBytes = 256ULL << 10;
  constexpr std::size_t kBestUnderWay = 8'000;  // Messages; and never fewer than 8 frames.
  Shape shape{settings.size_bytes, settings.batch, settings.window, settings.copies};
  const std::size_t each = settings.size_bytes + kHeadBytes;
  if (shape.batch == 0) shape.batch = std::max<std::size_t>(1, kBestFrameBytes / each);
  if (shape.window == 0) {
    shape.window = std::clamp<std::size_t>(kBestUnderWay / shape.batch, 8, 64);
  }
  return shape;
}

}  // namespace

Result<Numbers> relay(const Settings& settings) {
  const Shape shape = shape_of(settings);
  // The worker is there before the source sends, or its frames would have nowhere to go.
  RoleProcesses processes({[&](Board& board) { run_middle(shape, settings.ipc, board); },
                           [&](Board& board) { run_worker(board); },
                           [&](Board& board) {
                             while (!board.ready) sleep_seconds(0.001);
                             sleep_seconds(0.3);
                             run_source(shape, board);
                           }});
  Board& board = processes.board();
  const std::uint64_t deadline = now_ns() + 10'000'000'000;
  while (board.done == 0) {
    if (now_ns() > deadline) return Error{ErrorCode::unavailable, "the relay does not flow"};
    sleep_seconds(0.001);
  }
  sleep_seconds(settings.warm_up_seconds);
  const std::uint64_t begin = now_ns();
  const std::uint64_t done = board.done;
  const std::uint64_t cpu = processes.cpu_ns();
  sleep_seconds(settings.seconds);
  const auto messages = static_cast<double>(board.done - done);
  const auto seconds = static_cast<double>(now_ns() - begin) / 1e9;
  const auto cpu_us = static_cast<double>(processes.cpu_ns() - cpu) / 1e3;
  return Numbers{{"messages_per_second", messages / seconds},
                 {"cpu_us_per_message", cpu_us / std::max(1.0, messages)},
                 {"messages_per_frame", static_cast<double>(shape.batch)},
                 {"frames_under_way", static_cast<double>(shape.window)}};
}

}  // namespace tempest::ceiling
