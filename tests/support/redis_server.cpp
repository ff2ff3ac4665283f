#include "redis_server.hpp"

#include <arpa/inet.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

#include <chrono>
#include <cstdio>
#include <cstdlib>
#include <fstream>
#include <stdexcept>
#include <string_view>
#include <system_error>
#include <vector>

namespace tempest::test {
namespace {

sockaddr_in loopback(std::uint16_t port) {
  sockaddr_in address{};
  address.sin_family = AF_INET;
  address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
  address.sin_port = htons(port);
  return address;
}

/// A port that was free a moment ago.
std::uint16_t free_port() {
  const int fd = ::socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
  sockaddr_in address = loopback(0);
  socklen_t size = sizeof(address);
  const bool found = ::bind(fd, reinterpret_cast<sockaddr*>(&address), size) == 0 &&
                     ::getsockname(fd, reinterpret_cast<sockaddr*>(&address), &size) == 0;
  ::close(fd);
  if (!found) throw std::runtime_error("no free port");
  return ntohs(address.sin_port);
}

/// Whether something there says PONG (or that a password is needed, which will do).
bool answers(std::uint16_t port) {
  const int fd = ::socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
  const sockaddr_in address = loopback(port);
  bool alive = false;
  if (::connect(fd, reinterpret_cast<const sockaddr*>(&address), sizeof(address)) == 0) {
    constexpr std::string_view kPing = "PING\r\n";
    char reply[64] = {};
    pollfd waiting{fd, POLLIN, 0};
    if (::send(fd, kPing.data(), kPing.size(), MSG_NOSIGNAL) > 0 && ::poll(&waiting, 1, 200) > 0) {
      const ssize_t count = ::recv(fd, reply, sizeof(reply), 0);
      const std::string_view text(reply, count > 0 ? static_cast<std::size_t>(count) : 0);
      alive = text.starts_with("+PONG") || text.starts_with("-NOAUTH");
    }
  }
  ::close(fd);
  return alive;
}

}  // namespace

RedisServer::RedisServer(Options options) : options_(std::move(options)) {
  // Somebody else may take a port between the look and the start.
  for (int attempt = 0; attempt < 5; ++attempt) {
    port_ = free_port();
    launch();
    if (wait_until_it_answers()) return;
    kill();
  }
  throw std::runtime_error("redis-server does not start; is it installed?");
}

RedisServer::~RedisServer() {
  kill();
}

std::string RedisServer::uri() const {
  return "redis://127.0.0.1:" + std::to_string(port_) + "/0";
}

std::string RedisServer::unix_uri() const {
  return "unix://" + folder_.path("socket");
}

void RedisServer::start() {
  if (pid_ > 0) return;
  launch();
  if (!wait_until_it_answers()) throw std::runtime_error("redis-server does not start again");
}

void RedisServer::launch() {
  std::vector<std::string> arguments = {"redis-server",
                                        "--port",
                                        std::to_string(port_),
                                        "--bind",
                                        "127.0.0.1",
                                        "--unixsocket",
                                        folder_.path("socket"),
                                        "--dir",
                                        folder_.path(""),
                                        "--save",
                                        "",
                                        "--appendonly",
                                        options_.append_only ? "yes" : "no",
                                        "--appendfsync",
                                        "always"};
  if (!options_.password.empty()) {
    arguments.insert(arguments.end(), {"--requirepass", options_.password});
  }
  arguments.insert(arguments.end(), options_.arguments.begin(), options_.arguments.end());
  std::vector<char*> pointers;
  for (std::string& argument : arguments) pointers.push_back(argument.data());
  pointers.push_back(nullptr);
  const std::string clock_path = folder_.path("clock");
  const pid_t parent = ::getpid();
  pid_ = ::fork();
  if (pid_ < 0) throw std::runtime_error("cannot fork");
  if (pid_ > 0) return;
  ::prctl(PR_SET_PDEATHSIG, SIGKILL);
  if (::getppid() != parent) ::_exit(127);
  if (options_.has_own_clock) {
    ::setenv("LD_PRELOAD", TEMPEST_STEPPED_CLOCK, 1);
    ::setenv("TEMPEST_TEST_CLOCK", clock_path.c_str(), 1);
  }
  const int nowhere = ::open("/dev/null", O_RDWR);
  ::dup2(nowhere, STDIN_FILENO);
  ::dup2(nowhere, STDOUT_FILENO);
  ::dup2(nowhere, STDERR_FILENO);
  ::execvp(pointers[0], pointers.data());
  ::_exit(127);
}

bool RedisServer::wait_until_it_answers() {
  const auto deadline = std::chrono::steady_clock::now() + std::chrono::seconds(15);
  while (std::chrono::steady_clock::now() < deadline) {
    if (::waitpid(pid_, nullptr, WNOHANG) == pid_) {
      pid_ = -1;
      return false;
    }
    if (answers(port_)) return true;
    // Nothing tells when a port begins to listen, so it is looked at again.
    ::poll(nullptr, 0, 10);
  }
  return false;
}

void RedisServer::kill() {
  if (pid_ <= 0) return;
  ::kill(pid_, SIGKILL);
  ::waitpid(pid_, nullptr, 0);
  pid_ = -1;
}

void RedisServer::pause() {
  ::kill(pid_, SIGSTOP);
}

void RedisServer::set_clock(long seconds) const {
  // Renamed into place, so that it is never seen half written.
  const std::string path = folder_.path("clock");
  std::ofstream(path + ".new") << seconds << '\n';
  if (std::rename((path + ".new").c_str(), path.c_str()) != 0) {
    throw std::runtime_error("cannot set the clock");
  }
}

void RedisServer::resume() {
  ::kill(pid_, SIGCONT);
}

}  // namespace tempest::test
