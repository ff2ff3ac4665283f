#pragma once

#include <algorithm>

#include "tempest/wire/frames.hpp"
#include "tempest/wire/reader.hpp"

namespace tempest::wire {

/// Reads a failure's kind; a number that names none is a fault.
inline FailureKind read_failure_kind(Reader& reader) {
  const auto kind = static_cast<FailureKind>(reader.integer(UINT8_MAX));
  if (std::find(kFailureKinds.begin(), kFailureKinds.end(), kind) == kFailureKinds.end()) {
    reader.fail("a failure of no known kind");
    return FailureKind::error;
  }
  return kind;
}

}  // namespace tempest::wire
