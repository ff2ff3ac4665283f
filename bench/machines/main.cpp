#include <chrono>
#include <cstdio>
#include <cstdlib>
#include <ctime>

#include "bench/machines/hot_path.hpp"

/// hot_path MESSAGES [DEPTH [SIZE [FUSED]]]: sends so many through all machines, for a profiler to
/// look at, and says how long it took.
int main(int argc, char** argv) {
  const auto argument = [&](int index, std::uint64_t fallback) {
    return argc > index ? std::strtoull(argv[index], nullptr, 10) : fallback;
  };
  const std::uint64_t messages = argument(1, 1'000'000);
  tempest::bench::HotPath path(
      {.size_bytes = argument(3, 100), .depth = argument(2, 1), .fused = argument(4, 0) != 0});
  path.run(1);
  const std::clock_t begin = std::clock();
  path.run(messages);
  const double seconds = static_cast<double>(std::clock() - begin) / CLOCKS_PER_SEC;
  std::printf("%.0f ns of CPU a message\n", seconds * 1e9 / static_cast<double>(messages));
}
