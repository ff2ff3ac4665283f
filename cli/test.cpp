#include <algorithm>
#include <filesystem>
#include <fstream>
#include <iostream>
#include <string>
#include <vector>

#include "cli/case_comparison.hpp"
#include "cli/case_file.hpp"
#include "cli/case_report.hpp"
#include "cli/case_run.hpp"
#include "cli/checked_topology.hpp"
#include "cli/commands.hpp"
#include "tempest/base/safe_text.hpp"
#include "tempest/runtime/command_line.hpp"
#include "tempest/runtime/exit_code.hpp"

namespace tempest::cli {
namespace {

constexpr std::string_view kEnding = ".test.toml";

struct Options {
  std::string filter;
  runtime::LibraryPlaces libraries;
  bool quiet = false;
};

/// All of the current folder, in the order of their names.
std::vector<std::string> files_here() {
  std::vector<std::string> files;
  std::error_code ignored;
  for (const auto& entry : std::filesystem::directory_iterator(".", ignored)) {
    const std::string name = entry.path().filename().string();
    if (name.ends_with(kEnding)) files.push_back(name);
  }
  std::sort(files.begin(), files.end());
  return files;
}

/// "Topology.toml" means the cases beside it.
std::string case_file_of(const std::string& file) {
  constexpr std::string_view plain = ".toml";
  if (file.ends_with(kEnding) || !file.ends_with(plain)) return file;
  return file.substr(0, file.size() - plain.size()) + std::string(kEnding);
}

int complain(const std::vector<runtime::Diagnostic>& diagnostics) {
  for (const runtime::Diagnostic& diagnostic : diagnostics) std::cerr << diagnostic.text() << "\n";
  const bool is_unreadable = diagnostics.size() == 1 && diagnostics.front().line == 0;
  return is_unreadable ? runtime::kExitInputOutput : runtime::kExitConfiguration;
}

void print(const CaseReport& report, const std::string& file, bool quiet) {
  if (report.lines.empty()) {
    if (!quiet) std::cout << "ok    " << report.name << std::endl;
    return;
  }
  std::cout << "FAIL  " << report.name << "  (" << file << ":" << report.line << ")\n";
  for (const std::string& line : report.lines) std::cout << "      " << line << "\n";
  std::cout.flush();
}

/// Not 0: the file cannot be run, and it has been said why.
int run_file(const std::string& path, const Options& options, CaseSuite& suite) {
  std::vector<runtime::Diagnostic> diagnostics;
  const auto file = load_cases(path, diagnostics);
  if (!file) return complain(diagnostics);
  runtime::LibraryPlaces libraries = options.libraries;
  const std::string folder = std::filesystem::path(file->topology).parent_path().string();
  libraries.folders.insert(libraries.folders.begin(), folder.empty() ? "." : folder);
  int exit_code = runtime::kExitOk;
  const auto topology = load_checked_topology(file->topology, libraries, exit_code);
  if (!topology) return exit_code;
  check_cases(*file, *topology, diagnostics);
  if (!diagnostics.empty()) return complain(diagnostics);
  const auto plan = plan_of(*topology, libraries);
  if (!plan) {
    std::cerr << safe_text(file->topology) << ": " << safe_text(plan.error().message) << "\n";
    return runtime::kExitConfiguration;
  }
  suite.file = path;
  for (const TestCase& test : file->cases) {
    if (test.name.find(options.filter) == std::string::npos) continue;
    const CaseTimer timer;
    const auto result = run_case(test, **plan);
    CaseReport report{test.name, test.position.line, timer.seconds(), {}};
    report.lines = result ? compare_case(test, *result)
                          : std::vector<std::string>{"cannot begin: " + result.error().message};
    print(report, path, options.quiet);
    suite.cases.push_back(std::move(report));
  }
  return runtime::kExitOk;
}

int summarize(const std::vector<CaseSuite>& suites, const Options& options) {
  std::size_t count = 0;
  std::size_t failed = 0;
  for (const CaseSuite& suite : suites) {
    count += suite.cases.size();
    failed += suite.failed();
  }
  if (count == 0) {
    std::cerr << "tempest test: no case has \"" << safe_text(options.filter) << "\" in its name\n";
    return runtime::kExitCheckFailed;
  }
  std::cout << count << (count == 1 ? " case, " : " cases, ") << failed << " failed" << std::endl;
  return failed == 0 ? runtime::kExitOk : runtime::kExitCheckFailed;
}

}  // namespace

int test_command(int argc, const char* const* argv) {
  runtime::CommandLine line("tempest test",
                            "Runs the test cases of topologies in this process, without their "
                            "sources and sinks: docs/testing-topologies.md.");
  line.positional("FILE",
                  "A file of cases (X.test.toml), or the topology X.toml that it is for; without "
                  "any, all that end in .test.toml here",
                  false, true)
      .option("filter", "TEXT", "Only cases with this in their names")
      .option("junit", "FILE", "Write what came of them to FILE too, as JUnit XML")
      .list("library", "FILE", "A task library, besides those that the topology names")
      .list("library-path", "FOLDER", "Where task libraries are looked for")
      .flag("quiet", "Name only the cases that fail")
      .example("tempest test", "all test files of this folder")
      .example("tempest test Topology.toml --filter words --junit report.xml", "some, for a CI");
  if (const auto exit = line.parse(argc, argv)) return *exit;
  Options options{line.text("filter"),
                  {line.texts("library"), line.texts("library-path")},
                  line.has_flag("quiet")};
  std::vector<std::string> files = line.texts("FILE");
  for (std::string& file : files) file = case_file_of(file);
  if (files.empty()) files = files_here();
  if (files.empty()) {
    line.fail("no file here ends in .test.toml; name one");
    return runtime::kExitUsage;
  }

  std::vector<CaseSuite> suites;
  int worst = runtime::kExitOk;
  for (const std::string& file : files) {
    CaseSuite suite;
    worst = std::max(worst, run_file(file, options, suite));
    if (!suite.file.empty()) suites.push_back(std::move(suite));
  }
  if (const std::string junit = line.text("junit"); !junit.empty()) {
    std::ofstream out(junit);
    out << junit_xml(suites);
    if (!out.flush()) {
      std::cerr << "tempest test: cannot write " << safe_text(junit) << "\n";
      worst = std::max<int>(worst, runtime::kExitInputOutput);
    }
  }
  return suites.empty() ? worst : std::max(worst, summarize(suites, options));
}

}  // namespace tempest::cli
