#pragma once

#include <unistd.h>

#include <catch2/catch.hpp>
#include <cstdio>
#include <filesystem>
#include <fstream>
#include <string>
#include <vector>

#include "tempest/builtin/lines_source.hpp"
#include "tests/support/temporary_folder.hpp"

namespace tempest::test {

using Lines = std::vector<std::string>;

/// A log in a folder of its own, and what a source gives of it.
struct Log {
  std::string path(const std::string& name = "log") const { return folder.path(name); }
  void append(const std::string& text, const std::string& name = "log") const {
    std::ofstream(folder.path(name), std::ios::binary | std::ios::app) << text;
  }
  void rename(const std::string& from, const std::string& to) const {
    REQUIRE(std::rename(path(from).c_str(), path(to).c_str()) == 0);
  }
  void remove(const std::string& name) const { REQUIRE(::unlink(path(name).c_str()) == 0); }
  /// As logrotate's copytruncate does.
  void copy(const std::string& to, const std::string& from = "log") const {
    std::filesystem::copy_file(path(from), path(to));
  }
  void cut(const std::string& name = "log") const {
    REQUIRE(::truncate(path(name).c_str(), 0) == 0);
  }

  builtin::LinesSource::Options options() const {
    return {.checkpoint = path("place"),
            .follow = true,
            .rotate_wait = rotate_wait,
            .topology = "orders"};
  }
  builtin::LinesSource source() const { return {path(), options()}; }

  TemporaryFolder folder;
  Duration rotate_wait{0};
};

/// Opens it; a failure is the test's.
inline void open(Source& source) {
  const auto opened = source.open();
  INFO((opened ? std::string() : opened.error().message));
  REQUIRE(opened);
}

inline SourceBatch poll_once(Source& source, std::size_t max_messages = 1000) {
  SourceBatch batch;
  const auto polled = source.poll(max_messages, std::chrono::milliseconds(0), batch);
  INFO((polled ? std::string() : polled.error().message));
  REQUIRE(polled);
  return batch;
}

inline Lines lines_of(const SourceBatch& batch) {
  Lines lines;
  for (const SourceMessage& message : batch.messages()) lines.emplace_back(message.payload);
  return lines;
}

/// What a source gives until a poll finds nothing, and what it says.
struct Given {
  Lines lines;
  std::vector<SourceToken> tokens;
  std::uint64_t lost = 0;
  std::string warnings;
};

inline Given take_all(Source& source) {
  Given given;
  for (unsigned empty = 0; empty < 3;) {
    const SourceBatch batch = poll_once(source, 1000);
    empty = batch.empty() ? empty + 1 : 0;
    for (const SourceMessage& message : batch.messages()) {
      given.lines.emplace_back(message.payload);
      given.tokens.push_back(message.token);
    }
    given.lost += batch.lost;
    if (batch.ended) break;
  }
  for (const std::string& warning : source.take_warnings()) given.warnings += warning + "\n";
  return given;
}

inline void ack_all(Source& source, const Given& given) {
  REQUIRE(source.ack(given.tokens));
}

/// "line 3\n" to "line 7\n" for 3 and 8.
inline std::string numbered(int from, int to) {
  std::string text;
  for (int i = from; i < to; ++i) text += "line " + std::to_string(i) + "\n";
  return text;
}

inline Lines numbers(int from, int to) {
  Lines lines;
  for (int i = from; i < to; ++i) lines.push_back("line " + std::to_string(i));
  return lines;
}

}  // namespace tempest::test
