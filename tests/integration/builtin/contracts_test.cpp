// The contracts of sources and sinks, for each that Tempest has and for those of examples/spool.

#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <catch2/catch.hpp>
#include <filesystem>
#include <fstream>
#include <iterator>
#include <string>

#include "tempest/builtin/sink_factory.hpp"
#include "tempest/builtin/source_factory.hpp"
#include "tempest/runtime/redis.hpp"
#include "tempest/testing/sink_contract.hpp"
#include "tempest/testing/source_contract.hpp"
#include "tests/support/redis_server.hpp"
#include "tests/support/temporary_folder.hpp"

using namespace tempest;
using namespace std::chrono_literals;
using tempest::runtime::parse_redis_uri;
using tempest::runtime::RedisConnection;
using tempest::runtime::TaskLibraries;
using tempest::test::RedisServer;
using tempest::test::TemporaryFolder;
using tempest::testing::SinkPlace;
using tempest::testing::SourcePlace;

namespace fs = std::filesystem;

namespace {

std::vector<std::string> numbered(std::size_t& next, std::size_t count) {
  std::vector<std::string> payloads;
  for (std::size_t i = 0; i < count; ++i) payloads.push_back("message " + std::to_string(next++));
  return payloads;
}

/// A place whose source is one that a topology names.
class NamedPlace : public SourcePlace {
 public:
  std::unique_ptr<Source> make_source() override {
    auto made = builtin::create_source(definition, "topology", "reader", libraries);
    REQUIRE(made);
    return std::move(*made);
  }

  void set(const std::string& name, Settings::Value value) {
    definition.endpoint.settings.set(name, std::move(value));
  }

  SourceDefinition definition;
  TaskLibraries libraries;
  std::size_t next = 0;
};

class Numbers : public NamedPlace {
 public:
  Numbers() { definition.endpoint.type = "generator"; }

  std::vector<std::string> put(std::size_t count) override {
    std::vector<std::string> payloads;
    for (std::size_t i = 0; i < count; ++i) {
      payloads.push_back(std::to_string(next++));
      payloads.back().append(20 - payloads.back().size(), '.');
    }
    set("count", {static_cast<std::int64_t>(next)});
    set("size", {std::string("20")});
    return payloads;
  }
  bool remembers_acks() const override { return false; }
};

class LinesPlace : public NamedPlace {
 public:
  LinesPlace(bool follows, bool has_checkpoint)
      : follows_(follows), has_checkpoint_(has_checkpoint) {
    fs::create_directory(folder_.path("here"));
    definition.endpoint.type = "lines";
    set("path", {folder_.path("here/in")});
    set("follow", {follows});
    if (has_checkpoint) set("checkpoint", {folder_.path("checkpoint")});
    std::ofstream(folder_.path("here/in"));
  }

  std::vector<std::string> put(std::size_t count) override {
    std::vector<std::string> payloads = numbered(next, count);
    std::ofstream file(folder_.path("here/in"), std::ios::app);
    for (const std::string& payload : payloads) file << payload << "\n";
    return payloads;
  }
  bool set_away(bool is_away) override {
    if (!follows_) return false;
    fs::rename(folder_.path(is_away ? "here" : "away"), folder_.path(is_away ? "away" : "here"));
    return true;
  }
  bool remembers_acks() const override { return has_checkpoint_; }

 private:
  TemporaryFolder folder_;
  bool follows_;
  bool has_checkpoint_;
};

/// Lines that come through a FIFO, which no writer ever closes.
class Pipe : public NamedPlace {
 public:
  Pipe() {
    definition.endpoint.type = "lines";
    set("path", {folder_.path("fifo")});
    set("follow", {true});
    REQUIRE(::mkfifo(folder_.path("fifo").c_str(), 0600) == 0);
    writer_ = ::open(folder_.path("fifo").c_str(), O_RDWR | O_CLOEXEC);
    REQUIRE(writer_ >= 0);
  }
  ~Pipe() override { ::close(writer_); }

  std::vector<std::string> put(std::size_t count) override {
    std::vector<std::string> payloads = numbered(next, count);
    for (const std::string& payload : payloads) {
      const std::string line = payload + "\n";
      REQUIRE(::write(writer_, line.data(), line.size()) == static_cast<ssize_t>(line.size()));
    }
    return payloads;
  }

 private:
  TemporaryFolder folder_;
  int writer_ = -1;
};

/// The stream or list "in" of a server that can be killed.
class RedisPlace : public NamedPlace {
 public:
  RedisPlace(bool is_list, bool acks) : is_list_(is_list) {
    definition.endpoint.type = is_list ? "redis_list" : "redis_stream";
    definition.acks = acks;
    set("uri", {server_.uri()});
    set("key", {std::string("in")});
    if (!is_list) set("field", {std::string("value")});
    if (is_list) set("lease", {std::string("1s")});
    if (is_list) set("retry_delay", {std::string("50ms")});
    REQUIRE(redis_.connect());
  }

  std::vector<std::string> put(std::size_t count) override {
    std::vector<std::string> payloads = numbered(next, count);
    if (!redis_.connected()) REQUIRE(redis_.connect());
    for (const std::string& payload : payloads) {
      const auto added = is_list_ ? redis_.command({"RPUSH", "in", payload})
                                  : redis_.command({"XADD", "in", "*", "value", payload});
      REQUIRE(added);
    }
    return payloads;
  }
  bool lose(std::size_t count) override {
    if (is_list_) return false;
    // Only these were put since all else was read: two are left of the six.
    REQUIRE(count == 4);
    REQUIRE(redis_.command({"XTRIM", "in", "MAXLEN", "2"}));
    return true;
  }
  bool set_away(bool is_away) override {
    redis_.close();
    is_away ? server_.kill() : server_.start();
    return true;
  }

 private:
  bool is_list_;
  RedisServer server_;
  RedisConnection redis_{*parse_redis_uri(server_.uri())};
};

class Spool : public NamedPlace {
 public:
  Spool() {
    definition.endpoint.type = "spool:Folder";
    Settings config;
    config.set("path", {folder_.path("in")});
    set("config", {config});
    fs::create_directory(folder_.path("in"));
    REQUIRE(libraries.load(SPOOL_LIBRARY, {}));
  }

  std::vector<std::string> put(std::size_t count) override {
    std::vector<std::string> payloads = numbered(next, count);
    for (const std::string& payload : payloads) {
      std::ofstream(folder_.path("in/.new")) << payload;
      const std::string number = std::to_string(++files_);
      fs::rename(folder_.path("in/.new"),
                 folder_.path("in/" + std::string(6 - number.size(), '0') + number));
    }
    return payloads;
  }
  bool set_away(bool is_away) override {
    fs::rename(folder_.path(is_away ? "in" : "out"), folder_.path(is_away ? "out" : "in"));
    return true;
  }

 private:
  TemporaryFolder folder_;
  std::size_t files_ = 0;
};

std::unique_ptr<Sink> made(const Endpoint& endpoint, const TaskLibraries& libraries = {},
                           Duration call_limit = Duration::zero()) {
  auto sink = builtin::create_sink(endpoint, libraries, call_limit);
  REQUIRE(sink);
  return std::move(*sink);
}

class LinesTarget : public SinkPlace {
 public:
  explicit LinesTarget(bool escapes) : escapes_(escapes) {
    fs::create_directory(folder_.path("here"));
    endpoint_.type = "lines";
    endpoint_.settings.set("path", {folder_.path("here/out")});
    if (escapes) endpoint_.settings.set("line_breaks", {std::string("escape")});
  }

  std::unique_ptr<Sink> make_sink() override { return made(endpoint_); }
  std::vector<std::string> written() override {
    std::vector<std::string> lines;
    std::ifstream file(folder_.path("here/out"), std::ios::binary);
    for (std::string line; std::getline(file, line);) {
      lines.push_back(escapes_ ? unescaped(line) : line);
    }
    return lines;
  }
  bool set_away(bool is_away) override {
    fs::rename(folder_.path(is_away ? "here" : "away"), folder_.path(is_away ? "away" : "here"));
    return true;
  }

 private:
  static std::string unescaped(const std::string& line) {
    std::string text;
    for (std::size_t i = 0; i < line.size(); ++i) {
      if (line[i] != '\\') {
        text += line[i];
      } else if (++i < line.size()) {
        text += line[i] == 'n' ? '\n' : line[i] == 'r' ? '\r' : line[i];
      }
    }
    return text;
  }

  TemporaryFolder folder_;
  bool escapes_;
  Endpoint endpoint_;
};

/// A stream in a server that is killed, or a list in one that says nothing.
class RedisTarget : public SinkPlace {
 public:
  explicit RedisTarget(bool is_list) : is_list_(is_list) {
    endpoint_.type = is_list ? "redis_list" : "redis_stream";
    endpoint_.settings.set("uri", {server_.uri()});
    endpoint_.settings.set("key", {std::string("out")});
  }

  std::unique_ptr<Sink> make_sink() override { return made(endpoint_, {}, 2s); }
  std::vector<std::string> written() override {
    RedisConnection redis(*parse_redis_uri(server_.uri()));
    REQUIRE(redis.connect());
    const auto reply = is_list_ ? redis.command({"LRANGE", "out", "0", "-1"})
                                : redis.command({"XRANGE", "out", "-", "+"});
    REQUIRE(reply);
    std::vector<std::string> payloads;
    for (std::size_t i = 0; i < reply->value().size(); ++i) {
      const auto one = reply->value()[i];
      payloads.emplace_back(is_list_ ? one.text() : one[1][1].text());
    }
    return payloads;
  }
  bool set_away(bool is_away) override {
    if (is_list_) {
      is_away ? server_.pause() : server_.resume();
    } else {
      is_away ? server_.kill() : server_.start();
    }
    return true;
  }
  Duration patience() const override { return 2s; }

 private:
  bool is_list_;
  RedisServer server_;
  Endpoint endpoint_;
};

class SpoolTarget : public SinkPlace {
 public:
  SpoolTarget() {
    endpoint_.type = "spool:Files";
    Settings config;
    config.set("path", {folder_.path("here")});
    endpoint_.settings.set("config", {config});
    REQUIRE(libraries_.load(SPOOL_LIBRARY, {}));
  }

  std::unique_ptr<Sink> make_sink() override { return made(endpoint_, libraries_); }
  std::vector<std::string> written() override {
    std::vector<std::string> payloads;
    for (const auto& entry : fs::directory_iterator(folder_.path("here"))) {
      if (entry.path().filename().string().starts_with('.')) continue;
      std::ifstream file(entry.path(), std::ios::binary);
      payloads.emplace_back(std::istreambuf_iterator<char>(file), std::istreambuf_iterator<char>());
    }
    return payloads;
  }
  bool set_away(bool is_away) override {
    fs::rename(folder_.path(is_away ? "here" : "away"), folder_.path(is_away ? "away" : "here"));
    return true;
  }
  bool keeps_order() const override { return false; }

 private:
  TemporaryFolder folder_;
  TaskLibraries libraries_;
  Endpoint endpoint_;
};

template <typename Place, typename... Options>
std::string source_faults(Options... options) {
  Place place(options...);
  return check_source(place).text();
}

template <typename Place, typename... Options>
std::string sink_faults(Options... options) {
  Place place(options...);
  return check_sink(place).text();
}

}  // namespace

TEST_CASE("a generator keeps the contract of sources") {
  CHECK(source_faults<Numbers>() == "");
}

TEST_CASE("lines of a file keep the contract of sources, however they are read") {
  for (const bool follows : {false, true}) {
    for (const bool has_checkpoint : {false, true}) {
      CAPTURE(follows, has_checkpoint);
      CHECK(source_faults<LinesPlace>(follows, has_checkpoint) == "");
    }
  }
}

TEST_CASE("lines of a FIFO keep the contract of sources") {
  CHECK(source_faults<Pipe>() == "");
}

TEST_CASE("a Redis stream keeps the contract of sources, with acks and without") {
  for (const bool acks : {true, false}) {
    CAPTURE(acks);
    CHECK(source_faults<RedisPlace>(false, acks) == "");
  }
}

TEST_CASE("a Redis list keeps the contract of sources, with acks and without") {
  for (const bool acks : {true, false}) {
    CAPTURE(acks);
    CHECK(source_faults<RedisPlace>(true, acks) == "");
  }
}

TEST_CASE("a source of a library keeps the contract of sources") {
  CHECK(source_faults<Spool>() == "");
}

TEST_CASE("lines in a file keep the contract of sinks, with line breaks escaped and refused") {
  for (const bool escapes : {false, true}) {
    CAPTURE(escapes);
    CHECK(sink_faults<LinesTarget>(escapes) == "");
  }
}

TEST_CASE("Redis keeps the contract of sinks, killed or silent") {
  CHECK(sink_faults<RedisTarget>(false) == "");
  CHECK(sink_faults<RedisTarget>(true) == "");
}

TEST_CASE("a sink of a library keeps the contract of sinks") {
  CHECK(sink_faults<SpoolTarget>() == "");
}

TEST_CASE("a sink of Redis says that a silent server is away before its call has taken too long") {
  RedisServer server;
  Endpoint endpoint;
  endpoint.type = "redis_stream";
  endpoint.settings.set("uri", {server.uri()});
  endpoint.settings.set("key", {std::string("out")});
  const auto sink = made(endpoint, {}, 1s);
  REQUIRE(sink->open());
  server.pause();
  for (const bool opens : {false, true}) {
    const auto begun_at = std::chrono::steady_clock::now();
    const auto done = opens ? sink->open() : sink->write(std::vector<Message>(1, Message("x")));
    REQUIRE_FALSE(done);
    CHECK(done.error().code == ErrorCode::unavailable);
    CHECK(std::chrono::steady_clock::now() - begun_at < 1s);
  }
  server.resume();
  REQUIRE(sink->open());
  CHECK(sink->write(std::vector<Message>(1, Message("y"))));
}
