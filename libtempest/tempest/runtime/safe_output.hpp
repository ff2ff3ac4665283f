#pragma once

#include <ostream>

namespace tempest::runtime {

/// Makes all that goes through std::cout and std::cerr from now on safe for a terminal
/// (SafeStream), so that nobody who prints text from elsewhere can forget it. Twice is as once.
/// Before any other thread writes to them; they stay so until the process ends.
void make_output_safe();

/// Returns standard output as it was, for bytes that are to stay as they are. What std::cout holds
/// is to be flushed before.
std::ostream& raw_output();

/// Writes out what std::cout holds; returns the first error that standard output gave so far
/// (an errno), or 0.
int flush_output();

}  // namespace tempest::runtime
