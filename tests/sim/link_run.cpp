#include "link_run.hpp"

#include <algorithm>
#include <map>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "tempest/link/client.hpp"
#include "tempest/link/server.hpp"
#include "tempest/wire/codec.hpp"

namespace tempest::sim {

namespace {

constexpr auto kStep = milliseconds(4);
constexpr auto kFaults = seconds(8);
constexpr auto kCalm = seconds(8);

std::string data_frame(const std::string& body) {
  std::string frame;
  wire::begin_data(wire::BodyKind::query, frame);
  return frame.append(body);
}

/// What one end of one session has been given, as the layer above sees it: bodies are "E:N", the
/// N-th that the other end sent in its session E.
struct Received {
  std::string session;  ///< The other end's, by its first body.
  std::uint64_t count = 0;
};

class LinkRun {
 public:
  LinkRun(std::uint64_t seed, std::ostream* lines)
      : trace_(lines), random_(Random(seed).next()), clients_(1 + random_.below(4)) {
    settings_.lease = milliseconds(200 + random_.below(1500));
    settings_.heartbeat_interval = settings_.lease / 3;
    settings_.hello_interval = milliseconds(10 + random_.below(90));
    settings_.ack_delay = milliseconds(1 + random_.below(20));
    settings_.ack_every_frames = 1 + random_.below(32);
    settings_.resend_initial = milliseconds(20 + random_.below(280));
    settings_.resend_max = settings_.resend_initial * 4;
    settings_.max_unacked_frames = 1 + random_.below(random_.below(2) == 0 ? 4 : 512);
    start_server();
    for (std::size_t i = 0; i < clients_.size(); ++i) start_client(i);
  }

  Outcome run() {
    const TimePoint end = now_ + kFaults + kCalm;
    const TimePoint calm = now_ + kFaults;
    bool is_calm = false;
    while (now_ < end && violation_.empty()) {
      now_ += kStep;
      if (now_ >= calm && !std::exchange(is_calm, true)) heal();
      if (!is_calm) faults();
      step_server(is_calm);
      for (std::size_t i = 0; i < clients_.size(); ++i) step_client(i, is_calm);
    }
    if (violation_.empty()) check_end();
    Outcome outcome;
    outcome.violation = violation_;
    outcome.trace_hash = trace_.hash();
    outcome.counts.seeds = 1;
    outcome.counts.steps = steps_;
    outcome.counts.frames = frames_;
    outcome.counts.simulated_ms =
        static_cast<std::uint64_t>((now_ - TimePoint{}) / milliseconds(1));
    return outcome;
  }

 private:
  struct InPipe {
    TimePoint when;
    std::string routing_id;
    SharedBytes frame;
    bool to_server = false;
  };
  struct ClientEnd {
    std::unique_ptr<link::Client> client;
    std::string routing_id;
    std::string session;  ///< While up.
    std::uint64_t sent = 0;
    Received received;
    std::vector<InPipe> to_client;
    TimePoint paused_until{};
    TimePoint cut_until[2] = {};  ///< To the server; from it.
  };
  struct ServerEnd {
    std::string session;
    std::uint64_t sent = 0;
    Received received;
  };

  void violate(const std::string& what) {
    if (violation_.empty()) violation_ = "a link: " + what;
  }
  bool chance(std::uint64_t one_in) { return random_.below(one_in) == 0; }

  void start_server() {
    const link::Identity self{Role::pipeline, "server", {random_.next(), random_.next()}, ""};
    server_ = std::make_unique<link::Server>(self, settings_);
    peers_.clear();
  }

  void start_client(std::size_t index) {
    ClientEnd& end = clients_[index];
    const std::string name = "client-" + std::to_string(index);
    const link::Identity self{Role::task, name, {random_.next(), random_.next()}, ""};
    end.client = std::make_unique<link::Client>(self, settings_, random_.next());
    end.routing_id = name + "#" + to_string(self.incarnation);
    end.session.clear();
  }

  void faults() {
    const auto span = [this] {
      return Duration(settings_.lease * static_cast<int>(2 + random_.below(25)) / 10);
    };
    if (chance(800)) {
      note("server restarts");
      start_server();
    }
    if (chance(400)) server_paused_until_ = now_ + span();
    for (std::size_t i = 0; i < clients_.size(); ++i) {
      ClientEnd& end = clients_[i];
      if (chance(600)) {
        note("client restarts");
        start_client(i);
      }
      if (chance(400)) end.paused_until = now_ + span();
      if (chance(400)) end.cut_until[random_.below(2)] = now_ + span();
      if (chance(500)) {
        if (chance(2)) end.to_client.clear();
        if (chance(2)) to_server_.clear();
      }
    }
    if (chance(20) && !old_.empty()) {
      const InPipe& old = old_[random_.below(old_.size())];
      if (old.to_server) {
        to_server_.push_back({now_, old.routing_id, old.frame, true});
      } else {
        clients_[random_.below(clients_.size())].to_client.push_back({now_, "", old.frame, false});
      }
    }
  }

  void heal() {
    note("no more faults");
    is_wild_ = false;
    server_paused_until_ = {};
    for (ClientEnd& end : clients_) {
      end.paused_until = {};
      end.cut_until[0] = end.cut_until[1] = {};
    }
  }

  void put(std::vector<InPipe>& pipe, const std::string& routing_id, const SharedBytes& frame,
           bool is_cut) {
    ++frames_;
    trace_.mix(frame.size());
    if (trace_.has_lines())
      note("-> " + routing_id.substr(0, 8) + " " + describe_frame(frame.view()));
    InPipe in{now_ + milliseconds(random_.below(3)), routing_id, frame, &pipe == &to_server_};
    if (old_.size() < 200) {
      old_.push_back(in);
    } else {
      old_[random_.below(200)] = in;
    }
    if (is_cut || (is_wild_ && chance(30))) return;
    if (is_wild_ && chance(20)) pipe.push_back(in);
    if (is_wild_ && chance(20)) in.when += milliseconds(random_.below(600));
    // Unless it is delayed by itself, in order.
    if (!is_wild_ && !pipe.empty()) in.when = std::max(in.when, pipe.back().when);
    pipe.push_back(std::move(in));
  }

  static std::vector<InPipe> take_due(std::vector<InPipe>& pipe, TimePoint now) {
    std::vector<InPipe> due;
    std::erase_if(pipe, [&](InPipe& in) {
      if (in.when > now) return false;
      due.push_back(std::move(in));
      return true;
    });
    return due;
  }

  void step_server(bool is_calm) {
    if (now_ < server_paused_until_) return;
    ++steps_;
    link::Output output;
    for (const InPipe& in : take_due(to_server_, now_)) {
      server_->receive(in.routing_id, in.frame.view(), now_, output);
      take_server_events(output);
    }
    for (auto& [peer, end] : peers_) {
      if (!chance(is_calm ? 40 : 10) || !server_->can_send(peer)) continue;
      server_->send(peer, wire::BodyKind::query,
                    data_frame(end.session + ":" + std::to_string(++end.sent)), now_, output);
    }
    server_->turn(now_, output);
    take_server_events(output);
    for (const link::Outgoing& outgoing : output.frames) {
      for (ClientEnd& end : clients_) {
        if (end.routing_id != outgoing.routing_id) continue;
        put(end.to_client, outgoing.routing_id, outgoing.frame, now_ < end.cut_until[1]);
      }
    }
  }

  void step_client(std::size_t index, bool is_calm) {
    ClientEnd& end = clients_[index];
    if (now_ < end.paused_until) return;
    ++steps_;
    link::Output output;
    for (const InPipe& in : take_due(end.to_client, now_)) {
      end.client->receive(in.frame.view(), now_, output);
      take_client_events(end, output);
    }
    if (end.client->can_send() && chance(is_calm ? 40 : 10)) {
      end.client->send(wire::BodyKind::query,
                       data_frame(end.session + ":" + std::to_string(++end.sent)), now_, output);
    }
    end.client->turn(now_, output);
    take_client_events(end, output);
    for (const link::Outgoing& outgoing : output.frames) {
      put(to_server_, end.routing_id, outgoing.frame, now_ < end.cut_until[0]);
    }
  }

  void take_server_events(link::Output& output) {
    for (const link::Event& event : output.events) {
      const auto known = peers_.find(event.peer);
      switch (event.kind) {
        case link::Event::Kind::up:
          note("server: up " + event.identity->name);
          if (known != peers_.end()) violate("the server was told twice that a peer is up");
          peers_[event.peer] = {"s" + std::to_string(++sessions_), 0, {}};
          break;
        case link::Event::Kind::lost:
          note("server: lost " + event.identity->name + " " + to_string(event.reason));
          if (known == peers_.end()) return violate("the server was told twice of a loss");
          peers_.erase(known);
          break;
        case link::Event::Kind::refused:
          break;
        case link::Event::Kind::body:
          if (known == peers_.end()) return violate("the server got a body after the loss");
          take_body(known->second.received, std::string(event.body), server_lives_);
          break;
      }
    }
    output.events.clear();
  }

  void take_client_events(ClientEnd& end, link::Output& output) {
    for (const link::Event& event : output.events) {
      switch (event.kind) {
        case link::Event::Kind::up:
          note(end.routing_id.substr(0, 8) + ": up");
          if (!end.session.empty()) violate("a client was told twice that its peer is up");
          end.session = "c" + std::to_string(++sessions_);
          end.sent = 0;
          end.received = {};
          break;
        case link::Event::Kind::lost:
          note(end.routing_id.substr(0, 8) + ": lost " + to_string(event.reason));
          if (end.session.empty()) violate("a client was told twice of a loss");
          end.session.clear();
          break;
        case link::Event::Kind::refused:
          break;
        case link::Event::Kind::body:
          if (end.session.empty()) violate("a client got a body after the loss");
          take_body(end.received, std::string(event.body), client_lives_);
          break;
      }
    }
    output.events.clear();
  }

  /// `taken`: sessions of the other end whose bodies have been taken by some session of this one.
  void take_body(Received& received, const std::string& body, std::map<std::string, bool>& taken) {
    const std::size_t colon = body.find(':');
    const std::string session = body.substr(0, colon);
    if (received.count == 0) {
      received.session = session;
      if (std::exchange(taken[session], true)) {
        violate("bodies of one session, " + session + ", came in two");
      }
    }
    if (session != received.session) {
      return violate("bodies of two sessions, " + received.session + " and " + session +
                     ", came in one");
    }
    const std::uint64_t number = std::stoull(body.substr(colon + 1));
    if (number != ++received.count) {
      violate("body " + std::to_string(number) + " of " + session + " came where " +
              std::to_string(received.count) + " was to come");
    }
  }

  void check_end() {
    if (server_->session_count() != clients_.size() || peers_.size() != clients_.size()) {
      return violate(std::to_string(server_->session_count()) + " sessions for " +
                     std::to_string(clients_.size()) + " clients at the end");
    }
    for (ClientEnd& end : clients_) {
      if (!end.client->is_up()) return violate("a client is not up at the end");
      if (end.sent > 0 && end.client->unacked_frames() > end.sent) violate("a strange window");
      const auto other = std::find_if(peers_.begin(), peers_.end(), [&](const auto& entry) {
        return entry.second.received.session == end.session;
      });
      if (end.sent > 5 && other == peers_.end()) {
        return violate("nothing that a client sends arrives, " + end.session);
      }
      if (other == peers_.end()) continue;
      // What was sent a moment ago may still be on its way.
      if (other->second.received.count + 20 < end.sent ||
          end.received.count + 20 < other->second.sent) {
        violate("what is sent does not arrive, " + end.session);
      }
    }
  }

  void note(const std::string& what) { trace_.line(now_, "link", what); }

  Trace trace_;
  Random random_;
  link::Settings settings_;
  std::vector<ClientEnd> clients_;
  std::unique_ptr<link::Server> server_;
  std::map<PeerId, ServerEnd> peers_;
  std::vector<InPipe> to_server_;
  std::vector<InPipe> old_;
  TimePoint server_paused_until_{};
  TimePoint now_ = TimePoint{} + seconds(1);
  std::map<std::string, bool> server_lives_;
  std::map<std::string, bool> client_lives_;
  std::uint64_t sessions_ = 0;
  std::uint64_t steps_ = 0;
  std::uint64_t frames_ = 0;
  bool is_wild_ = true;
  std::string violation_;
};

}  // namespace

Outcome run_links(std::uint64_t seed, std::ostream* trace_lines) {
  return LinkRun(seed, trace_lines).run();
}

}  // namespace tempest::sim
