#pragma once

#include <string_view>

/// The scripts of RedisListSource, each a step that a death finds done or not begun. In all of them
/// KEYS[1] is the list, and ARGV[1] the reader's name. A server that is short of memory refuses a
/// script's first write if that needs memory, and no later one: so the first is one that needs
/// none, lest acks, which make room, wait for room.
namespace tempest::builtin::list_scripts {

/// Goes before the others: the time in ms, of the server, since readers' clocks may differ.
extern const std::string_view kPrelude;

/// Up to ARGV[2] messages, of ARGV[3] bytes: those whose time has come, then new ones, which get
/// ids that begin with ARGV[4]. With ARGV[5] = 0 they are forgotten at once. The reader is to have
/// no more than ARGV[6] then, and no more than any of them allows. Rows of id, payload, attempts,
/// how many may be out beside it (0: any number), and 1 if it was given out before.
extern const std::string_view kTake;

/// The ids of all that the reader has.
extern const std::string_view kOwn;

/// Of the ids ARGV[3...] those that the reader has, as rows of kTake, up to ARGV[2] bytes; one
/// without a payload was acked elsewhere.
extern const std::string_view kTakeOwn;

/// What the reader's last life had is to be given again, to whoever asks: up to 10,000 messages
/// a time. Returns how many.
extern const std::string_view kTakeBackOwn;

/// The reader's messages ARGV[3...] were tried in vain, and are given again after ARGV[2] ms.
extern const std::string_view kLeave;

/// The reader's messages ARGV[2...] were not tried: they are given again at once.
extern const std::string_view kGiveBack;

/// The reader lives for another ARGV[2] ms. What those have whose lease is over is given again; a
/// reader is forgotten once it has nothing. Nothing waits for longer than it may, by a clock that
/// was set back: ARGV[3] ms for what was left. Returns how many readers were removed, how many
/// messages were taken back, and how many waits were too long.
extern const std::string_view kTend;

/// The messages ARGV[2...] are done, whoever has them now.
extern const std::string_view kForget;

/// How many elements are unread, and how many messages other readers have.
extern const std::string_view kLeft;

}  // namespace tempest::builtin::list_scripts
