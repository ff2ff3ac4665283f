#include "cli/case_report.hpp"

#include <algorithm>
#include <cstdio>
#include <nlohmann/json.hpp>
#include <string_view>

namespace tempest::cli {
namespace {

/// Characters that XML cannot hold, and bytes that are not UTF-8, are replaced.
std::string escaped(const std::string& bytes) {
  using Json = nlohmann::json;
  const std::string quoted = Json(bytes).dump(-1, ' ', false, Json::error_handler_t::replace);
  const std::string text = Json::parse(quoted).get<std::string>();
  std::string result;
  for (std::size_t at = 0; at < text.size(); ++at) {
    // Of what UTF-8 can write, XML knows all but controls and these two: U+FFFE and U+FFFF.
    const std::string_view three = std::string_view(text).substr(at, 3);
    if (three == "\xef\xbf\xbe" || three == "\xef\xbf\xbf") {
      result += '?';
      at += 2;
      continue;
    }
    const char c = text[at];
    switch (c) {
      case '&':
        result += "&amp;";
        break;
      case '<':
        result += "&lt;";
        break;
      case '>':
        result += "&gt;";
        break;
      case '"':
        result += "&quot;";
        break;
      default:
        result += static_cast<unsigned char>(c) >= 0x20 || c == '\n' || c == '\t' ? c : '?';
    }
  }
  return result;
}

std::string seconds_text(double seconds) {
  char text[32];
  std::snprintf(text, sizeof text, "%.6f", seconds);
  return text;
}

std::string case_xml(const CaseReport& report, const std::string& file) {
  std::string xml = "    <testcase name=\"" + escaped(report.name) + "\" classname=\"" +
                    escaped(file) + "\" file=\"" + escaped(file) + "\" line=\"" +
                    std::to_string(report.line) + "\" time=\"" + seconds_text(report.seconds) +
                    "\"";
  if (report.lines.empty()) return xml + "/>\n";
  xml += ">\n      <failure message=\"" + escaped(report.lines.front()) + "\">";
  for (const std::string& line : report.lines) xml += escaped(line) + "\n";
  return xml + "</failure>\n    </testcase>\n";
}

}  // namespace

std::size_t CaseSuite::failed() const {
  return static_cast<std::size_t>(std::count_if(
      cases.begin(), cases.end(), [](const CaseReport& report) { return !report.lines.empty(); }));
}

std::string junit_xml(const std::vector<CaseSuite>& suites) {
  std::string xml = "<?xml version=\"1.0\" encoding=\"UTF-8\"?>\n<testsuites>\n";
  for (const CaseSuite& suite : suites) {
    double seconds = 0;
    for (const CaseReport& report : suite.cases) seconds += report.seconds;
    xml += "  <testsuite name=\"" + escaped(suite.file) + "\" tests=\"" +
           std::to_string(suite.cases.size()) + "\" failures=\"" + std::to_string(suite.failed()) +
           "\" errors=\"0\" time=\"" + seconds_text(seconds) + "\">\n";
    for (const CaseReport& report : suite.cases) xml += case_xml(report, suite.file);
    xml += "  </testsuite>\n";
  }
  return xml + "</testsuites>\n";
}

}  // namespace tempest::cli
