#pragma once

#include <string>

#include "bench/ceiling/role_processes.hpp"

namespace tempest::ceiling {

/// A ZeroMQ socket of its own context, as fast as we know how to make it; for the life of the
/// process.
void* open_socket(int type, const std::string& routing_id = {});

/// Binds to a free port, or an ipc path in `folder`, and tells the board.
void bind_socket(void* socket, bool ipc, Board& board);
/// Waits for the board to have the endpoint.
void connect_socket(void* socket, Board& board);

}  // namespace tempest::ceiling
