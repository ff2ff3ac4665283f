#pragma once

#include <string>
#include <vector>

#include "cli/case_run.hpp"

namespace tempest::cli {

/// What is not as the case expects, as lines for people; none: it is. Lines that begin with '-'
/// were expected and did not come, those with '+' came and were not expected.
std::vector<std::string> compare_case(const TestCase& test, const CaseResult& result);

}  // namespace tempest::cli
