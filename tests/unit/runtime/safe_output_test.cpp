#include "tempest/runtime/safe_output.hpp"

#include <sys/wait.h>
#include <unistd.h>

#include <array>
#include <catch2/catch.hpp>
#include <cstdio>
#include <iostream>
#include <string>
#include <thread>
#include <vector>

using namespace tempest;

namespace {

/// Returns what a process writes to standard output, whose streams are safe.
template <typename Body>
std::string output_of(Body body) {
  std::array<int, 2> pipe{};
  REQUIRE(::pipe(pipe.data()) == 0);
  // Or the child would write it once more.
  std::cout.flush();
  std::fflush(stdout);
  const pid_t child = ::fork();
  if (child == 0) {
    ::dup2(pipe[1], STDOUT_FILENO);
    ::close(pipe[0]);
    ::close(pipe[1]);
    runtime::make_output_safe();
    body();
    ::_exit(runtime::flush_output());
  }
  ::close(pipe[1]);
  std::string text;
  std::array<char, 4096> bytes{};
  for (ssize_t count = 0; (count = ::read(pipe[0], bytes.data(), bytes.size())) > 0;) {
    text.append(bytes.data(), static_cast<std::size_t>(count));
  }
  ::close(pipe[0]);
  int status = 0;
  REQUIRE(::waitpid(child, &status, 0) == child);
  REQUIRE(status == 0);
  return text;
}

}  // namespace

TEST_CASE("what is printed steers no terminal, and raw output stays as it is") {
  const std::string printed = output_of([] {
    std::cout << "a\x1b[1m\n" << std::flush;
    runtime::raw_output() << "\x1b" << std::flush;
  });
  CHECK(printed == "a\\u001b[1m\n\x1b");
}

TEST_CASE("several threads may print at once") {
  constexpr std::size_t kThreads = 4;
  constexpr std::size_t kLines = 2'000;
  const std::string line = "a line of a task\x1b\n";
  const std::string printed = output_of([&] {
    std::vector<std::thread> threads;
    for (std::size_t i = 0; i < kThreads; ++i) {
      threads.emplace_back([&line] {
        for (std::size_t n = 0; n < kLines; ++n) std::cout << line;
      });
    }
    for (std::thread& thread : threads) thread.join();
  });
  CHECK(printed.size() == kThreads * kLines * (line.size() + 5));
}
