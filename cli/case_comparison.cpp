#include "cli/case_comparison.hpp"

#include <algorithm>
#include <optional>

#include "tempest/base/base64.hpp"
#include "tempest/base/utf8.hpp"
#include "tempest/runtime/topology_text.hpp"

namespace tempest::cli {
namespace {

/// The most pairs that are looked at for the smallest difference of two lists in order.
constexpr std::size_t kMaxPairs = 4'000'000;
constexpr std::size_t kMaxLines = 100;

/// As it would stand in the file.
std::string shown(const CaseMessage& message) {
  std::string payload = is_utf8(message.payload) ? runtime::toml_text(message.payload)
                                                 : "base64 " + base64(message.payload);
  if (!message.key && message.output.empty()) return payload;
  std::string text = "{ payload = " + payload;
  if (message.key) text += ", key = " + runtime::toml_text(*message.key);
  if (!message.output.empty()) text += ", output = " + runtime::toml_text(message.output);
  return text + " }";
}

bool fits(const CaseMessage& expected, const CaseMessage& actual) {
  return expected.payload == actual.payload && expected.output == actual.output &&
         (!expected.key || *expected.key == actual.key.value_or(""));
}

/// Keys that nobody asked for only stand in the way of reading.
CaseMessage without_key(CaseMessage message, const CaseMessages& expected) {
  const bool matters = std::any_of(expected.begin(), expected.end(),
                                   [](const CaseMessage& each) { return each.key.has_value(); });
  if (!matters) message.key.reset();
  return message;
}

std::vector<std::string> compare_in_any_order(const CaseMessages& expected,
                                              const CaseMessages& actual) {
  std::vector<bool> taken(actual.size(), false);
  std::vector<bool> found(expected.size(), false);
  // Those that name a key first: the others are content with what is left.
  for (const bool with_key : {true, false}) {
    for (std::size_t i = 0; i < expected.size(); ++i) {
      if (expected[i].key.has_value() != with_key) continue;
      for (std::size_t j = 0; j < actual.size() && !found[i]; ++j) {
        if (taken[j] || !fits(expected[i], actual[j])) continue;
        taken[j] = found[i] = true;
      }
    }
  }
  std::vector<std::string> lines;
  for (std::size_t i = 0; i < expected.size(); ++i) {
    if (!found[i]) lines.push_back("- " + shown(expected[i]));
  }
  for (std::size_t j = 0; j < actual.size(); ++j) {
    if (!taken[j]) lines.push_back("+ " + shown(without_key(actual[j], expected)));
  }
  return lines;
}

std::vector<std::string> compare_in_order(const CaseMessages& expected,
                                          const CaseMessages& actual) {
  const std::size_t rows = expected.size();
  const std::size_t columns = actual.size();
  if (rows * columns > kMaxPairs) {
    const auto [first, other] =
        std::mismatch(expected.begin(), expected.end(), actual.begin(), actual.end(), fits);
    if (first == expected.end() && other == actual.end()) return {};
    return {"the first difference is at number " + std::to_string(first - expected.begin() + 1)};
  }
  // common[i][j]: how many of expected[i..] and actual[j..] can stand beside each other.
  std::vector<std::vector<std::size_t>> common(rows + 1, std::vector<std::size_t>(columns + 1));
  for (std::size_t i = rows; i-- > 0;) {
    for (std::size_t j = columns; j-- > 0;) {
      common[i][j] = fits(expected[i], actual[j]) ? common[i + 1][j + 1] + 1
                                                  : std::max(common[i + 1][j], common[i][j + 1]);
    }
  }
  if (common[0][0] == rows && rows == columns) return {};
  std::vector<std::string> lines;
  std::size_t i = 0;
  std::size_t j = 0;
  while (i < rows || j < columns) {
    if (i < rows && j < columns && fits(expected[i], actual[j])) {
      lines.push_back("  " + shown(expected[i]));
      ++i, ++j;
    } else if (j == columns || (i < rows && common[i + 1][j] >= common[i][j + 1])) {
      lines.push_back("- " + shown(expected[i++]));
    } else {
      lines.push_back("+ " + shown(without_key(actual[j++], expected)));
    }
  }
  return lines;
}

void compare(const std::string& title, const CaseMessages& expected, const CaseMessages& actual,
             bool in_order, std::vector<std::string>& lines) {
  auto differences =
      in_order ? compare_in_order(expected, actual) : compare_in_any_order(expected, actual);
  if (differences.empty()) return;
  const std::size_t count = differences.size();
  if (count > kMaxLines) {
    differences.resize(kMaxLines);
    differences.push_back("(and " + std::to_string(count - kMaxLines) + " more)");
  }
  lines.push_back(title);
  lines.insert(lines.end(), differences.begin(), differences.end());
}

std::string shown(const CaseResult::Failure& failure) {
  return "task " + failure.task + " failed, kind " + failure.kind + ": " + failure.reason;
}

void compare_errors(const std::optional<ExpectedError>& expected,
                    const std::vector<CaseResult::Failure>& failures,
                    std::vector<std::string>& lines) {
  const auto is_expected = [&](const CaseResult::Failure& failure) {
    return expected && failure.reason.find(expected->text) != std::string::npos &&
           (expected->kind.empty() || expected->kind == failure.kind) &&
           (expected->task.empty() || expected->task == failure.task);
  };
  if (expected && failures.empty()) {
    lines.push_back("an error was expected, and nothing failed");
  }
  for (const CaseResult::Failure& failure : failures) {
    if (!is_expected(failure)) lines.push_back("+ " + shown(failure));
  }
}

}  // namespace

std::vector<std::string> compare_case(const TestCase& test, const CaseResult& result) {
  std::vector<std::string> lines;
  compare_errors(test.error, result.failures, lines);
  if (test.outputs) {
    compare("what task " + test.task + " gave:", *test.outputs, result.outputs, test.in_order,
            lines);
  }
  for (const auto& [task, expected] : test.reaches) {
    const auto reached = result.reached.find(task);
    compare("what reached task " + task + ":", expected,
            reached == result.reached.end() ? CaseMessages{} : reached->second, test.in_order,
            lines);
  }
  return lines;
}

}  // namespace tempest::cli
