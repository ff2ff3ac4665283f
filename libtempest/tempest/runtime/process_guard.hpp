#pragma once

#include <optional>
#include <string>

/// What every program does before anything else, and how it ends when the process itself cannot go
/// on.
namespace tempest::runtime {

/// Opens /dev/null on those of the descriptors 0 to 2 that the process was started without: the
/// next file or socket would get their numbers, and be written to as standard output. Makes the
/// limit of a file's size an error to be read (EFBIG), not a signal that kills. Makes what is
/// printed safe for a terminal (safe_output.hpp). To be called first in main(), before any other
/// descriptor is made.
void guard_process();

/// Returns true if the process was started without this descriptor.
bool was_closed_at_start(int descriptor);

/// Ends the process's nodes at once, with this exit code: something that belongs to the process as
/// a whole is gone for good, as its standard output. Logs the reason. May be called from any
/// thread, again and again; the first call counts.
void fail_process(int exit_code, const std::string& reason);

/// Returns the exit code of fail_process(), if that was called.
std::optional<int> process_failure();

}  // namespace tempest::runtime
