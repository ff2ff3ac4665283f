#ifdef WORDCOUNT_LIBRARY
#include <catch2/catch.hpp>
#include <string>
#include <vector>

#include "recording_context.hpp"
#include "tempest/builtin/task_factory.hpp"

using tempest::TaskDefinition;
using tempest::runtime::TaskLibraries;
using tempest::test::RecordingContext;
using Words = std::vector<std::string>;

namespace {

std::unique_ptr<tempest::Task> create(const std::string& uses) {
  TaskLibraries libraries;
  REQUIRE(libraries.load(WORDCOUNT_LIBRARY, {}));
  TaskDefinition definition;
  definition.name = "task";
  definition.uses = uses;
  auto task = tempest::builtin::create_task(definition, libraries);
  REQUIRE(task);
  return std::move(*task);
}

}  // namespace

TEST_CASE("split emits the words of a line in lower case, each with itself as key") {
  const auto split = create("wordcount:Split");
  RecordingContext context;
  REQUIRE(split->handle("The quick, BROWN fox's 'den' -- don't 42 ''", context));
  CHECK(context.payloads == Words{"the", "quick", "brown", "fox's", "den", "don't"});
  CHECK(context.keys == context.payloads);
}

TEST_CASE("split emits nothing for a line without words") {
  const auto split = create("wordcount:Split");
  RecordingContext context;
  REQUIRE(split->handle("", context));
  REQUIRE(split->handle(" \t'' 17 \xc3\xa4 ", context));
  CHECK(context.payloads.empty());
}

TEST_CASE("count emits each word with how often it has come so far") {
  const auto count = create("wordcount:Count");
  RecordingContext context;
  for (const char* word : {"a", "b", "a", "a"}) REQUIRE(count->handle(word, context));
  CHECK(context.payloads == Words{"a\t1", "b\t1", "a\t2", "a\t3"});
  CHECK(context.keys == Words{"a", "b", "a", "a"});
}
#endif
