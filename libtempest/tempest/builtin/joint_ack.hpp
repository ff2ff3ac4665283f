#pragma once

#include <functional>
#include <span>

#include "tempest/builtin/redis_steps.hpp"
#include "tempest/sink.hpp"
#include "tempest/source.hpp"

namespace tempest::builtin {

/// What acks one message, as steps; `id` holds the texts that they view.
using AddAck = std::function<void(const SourceToken& token, std::string& id, RedisSteps& steps)>;

/// Source::write_and_ack() for a source in a Redis: where the sink is in the same one, for the same
/// user, each part of the messages is written and acked in one step. False: it is not, or this user
/// may not do that; what was written then may be written again.
Result<bool> write_and_ack_jointly(runtime::RedisConnection& connection,
                                   std::string_view source_key, Sink& sink,
                                   std::span<const Message> messages,
                                   std::span<const SourceToken> tokens, const AddAck& add_ack);

}  // namespace tempest::builtin
