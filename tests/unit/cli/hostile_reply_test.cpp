// What the tools are told by servers that nobody vouches for.

#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include <array>
#include <catch2/catch.hpp>
#include <cstring>
#include <sstream>
#include <string>
#include <thread>

#include "cli/case_report.hpp"
#include "cli/dead_letter_store.hpp"
#include "cli/stats_tables.hpp"
#include "tests/support/temporary_folder.hpp"

using namespace tempest;
using namespace tempest::cli;

namespace {

/// A Redis that gives `replies`, whatever it is asked, and hangs up.
class Speaker {
 public:
  explicit Speaker(std::string replies) : path_(folder_.path("socket")) {
    listening_ = ::socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
    sockaddr_un address{};
    address.sun_family = AF_UNIX;
    std::memcpy(address.sun_path, path_.data(), path_.size());
    REQUIRE(::bind(listening_, reinterpret_cast<sockaddr*>(&address), sizeof address) == 0);
    REQUIRE(::listen(listening_, 1) == 0);
    thread_ = std::thread([this, replies = std::move(replies)] {
      const int client = ::accept(listening_, nullptr, nullptr);
      if (client < 0) return;
      static_cast<void>(!::send(client, replies.data(), replies.size(), MSG_NOSIGNAL));
      ::shutdown(client, SHUT_WR);
      std::array<char, 4096> unread;
      while (::recv(client, unread.data(), unread.size(), 0) > 0) {
      }
      ::close(client);
    });
  }
  ~Speaker() {
    ::shutdown(listening_, SHUT_RDWR);
    thread_.join();
    ::close(listening_);
  }

  LetterStream::Options letters() const {
    LetterStream::Options options;
    options.address.unix_path = path_;
    options.key = "dead";
    return options;
  }

 private:
  test::TemporaryFolder folder_;
  std::string path_;
  int listening_ = -1;
  std::thread thread_;
};

std::string nested(std::size_t depth) {
  return std::string(depth, '[') + std::string(depth, ']');
}

}  // namespace

TEST_CASE("no reply of a server ends what reads dead letters by a signal") {
  const std::string entry = "*1\r\n*2\r\n$3\r\n1-1\r\n*2\r\n$5\r\nvalue\r\n$1\r\nx\r\n";
  for (const char* reply :
       {"*1\r\n*-1\r\n", "*-1\r\n", "*1\r\n$-1\r\n", ":7\r\n", "*1\r\n*0\r\n",
        "*1\r\n*1\r\n*-1\r\n", "*1\r\n*1\r\n$3\r\n1-1\r\n", "*1\r\n*2\r\n$3\r\n1-1\r\n*-1\r\n",
        "*1\r\n*2\r\n$3\r\n1-1\r\n*1\r\n$5\r\nvalue\r\n", "*1\r\n*2\r\n*-1\r\n*-1\r\n",
        "+OK\r\n"}) {
    CAPTURE(reply);
    // As the reply about the newest entry, and as the one with a page of them.
    for (const std::string& before : {std::string(), entry}) {
      const Speaker speaker(before + reply + reply);
      LetterStream letters(speaker.letters());
      std::vector<LetterStore::Raw> entries;
      if (letters.open()) static_cast<void>(letters.read(entries));
      for (LetterStore::Raw& raw : entries) {
        static_cast<void>(read_letter(std::move(raw.place), std::move(raw.text)));
      }
    }
  }
}

TEST_CASE("a dead letter that is nested without end is no dead letter") {
  const std::string letter = R"({"topology":"t","kind":"error","failed_at":"x","payload":"",)";
  CHECK(read_letter({}, letter + "\"history\":" + nested(60) + "}"));
  const auto deep = read_letter({}, letter + "\"history\":" + nested(1'000'000) + "}");
  REQUIRE_FALSE(deep);
  CHECK_THAT(deep.error().message, Catch::Contains("nested"));
}

TEST_CASE("statistics that are none are left out") {
  std::ostringstream out;
  for (const std::string& wrong :
       {nested(1'000'000), std::string("{"), std::string("[]"), std::string("7"),
        std::string(R"({"time":7})"), std::string(R"({"topologies":{"a":1}})"),
        std::string(R"({"topologies":{"a":{"tasks":{"x":{"handle":{"recent_count":[]}}}}}})"),
        std::string(R"({"topologies":{"a":{"tree_duration":{"recent_count":"x"}}}})")}) {
    CAPTURE(wrong.substr(0, 80));
    CHECK_FALSE(print_stats_tables(wrong, out));
  }
  CHECK(out.str().empty());
  CHECK(print_stats_tables(R"({"time":"now","topologies":{"a":{"read":1e308}}})", out));
}

TEST_CASE("a report for JUnit has no character that XML forbids") {
  std::string all = "\xef\xbf\xbe|\xef\xbf\xbf|\xff|\x7f|gr\xc3\xbc\xc3\x9f|";
  for (char control = 0; control < 0x20; ++control) all += control;
  const std::string xml = junit_xml({{"cases", {{"name", 1, 0.5, {all}}}}});
  CHECK(xml.find("\xef\xbf\xbe") == std::string::npos);
  CHECK(xml.find("\xef\xbf\xbf") == std::string::npos);
  CHECK(xml.find('\xff') == std::string::npos);
  CHECK(xml.find("gr\xc3\xbc\xc3\x9f") != std::string::npos);
  for (char control = 0; control < 0x20; ++control) {
    if (control != '\n' && control != '\t') CHECK(xml.find(control) == std::string::npos);
  }
}
