#include <catch2/catch.hpp>
#include <string>
#include <vector>

#include "tempest/builtin/redis_server_check.hpp"
#include "tempest/builtin/redis_session.hpp"
#include "tempest/builtin/redis_stream_group.hpp"

using namespace tempest;
using namespace tempest::builtin;
using namespace std::chrono_literals;

TEST_CASE("what a group lost unread is told from the stream's counts, where they tell it") {
  StreamFacts facts;
  facts.added = 1'010;
  facts.read = 10;
  facts.length = 10;
  facts.last_read = {10, 0};
  facts.last_added = {1'010, 0};
  facts.first = SourceToken{1'001, 0};
  CHECK(entries_lost_unread(facts) == 990);
  SECTION("all that is left was trimmed too") {
    facts.length = 0;
    facts.first.reset();
    CHECK(entries_lost_unread(facts) == 1'000);
  }
  SECTION("what is left has been read") {
    facts.read = 20;
    facts.last_read = facts.last_added;
    CHECK(entries_lost_unread(facts) == 990);
  }
  SECTION("some of what is there has been read: how much is not told") {
    facts.last_read = {1'005, 0};
    CHECK_FALSE(entries_lost_unread(facts));
  }
  SECTION("the server does not count, or has lost count") {
    facts.read.reset();
    CHECK_FALSE(entries_lost_unread(facts));
    facts.read = 10;
    facts.added.reset();
    CHECK_FALSE(entries_lost_unread(facts));
  }
  SECTION("counts that contradict each other are no loss") {
    facts.read = 5'000;
    CHECK(entries_lost_unread(facts) == 0);
  }
}

TEST_CASE("a namesake is older, alive, in the same database, and somebody else") {
  const std::string clients =
      "id=3 addr=10.0.0.1:5 fd=8 name=tempest:ab:me#one age=9 idle=1 db=0 cmd=xreadgroup\n"
      "id=4 addr=10.0.0.2:5 fd=9 name=tempest:ab:me#one age=9 idle=31 db=0 cmd=xreadgroup\n"
      "id=5 addr=10.0.0.3:5 fd=9 name=tempest:ab:me#one age=9 idle=0 db=1 cmd=xreadgroup\n"
      "id=6 addr=10.0.0.4:5 fd=9 name=tempest:ab:me2#one age=9 idle=0 db=0 cmd=xreadgroup\n"
      "id=7 addr=10.0.0.5:5 fd=9 name= age=9 idle=0 db=0 cmd=ping\n"
      "id=9 addr=10.0.0.6:5 fd=9 name=tempest:ab:me#two age=9 idle=0 db=0 cmd=client\n";
  const auto found = [&](const char* life, std::int64_t own) {
    return older_namesakes(clients, "tempest:ab:me", life, own, 0);
  };
  CHECK(found("two", 9) == std::vector<std::string>{"10.0.0.1:5"});
  CHECK(found("one", 9).empty());
  CHECK(found("two", 3).empty());
  CHECK(found("three", 10).size() == 2);
  CHECK(older_namesakes("", "x", "y", 1, 0).empty());
  CHECK(older_namesakes("\n id= name=x# \n", "x", "y", 1, 0).size() == 1);
}

TEST_CASE("a server is described by what INFO says of it") {
  const RedisServerFacts facts = redis_server_facts(
      "# Server\r\nredis_version:7.0.15\r\nredis_mode:standalone\r\nrun_id:abc\r\n"
      "uptime_in_seconds:42\r\n# Replication\r\nrole:slave\r\nmaster_host:10.0.0.1\r\n"
      "master_port:6379\r\nconnected_slaves:0\r\nmaster_replid:def\r\n"
      "master_replid2:0000000000000000000000000000000000000000\r\n");
  CHECK(facts.mode == "standalone");
  CHECK(facts.run_id == "abc");
  CHECK(facts.role == "slave");
  CHECK(facts.master == "10.0.0.1:6379");
  CHECK(facts.history == "def");
  CHECK(facts.old_history.empty());
  CHECK_FALSE(facts.has_replicas);
  CHECK(facts.uptime == Duration(42s));
  CHECK(redis_server_facts("").run_id.empty());
  CHECK_FALSE(redis_server_facts("uptime_in_seconds:99999999999999").uptime);
}
