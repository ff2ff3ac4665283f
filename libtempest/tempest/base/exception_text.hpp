#pragma once

#include <exception>

namespace tempest {

/// Returns what an exception says of itself. Its what() is a user's code, and may return null.
inline const char* text_of(const std::exception& exception) {
  const char* text = exception.what();
  return text != nullptr ? text : "an exception without a text (its what() returns null)";
}

}  // namespace tempest
