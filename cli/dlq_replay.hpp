#pragma once

namespace tempest::cli {

/// `tempest dlq replay`.
int dlq_replay_command(int argc, const char* const* argv);

}  // namespace tempest::cli
