#pragma once

#include <memory>
#include <span>
#include <string>

#include "tempest/base/result.hpp"
#include "tempest/runtime/task_libraries.hpp"
#include "tempest/sink.hpp"
#include "tempest/topology.hpp"

/// The built-in sinks, for the task `sink` and for dead letters, and how each is set up:
///
/// lines         Each payload and a newline to the file `path` ("-": standard output), which is
///               created if need be. Lines of several workers never mix: all append, a batch of
///               whole lines at a time. With `append = false` (default true) the file is emptied
///               when a process first opens it, which is right only where one process writes it.
///               A payload with newlines in it is written as it is.
/// redis_stream  Each payload as an entry of the stream `key` of the Redis at `uri`, in the field
///               `field` ("value"). With `max_length` old entries are dropped from about that
///               many on (MAXLEN ~).
/// null          Takes everything, keeps nothing.
namespace tempest::builtin {

/// Makes the sink, a built-in or ("library:Sink") one of a library, configured with its `config`;
/// it is not opened. Errors: `configuration`.
///
/// `call_limit` is how long one call of the sink may take; zero: any time. A built-in that waits
/// for a server says before that it is `unavailable`.
Result<std::unique_ptr<Sink>> create_sink(
    const Endpoint& endpoint, const runtime::TaskLibraries& libraries = runtime::TaskLibraries(),
    Duration call_limit = Duration::zero());

std::span<const std::string> sink_types();

}  // namespace tempest::builtin
