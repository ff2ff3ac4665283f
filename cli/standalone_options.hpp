#pragma once

#include <string>

#include "cli/standalone.hpp"
#include "tempest/runtime/command_line.hpp"

namespace tempest::cli {

/// --threads, --library, --library-path and --drain-timeout, which the verb has added, and the
/// consumer's default. Task libraries are looked for beside the topology's file first. After
/// parse(). Wrong values: line.failed().
StandaloneOptions read_standalone_options(runtime::CommandLine& line, const std::string& file);

}  // namespace tempest::cli
