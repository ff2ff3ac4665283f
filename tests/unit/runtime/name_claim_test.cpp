#include "tempest/runtime/name_claim.hpp"

#include <signal.h>
#include <sys/wait.h>
#include <unistd.h>

#include <catch2/catch.hpp>
#include <optional>
#include <string>

using tempest::runtime::NameClaim;

TEST_CASE("the first who claims a name has it, the next has one of its own, and both stay") {
  const std::string purpose = "test " + std::to_string(::getpid());
  std::optional<NameClaim> first(std::in_place, purpose, "host");
  const NameClaim second(purpose, "host");
  const NameClaim elsewhere(purpose + " other", "host");
  CHECK(first->name() == "host");
  CHECK(second.name() == "host-2");
  CHECK(elsewhere.name() == "host");
  first.reset();
  const NameClaim again(purpose, "host");
  CHECK(again.name() == "host");
  CHECK(NameClaim(purpose, "host").name() == "host-3");
}

TEST_CASE("a process that was killed has let go of its name") {
  const std::string purpose = "test " + std::to_string(::getpid());
  int ends[2];
  REQUIRE(::pipe(ends) == 0);
  const pid_t child = ::fork();
  if (child == 0) {
    const NameClaim claim(purpose, "host");
    static_cast<void>(::write(ends[1], claim.name().data(), claim.name().size()));
    while (true) ::pause();
  }
  char name[16] = {};
  REQUIRE(::read(ends[0], name, sizeof name - 1) > 0);
  CHECK(std::string(name) == "host");
  CHECK(NameClaim(purpose, "host").name() == "host-2");
  ::kill(child, SIGKILL);
  ::waitpid(child, nullptr, 0);
  CHECK(NameClaim(purpose, "host").name() == "host");
  ::close(ends[0]);
  ::close(ends[1]);
}
