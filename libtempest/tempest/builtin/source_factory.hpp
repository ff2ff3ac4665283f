#pragma once

#include <memory>
#include <span>
#include <string>

#include "tempest/base/result.hpp"
#include "tempest/runtime/task_libraries.hpp"
#include "tempest/source.hpp"
#include "tempest/topology.hpp"

/// The built-in sources, and how each is set up in [source]:
///
/// generator     Numbered messages of one size, the same in every run: the message's number from 0,
///               filled up with dots. `count` (0: no end), `size` (100: bytes of a payload;
///               never shorter than its number), `rate` (messages per second; 0: as fast as
///               they are taken). The token is the number.
/// lines         Each line of the file `path` ("-": standard input, read as it comes), without its
///               newline, all other bytes as they are; the last line needs no newline. A line
///               longer than kMaxPayloadBytes is skipped, warned of, and counted as lost. The token
///               is the line's number from 1. Acks mean nothing here: after a restart the file is
///               read from its start.
/// redis_stream  The entries of the stream `key` of the Redis at `uri`, by the consumer `group`
///               (default: the topology's name) as `consumer` (default: the caller's). The group is
///               created at `start` ("0") where it does not exist, with an empty stream if need be.
///               The payload is the field `field`; without `field` all of them as one JSON text
///               (entry_json.hpp). An entry that lacks `field`, or has it twice, is no message: it
///               fails for good (SourceMessage::fault), as one that is too large does. `key_field`
///               gives the message's key. The token is the entry's id.
namespace tempest::builtin {

/// Makes the source, a built-in or ("library:Source") one of a library, configured with its
/// `config`; it is not opened. `failures_are_kept`: what fails for good goes to dead letters, or to
/// a failure handler. `topology` and `consumer` (a name that is the same at each start of this
/// source_node, and no other's) are defaults for redis_stream. Errors: `configuration`.
Result<std::unique_ptr<Source>> create_source(
    const SourceDefinition& definition, const std::string& topology, const std::string& consumer,
    const runtime::TaskLibraries& libraries = runtime::TaskLibraries(),
    bool failures_are_kept = false);

std::span<const std::string> source_types();

}  // namespace tempest::builtin
