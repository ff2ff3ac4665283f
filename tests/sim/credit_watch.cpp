#include "credit_watch.hpp"

#include <algorithm>
#include <string>

#include "tempest/tracking/key_slots.hpp"
#include "tempest/wire/codec.hpp"
#include "world.hpp"

namespace tempest::sim {

namespace {

/// Of an id that is packed.
std::string text_of(std::uint64_t id) {
  return std::to_string(id & 0xffffffff) + "/" + std::to_string(id >> 32);
}

}  // namespace

void CreditWatch::begin_step() {
  ++step_;
  fed_.clear();
}

void CreditWatch::died(std::size_t host) {
  const auto first = ends_.lower_bound({host, 0});
  const auto last = ends_.lower_bound({host + 1, 0});
  // Frames of these may come yet, and begin nothing anew.
  for (auto end = first; end != last; ++end) dead_.insert(end->first);
  ends_.erase(first, last);
  std::erase_if(newest_, [host](const auto& entry) { return entry.first.first == host; });
}

/// A session's ends are those of the HELLO and of the WELCOME that names it.
void CreditWatch::open(std::size_t host, std::string_view frame) {
  wire::Welcome welcome;
  if (!wire::decode(frame, welcome)) return;
  const auto opener = openers_.find(welcome.hello);
  if (opener == openers_.end()) return;
  newest_[{host, opener->second}] = welcome.session;
  accepters_[welcome.session] = host;
}

void CreditWatch::received(std::size_t host, std::string_view frame) {
  const auto type = wire::peek_type(frame);
  if (!type) return;
  wire::Heartbeat heartbeat;
  if (*type == wire::FrameType::heartbeat && wire::decode(frame, heartbeat)) {
    const auto found = ends_.find({host, heartbeat.session});
    if (found == ends_.end() || heartbeat.ack > found->second.last_sent) return;
    found->second.confirmed = std::max(found->second.confirmed, heartbeat.ack);
    return;
  }
  wire::Welcome welcome;
  if (*type == wire::FrameType::welcome && wire::decode(frame, welcome)) {
    welcomed_.insert({host, welcome.session});
    return;
  }
  wire::DataHeader header;
  std::string_view body;
  if (*type != wire::FrameType::data || !wire::decode(frame, header, body)) return;
  if (dead_.contains({host, header.session})) return;
  // An opener takes nothing before it is welcomed.
  const auto accepter = accepters_.find(header.session);
  const bool accepts = accepter != accepters_.end() && accepter->second == host;
  if (!accepts && !welcomed_.contains({host, header.session})) return;
  End& end = ends_[{host, header.session}];
  if (header.ack <= end.last_sent) end.confirmed = std::max(end.confirmed, header.ack);
  if (header.sequence != end.last_received + 1) return;
  ++end.last_received;
  take_body(host, end, header.kind, body);
}

void CreditWatch::take_body(std::size_t host, End& end, wire::BodyKind kind,
                            std::string_view body) {
  wire::Attach attach;
  switch (kind) {
    case wire::BodyKind::attach:
      if (!wire::decode(body, attach)) return;
      end.has_attached = true;
      // A source's says nothing of a window.
      end.window = {attach.window_messages, attach.window_bytes};
      return;
    case wire::BodyKind::window:
      static_cast<void>(wire::decode(body, end.window));
      return;
    case wire::BodyKind::results:
      if (!wire::decode(body, results_)) return;
      for (const auto& item : results_.items) {
        // No end of it.
        if (item.status == wire::Results::Status::started ||
            item.status == wire::Results::Status::extended) {
          continue;
        }
        answered(host, end, item.id.packed(), "result");
      }
      return;
    case wire::BodyKind::outcomes:
      if (!wire::decode(body, outcomes_)) return;
      for (const MessageId id : outcomes_.acked) answered(host, end, id.packed(), "ack");
      for (const auto& item : outcomes_.failed) {
        answered(host, end, item.id.packed(), "failure");
      }
      for (const MessageId id : outcomes_.returned) answered(host, end, id.packed(), "return");
      return;
    default:
      return;
  }
}

void CreditWatch::answered(std::size_t host, End& end, std::uint64_t id, const char* what) {
  const bool may_repeat = world_.scenario().stutters;
  if (may_repeat && !end.answered.insert(id).second) return;
  const auto found = end.out.find(id);
  if (found == end.out.end()) {
    return world_.violate("an answer is to what was sent, and one",
                          world_.host(host).name() + " got a " + what + " for " + text_of(id) +
                              ", which it has not out");
  }
  end.out_bytes -= found->second;
  end.out.erase(found);
  end.slots_out.erase(id);
}

void CreditWatch::sent(std::size_t host, std::string_view frame) {
  const auto type = wire::peek_type(frame);
  if (!type) return;
  wire::Hello hello;
  if (*type == wire::FrameType::hello && wire::decode(frame, hello)) openers_[hello.hello] = host;
  if (*type == wire::FrameType::welcome) open(host, frame);
  wire::DataHeader header;
  std::string_view body;
  if (*type != wire::FrameType::data || !wire::decode(frame, header, body)) return;
  End& end = ends_[{host, header.session}];
  if (header.sequence <= end.last_sent) return;  // Sent again.
  // An opener may never hear of a session that was begun for it.
  const auto accepter = accepters_.find(header.session);
  if (header.sequence == 1 && accepter != accepters_.end() && accepter->second != host) {
    newest_[{host, accepter->second}] = header.session;
  }
  if (std::exchange(end.step, step_) != step_) {
    end.sent_at_step = end.last_sent;
    end.confirmed_at_step = end.confirmed;
  }
  const bool is_work =
      header.kind == wire::BodyKind::messages || header.kind == wire::BodyKind::deliveries;
  // Whether there is room is looked at once in a step.
  const std::uint64_t before = end.sent_at_step - end.confirmed_at_step;
  if ((is_work || header.kind == wire::BodyKind::directory) &&
      before >= world_.scenario().link.max_unacked_frames) {
    world_.violate("every bound is kept", world_.host(host).name() + " sends more with " +
                                              std::to_string(before) + " frames not confirmed");
  }
  end.last_sent = header.sequence;
  if (header.kind == wire::BodyKind::messages && wire::decode(body, messages_)) {
    for (const auto& item : messages_.items) {
      hand_out(host, end, item.id.packed(), item.key.size() + item.payload.size());
    }
  }
  if (header.kind != wire::BodyKind::deliveries || !wire::decode(body, deliveries_)) return;
  for (const auto& item : deliveries_.items) {
    std::uint64_t bytes = 0;
    for (std::uint32_t i = 0; i < item.part_count; ++i) {
      const auto& part = deliveries_.parts[item.first_part + i];
      bytes += part.key.size() + part.payload.size();
    }
    fed_.push_back(item.task);
    hand_out(host, end, item.id.packed(), bytes);
    if (world_.scenario().topology.graph.node(item.task).grouping != dag::Grouping::key) continue;
    const auto& part = deliveries_.parts[item.first_part];
    const std::size_t slot = tracking::key_slot_of(part.key, part.payload);
    check_owner(host, header.session, item.task, slot);
    end.slots_out[item.id.packed()] = {item.task, slot};
  }
}

void CreditWatch::check_owner(std::size_t host, std::uint64_t session, TaskId task,
                              std::size_t slot) {
  if (!world_.watches_slots()) return;
  std::size_t worker = 0;
  for (const auto& [pair, newest] : newest_) {
    if (pair.first == host && newest == session) worker = pair.second;
  }
  const auto say = [&](std::size_t other) {
    world_.violate("a key slot is at one worker at a time",
                   "slot " + std::to_string(slot) + " of " +
                       world_.scenario().topology.graph.node(task).name + " goes to " +
                       world_.host(worker).name() + " and is at " + world_.host(other).name());
  };
  if (world_.is_settled()) {
    const auto [owner, is_new] = owners_.emplace(std::pair(task, slot), worker);
    if (owner->second != worker) say(owner->second);
  }
  for (const auto& [pair, newest] : newest_) {
    if (world_.host(pair.first).role() != Role::pipeline || pair.second == worker) continue;
    // What was out in a session that is over is not taken from the books.
    const bool is_over = !world_.host(pair.second).is_alive() ||
                         world_.network().is_blocked(pair.first, pair.second);
    if (is_over) continue;
    const auto end = ends_.find({pair.first, newest});
    if (end == ends_.end()) continue;
    for (const auto& [id, what] : end->second.slots_out) {
      if (what == std::pair(task, slot)) return say(pair.second);
    }
  }
}

void CreditWatch::hand_out(std::size_t host, End& end, std::uint64_t id, std::uint64_t bytes) {
  // One alone may be larger than what is allowed.
  const bool has_room =
      end.out.size() < end.window.messages && (end.out.empty() || end.out_bytes < end.window.bytes);
  if (!has_room) {
    world_.violate("every bound is kept", world_.host(host).name() +
                                              " sends more than its window with " +
                                              std::to_string(end.out.size()) + " messages and " +
                                              std::to_string(end.out_bytes) + " bytes out, of " +
                                              std::to_string(end.window.messages) + " and " +
                                              std::to_string(end.window.bytes));
  }
  if (!end.out.emplace(id, bytes).second) {
    return world_.violate(
        "what is out has an id of its own",
        world_.host(host).name() + " sends " + text_of(id) + ", which is out already");
  }
  end.out_bytes += bytes;
}

const CreditWatch::End* CreditWatch::newest(std::size_t host, std::size_t peer) const {
  const auto session = newest_.find({host, peer});
  if (session == newest_.end()) return nullptr;
  const auto end = ends_.find({host, session->second});
  return end == ends_.end() ? nullptr : &end->second;
}

CreditWatch::AtWorker CreditWatch::at_worker(std::size_t coordinator, std::size_t worker) const {
  const End* end = newest(coordinator, worker);
  if (end == nullptr) return {};
  return {end->has_attached, end->window.messages, end->out.size(),
          unconfirmed(*end) >= world_.scenario().link.max_unacked_frames};
}

std::uint64_t CreditWatch::window_of_source(std::size_t source, std::size_t coordinator) const {
  const End* end = newest(source, coordinator);
  return end == nullptr ? 0 : end->window.messages;
}

}  // namespace tempest::sim
