#include "tempest/builtin/rotation_names.hpp"

#include <catch2/catch.hpp>

using namespace tempest::builtin;

TEST_CASE("the names that rotation gives are known") {
  for (const char* name :
       {"app.log.1", "app.log.12", "app.log-20261128", "app.log.2026-11-28", "app.log-20261128_10",
        "app.log.20261128T101500Z", "app.log-2026-11-28-1795858857", "app.log.old", "app.log.bak1",
        "app.log~", "app.log.1.2", "app.1.log", "app-2026-11-28.log", "app_20261128.log"}) {
    CAPTURE(name);
    // A single "~" is an editor's backup: too little to go by.
    CHECK(is_rotated_name("app.log", name) == (std::string_view(name) != "app.log~"));
  }
  CHECK(is_rotated_name("syslog", "syslog.1"));
  CHECK(is_rotated_name("in", "in-20261128"));
}

TEST_CASE("a name that may be another log's is none") {
  for (const char* name :
       {"app.log", "app.log.lock", "app.log.place", "app.log.swp", "app-2.log", "app_1.log",
        "app-error.log", "app.log-2", "application.log.1", "app.logs", "other.log.1", "app.", ""}) {
    CAPTURE(name);
    CHECK_FALSE(is_rotated_name("app.log", name));
  }
  CHECK_FALSE(is_rotated_name("", "anything"));
  CHECK_FALSE(is_rotated_name("in", "in-2"));
  CHECK_FALSE(is_rotated_name(".hidden", ".1.hidden"));
}

TEST_CASE("compressed names and names of one shape") {
  CHECK(name_before_compression("app.log.1.gz") == "app.log.1");
  CHECK(name_before_compression("app.log.2.zst") == "app.log.2");
  CHECK(name_before_compression("app.log.1").empty());
  CHECK(name_before_compression(".gz").empty());
  CHECK(have_same_shape("app-20261127.log", "app-20261128.log"));
  CHECK(have_same_shape("app-9.log", "app-10.log"));
  CHECK_FALSE(have_same_shape("app-1.log", "app-a.log"));
  CHECK_FALSE(have_same_shape("app-1.log", "app-1.log.gz"));
}
