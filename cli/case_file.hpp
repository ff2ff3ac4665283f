#pragma once

#include <map>
#include <optional>
#include <string>
#include <vector>

#include "tempest/runtime/topology_document.hpp"
#include "tempest/topology.hpp"

/// Files of test cases for a topology: docs/testing-topologies.md.
namespace tempest::cli {

/// A message that a case gives, or expects.
struct CaseMessage {
  std::string payload;
  std::optional<std::string> key;  ///< Nothing: none is given, any is right.
  std::string output;              ///< Of what a task emits: the output's name.
};

using CaseMessages = std::vector<CaseMessage>;

struct ExpectedError {
  std::string text;  ///< Within the reason.
  std::string kind;  ///< "retry" or "fail"; empty: any.
  std::string task;  ///< Empty: any.
};

struct TestCase {
  std::string name;
  runtime::Position position;
  std::string task;  ///< Empty: the whole pipeline.
  CaseMessages inputs;
  std::optional<CaseMessages> outputs;          ///< Of the task.
  std::map<std::string, CaseMessages> reaches;  ///< By task: what it is given.
  std::optional<ExpectedError> error;
  bool in_order = false;
};

struct CaseFile {
  std::string path;
  std::string topology;  ///< The path of its topology's file.
  std::vector<TestCase> cases;
};

/// The cases that a text says, or at least one more diagnostic. `path` also says where the topology
/// is, if the text does not: "a/b.test.toml" is for "a/b.toml".
std::optional<CaseFile> parse_cases(const std::string& text, const std::string& path,
                                    std::vector<runtime::Diagnostic>& diagnostics);

/// A file that cannot be read is one diagnostic, of line 0.
std::optional<CaseFile> load_cases(const std::string& path,
                                   std::vector<runtime::Diagnostic>& diagnostics);

/// What only the topology can tell: tasks that it does not have, or that cannot be tested alone.
void check_cases(const CaseFile& file, const Topology& topology,
                 std::vector<runtime::Diagnostic>& diagnostics);

}  // namespace tempest::cli
