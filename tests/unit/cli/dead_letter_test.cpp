#include "cli/dead_letter.hpp"

#include <catch2/catch.hpp>

#include "cli/dead_letter_store.hpp"
#include "cli/replay_to_source.hpp"
#include "tests/support/temporary_folder.hpp"

using namespace tempest;
using namespace tempest::cli;
using namespace std::chrono_literals;

namespace {

const std::string kLetter =
    R"({"topology":"t","version":"v","task":"check","kind":"error","reason":"no such word",)"
    R"("worker":"w","delivery_attempts":5,"attempts":1,"source":"1-0",)"
    R"("read_at":"2026-01-02T03:03:55.000Z","failed_at":"2026-01-02T03:04:05.250Z","key":"k",)"
    R"("payload_base64":"/wAB","failing_payload":"word","replayed":"17-3 2","history":[]})";

StoredLetter letter_of(const std::string& text, std::string id = "18-0") {
  auto letter = read_letter({std::move(id), 0, 0}, text);
  REQUIRE(letter);
  return *letter;
}

std::vector<std::string> payloads_in(LetterStore& store, std::uint64_t limit = 0) {
  LetterReader reader(store, {}, limit);
  std::vector<std::string> payloads;
  for (auto found = reader.next(); found && !found->empty(); found = reader.next()) {
    for (const StoredLetter& letter : *found) payloads.push_back(letter.payload);
  }
  return payloads;
}

std::string line_with(const std::string& payload) {
  return R"({"topology":"t","kind":"error","failed_at":"x","payload":")" + payload + "\"}\n";
}

}  // namespace

TEST_CASE("a dead letter is read with all that stands in it") {
  const StoredLetter letter = letter_of(kLetter);
  CHECK(letter.task == "check");
  CHECK(letter.payload == std::string("\xff\x00\x01", 3));
  CHECK(letter.failing_payload == "word");
  CHECK(letter.delivery_attempts == 5);
  CHECK(letter.replays == 2);
  CHECK(letter.replayed_letter == "17-3");
  CHECK(replay_mark(letter) == "18-0 3");
  CHECK(letter.failed_time() == std::chrono::system_clock::time_point{} + 1'767'323'045s + 250ms);
}

TEST_CASE("what is no dead letter is refused, whatever it is") {
  for (const char* text :
       {"", "{", "[]", "1", "{}", R"({"topology":"t","kind":"error","failed_at":"x"})",
        R"({"topology":1,"kind":"error","failed_at":"x","payload":"p"})",
        R"({"topology":"t","kind":"error","failed_at":"x","payload_base64":"***"})"}) {
    CAPTURE(text);
    CHECK_FALSE(read_letter({}, text));
  }
  CHECK_FALSE(letter_of(line_with("p")).failed_time());
}

TEST_CASE("a filter lets through what fits everything that it says") {
  const StoredLetter letter = letter_of(kLetter);
  LetterFilter filter;
  CHECK(filter.empty());
  filter.task = "check";
  filter.text = "such";
  filter.ids = {"1-1", "18-0"};
  filter.failed_after = *letter.failed_time() - 1ms;
  filter.failed_before = *letter.failed_time() + 1ms;
  CHECK(filter.matches(letter));
  CHECK_FALSE(filter.empty());
  SECTION("another task") {
    filter.task = "chec";
  }
  SECTION("another id") {
    filter.ids = {"18-1"};
  }
  SECTION("too old") {
    filter.failed_after = *letter.failed_time();
  }
  SECTION("too new") {
    filter.failed_before = *letter.failed_time();
  }
  SECTION("without the text") {
    filter.text = "Such";
  }
  CHECK_FALSE(filter.matches(letter));
}

TEST_CASE("an entry that is put back holds what the source takes, and the mark") {
  const StoredLetter letter = letter_of(kLetter);
  const std::vector<std::string> expected = {"text", letter.payload,     "who",
                                             "k",    "tempest_replayed", "18-0 3"};
  CHECK(entry_fields(letter, {{}, "in", false, "text", "who"}) == expected);
  CHECK(entry_fields(letter, {{}, "in", true, {}, {}}) == std::vector<std::string>{letter.payload});
  CHECK_FALSE(entry_fields(letter, {{}, "in", false, {}, {}}));

  const StoredLetter all = letter_of(
      R"({"topology":"t","kind":"error","failed_at":"x","payload":"{\"b\":\"1\",\"a\":\"2\"}"})");
  const std::vector<std::string> fields = {"b", "1", "a", "2", "tempest_replayed", "18-0 1"};
  CHECK(entry_fields(all, {{}, "in", false, {}, {}}) == fields);

  StoredLetter cut = letter;
  cut.unreadable = true;
  CHECK_FALSE(entry_fields(cut, {{}, "in", true, {}, {}}));
}

TEST_CASE("letters in a file can be removed while others are added to it") {
  const test::TemporaryFolder folder;
  const std::string path = folder.write(
      "dead", line_with("one") + "no letter\n" + line_with("two") + "\n" + line_with("three"));
  LetterFile file(path);
  REQUIRE(file.open());
  std::ofstream(path, std::ios::app) << line_with("later");
  CHECK(payloads_in(file) == std::vector<std::string>{"one", "two", "three"});
  CHECK(payloads_in(file, 2) == std::vector<std::string>{"one", "two"});

  LetterReader reader(file, {}, 0);
  const auto found = reader.next();
  REQUIRE(found);
  CHECK(reader.unreadable() == 1);
  const std::vector<LetterPlace> places = {(*found)[1].place};
  REQUIRE(file.remove(places));
  REQUIRE(file.remove(places));

  LetterFile again(path);
  REQUIRE(again.open());
  CHECK(payloads_in(again) == std::vector<std::string>{"one", "three", "later"});
}

TEST_CASE("a line that is not what it was is not removed") {
  const test::TemporaryFolder folder;
  const std::string path = folder.write("dead", line_with("one"));
  LetterFile file(path);
  REQUIRE(file.open());
  LetterReader reader(file, {}, 0);
  const auto found = reader.next();
  REQUIRE(found);
  folder.write("dead", line_with("two"));
  const std::vector<LetterPlace> places = {found->front().place};
  CHECK_FALSE(file.remove(places));
  CHECK(folder.read("dead") == line_with("two"));
}
