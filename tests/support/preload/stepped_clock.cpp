// A wall clock that a test sets back: preloaded into a server (LD_PRELOAD), it adds to each look at
// the time the seconds that stand, as text, in the file that TEMPEST_TEST_CLOCK names. Clocks that
// only go forward stay as they are.

#include <dlfcn.h>
#include <fcntl.h>
#include <sys/time.h>
#include <time.h>
#include <unistd.h>

#include <cstdlib>

namespace {

long offset_s() {
  const char* const path = std::getenv("TEMPEST_TEST_CLOCK");
  const int file = path == nullptr ? -1 : ::open(path, O_RDONLY | O_CLOEXEC);
  if (file < 0) return 0;
  char text[32] = {};
  const ssize_t size = ::read(file, text, sizeof text - 1);
  ::close(file);
  return size > 0 ? std::strtol(text, nullptr, 10) : 0;
}

using ClockGetTime = int (*)(clockid_t, timespec*);

int real_clock(clockid_t clock, timespec* time) {
  static const auto original = reinterpret_cast<ClockGetTime>(::dlsym(RTLD_NEXT, "clock_gettime"));
  return original(clock, time);
}

}  // namespace

extern "C" int clock_gettime(clockid_t clock, timespec* time) noexcept {
  const int result = real_clock(clock, time);
  if (result == 0 && (clock == CLOCK_REALTIME || clock == CLOCK_REALTIME_COARSE)) {
    time->tv_sec += offset_s();
  }
  return result;
}

extern "C" int gettimeofday(timeval* time, void* /*zone*/) noexcept {
  timespec now{};
  const int result = real_clock(CLOCK_REALTIME, &now);
  if (result == 0 && time != nullptr) {
    time->tv_sec = now.tv_sec + offset_s();
    time->tv_usec = now.tv_nsec / 1'000;
  }
  return result;
}

extern "C" time_t time(time_t* result) noexcept {
  timespec now{};
  real_clock(CLOCK_REALTIME, &now);
  const time_t seconds = now.tv_sec + offset_s();
  if (result != nullptr) *result = seconds;
  return seconds;
}
