#include "source_node/dead_letter_text.hpp"

#include <catch2/catch.hpp>
#include <nlohmann/json.hpp>

using namespace tempest;
using namespace tempest::source_node;
using namespace std::chrono_literals;

namespace {

// 2026-01-02T03:04:05Z.
const Moment kNow{TimePoint{} + 100s, std::chrono::system_clock::time_point{} + 1'767'323'045s};

DeadLetter letter_with(std::string payload) {
  DeadLetter letter;
  letter.topology = "wordcount";
  letter.version = "0123456789abcdef";
  letter.payload = std::move(payload);
  letter.key = "k";
  letter.failing_payload = "word";
  letter.read_at = TimePoint{} + 90s;
  letter.attempts.push_back(
      {wire::FailureKind::timeout, "", "", "not done in time", 0, TimePoint{} + 95s});
  letter.attempts.push_back({wire::FailureKind::error, "count", "worker-1", "no such word", 5,
                             TimePoint{} + 99s + 250ms});
  return letter;
}

}  // namespace

TEST_CASE("a dead letter says everything that is known of the message, in one line") {
  const std::string text = dead_letter_text(letter_with("some\nwords"), "1700000000000-0", kNow);
  CHECK(text.find('\n') == std::string::npos);
  const auto json = nlohmann::json::parse(text);
  CHECK(json["topology"] == "wordcount");
  CHECK(json["version"] == "0123456789abcdef");
  CHECK(json["task"] == "count");
  CHECK(json["kind"] == "error");
  CHECK(json["reason"] == "no such word");
  CHECK(json["worker"] == "worker-1");
  CHECK(json["delivery_attempts"] == 5);
  CHECK(json["attempts"] == 2);
  CHECK(json["source"] == "1700000000000-0");
  CHECK(json["key"] == "k");
  CHECK(json["payload"] == "some\nwords");
  CHECK(json["failing_payload"] == "word");
  CHECK(json["read_at"] == "2026-01-02T03:03:55.000Z");
  CHECK(json["failed_at"] == "2026-01-02T03:04:04.250Z");
  REQUIRE(json["history"].size() == 2);
  CHECK(json["history"][0]["kind"] == "timeout");
  CHECK(json["history"][0]["at"] == "2026-01-02T03:04:00.000Z");
}

TEST_CASE("a payload that is not UTF-8 stands in base64, whole") {
  const std::string bytes("\xff\x00\x01\xfe", 4);
  const auto whole = [](const std::string& payload) {
    return nlohmann::json::parse(dead_letter_text(letter_with(payload), "0", kNow));
  };
  CHECK_FALSE(whole(bytes).contains("payload"));
  CHECK(whole(bytes)["payload_base64"] == "/wAB/g==");
  CHECK(whole(bytes.substr(0, 3))["payload_base64"] == "/wAB");
  CHECK(whole(bytes.substr(0, 2))["payload_base64"] == "/wA=");
}

TEST_CASE("what a replay has put on a message stands in its next dead letter") {
  DeadLetter letter = letter_with("words");
  CHECK_FALSE(nlohmann::json::parse(dead_letter_text(letter, "0", kNow)).contains("replayed"));
  letter.replayed = "1700000000000-0 2";
  CHECK(nlohmann::json::parse(dead_letter_text(letter, "0", kNow))["replayed"] ==
        "1700000000000-0 2");
}
