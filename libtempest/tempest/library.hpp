#pragma once

#include <cstddef>
#include <cstdint>
#include <type_traits>

/// How a shared library says what is in it. A user includes task.hpp, source.hpp, sink.hpp or
/// failure.hpp, which include this.
namespace tempest {

class Task;
class Source;
class Sink;
class FailureHandler;

/// What a library offers under one name: what the one function that is not null makes. Plain data,
/// so that a library built today can be looked at by the node of tomorrow before anything in it is
/// called.
struct LibraryEntry {
  const char* name = nullptr;
  Task* (*create_task)() = nullptr;
  Source* (*create_source)() = nullptr;
  Sink* (*create_sink)() = nullptr;
  FailureHandler* (*create_failure_handler)() = nullptr;
};

struct TaskLibrary {
  /// Changed whenever a class that a library derives from, what their functions take, or these
  /// structs change shape.
  static constexpr std::uint32_t kAbi = 4;

  std::uint32_t abi;
  const char* name;
  const LibraryEntry* entries;
  std::size_t entry_count;
};

namespace detail {

template <typename T>
constexpr LibraryEntry make_entry(const char* name) {
  LibraryEntry entry;
  entry.name = name;
  if constexpr (std::is_base_of_v<Task, T>) {
    entry.create_task = []() -> Task* { return new T(); };
  } else if constexpr (std::is_base_of_v<Source, T>) {
    entry.create_source = []() -> Source* { return new T(); };
  } else if constexpr (std::is_base_of_v<Sink, T>) {
    entry.create_sink = []() -> Sink* { return new T(); };
  } else {
    static_assert(std::is_base_of_v<FailureHandler, T>,
                  "not derived from tempest::Task, Source, Sink or FailureHandler");
    entry.create_failure_handler = []() -> FailureHandler* { return new T(); };
  }
  return entry;
}

}  // namespace detail
}  // namespace tempest

#define TEMPEST_DETAIL_EXPAND(x) x
#define TEMPEST_DETAIL_COUNT(_1, _2, _3, _4, _5, _6, _7, _8, _9, _10, _11, _12, _13, _14, _15, \
                             _16, N, ...)                                                      \
  N
#define TEMPEST_DETAIL_F1(t) ::tempest::detail::make_entry<t>(#t)
#define TEMPEST_DETAIL_F2(t, ...) TEMPEST_DETAIL_F1(t), TEMPEST_DETAIL_F1(__VA_ARGS__)
#define TEMPEST_DETAIL_F3(t, ...) TEMPEST_DETAIL_F1(t), TEMPEST_DETAIL_F2(__VA_ARGS__)
#define TEMPEST_DETAIL_F4(t, ...) TEMPEST_DETAIL_F1(t), TEMPEST_DETAIL_F3(__VA_ARGS__)
#define TEMPEST_DETAIL_F5(t, ...) TEMPEST_DETAIL_F1(t), TEMPEST_DETAIL_F4(__VA_ARGS__)
#define TEMPEST_DETAIL_F6(t, ...) TEMPEST_DETAIL_F1(t), TEMPEST_DETAIL_F5(__VA_ARGS__)
#define TEMPEST_DETAIL_F7(t, ...) TEMPEST_DETAIL_F1(t), TEMPEST_DETAIL_F6(__VA_ARGS__)
#define TEMPEST_DETAIL_F8(t, ...) TEMPEST_DETAIL_F1(t), TEMPEST_DETAIL_F7(__VA_ARGS__)
#define TEMPEST_DETAIL_F9(t, ...) TEMPEST_DETAIL_F1(t), TEMPEST_DETAIL_F8(__VA_ARGS__)
#define TEMPEST_DETAIL_F10(t, ...) TEMPEST_DETAIL_F1(t), TEMPEST_DETAIL_F9(__VA_ARGS__)
#define TEMPEST_DETAIL_F11(t, ...) TEMPEST_DETAIL_F1(t), TEMPEST_DETAIL_F10(__VA_ARGS__)
#define TEMPEST_DETAIL_F12(t, ...) TEMPEST_DETAIL_F1(t), TEMPEST_DETAIL_F11(__VA_ARGS__)
#define TEMPEST_DETAIL_F13(t, ...) TEMPEST_DETAIL_F1(t), TEMPEST_DETAIL_F12(__VA_ARGS__)
#define TEMPEST_DETAIL_F14(t, ...) TEMPEST_DETAIL_F1(t), TEMPEST_DETAIL_F13(__VA_ARGS__)
#define TEMPEST_DETAIL_F15(t, ...) TEMPEST_DETAIL_F1(t), TEMPEST_DETAIL_F14(__VA_ARGS__)
#define TEMPEST_DETAIL_F16(t, ...) TEMPEST_DETAIL_F1(t), TEMPEST_DETAIL_F15(__VA_ARGS__)
#define TEMPEST_DETAIL_PICK(...)                                                                   \
  TEMPEST_DETAIL_COUNT(__VA_ARGS__, TEMPEST_DETAIL_F16, TEMPEST_DETAIL_F15, TEMPEST_DETAIL_F14,    \
                       TEMPEST_DETAIL_F13, TEMPEST_DETAIL_F12, TEMPEST_DETAIL_F11,                 \
                       TEMPEST_DETAIL_F10, TEMPEST_DETAIL_F9, TEMPEST_DETAIL_F8,                   \
                       TEMPEST_DETAIL_F7, TEMPEST_DETAIL_F6, TEMPEST_DETAIL_F5, TEMPEST_DETAIL_F4, \
                       TEMPEST_DETAIL_F3, TEMPEST_DETAIL_F2, TEMPEST_DETAIL_F1, )

/// Once in a library: its name, then its classes (at most 16, each constructible without arguments,
/// visible at the point of use): tasks, sources, sinks and failure handlers in any order.
/// `TEMPEST_TASKS(wordcount, Split, Count)` in libwordcount.so makes `uses = "wordcount:Split"`
/// work, and with a source among them `type = "wordcount:Feed"` in [source]. In a worker of one's
/// own, pass tempest_library_wordcount() to tempest::run_worker() (tempest/worker.hpp).
#define TEMPEST_TASKS(library, ...)                                                             \
  extern "C" __attribute__((visibility("default")))                                             \
  const ::tempest::TaskLibrary* tempest_library_##library() {                                   \
    static constexpr ::tempest::LibraryEntry entries[] = {                                      \
        TEMPEST_DETAIL_EXPAND(TEMPEST_DETAIL_PICK(__VA_ARGS__)(__VA_ARGS__))};                  \
    static constexpr ::tempest::TaskLibrary description = {                                     \
        ::tempest::TaskLibrary::kAbi, #library, entries, sizeof(entries) / sizeof(entries[0])}; \
    return &description;                                                                        \
  }
