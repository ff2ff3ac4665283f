#pragma once

/// The verbs of `tempest`. Each is given its own part of the command line (argv[0] is the verb) and
/// gives the exit code.
namespace tempest::cli {

int up_command(int argc, const char* const* argv);
int validate_command(int argc, const char* const* argv);
int graph_command(int argc, const char* const* argv);
int tasks_command(int argc, const char* const* argv);
int schema_command(int argc, const char* const* argv);
int new_command(int argc, const char* const* argv);
int run_command(int argc, const char* const* argv);
int ls_command(int argc, const char* const* argv);
int test_command(int argc, const char* const* argv);
int dlq_command(int argc, const char* const* argv);
int stats_command(int argc, const char* const* argv);
int tap_command(int argc, const char* const* argv);
int trace_command(int argc, const char* const* argv);
int bench_command(int argc, const char* const* argv);
int healthcheck_command(int argc, const char* const* argv);

}  // namespace tempest::cli
