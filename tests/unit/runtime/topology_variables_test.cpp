#include "tempest/runtime/topology_variables.hpp"

#include <catch2/catch.hpp>
#include <map>

using namespace tempest::runtime;

namespace {

std::optional<std::string> lookup(const std::string& name) {
  static const std::map<std::string, std::string> values = {
      {"PATH_X", "/data"}, {"QUOTE", "say \"hi\"\n"}, {"APOSTROPHE", "it's"}, {"EMPTY", ""}};
  const auto found = values.find(name);
  return found == values.end() ? std::nullopt : std::optional<std::string>(found->second);
}

std::string filled(const std::string& text) {
  std::vector<Diagnostic> diagnostics;
  VariableFilling filling;
  REQUIRE(filling.fill(text, "t.toml", lookup, diagnostics));
  return filling.text();
}

std::string fault(const std::string& text) {
  std::vector<Diagnostic> diagnostics;
  VariableFilling filling;
  REQUIRE_FALSE(filling.fill(text, "t.toml", lookup, diagnostics));
  REQUIRE(diagnostics.size() == 1);
  return diagnostics[0].text();
}

}  // namespace

TEST_CASE("a variable in a string is filled in") {
  CHECK(filled("a = \"${PATH_X}/b\"") == "a = \"/data/b\"");
  CHECK(filled("a = '${PATH_X}${PATH_X}'") == "a = '/data/data'");
  CHECK(filled("a = \"\"\"\n${PATH_X}\n\"\"\"") == "a = \"\"\"\n/data\n\"\"\"");
  CHECK(filled("a = '''${PATH_X}'''") == "a = '''/data'''");
}

TEST_CASE("the default stands for a variable that is not set") {
  CHECK(filled("a = \"${NONE:/x:y}\"") == "a = \"/x:y\"");
  CHECK(filled("a = \"${NONE:}\"") == "a = \"\"");
  CHECK(filled("a = \"${PATH_X:/x}\"") == "a = \"/data\"");
  CHECK(filled("a = \"${EMPTY:/x}\"") == "a = \"\"");
}

TEST_CASE("with a dash, as in a shell, the default stands for an empty variable too") {
  CHECK(filled("a = \"${NONE:-a.txt}\"") == "a = \"a.txt\"");
  CHECK(filled("a = \"${EMPTY:-a.txt}\"") == "a = \"a.txt\"");
  CHECK(filled("a = \"${PATH_X:-a.txt}\"") == "a = \"/data\"");
  CHECK(filled("a = \"${NONE:-}\"") == "a = \"\"");
  CHECK(filled("a = \"${NONE:--5}\"") == "a = \"-5\"");
}

TEST_CASE("a default may hold variables") {
  CHECK(filled("a = \"${NONE:${PATH_X}}\"") == "a = \"/data\"");
  CHECK(filled("a = \"x${NONE:-${NONE2:${PATH_X}/b}}}y\"") == "a = \"x/data/b}y\"");
  CHECK(filled("a = \"${NONE:${QUOTE}}\"") == "a = \"say \\\"hi\\\"\\u000a\"");
  CHECK(filled("a = \"${PATH_X:${NONE}}\"") == "a = \"/data\"");
  CHECK(fault("a = \"${NONE:${NONE2}}\"") ==
        "t.toml:1:6: the environment variable 'NONE2' is not set; set it, or write "
        "${NONE2:default}");
  std::string deep = "x";
  for (int i = 0; i < 20; ++i) deep = "${NONE:" + deep + "}";
  CHECK(fault("a = \"" + deep + "\"") == "t.toml:1:6: variables' defaults are nested too deeply");
}

TEST_CASE("a shell's forms that are not known are refused with what to write") {
  CHECK(
      fault("a = \"${NONE:?missing}\"") ==
      "t.toml:1:6: a shell's \"${NONE:?...}\" is not known here; write ${NONE:-?...} for a default "
      "that begins with '?'");
  CHECK_FALSE(fault("a = \"${PATH_X:+set}\"").empty());
  CHECK_FALSE(fault("a = \"${NONE:=set}\"").empty());
  CHECK(filled("a = \"${NONE:-+1}\"") == "a = \"+1\"");
}

TEST_CASE("nothing is filled in outside of strings") {
  CHECK(filled("# ${NONE}\na = 1 # \"${NONE}\"\n") == "# ${NONE}\na = 1 # \"${NONE}\"\n");
  CHECK(filled("a = ${NONE}") == "a = ${NONE}");
}

TEST_CASE("a value cannot end its string") {
  CHECK(filled("a = \"${QUOTE}\"") == "a = \"say \\\"hi\\\"\\u000a\"");
  CHECK(fault("a = '${APOSTROPHE}'") ==
        "t.toml:1:6: the value of 'APOSTROPHE' cannot stand in single quotes; use double quotes");
}

TEST_CASE("two dollars are one") {
  CHECK(filled("a = \"$${PATH_X} $ $x\"") == "a = \"${PATH_X} $ $x\"");
}

TEST_CASE("a variable that is missing or none is a fault with its place") {
  CHECK(fault("a = 1\nb = \"\xc3\xa4 ${NONE}\"") ==
        "t.toml:2:8: the environment variable 'NONE' is not set; set it, or write ${NONE:default}");
  CHECK(fault("a = \"${1A}\"") ==
        "t.toml:1:6: '1A' is no variable's name; write ${NAME}, ${NAME:default}, or $${ for a "
        "plain ${");
  CHECK(fault("a = \"${PATH_X\"\n}") == "t.toml:1:6: '${' without '}'; write $${ for a plain ${");
}

TEST_CASE("escaped quotes do not end a string") {
  CHECK(filled("a = \"\\\"${PATH_X}\"") == "a = \"\\\"/data\"");
  CHECK(filled("a = \"x\\\\\" # ${NONE}") == "a = \"x\\\\\" # ${NONE}");
  CHECK(filled("a = \"\"\"\"${PATH_X}\"\"\"\"\" # ${NONE}") ==
        "a = \"\"\"\"/data\"\"\"\"\" # ${NONE}");
}

TEST_CASE("places behind what was filled in are found again") {
  std::vector<Diagnostic> diagnostics;
  VariableFilling filling;
  REQUIRE(filling.fill("a = \"${PATH_X}\" \"${NONE:}\" x\ny", "t.toml", lookup, diagnostics));
  REQUIRE(filling.text() == "a = \"/data\" \"\" x\ny");
  CHECK(filling.original({1, 5}) == Position{1, 5});
  CHECK(filling.original({1, 8}) == Position{1, 6});    // within the value
  CHECK(filling.original({1, 13}) == Position{1, 17});  // the second string
  CHECK(filling.original({1, 16}) == Position{1, 28});  // x
  CHECK(filling.original({2, 1}) == Position{2, 1});
}
