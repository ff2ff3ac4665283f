#include <catch2/catch.hpp>
#include <fstream>
#include <map>
#include <string>

#include "samples.hpp"

using namespace tempest;
using namespace tempest::wire;

namespace {

std::string hex_of(std::string_view bytes) {
  constexpr std::string_view kDigits = "0123456789abcdef";
  std::string hex;
  for (const char c : bytes) {
    const auto byte = static_cast<unsigned char>(c);
    if (!hex.empty()) hex += ' ';
    hex += kDigits[byte >> 4];
    hex += kDigits[byte & 15];
  }
  return hex;
}

/// What stands in the document in blocks that begin with "```golden NAME"; after '#' on a line is
/// an explanation.
std::map<std::string, std::string> quoted_frames() {
  constexpr std::string_view kFence = "```golden ";
  std::map<std::string, std::string> frames;
  std::ifstream document(TEMPEST_PROTOCOL_DOCUMENT);
  REQUIRE(document);
  std::string name;
  for (std::string line; std::getline(document, line);) {
    if (line.starts_with(kFence)) {
      name = line.substr(kFence.size());
      frames[name];
    } else if (line.starts_with("```")) {
      name.clear();
    } else if (!name.empty()) {
      std::string& hex = frames[name];
      for (const char c : line.substr(0, line.find('#'))) {
        if (c == ' ') continue;
        if (hex.size() % 3 == 2) hex += ' ';
        hex += c;
      }
    }
  }
  return frames;
}

/// A change here is a change of the protocol: nodes of either side of it must understand each
/// other, or kProtocolVersion must be raised.
const std::map<std::string, std::string> kGolden = {
    {"hello",
     "9a 01 02 cf 11 22 33 44 55 66 77 88 03 a8 77 6f 72 6b 65 72 2d 31 c4 10 "
     "00 11 22 33 44 55 66 77 00 00 00 00 00 00 00 01 a9 77 6f 72 64 63 6f 75 "
     "6e 74 cd 0b b8 aa 70 69 70 65 6c 69 6e 65 2d 31 c4 10 00 11 22 33 44 55 "
     "66 77 00 00 00 00 00 00 00 02"},
    {"welcome",
     "99 02 02 cf 11 22 33 44 55 66 77 88 cf 99 aa bb cc dd ee ff 00 02 aa 70 "
     "69 70 65 6c 69 6e 65 2d 31 c4 10 00 11 22 33 44 55 66 77 00 00 00 00 00 "
     "00 00 02 cd 0b b8 a9 77 6f 72 64 63 6f 75 6e 74"},
    {"data",
     "95 03 cf 99 aa bb cc dd ee ff 00 cf 00 00 00 00 00 00 00 02 cf 00 00 00 "
     "00 00 00 00 01 11 92 cd 04 00 ce 00 10 00 00"},
    {"heartbeat", "94 04 cf 99 aa bb cc dd ee ff 00 29 c3"},
    {"reset", "92 05 cf 99 aa bb cc dd ee ff 00"},
    {"bye", "93 06 cf 99 aa bb cc dd ee ff 00 a7 64 72 61 69 6e 65 64"},
    {"registration",
     "97 b4 74 63 70 3a 2f 2f 31 30 2e 30 2e 30 2e 35 3a 34 30 31 32 33 a2 76 "
     "31 ab 6e 61 6d 65 20 3d 20 22 78 22 0a 92 a5 73 70 6c 69 74 a5 63 6f 75 "
     "6e 74 a7 72 75 6e 6e 69 6e 67 07 cd 05 dc"},
    {"directory",
     "9a 0c a9 77 6f 72 64 63 6f 75 6e 74 a2 76 31 ab 6e 61 6d 65 20 3d 20 22 "
     "78 22 0a 91 94 aa 70 69 70 65 6c 69 6e 65 2d 31 c4 10 00 11 22 33 44 55 "
     "66 77 00 00 00 00 00 00 00 02 b4 74 63 70 3a 2f 2f 31 30 2e 30 2e 30 2e "
     "35 3a 34 30 31 32 33 a2 76 31 92 93 a8 77 6f 72 6b 65 72 2d 31 c4 10 00 "
     "11 22 33 44 55 66 77 00 00 00 00 00 00 00 01 92 a5 73 70 6c 69 74 a5 63 "
     "6f 75 6e 74 94 a8 77 6f 72 6b 65 72 2d 32 c4 10 00 11 22 33 44 55 66 77 "
     "00 00 00 00 00 00 00 03 91 a5 63 6f 75 6e 74 01 07 06 91 9a ce 11 22 33 "
     "44 01 a9 77 6f 72 64 63 6f 75 6e 74 a5 63 6f 75 6e 74 03 cd 03 e8 14 cd "
     "01 00 c4 05 73 74 6f 72 6d a4 31 37 2d 30 91 93 aa 70 69 70 65 6c 69 6e "
     "65 2d 31 a5 63 6f 75 6e 74 c4 20 01 02 00 00 00 00 00 00 00 00 00 00 00 "
     "00 00 00 00 00 00 00 00 00 00 00 00 00 00 00 00 00 00 00"},
    {"slot_settlement",
     "94 07 91 92 a5 63 6f 75 6e 74 c4 20 01 02 00 00 00 00 00 00 00 00 00 00 "
     "00 00 00 00 00 00 00 00 00 00 00 00 00 00 00 00 00 00 00 00 91 93 a8 77 "
     "6f 72 6b 65 72 2d 31 c4 10 00 11 22 33 44 55 66 77 00 00 00 00 00 00 00 "
     "01 92 a5 73 70 6c 69 74 a5 63 6f 75 6e 74 91 92 a8 77 6f 72 6b 65 72 2d "
     "32 c4 10 00 11 22 33 44 55 66 77 00 00 00 00 00 00 00 03"},
    {"query", "93 03 a5 6e 6f 64 65 73 a9 77 6f 72 64 63 6f 75 6e 74"},
    {"snapshot",
     "92 03 91 99 03 a8 77 6f 72 6b 65 72 2d 31 c4 10 00 11 22 33 44 55 66 77 "
     "00 00 00 00 00 00 00 01 a9 77 6f 72 64 63 6f 75 6e 74 a2 76 31 a0 91 a5 "
     "73 70 6c 69 74 a8 64 72 61 69 6e 69 6e 67 cd ea 60"},
    {"watch",
     "9a ce 11 22 33 44 01 a9 77 6f 72 64 63 6f 75 6e 74 a5 63 6f 75 6e 74 03 "
     "cd 03 e8 14 cd 01 00 c4 05 73 74 6f 72 6d a4 31 37 2d 30"},
    {"attach", "95 a2 76 31 92 00 02 cd 04 00 ce 00 10 00 00 40"},
    {"window", "93 cd 04 00 ce 00 10 00 00 40"},
    {"messages",
     "93 93 92 cf 00 00 00 01 00 00 00 05 c4 05 68 65 6c 6c 6f 92 c0 c4 05 77 "
     "6f 72 6c 64 93 cf 00 00 00 02 00 00 00 09 c4 0a 77 69 74 68 20 61 20 6b "
     "65 79 c4 01 6b 92 01 cf 11 22 33 44 00 00 00 07 93 00 0a cd 03 e8"},
    {"outcomes",
     "93 94 cf 00 00 00 01 00 00 00 05 03 cf 00 00 00 02 00 00 00 02 01 91 98 "
     "cf 00 00 00 02 00 00 00 09 02 a5 63 6f 75 6e 74 05 a8 77 6f 72 6b 65 72 "
     "2d 31 a8 74 6f 6f 20 73 6c 6f 77 c4 04 77 6f 72 64 07 92 cf 00 00 00 02 "
     "00 00 00 0a 01"},
    {"deliveries",
     "91 94 94 cf 00 00 00 01 00 00 00 00 00 01 91 91 c4 05 68 65 6c 6c 6f 95 "
     "c0 02 03 93 92 c4 01 61 01 93 c4 01 62 02 c4 01 6b 93 c4 01 63 c0 c4 01 "
     "6b c3 96 c0 00 01 91 91 c4 01 64 c2 c3 97 c0 00 02 91 91 c4 01 65 c2 c2 "
     "c3"},
    {"results",
     "92 9a 93 cf 00 00 00 01 00 00 00 00 00 02 94 c0 00 01 95 91 c4 05 68 65 "
     "6c 6c 6f 92 c4 05 77 6f 72 6c 64 c4 01 6b 93 c4 01 21 c4 00 a4 6c 61 74 "
     "65 94 c4 02 6f 6e c4 00 c0 04 97 c4 03 62 61 64 c4 00 c0 05 01 a7 6e 6f "
     "74 20 79 65 74 cc fa 96 cf 00 00 00 03 00 00 00 07 01 01 90 a9 74 72 79 "
     "20 6c 61 74 65 72 cc fa 96 c0 02 01 90 a7 6e 6f 20 67 6f 6f 64 00 92 c0 "
     "03 96 c0 05 01 90 a0 cd 75 30 97 c0 00 01 90 a0 00 78 96 c0 06 01 90 a7 "
     "72 65 66 75 73 65 64 cd 01 f4 97 c0 07 01 90 a4 73 6c 6f 77 00 ce 00 1e "
     "84 80 96 c0 08 01 90 a4 73 6c 6f 77 00 91 94 01 02 03 01"},
    {"stats",
     "99 07 02 a8 77 6f 72 6b 65 72 2d 31 03 a9 77 6f 72 64 63 6f 75 6e 74 c4 "
     "10 00 11 22 33 44 55 66 77 00 00 00 00 00 00 00 01 cd ee 48 92 94 b5 74 "
     "65 6d 70 65 73 74 5f 68 61 6e 64 6c 65 64 5f 74 6f 74 61 6c 81 a4 74 61 "
     "73 6b a5 63 6f 75 6e 74 cb 40 8f 40 00 00 00 00 00 c3 94 ae 74 65 6d 70 "
     "65 73 74 5f 71 75 65 75 65 64 80 cb 3f f8 00 00 00 00 00 00 c2 91 94 b6 "
     "74 65 6d 70 65 73 74 5f 68 61 6e 64 6c 65 5f 73 65 63 6f 6e 64 73 81 a4 "
     "74 61 73 6b a5 63 6f 75 6e 74 cd 17 70 93 00 00 02"},
    {"sightings",
     "9a 08 02 aa 70 69 70 65 6c 69 6e 65 2d 31 02 a9 77 6f 72 64 63 6f 75 6e "
     "74 c4 10 00 11 22 33 44 55 66 77 00 00 00 00 00 00 00 02 03 cd 03 e8 02 "
     "91 dc 00 12 cf 11 22 33 44 00 00 00 07 09 01 00 a5 63 6f 75 6e 74 a8 77 "
     "6f 72 6b 65 72 2d 31 cf 00 00 00 01 00 00 00 02 01 04 cd 03 84 cc c8 cd "
     "02 bc 78 ce 00 01 86 a0 a2 6e 6f c4 01 6b c4 04 77 6f 72 64 04"},
};

}  // namespace

TEST_CASE("Every frame has the bytes that it always had") {
  for (const Sample& sample : samples()) {
    CAPTURE(sample.name);
    REQUIRE(kGolden.contains(sample.name));
    CHECK(hex_of(sample.bytes) == kGolden.at(sample.name));
  }
  CHECK(kGolden.size() == samples().size());
}

TEST_CASE("The protocol's document quotes every frame as it is") {
  const auto quoted = quoted_frames();
  for (const Sample& sample : samples()) {
    CAPTURE(sample.name);
    REQUIRE(quoted.contains(sample.name));
    CHECK(quoted.at(sample.name) == hex_of(sample.bytes));
  }
  CHECK(quoted.size() == samples().size());
}
