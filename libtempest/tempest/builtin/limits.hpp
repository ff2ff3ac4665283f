#pragma once

#include <cstddef>

namespace tempest::builtin {

/// Of how many bytes one poll of a built-in source gives no more, or one message if that is larger:
/// a source holds a batch twice while it is made, and the number of messages alone bounds nothing.
inline constexpr std::size_t kPollTargetBytes = 8UL << 20;
/// How many bytes a built-in sink hands over before it looks at what came of them.
inline constexpr std::size_t kWriteTargetBytes = 1UL << 20;

/// The most warnings a source keeps until they are asked for.
inline constexpr std::size_t kMaxWarnings = 64;

}  // namespace tempest::builtin
