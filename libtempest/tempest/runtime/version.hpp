#pragma once

#include <string>

namespace tempest::runtime {

/// Of this build of Tempest: "0.1.0".
std::string version();

}  // namespace tempest::runtime
