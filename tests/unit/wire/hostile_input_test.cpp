#include <catch2/catch.hpp>
#include <string>

#include "samples.hpp"
#include "tempest/base/random.hpp"
#include "tempest/wire/reader.hpp"
#include "tempest/wire/writer.hpp"

using namespace tempest;
using namespace tempest::wire;

namespace {

/// Bytes given as numbers.
std::string bytes(std::initializer_list<int> values) {
  std::string text;
  for (const int value : values) text += static_cast<char>(value);
  return text;
}

template <typename Frame>
bool decodes(std::string_view frame) {
  Frame decoded;
  return decode(frame, decoded).ok();
}

/// Every decoder there is.
void decode_as_everything(std::string_view frame, const std::vector<Sample>& all) {
  for (const Sample& sample : all) sample.decodes(frame);
  (void)peek_type(frame);
}

}  // namespace

TEST_CASE("A frame that is cut off anywhere is refused") {
  for (const Sample& sample : samples()) {
    CAPTURE(sample.name);
    REQUIRE(sample.decodes(sample.bytes));
    for (std::size_t length = 0; length < sample.bytes.size(); ++length) {
      CAPTURE(length);
      // In memory of just that size, so that a sanitizer sees a step beyond.
      const std::vector<char> cut(sample.bytes.begin(),
                                  sample.bytes.begin() + static_cast<std::ptrdiff_t>(length));
      REQUIRE_FALSE(sample.decodes({cut.data(), cut.size()}));
    }
  }
}

TEST_CASE("A frame with something after it is refused") {
  for (const Sample& sample : samples()) {
    CAPTURE(sample.name);
    CHECK_FALSE(sample.decodes(sample.bytes + '\0'));
  }
}

TEST_CASE("Fields that a later version adds are passed over") {
  // No record has 15 fields yet, so one more only changes the head.
  for (const Sample& sample : samples()) {
    if (sample.name == "data") continue;
    CAPTURE(sample.name);
    std::string longer = sample.bytes;
    REQUIRE((longer[0] & 0xf0) == 0x90);
    longer[0] = static_cast<char>(longer[0] + 1);
    CHECK(sample.decodes(longer +
                         bytes({0x92, 0x81, 0xa1, 'k', 0x91, 0xc0, 0xcb, 0, 0, 0, 0, 0, 0, 0, 0})));
    CHECK(sample.decodes(longer + bytes({0xc7, 2, 5, 1, 2})));
    CHECK_FALSE(sample.decodes(longer));
    CHECK_FALSE(sample.decodes(longer + '\xc1'));
  }
}

TEST_CASE("A frame with a field less is refused") {
  for (const Sample& sample : samples()) {
    CAPTURE(sample.name);
    std::string shorter = sample.bytes;
    shorter[0] = static_cast<char>(shorter[0] - 1);
    CHECK_FALSE(sample.decodes(shorter));
  }
}

TEST_CASE("A frame is not taken for one of another type") {
  const auto all = samples();
  for (const Sample& frame : all) {
    for (const Sample& other : all) {
      const bool headers = frame.bytes.size() > 1 && other.name != frame.name &&
                           static_cast<unsigned char>(frame.bytes[1]) < 8;
      const bool other_is_header = other.name == "hello" || other.name == "welcome" ||
                                   other.name == "data" || other.name == "heartbeat" ||
                                   other.name == "reset" || other.name == "bye" ||
                                   other.name == "stats";
      if (headers && other_is_header) {
        CAPTURE(frame.name, other.name);
        CHECK_FALSE(other.decodes(frame.bytes));
      }
    }
  }
}

TEST_CASE("Random bytes are refused or decoded, and never more") {
  const auto all = samples();
  Random random(20'260'101);
  std::string frame;
  for (int i = 0; i < 100'000; ++i) {
    frame.resize(random.below(64));
    for (char& c : frame) c = static_cast<char>(random.next());
    decode_as_everything(frame, all);
  }
}

TEST_CASE("Frames with some bytes changed are refused or decoded, and never more") {
  const auto all = samples();
  Random random(7);
  for (int i = 0; i < 100'000; ++i) {
    const Sample& sample = all[random.below(all.size())];
    std::string frame = sample.bytes;
    for (std::uint64_t changes = 1 + random.below(3); changes > 0; --changes) {
      frame[random.below(frame.size())] = static_cast<char>(random.next());
    }
    sample.decodes(frame);
    (void)peek_type(frame);
  }
}

TEST_CASE("Lengths beyond the frame or the limits are refused before anything is reserved") {
  // msgpack-c with its default limits reserves gigabytes for such five bytes.
  const std::string array_of_4g = bytes({0xdd, 0xff, 0xff, 0xff, 0xff});
  CHECK_FALSE(decodes<Messages>(bytes({0x91}) + array_of_4g));
  CHECK_FALSE(decodes<Deliveries>(bytes({0x91}) + array_of_4g));
  CHECK_FALSE(decodes<Results>(bytes({0x91}) + array_of_4g));
  CHECK_FALSE(decodes<Outcomes>(bytes({0x93}) + array_of_4g));
  CHECK_FALSE(decodes<Attach>(bytes({0x94, 0xa0}) + array_of_4g));
  CHECK_FALSE(decodes<Snapshot>(bytes({0x92, 0x00}) + array_of_4g));
  CHECK_FALSE(decodes<Messages>(array_of_4g));

  // As many bytes as the list claims to have items, but more than a frame may hold.
  const std::string many = bytes({0x91, 0xdd, 0, 1, 0, 1}) + std::string(70'000, '\x01');
  CHECK_FALSE(decodes<Messages>(many));

  // One run that stands for 4 billion ids; two that together are one too many.
  CHECK_FALSE(decodes<Outcomes>(bytes({0x93, 0x92, 1, 0xce, 0xff, 0xff, 0xff, 0xff, 0x90, 0x90})));
  CHECK(decodes<Outcomes>(bytes({0x93, 0x94, 1, 0xcd, 0xff, 0xff, 1, 1, 0x90, 0x90})));
  CHECK_FALSE(decodes<Outcomes>(bytes({0x93, 0x94, 1, 0xcd, 0xff, 0xff, 1, 2, 0x90, 0x90})));
  CHECK_FALSE(decodes<Results>(bytes({0x91, 0x91, 0x93, 1, 0, 0xce, 0xff, 0xff, 0xff, 0xff})));
  CHECK_FALSE(decodes<Outcomes>(bytes({0x93, 0x91, 1, 0x90, 0x90})));
}

TEST_CASE("Names and payloads beyond their limits are refused") {
  Hello hello = sample_hello();
  const std::string name(kMaxNameBytes + 1, 'n');
  std::string frame;
  hello.name = std::string_view(name).substr(1);
  encode(hello, frame);
  CHECK(decodes<Hello>(frame));
  hello.name = name;
  encode(hello, frame);
  CHECK_FALSE(decodes<Hello>(frame));

  const std::string payload(kMaxPayloadBytes + 1, 'p');
  frame.clear();
  encode(Messages{{{MessageId{1, 1}, {}, payload}}, {}}, frame);
  CHECK_FALSE(decodes<Messages>(frame));
  frame.clear();
  encode(Messages{{{MessageId{1, 1}, payload, "x"}}, {}}, frame);
  CHECK_FALSE(decodes<Messages>(frame));
  frame.clear();
  Results results;
  results.items = {{DeliveryId{1, 1}, Results::Status::done, {}, 0, 0, 1}};
  results.outputs = {{{}, {}, payload}};
  encode(results, frame);
  CHECK_FALSE(decodes<Results>(frame));

  const std::string text(kMaxTopologyBytes + 1, 't');
  Registration registration = sample_registration();
  registration.topology_text = text;
  frame.clear();
  encode(registration, frame);
  CHECK_FALSE(decodes<Registration>(frame));
}

TEST_CASE("A frame beyond the limit is refused") {
  std::string frame;
  begin_data(BodyKind::window, frame);
  frame.resize(kMaxFrameBytes, 'x');
  DataHeader header;
  std::string_view body;
  CHECK(decode(frame, header, body).ok());
  frame += 'x';
  CHECK_FALSE(decode(frame, header, body).ok());
  CHECK_FALSE(peek_type(frame).ok());
}

TEST_CASE("Numbers that name nothing are refused") {
  CHECK_FALSE(peek_type(bytes({0x91, 0})).ok());
  CHECK_FALSE(peek_type(bytes({0x91, 9})).ok());
  CHECK_FALSE(peek_type(bytes({0x90})).ok());
  CHECK_FALSE(peek_type("").ok());

  std::string frame;
  DataHeader header;
  std::string_view body;
  for (const int kind : {0, 7, 15, 22, 127}) {
    begin_data(static_cast<BodyKind>(kind), frame);
    encode(Window{}, frame);
    CHECK_FALSE(decode(frame, header, body).ok());
  }
  // A role; a failure's kind; a status.
  encode(sample_hello(), frame);
  frame[12] = 6;
  CHECK_FALSE(decodes<Hello>(frame));
  const auto failed = [](int kind) {
    return bytes({0x93, 0x90, 0x91, 0x98, 1, kind, 0xa0, 1, 0xa0, 0xa0, 0xc4, 0, 0, 0x90});
  };
  for (const FailureKind kind : kFailureKinds) {
    CHECK(decodes<Outcomes>(failed(static_cast<int>(kind))));
  }
  for (const int kind : {4, 5, 10, 127}) CHECK_FALSE(decodes<Outcomes>(failed(kind)));
  CHECK(decodes<Results>(bytes({0x91, 0x91, 0x92, 1, 5})));
  CHECK_FALSE(decodes<Results>(bytes({0x91, 0x91, 0x92, 1, 9})));
  // Task ids are of 16 bits, attempts of 32.
  CHECK_FALSE(decodes<Attach>(bytes({0x94, 0xa0, 0x91, 0xce, 0, 1, 0, 0, 1, 1})));
  CHECK_FALSE(decodes<Deliveries>(bytes({0x91, 0x91, 0x94, 1, 0xce, 0, 1, 0, 0, 1, 0x90})));
}

TEST_CASE("Results that contradict themselves are refused") {
  // A run of none; a run with outputs; a first id that is left out.
  CHECK_FALSE(decodes<Results>(bytes({0x91, 0x91, 0x93, 1, 0, 0})));
  CHECK_FALSE(decodes<Results>(bytes({0x91, 0x91, 0x94, 1, 0, 2, 0x91, 0x91, 0xc4, 0})));
  CHECK(decodes<Results>(bytes({0x91, 0x91, 0x94, 1, 0, 1, 0x91, 0x91, 0xc4, 0})));
  CHECK_FALSE(decodes<Results>(bytes({0x91, 0x91, 0x92, 0xc0, 0})));
  CHECK_FALSE(decodes<Messages>(bytes({0x91, 0x91, 0x92, 0xc0, 0xc4, 0})));
}

TEST_CASE("What is passed over may not be nested without end") {
  const auto nested = [](std::size_t depth) {
    return bytes({0x93, 5, 1}) + std::string(depth, '\x91') + '\xc0';
  };
  CHECK(decodes<Reset>(nested(Reader::kMaxDepth)));
  CHECK_FALSE(decodes<Reset>(nested(Reader::kMaxDepth + 1)));
  CHECK_FALSE(decodes<Reset>(nested(1'000'000)));
  // Nor may it claim more than there is.
  CHECK_FALSE(decodes<Reset>(bytes({0x93, 5, 1, 0xdf, 0xff, 0xff, 0xff, 0xff, 1})));
  CHECK_FALSE(decodes<Reset>(bytes({0x93, 5, 1, 0xc6, 0xff, 0xff, 0xff, 0xff, 1})));
}

TEST_CASE("Numbers are understood in any width, and negative ones refused") {
  Reset reset;
  REQUIRE(decode(bytes({0x92, 5, 0xcf, 0, 0, 0, 0, 0, 0, 0, 9}), reset).ok());
  CHECK(reset.session == 9);
  REQUIRE(decode(bytes({0x92, 0xcc, 5, 0xd1, 1, 0}), reset).ok());
  CHECK(reset.session == 256);
  CHECK_FALSE(decode(bytes({0x92, 5, 0xd0, 0xff}), reset).ok());
  CHECK_FALSE(decode(bytes({0x92, 5, 0xff}), reset).ok());
  CHECK_FALSE(decode(bytes({0x92, 5, 0xd3, 0x80, 0, 0, 0, 0, 0, 0, 0}), reset).ok());

  const auto number = [](std::string_view text) {
    Reader reader(text);
    const double value = reader.number();
    CHECK(reader.finish().ok());
    return value;
  };
  CHECK(number(bytes({0xff})) == -1);
  CHECK(number(bytes({0xd1, 0xff, 0x00})) == -256);
  CHECK(number(bytes({0xd3, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xfe})) == -2);
  CHECK(number(bytes({0xcd, 0x01, 0x00})) == 256);
  CHECK(number(bytes({0xca, 0x3f, 0xc0, 0, 0})) == 1.5);
  CHECK(number(bytes({0xcb, 0x3f, 0xf8, 0, 0, 0, 0, 0, 0})) == 1.5);
}

TEST_CASE("Text may come as bin, and bytes as str") {
  const std::string frame = bytes({0x93, 6, 1, 0xc4, 2, 'o', 'k'});
  Bye bye;
  REQUIRE(decode(frame, bye).ok());
  CHECK(bye.reason == "ok");
  const std::string body = bytes({0x91, 0x91, 0x92, 1, 0xa2, 'h', 'i'});
  Messages messages;
  REQUIRE(decode(body, messages).ok());
  CHECK(messages.items[0].payload == "hi");
}

TEST_CASE("a frame whose names are not UTF-8 is refused") {
  Hello hello;
  hello.protocol = kProtocolVersion;
  StatsReport report;
  Registration registration;
  std::string frame;
  const auto is_refused = [&](const auto& body, auto decoded) {
    encode(body, frame);
    return !decode(frame, decoded).ok();
  };
  CHECK_FALSE(is_refused(hello, Hello()));
  CHECK_FALSE(is_refused(report, StatsReport()));
  for (const std::string_view wrong : {"\xff", "a\nb", "\xed\xa0\x80"}) {
    hello.name = wrong;
    CHECK(is_refused(hello, Hello()));
    report = {};
    report.node = wrong;
    CHECK(is_refused(report, StatsReport()));
    report = {};
    report.numbers.push_back({"x", {{"task", std::string(wrong)}}, 1, true});
    CHECK(is_refused(report, StatsReport()));
    registration.tasks = {wrong};
    CHECK(is_refused(registration, Registration()));
  }
}
