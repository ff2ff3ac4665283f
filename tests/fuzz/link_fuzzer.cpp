#include <array>
#include <cstring>
#include <deque>
#include <map>
#include <memory>
#include <string>
#include <vector>

#include "input.hpp"
#include "tempest/link/client.hpp"
#include "tempest/link/server.hpp"
#include "tempest/wire/codec.hpp"

/// Both ends of a link: one Server, and three Clients of which two bear the same name. The input
/// says which frame arrives, is lost, doubled or comes late, what is made up, and how time passes.
///
/// Whatever comes: one `up` and then one `lost` for each session, bodies only in between. As long
/// as no frame was made up: bodies arrive once and in order.
using namespace tempest;
using namespace tempest::link;
using fuzz::kSeedStep;
using fuzz::require;

namespace {

constexpr std::size_t kClients = 3;
constexpr std::array<const char*, kClients> kNames = {"a", "b", "a"};
constexpr std::array<const char*, kClients> kRoutingIds = {"ra", "rb", "rc"};
/// What was sent lately, to be sent again when nobody expects it any more.
constexpr std::size_t kHistory = 64;

std::string numbered_frame(std::uint32_t number) {
  std::string frame;
  wire::begin_data(wire::BodyKind::query, frame);
  frame.append(reinterpret_cast<const char*>(&number), sizeof number);
  return frame;
}

class World {
 public:
  World() {
    for (std::size_t i = 0; i < kClients; ++i) begin_life(i);
  }

  void step(fuzz::Input& input) {
    const std::size_t action = input.choice(16);
    const std::size_t i = input.choice(kClients);
    switch (action) {
      case 0:
      case 1:
        deliver_all();
        break;
      case 2:
        deliver_to_server(i);
        break;
      case 3:
        deliver_to_client(i);
        break;
      case 4:
        pass(std::chrono::milliseconds(input.byte()));
        break;
      case 5:
        pass(std::chrono::milliseconds(input.word()));
        break;
      case 6:
        if (!to_server_[i].empty()) to_server_[i].pop_front();
        break;
      case 7:
        if (!to_client_[i].empty()) to_client_[i].pop_front();
        break;
      case 8:
        client_sends(i, input.choice(40));
        break;
      case 9:
        server_sends(i, input.choice(40));
        break;
      case 10:
        if (!history_.empty()) {
          to_server_[i].push_back(history_[input.choice(history_.size())]);
        }
        break;
      case 11:
        if (!history_.empty()) {
          to_client_[i].push_back(history_[input.choice(history_.size())]);
        }
        break;
      case 12:
        begin_life(i);
        break;
      case 13:
        clients_[i].client->close("test", now_, output_);
        take_from_client(i);
        break;
      case 14: {
        made_up_ = true;
        const std::string_view frame = input.piece();
        give_to_server(i, SharedBytes(std::string(frame)));
        give_to_client(i, SharedBytes(std::string(frame)));
        break;
      }
      case 15:
        made_up_ = true;
        forge(i, input);
        break;
    }
  }

 private:
  struct Opener {
    std::unique_ptr<Client> client;
    bool up = false;
    std::uint32_t sent = 0;      ///< In this session.
    std::uint32_t received = 0;  ///< In this session.
  };
  struct Accepted {
    std::uint32_t sent = 0;
    std::uint32_t received = 0;
    std::size_t opener = 0;
  };

  void begin_life(std::size_t i) {
    Opener& opener = clients_[i];
    ++lives_;
    opener.client =
        std::make_unique<Client>(Identity{Role::task, kNames[i], Incarnation{lives_, i}, "t"},
                                 Settings{}, kSeedStep * lives_);
    opener.up = false;
  }

  void pass(Duration duration) {
    now_ += duration;
    server_.turn(now_, output_);
    take_from_server({});
    for (std::size_t i = 0; i < kClients; ++i) {
      clients_[i].client->turn(now_, output_);
      take_from_client(i);
      require(clients_[i].client->next_turn() > now_ || !clients_[i].up,
              "a client's timer is due after its turn");
    }
    require(server_.next_turn() > now_, "a server's timer is due after its turn");
  }

  void deliver_all() {
    // Answers to answers end; but not the quarrel of two clients of one name.
    for (int round = 0; round < 4; ++round) {
      for (std::size_t i = 0; i < kClients; ++i) {
        for (std::size_t n = to_server_[i].size(); n > 0; --n) deliver_to_server(i);
        for (std::size_t n = to_client_[i].size(); n > 0; --n) deliver_to_client(i);
      }
    }
  }

  void deliver_to_server(std::size_t i) {
    if (to_server_[i].empty()) return;
    const SharedBytes frame = std::move(to_server_[i].front());
    to_server_[i].pop_front();
    give_to_server(i, frame);
  }
  void deliver_to_client(std::size_t i) {
    if (to_client_[i].empty()) return;
    const SharedBytes frame = std::move(to_client_[i].front());
    to_client_[i].pop_front();
    give_to_client(i, frame);
  }

  void give_to_server(std::size_t i, const SharedBytes& frame) {
    server_.receive(kRoutingIds[i], frame.view(), now_, output_);
    take_from_server(i);
  }
  void give_to_client(std::size_t i, const SharedBytes& frame) {
    clients_[i].client->receive(frame.view(), now_, output_);
    take_from_client(i);
  }

  void client_sends(std::size_t i, std::size_t count) {
    Opener& opener = clients_[i];
    for (; count > 0 && opener.client->can_send(); --count) {
      opener.client->send(wire::BodyKind::query, numbered_frame(opener.sent++), now_, output_);
    }
    take_from_client(i);
  }

  void server_sends(std::size_t i, std::size_t count) {
    for (auto& [peer, accepted] : accepted_) {
      if (accepted.opener != i) continue;
      for (std::size_t n = count; n > 0 && server_.can_send(peer); --n) {
        server_.send(peer, wire::BodyKind::query, numbered_frame(accepted.sent++), now_, output_);
      }
    }
    take_from_server({});
  }

  /// A frame of a session that there is, or was, with everything else from the input.
  void forge(std::size_t i, fuzz::Input& input) {
    const std::uint64_t session = sessions_[input.choice(sessions_.size())];
    const std::uint64_t number = input.choice(2) == 0 ? input.byte() : UINT64_MAX - input.byte();
    std::string frame;
    switch (input.choice(6)) {
      case 0:
        wire::encode(wire::Heartbeat{session, number, input.choice(2) == 1}, frame);
        break;
      case 1:
        wire::encode(wire::Reset{session}, frame);
        break;
      case 2:
        wire::encode(wire::Bye{session, "made up"}, frame);
        break;
      case 3: {
        wire::Hello hello;
        hello.hello = session;
        hello.name = kNames[i];
        hello.lease_ms = number;
        wire::encode(hello, frame);
        break;
      }
      case 4: {
        wire::Welcome welcome;
        welcome.hello = session;
        welcome.session = number;
        welcome.lease_ms = number;
        wire::encode(welcome, frame);
        break;
      }
      default:
        wire::begin_data(wire::BodyKind::query, frame);
        frame += input.piece();
        wire::finish_data({session, number, input.byte(), wire::BodyKind::query}, frame);
        break;
    }
    const SharedBytes bytes(std::move(frame));
    if (input.choice(2) == 0) {
      give_to_server(i, bytes);
    } else {
      give_to_client(i, bytes);
    }
  }

  void check_number(std::string_view body, std::uint32_t& expected) const {
    if (made_up_) return;
    std::uint32_t number = 0;
    require(body.size() == sizeof number, "a body is not what was sent");
    std::memcpy(&number, body.data(), sizeof number);
    require(number == expected++, "a body came twice, or out of order, or one was left out");
  }

  void take_from_server(std::optional<std::size_t> from) {
    for (const Event& event : output_.events) {
      const auto found = accepted_.find(event.peer);
      switch (event.kind) {
        case Event::Kind::up:
          require(found == accepted_.end(), "server: up for a session that is live");
          require(from.has_value(), "server: up without a frame");
          accepted_[event.peer].opener = *from;
          break;
        case Event::Kind::body:
          require(found != accepted_.end(), "server: a body of no live session");
          check_number(event.body, found->second.received);
          break;
        case Event::Kind::lost:
          require(found != accepted_.end(), "server: lost without up");
          require(event.identity != nullptr, "server: nobody was lost");
          accepted_.erase(found);
          break;
        case Event::Kind::refused:
          break;
      }
    }
    require(server_.session_count() == accepted_.size(), "server: a session without its event");
    for (Outgoing& outgoing : output_.frames) {
      remember(outgoing.frame);
      for (std::size_t i = 0; i < kClients; ++i) {
        if (outgoing.routing_id == kRoutingIds[i]) to_client_[i].push_back(outgoing.frame);
      }
    }
    output_.events.clear();
    output_.frames.clear();
  }

  void take_from_client(std::size_t i) {
    Opener& opener = clients_[i];
    for (const Event& event : output_.events) {
      switch (event.kind) {
        case Event::Kind::up:
          require(!opener.up, "client: up while up");
          opener.up = true;
          opener.sent = opener.received = 0;
          break;
        case Event::Kind::body:
          require(opener.up, "client: a body while not up");
          check_number(event.body, opener.received);
          break;
        case Event::Kind::lost:
          require(opener.up, "client: lost while not up");
          opener.up = false;
          break;
        case Event::Kind::refused:
          break;
      }
    }
    require(opener.client->is_up() == opener.up, "client: a session without its event");
    for (Outgoing& outgoing : output_.frames) {
      remember(outgoing.frame);
      to_server_[i].push_back(outgoing.frame);
    }
    output_.events.clear();
    output_.frames.clear();
  }

  void remember(const SharedBytes& frame) {
    wire::Welcome welcome;
    wire::Hello hello;
    if (wire::decode(frame.view(), welcome)) note_session(welcome.session);
    if (wire::decode(frame.view(), hello)) note_session(hello.hello);
    history_.push_back(frame);
    if (history_.size() > kHistory) history_.pop_front();
  }
  void note_session(std::uint64_t number) {
    sessions_[next_session_] = number;
    next_session_ = (next_session_ + 1) % sessions_.size();
  }

  TimePoint now_{std::chrono::hours(1)};
  Server server_{Identity{Role::broker, "s", Incarnation{1, 2}, {}}, Settings{}};
  std::array<Opener, kClients> clients_;
  std::array<std::deque<SharedBytes>, kClients> to_server_;
  std::array<std::deque<SharedBytes>, kClients> to_client_;
  std::map<PeerId, Accepted> accepted_;
  std::deque<SharedBytes> history_;
  /// Numbers of the latest HELLOs and sessions.
  std::array<std::uint64_t, 8> sessions_{};
  std::size_t next_session_ = 0;
  std::uint64_t lives_ = 0;
  bool made_up_ = false;
  Output output_;
};

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  fuzz::Input input(data, size);
  World world;
  while (!input.empty()) world.step(input);
  return 0;
}
