#include "tempest/builtin/lines_checkpoint.hpp"

#include <signal.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <unistd.h>

#include <catch2/catch.hpp>
#include <filesystem>

#include "tests/unit/builtin/log_fixture.hpp"

using namespace tempest;
using namespace tempest::test;
using namespace tempest::builtin;
using Catch::Matchers::Contains;

namespace {

SavedLines example() {
  SavedLines saved;
  saved.topology = "orders";
  saved.path = "/var/log/a b%\n\xff.log";
  saved.line = 17;
  saved.horizon_ns = 123;
  saved.files.push_back({.path = "/var/log/log.1",
                         .identity = {1, 2, 3},
                         .offset = 40,
                         .skipping = true,
                         .finished = true,
                         .content = Fingerprint{5, ~0ULL},
                         .start_bytes = 9,
                         .start_hash = 10,
                         .size = 50,
                         .modified_ns = -7,
                         .unacked = 3});
  saved.files.push_back({.path = ""});
  return saved;
}

std::string why(const Result<std::optional<SavedLines>>& loaded) {
  return loaded ? std::string() : loaded.error().message;
}

}  // namespace

TEST_CASE("a checkpoint's text gives back all that it was made of") {
  const SavedLines saved = example();
  const std::string text = checkpoint_text(saved);
  CHECK(parse_checkpoint(text) == saved);
  // Whatever is missing of it, or has changed in it, it is no checkpoint.
  for (std::size_t length = 0; length + 1 < text.size(); ++length) {
    CHECK_FALSE(parse_checkpoint(std::string_view(text).substr(0, length)));
    CHECK(looks_torn(std::string_view(text).substr(0, length)));
  }
  for (std::size_t i = 0; i + 1 < text.size(); ++i) {
    std::string changed = text;
    changed[i] = changed[i] == '1' ? '2' : '1';
    CHECK_FALSE(parse_checkpoint(changed));
  }
  CHECK_FALSE(looks_torn("important text"));
  CHECK(looks_torn(std::string(100, '\0')));
}

TEST_CASE("a checkpoint of before there were fingerprints is read") {
  const auto saved = parse_checkpoint("tempest-lines 1 line 3 offset 8 device 5 inode 6\n");
  REQUIRE(saved);
  CHECK(saved->line == 3);
  REQUIRE(saved->files.size() == 1);
  CHECK(saved->files[0].identity == FileIdentity{5, 6, 0});
  CHECK(saved->files[0].offset == 8);
  CHECK_FALSE(saved->files[0].content);
}

TEST_CASE("a torn checkpoint gives way to the one before it, or says what to do") {
  const TemporaryFolder folder;
  std::vector<std::string> warnings;
  SavedLines saved = example();
  LinesCheckpoint checkpoint(folder.path("place"));
  REQUIRE(checkpoint.save(saved));
  saved.line = 18;
  REQUIRE(checkpoint.save(saved));
  CHECK(checkpoint.load(warnings)->value() == saved);
  CHECK(warnings.empty());

  const std::string torn =
      GENERATE(std::string(), std::string("tempest-lines 2 li"), std::string(512, '\0'));
  folder.write("place", torn);
  LinesCheckpoint next(folder.path("place"));
  auto loaded = next.load(warnings);
  INFO(why(loaded));
  REQUIRE(loaded);
  CHECK((*loaded)->line == 17);
  CHECK_THAT(warnings.at(0), Contains("place.previous"));
  // Until there is a new one the old one stays.
  REQUIRE(next.save(saved));
  CHECK(parse_checkpoint(folder.read("place")) == saved);
  CHECK(parse_checkpoint(folder.read("place.previous"))->line == 17);

  folder.write("place", torn);
  folder.write("place.previous", torn);
  loaded = LinesCheckpoint(folder.path("place")).load(warnings);
  REQUIRE_FALSE(loaded);
  CHECK(loaded.error().code == ErrorCode::configuration);
  CHECK_THAT(loaded.error().message, Contains("remove it to read from the start"));
}

TEST_CASE("a checkpoint is neither read nor written through a symbolic link") {
  const TemporaryFolder folder;
  folder.write("important", "text");
  std::filesystem::create_symlink("important", folder.path("place"));
  std::vector<std::string> warnings;
  LinesCheckpoint checkpoint(folder.path("place"));
  CHECK_THAT(why(checkpoint.load(warnings)), Contains("symbolic link"));
  // What somebody has put where the draft goes is replaced, not written to.
  std::filesystem::remove(folder.path("place"));
  std::filesystem::create_symlink("important", folder.path("place.new"));
  REQUIRE(checkpoint.save(example()));
  CHECK(folder.read("important") == "text");
  CHECK(parse_checkpoint(folder.read("place")) == example());
}

TEST_CASE("a full disk is waited for by a checkpoint, and the old one stays") {
  const TemporaryFolder folder;
  SavedLines saved = example();
  LinesCheckpoint checkpoint(folder.path("place"));
  REQUIRE(checkpoint.save(saved));
  saved.line = 18;
  const pid_t child = ::fork();
  if (child == 0) {
    ::signal(SIGXFSZ, SIG_IGN);
    rlimit limit{100, RLIM_INFINITY};
    ::setrlimit(RLIMIT_FSIZE, &limit);
    const auto refused = checkpoint.save(saved);
    const bool waits = !refused && refused.error().code == ErrorCode::unavailable;
    std::vector<std::string> warnings;
    const bool is_old = checkpoint.load(warnings)->value().line == 17;
    limit.rlim_cur = RLIM_INFINITY;
    ::setrlimit(RLIMIT_FSIZE, &limit);
    ::_exit(waits && is_old && checkpoint.save(saved) ? 0 : 1);
  }
  int status = 0;
  REQUIRE(::waitpid(child, &status, 0) == child);
  CHECK(status == 0);
  CHECK(parse_checkpoint(folder.read("place")) == saved);
}

TEST_CASE_METHOD(Log, "a lines source begins at its checkpoint: the oldest line not yet acked") {
  append("a\nb\nc\nd\n");
  const auto with_acks = [&](std::size_t count, const Lines& expected,
                             const std::vector<std::size_t>& acked) {
    auto finite_options = options();
    finite_options.follow = false;
    LinesSource finite(path(), finite_options);
    open(finite);
    const SourceBatch batch = poll_once(finite, count);
    CHECK(lines_of(batch) == expected);
    if (!batch.empty()) {
      CHECK(finite.describe(batch.messages()[0].token) ==
            "line " + std::string(1, "1234"[expected[0][0] - 'a']));
    }
    std::vector<SourceToken> tokens;
    for (const std::size_t index : acked) tokens.push_back(batch.messages()[index].token);
    REQUIRE(finite.ack(tokens));
  };
  with_acks(3, {"a", "b", "c"}, {2, 0});
  with_acks(100, {"b", "c", "d"}, {0, 1, 2});
  with_acks(100, {}, {});
}

TEST_CASE_METHOD(Log, "a checkpoint that is something else is refused") {
  append("a\n");
  append("important text", "place");
  const auto opened = source().open();
  REQUIRE_FALSE(opened);
  CHECK(opened.error().code == ErrorCode::configuration);
  CHECK(folder.read("place") == "important text");
}

TEST_CASE_METHOD(Log, "the next day's file of a source that ends is read from its start, unlost") {
  append("a\n");
  auto finite_options = options();
  finite_options.follow = false;
  {
    LinesSource first(path(), finite_options);
    open(first);
    ack_all(first, take_all(first));
  }
  append("x\n", "other");
  rename("other", "log");
  LinesSource second(path(), finite_options);
  open(second);
  const Given given = take_all(second);
  CHECK(given.lines == Lines{"x"});
  CHECK(given.lost == 0);
  CHECK_THAT(given.warnings, Contains("another file"));
}

TEST_CASE_METHOD(Log, "lines beyond max_line are lost, and told of") {
  append("short\n" + std::string(500, 'x') + "\n\xff\xfe\n");
  LinesSource limited(path(), {.checkpoint = {}, .follow = false, .max_line_bytes = 100});
  open(limited);
  const Given given = take_all(limited);
  CHECK(given.lines == Lines{"short", "\xff\xfe"});
  CHECK(given.lost == 1);
  CHECK_THAT(given.warnings, Contains("max_line") && Contains("line 2"));
}

TEST_CASE_METHOD(Log, "where what fails is kept, a line too long is given with its first bytes") {
  append("short\n" + std::string(9'000, 'x') + "\n" + std::string(200, 'y'));
  auto kept = options();
  kept.max_line_bytes = 100;
  kept.gives_long_lines = true;
  {
    LinesSource first(path(), kept);
    open(first);
    const SourceBatch batch = poll_once(first);
    REQUIRE(batch.size() == 3);
    CHECK(batch.lost == 0);
    CHECK(batch.messages()[0].fault.empty());
    CHECK(batch.messages()[1].payload == std::string(1024, 'x'));
    CHECK_THAT(std::string(batch.messages()[1].fault), Contains("line 2") && Contains("max_line"));
    CHECK(batch.messages()[2].payload == std::string(200, 'y'));
    // All but the last are done: that is given again, whole.
    const std::vector<SourceToken> done = {batch.messages()[0].token, batch.messages()[1].token};
    REQUIRE(first.ack(done));
  }
  append("END\nnext\n");
  LinesSource second(path(), kept);
  open(second);
  const SourceBatch batch = poll_once(second);
  REQUIRE(batch.size() == 2);
  CHECK_FALSE(batch.messages()[0].fault.empty());
  CHECK(batch.messages()[1].payload == "next");
}
