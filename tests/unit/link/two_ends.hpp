#pragma once

#include <cstdint>
#include <functional>
#include <memory>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "tempest/base/random.hpp"
#include "tempest/link/client.hpp"
#include "tempest/link/server.hpp"
#include "tempest/wire/codec.hpp"

namespace tempest::link {

/// A client, a server and the pipes between them, on a clock of their own. What each end's layer
/// above is told is kept as text: "up server", "body hello", "lost lease".
class TwoEnds {
 public:
  explicit TwoEnds(std::uint64_t seed = 1) : random_(seed) {
    start_client();
    start_server();
  }

  Client& client() { return *client_; }
  Server& server() { return *server_; }
  TimePoint now() const { return now_; }
  Settings& settings() { return settings_; }

  std::vector<std::string> client_events;
  std::vector<std::string> server_events;
  /// The server's newest peer.
  PeerId peer;

  /// Each frame is put through this on its way: how many times it arrives.
  std::function<int()> copies = [] { return 1; };
  bool client_paused = false;
  bool server_paused = false;

  /// A new life of either end; what is in the pipes stays.
  void start_client() {
    client_identity_ = {Role::task, "worker", {9, ++lives_}, "wordcount"};
    client_ = std::make_unique<Client>(client_identity_, settings_, random_.next());
  }
  void start_server() {
    const Identity self{Role::pipeline, "server", {8, ++lives_}, "wordcount"};
    server_ = std::make_unique<Server>(self, settings_);
  }
  std::string routing_id() const { return "worker#" + to_string(client_identity_.incarnation); }

  /// ZeroMQ has reconnected: nobody is told, and what was in the pipes is gone.
  void reconnect() {
    to_client_.clear();
    to_server_.clear();
  }

  void client_sends(std::string_view body) {
    Output output;
    client_->send(wire::BodyKind::query, frame_of(body), now_, output);
    take(output, true);
  }
  void server_sends(std::string_view body) {
    Output output;
    server_->send(peer, wire::BodyKind::query, frame_of(body), now_, output);
    take(output, false);
  }
  void close_client() {
    Output output;
    client_->close("done", now_, output);
    take(output, true);
  }
  void close_server() {
    Output output;
    server_->close("done", now_, output);
    take(output, false);
  }
  /// Straight to an end, past the pipes. Returns what it answers at once.
  Output client_receives(std::string_view frame) {
    Output output;
    client_->receive(frame, now_, output);
    Output copy = output;
    take(output, true);
    return copy;
  }
  Output server_receives(std::string_view routing_id, std::string_view frame) {
    Output output;
    server_->receive(routing_id, frame, now_, output);
    Output copy = output;
    take(output, false);
    return copy;
  }

  /// Lets time pass, in steps of 5 ms: a frame takes one.
  void run(Duration duration) {
    for (const TimePoint end = now_ + duration; now_ < end;) step();
  }
  /// Until then, or at the most for a minute. Returns whether it came.
  bool run_until(const std::function<bool()>& done) {
    for (const TimePoint end = now_ + std::chrono::minutes(1); now_ < end && !done();) step();
    return done();
  }
  bool run_until_up() {
    return run_until([this] { return client_->is_up() && server_->session_count() == 1; });
  }

  static std::string frame_of(std::string_view body) {
    std::string frame;
    wire::begin_data(wire::BodyKind::query, frame);
    return frame.append(body);
  }
  static std::size_t count(const std::vector<std::string>& events, std::string_view start) {
    std::size_t found = 0;
    for (const std::string& event : events) found += event.starts_with(start);
    return found;
  }
  static std::vector<std::string> bodies(const std::vector<std::string>& events) {
    std::vector<std::string> found;
    for (const std::string& event : events) {
      if (event.starts_with("body ")) found.push_back(event.substr(5));
    }
    return found;
  }

 private:
  void step() {
    now_ += std::chrono::milliseconds(5);
    if (!client_paused) {
      Output output;
      auto arrived = std::exchange(to_client_, {});
      for (const auto& frame : arrived) client_->receive(frame.view(), now_, output);
      client_->turn(now_, output);
      take(output, true);
    }
    if (!server_paused) {
      Output output;
      auto arrived = std::exchange(to_server_, {});
      for (const auto& [sender, frame] : arrived) {
        server_->receive(sender, frame.view(), now_, output);
      }
      server_->turn(now_, output);
      take(output, false);
    }
  }

  void take(const Output& output, bool of_client) {
    for (const Outgoing& out : output.frames) {
      for (int i = copies(); i > 0; --i) {
        if (of_client) {
          to_server_.emplace_back(routing_id(), out.frame);
        } else if (out.routing_id == routing_id()) {
          to_client_.push_back(out.frame);
        }
      }
    }
    for (const Event& event : output.events) {
      (of_client ? client_events : server_events).push_back(text_of(event));
      if (!of_client && event.kind == Event::Kind::up) peer = event.peer;
    }
  }

  static std::string text_of(const Event& event) {
    switch (event.kind) {
      case Event::Kind::up:
        return "up " + event.identity->name;
      case Event::Kind::body:
        return "body " + std::string(event.body);
      case Event::Kind::refused:
        return "refused " + (event.identity ? event.identity->name + ": " : "") + *event.text;
      case Event::Kind::lost:
        break;
    }
    return std::string("lost ") + to_string(event.reason);
  }

  Settings settings_;
  Random random_;
  std::uint64_t lives_ = 0;
  Identity client_identity_;
  std::unique_ptr<Client> client_;
  std::unique_ptr<Server> server_;
  TimePoint now_ = TimePoint{} + std::chrono::hours(1);
  std::vector<SharedBytes> to_client_;
  std::vector<std::pair<std::string, SharedBytes>> to_server_;
};

}  // namespace tempest::link
