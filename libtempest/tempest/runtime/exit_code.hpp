#pragma once

namespace tempest::runtime {

/// How Tempest's programs end. After sysexits(3), so that a supervisor can tell what a restart
/// would mend (69, 70, 74) from what it would not (64, 78).
enum ExitCode : int {
  kExitOk = 0,
  kExitCheckFailed = 1,     ///< A check or a test failed.
  kExitUsage = 64,          ///< Wrong options or arguments.
  kExitUnavailable = 69,    ///< Something needed cannot be reached.
  kExitInternal = 70,       ///< Our fault.
  kExitInputOutput = 74,    ///< Reading or writing failed.
  kExitConfiguration = 78,  ///< A topology or its libraries are wrong.
};

}  // namespace tempest::runtime
