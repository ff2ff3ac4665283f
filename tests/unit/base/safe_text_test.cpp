#include "tempest/base/safe_text.hpp"

#include <catch2/catch.hpp>
#include <string>
#include <utility>
#include <vector>

using tempest::safe_text;
using tempest::SafeStream;

namespace {

using Pairs = std::vector<std::pair<std::string, std::string>>;

std::string streamed(const std::string& bytes, std::size_t piece) {
  SafeStream stream;
  std::string out;
  for (std::size_t at = 0; at < bytes.size(); at += piece) {
    stream.append(std::string_view(bytes).substr(at, piece), out);
  }
  stream.finish(out);
  return out;
}

}  // namespace

TEST_CASE("text in any language is shown as it is") {
  for (const char* text : {"", "plain text", "größer", "日本語", "\U0001f327", "a\\b"}) {
    CHECK(safe_text(text) == text);
  }
}

TEST_CASE("what moves a cursor, breaks a line or turns the direction of writing is escaped") {
  const Pairs pairs = {{"a\nb", "a\\nb"},
                       {"a\r\tb", "a\\r\\tb"},
                       {"\x1b[2J", "\\u001b[2J"},
                       {"\x7f", "\\u007f"},
                       {"\u0085\u009b", "\\u0085\\u009b"},
                       {"\u2028\u2029", "\\u2028\\u2029"},
                       {"abc\u202etxt.exe", "abc\\u202etxt.exe"},
                       {"\u2066\u2069\u200f\u061c", "\\u2066\\u2069\\u200f\\u061c"},
                       {"\ufffe\ufeff", "\\ufffe\\ufeff"},
                       {"\U0001fffe", "\\ud83f\\udffe"}};
  for (const auto& [text, shown] : pairs) CHECK(safe_text(text) == shown);
  CHECK(safe_text(std::string_view("\0", 1)) == "\\u0000");
}

TEST_CASE("bytes that are no UTF-8 are shown one by one") {
  CHECK(safe_text("\xff") == "\\xff");
  CHECK(safe_text("\x9b"
                  "2J") == "\\x9b2J");
  CHECK(safe_text("\xe2\x82") == "\\xe2\\x82");
  CHECK(safe_text("\xc0\x9b") == "\\xc0\\x9b");
  CHECK(safe_text("\xed\xa0\x80z") == "\\xed\\xa0\\x80z");
}

TEST_CASE("long text is cut between characters") {
  CHECK(safe_text("abcdef", 3) == "abc...");
  CHECK(safe_text("abc", 3) == "abc");
  CHECK(safe_text("ääää", 3) == "ää...");
}

TEST_CASE("a stream is made safe alike however it is cut, and keeps its lines") {
  const std::string bytes = "one\n\ttwo \x1b[1m\u202e 日本 \U0001f327 \xe2\x82 \xff\xf0\x9f\n\xc3";
  const std::string safe =
      "one\n\ttwo \\u001b[1m\\u202e 日本 \U0001f327 \\xe2\\x82 \\xff\\xf0\\x9f\n\\xc3";
  for (std::size_t piece = 1; piece <= bytes.size(); ++piece) {
    INFO(piece);
    CHECK(streamed(bytes, piece) == safe);
  }
}
