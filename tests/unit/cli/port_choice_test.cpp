#include "cli/port_choice.hpp"

#include <sys/socket.h>
#include <unistd.h>

#include <catch2/catch.hpp>

#include "tempest/runtime/endpoint.hpp"

using namespace tempest;

namespace {

/// Listens at a port of the loopback that was free.
class Listener {
 public:
  Listener() : socket_(::socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0)) {
    auto address = *runtime::numeric_address("127.0.0.1", 0);
    REQUIRE(::bind(socket_, address.get(), address.length) == 0);
    REQUIRE(::listen(socket_, 1) == 0);
    REQUIRE(::getsockname(socket_, address.get(), &address.length) == 0);
    endpoint_ = runtime::tcp_endpoint(address);
  }
  ~Listener() { ::close(socket_); }
  Listener(const Listener&) = delete;
  Listener& operator=(const Listener&) = delete;

  const std::string& endpoint() const { return endpoint_; }
  std::string address() const { return endpoint_.substr(sizeof "tcp://" - 1); }

 private:
  int socket_;
  std::string endpoint_;
};

}  // namespace

TEST_CASE("another port is chosen where somebody listens, unless the user named it") {
  const Listener listener;
  for (const std::string& address : {listener.endpoint(), listener.address()}) {
    const auto chosen = cli::choose_ports({address, 3, 10, false, "--broker"});
    REQUIRE(chosen);
    CHECK(*chosen != address);
    CHECK(chosen->substr(0, chosen->rfind(':')) == address.substr(0, address.rfind(':')));

    const auto refused = cli::choose_ports({address, 3, 10, true, "--broker"});
    REQUIRE_FALSE(refused);
    CHECK(refused.error().code == ErrorCode::unavailable);
    CHECK(refused.error().message.find("of --broker " + address + " is taken") !=
          std::string::npos);
    CHECK(refused.error().message.find("is free") != std::string::npos);
  }
}

TEST_CASE("an address that is free, of no TCP, or for any port stays as it is") {
  for (const char* address : {"ipc:///tmp/broker", "tcp://127.0.0.1:0", "tcp://127.0.0.1:*",
                              "inproc://broker", "no address"}) {
    CHECK(*cli::choose_ports({address, 3, 10, true, "--broker"}) == address);
  }
}
