#include <catch2/catch.hpp>
#include <msgpack.hpp>
#include <string>

#include "samples.hpp"
#include "tempest/base/random.hpp"
#include "tempest/wire/reader.hpp"
#include "tempest/wire/writer.hpp"

using namespace tempest;
using namespace tempest::wire;

TEST_CASE("msgpack-c reads every frame, to its last byte") {
  for (const Sample& sample : samples()) {
    CAPTURE(sample.name);
    std::size_t offset = 0;
    const auto head = msgpack::unpack(sample.bytes.data(), sample.bytes.size(), offset);
    CHECK(head.get().type == msgpack::type::ARRAY);
    if (sample.name == "data") {
      CHECK(offset == kDataHeaderBytes);
      const auto body = msgpack::unpack(sample.bytes.data(), sample.bytes.size(), offset);
      CHECK(body.get().type == msgpack::type::ARRAY);
    }
    CHECK(offset == sample.bytes.size());
  }
}

TEST_CASE("msgpack-c finds in a frame what was put in") {
  std::string frame;
  encode(sample_hello(), frame);
  const auto handle = msgpack::unpack(frame.data(), frame.size());
  const auto fields = handle.get().as<std::vector<msgpack::object>>();
  REQUIRE(fields.size() == 10);
  CHECK(fields[0].as<int>() == 1);
  CHECK(fields[1].as<std::uint64_t>() == kProtocolVersion);
  CHECK(fields[2].as<std::uint64_t>() == 0x1122334455667788);
  CHECK(fields[3].as<int>() == 3);
  CHECK(fields[4].as<std::string>() == "worker-1");
  CHECK(fields[5].type == msgpack::type::BIN);
  CHECK(fields[5].via.bin.size == 16);
  CHECK(fields[6].as<std::string>() == "wordcount");
  CHECK(fields[7].as<int>() == 3000);
}

TEST_CASE("Frames that msgpack-c wrote are read, and skipped values are skipped to their end") {
  Random random(3);
  for (int round = 0; round < 2000; ++round) {
    msgpack::sbuffer buffer;
    msgpack::packer<msgpack::sbuffer> packer(buffer);
    const std::uint64_t session = random.next() >> random.below(64);
    packer.pack_array(4);
    packer.pack(5);
    packer.pack(session);
    // Two fields of a later version.
    for (int i = 0; i < 2; ++i) {
      switch (random.below(7)) {
        case 0:
          packer.pack(static_cast<std::int64_t>(random.next()) >> random.below(64));
          break;
        case 1:
          packer.pack(std::string(random.below(300), 's'));
          break;
        case 2:
          packer.pack(std::vector<char>(random.below(70'000), 'b'));
          break;
        case 3:
          packer.pack(std::vector<int>(random.below(20), 1000));
          break;
        case 4:
          packer.pack(std::map<std::string, std::vector<double>>{{"k", {1.5, 2}}, {"l", {}}});
          break;
        case 5: {
          const std::string raw(1 + random.below(20), 'e');
          packer.pack_ext(raw.size(), 4);
          packer.pack_ext_body(raw.data(), static_cast<std::uint32_t>(raw.size()));
          break;
        }
        default:
          packer.pack(round % 2 == 0);
      }
    }
    Reset reset;
    REQUIRE(decode({buffer.data(), buffer.size()}, reset).ok());
    REQUIRE(reset.session == session);
  }
}

TEST_CASE("The writer's values are what msgpack-c reads") {
  Random random(4);
  for (int round = 0; round < 2000; ++round) {
    const std::uint64_t integer = random.next() >> random.below(64);
    const double number = static_cast<double>(integer) / 3;
    const std::string text(random.below(400), 't');
    const std::string raw(random.below(70'000), '\xff');
    std::string frame;
    {
      Writer writer(frame);
      writer.array(5);
      writer.integer(integer);
      writer.number(number);
      writer.text(text);
      writer.bytes(raw);
      writer.map(1);
      writer.nil();
      writer.boolean(true);
    }

    const auto handle = msgpack::unpack(frame.data(), frame.size());
    const auto values = handle.get().as<std::vector<msgpack::object>>();
    REQUIRE(values.size() == 5);
    REQUIRE(values[0].as<std::uint64_t>() == integer);
    REQUIRE(values[1].as<double>() == number);
    REQUIRE(values[2].as<std::string>() == text);
    REQUIRE(values[3].via.bin.size == raw.size());
    REQUIRE(values[4].type == msgpack::type::MAP);

    Reader reader(frame);
    REQUIRE(reader.array(5) == 5);
    REQUIRE(reader.integer() == integer);
    REQUIRE(reader.number() == number);
    REQUIRE(reader.bytes(400) == text);
    REQUIRE(reader.bytes(70'000) == raw);
    REQUIRE(reader.map(1) == 1);
    REQUIRE(reader.take_nil());
    REQUIRE(reader.boolean());
    REQUIRE(reader.finish().ok());
  }
}
