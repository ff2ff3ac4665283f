#include "source_node/coordinators.hpp"

#include <algorithm>
#include <utility>

#include "tempest/base/limits.hpp"
#include "tempest/wire/codec.hpp"

namespace tempest::source_node {

namespace {

// Enough that a frame's own cost is spread thin, few enough that work begins while the rest is
// still being packed. Four times as many gain nothing (docs/performance.md).
constexpr std::uint64_t kMaxChunkMessages = 256;
// Fewer than this are not worth splitting between coordinators.
constexpr std::uint64_t kMinChunkMessages = 64;

std::uint64_t free_messages(const Coordinator& coordinator) {
  const wire::Window& window = coordinator.window;
  if (coordinator.sent.count >= window.messages) return 0;
  // One message may be larger than the whole window: alone, it goes.
  if (coordinator.sent.bytes >= window.bytes && !coordinator.sent.empty()) return 0;
  return window.messages - coordinator.sent.count;
}

std::uint64_t free_bytes(const Coordinator& coordinator) {
  return coordinator.window.bytes - std::min(coordinator.window.bytes, coordinator.sent.bytes);
}

link::Wanted wanted(const registry::Directory::Coordinator& listed) {
  return {Role::pipeline, listed.name, listed.incarnation};
}

double free_share(const Coordinator& coordinator) {
  return static_cast<double>(free_messages(coordinator)) /
         static_cast<double>(coordinator.window.messages);
}

}  // namespace

Coordinators::Coordinators(link::Identity self, const link::Settings& settings, std::uint64_t seed)
    : self_(std::move(self)), settings_(settings), random_(seed) {}

Coordinator* Coordinators::find(link::ChannelId channel) {
  const auto found = coordinators_.find(channel);
  return found == coordinators_.end() ? nullptr : &found->second;
}

void Coordinators::set_directory(const registry::Directory& directory, TimePoint now,
                                 link::Effects& effects) {
  topology_version_ = directory.topology_version;
  for (auto& [channel, coordinator] : coordinators_) coordinator.listed = false;
  for (const auto& listed : directory.coordinators) {
    const auto known =
        std::find_if(coordinators_.begin(), coordinators_.end(), [&listed](const auto& entry) {
          return entry.second.name == listed.name && entry.second.endpoint == listed.endpoint;
        });
    if (known != coordinators_.end()) {
      known->second.listed = true;
      // A new incarnation at the same address: the link notices the old one's end by itself.
      known->second.client.want(wanted(listed), now);
    } else if (coordinators_.size() < kMaxNodes) {
      open(listed, effects);
    }
  }
  std::vector<link::ChannelId> gone;
  for (auto& [channel, coordinator] : coordinators_) {
    if (!coordinator.listed && !coordinator.client.is_up()) gone.push_back(channel);
  }
  for (const auto channel : gone) drop(channel, effects);
}

void Coordinators::open(const registry::Directory::Coordinator& listed, link::Effects& effects) {
  const link::ChannelId channel{next_channel_++};
  coordinators_.emplace(
      channel, Coordinator{.name = listed.name,
                           .endpoint = listed.endpoint,
                           .client = link::Client(self_, settings_, random_.next(), wanted(listed)),
                           .window = {},
                           .sent = {}});
  effects.opens.push_back({channel, listed.endpoint});
}

void Coordinators::drop(link::ChannelId channel, link::Effects& effects) {
  const auto found = coordinators_.find(channel);
  past_counters_ += found->second.client.counters();
  coordinators_.erase(found);
  effects.closes.push_back(channel);
}

void Coordinators::forget_if_gone(link::ChannelId channel, link::Effects& effects) {
  const Coordinator* coordinator = find(channel);
  if (coordinator != nullptr && !coordinator->listed && !coordinator->client.is_up()) {
    drop(channel, effects);
  }
}

void Coordinators::receive(link::ChannelId channel, std::string_view frame, TimePoint now,
                           link::Effects& effects, std::vector<CoordinatorEvent>& events) {
  Coordinator* coordinator = find(channel);
  if (coordinator == nullptr) return;
  coordinator->client.receive(frame, now, output_);
  carry_out(channel, *coordinator, now, effects, events);
}

void Coordinators::turn(TimePoint now, link::Effects& effects,
                        std::vector<CoordinatorEvent>& events) {
  for (auto& [channel, coordinator] : coordinators_) {
    coordinator.client.turn(now, output_);
    carry_out(channel, coordinator, now, effects, events);
  }
}

TimePoint Coordinators::next_turn(bool messages_wait) const {
  TimePoint next = kNever;
  for (const auto& [channel, coordinator] : coordinators_) {
    next = std::min(next, coordinator.client.next_turn());
    if (messages_wait && coordinator.paused_until != TimePoint{}) {
      next = std::min(next, coordinator.paused_until);
    }
  }
  return next;
}

void Coordinators::carry_out(link::ChannelId channel, Coordinator& coordinator, TimePoint now,
                             link::Effects& effects, std::vector<CoordinatorEvent>& events) {
  // By place: to give the session up for what came in it adds an event.
  for (std::size_t i = 0; i < output_.events.size(); ++i) {
    const link::Event event = output_.events[i];
    switch (event.kind) {
      case link::Event::Kind::up:
        attach(coordinator, now);
        effects.notify(link::Notice::Level::info, "connected to coordinator " + coordinator.name);
        break;
      case link::Event::Kind::lost:
        coordinator.window = {};
        coordinator.paused_until = {};
        events.push_back({CoordinatorEvent::Kind::lost, channel, {}});
        effects.notify(link::Notice::Level::warning, "lost coordinator " + coordinator.name,
                       {{"why", link::to_string(event.reason)}});
        break;
      case link::Event::Kind::body:
        take_body(channel, coordinator, event, now, events);
        break;
      case link::Event::Kind::refused:
        effects.notify(link::Notice::Level::warning,
                       "no session with coordinator " + coordinator.name + ": " + *event.text +
                           "; asking again by what the directory says",
                       {{"endpoint", coordinator.endpoint}});
        break;
    }
  }
  output_.events.clear();
  send_frames(channel, effects);
}

void Coordinators::attach(Coordinator& coordinator, TimePoint now) {
  coordinator.window = {};
  wire::Attach attach;
  attach.topology_version = topology_version_;
  coordinator.failures_taken = 0;
  // Zero would set no limit.
  coordinator.failures_granted = std::max<std::uint64_t>(failure_share(), 1);
  attach.window_bytes = coordinator.failures_granted;
  coordinator.client.send(wire::BodyKind::attach, wire::data_frame(attach), now, output_);
}

std::uint64_t Coordinators::failure_share() const {
  return failure_room_ / std::max<std::uint64_t>(coordinators_.size(), 1);
}

void Coordinators::grant_failures(std::uint64_t room, TimePoint now, link::Effects& effects) {
  failure_room_ = room;
  const std::uint64_t share = failure_share();
  for (auto& [channel, coordinator] : coordinators_) {
    if (!coordinator.client.is_up()) continue;
    const std::uint64_t wanted = coordinator.failures_taken + share;
    if (wanted <= coordinator.failures_granted) continue;
    // While it has most of its share left it need not hear of a little more.
    const std::uint64_t left = coordinator.failures_granted -
                               std::min(coordinator.failures_granted, coordinator.failures_taken);
    if (left > share / 2) continue;
    coordinator.failures_granted = wanted;
    const wire::Window window{0, wanted};
    coordinator.client.send(wire::BodyKind::window, wire::data_frame(window), now, output_);
    send_frames(channel, effects);
  }
}

void Coordinators::take_body(link::ChannelId channel, Coordinator& coordinator,
                             const link::Event& event, TimePoint now,
                             std::vector<CoordinatorEvent>& events) {
  if (event.body_kind == wire::BodyKind::outcomes) {
    events.push_back({CoordinatorEvent::Kind::outcomes, channel, event.body});
    return;
  }
  if (event.body_kind == wire::BodyKind::window && wire::decode(event.body, coordinator.window)) {
    return;
  }
  ++malformed_;
  coordinator.client.reset(now, output_);
}

void Coordinators::give_up(link::ChannelId channel, TimePoint now, link::Effects& effects,
                           std::vector<CoordinatorEvent>& events) {
  Coordinator* coordinator = find(channel);
  if (coordinator == nullptr) return;
  coordinator->client.reset(now, output_);
  carry_out(channel, *coordinator, now, effects, events);
}

void Coordinators::send_frames(link::ChannelId channel, link::Effects& effects) {
  for (link::Outgoing& outgoing : output_.frames) {
    effects.sends.push_back({channel, {}, std::move(outgoing.frame)});
  }
  output_.frames.clear();
}

Coordinator* Coordinators::most_free(TimePoint now, link::ChannelId& channel,
                                     std::uint64_t& ready_count) {
  Coordinator* best = nullptr;
  ready_count = 0;
  for (auto& [id, coordinator] : coordinators_) {
    if (now < coordinator.paused_until) continue;
    coordinator.paused_until = {};
    if (free_messages(coordinator) == 0 || !coordinator.client.can_send()) continue;
    ++ready_count;
    if (best == nullptr || free_share(coordinator) > free_share(*best)) {
      best = &coordinator;
      channel = id;
    }
  }
  return best;
}

std::uint64_t Coordinators::send(MessageStore& store, MessageList& queue, MessageTraces& traces,
                                 TimePoint now, link::Effects& effects) {
  std::uint64_t resent = 0;
  while (!queue.empty()) {
    link::ChannelId channel{};
    std::uint64_t ready_count = 0;
    Coordinator* best = most_free(now, channel, ready_count);
    if (best == nullptr) break;
    const std::uint64_t fair = std::max(queue.count / ready_count, kMinChunkMessages);
    resent += send_chunk(channel, *best, std::min(fair, kMaxChunkMessages), store, queue, traces,
                         now, effects);
  }
  return resent;
}

std::uint64_t Coordinators::send_chunk(link::ChannelId channel, Coordinator& coordinator,
                                       std::uint64_t max_messages, MessageStore& store,
                                       MessageList& queue, MessageTraces& traces, TimePoint now,
                                       link::Effects& effects) {
  std::uint64_t resent = 0;
  max_messages = std::min(max_messages, free_messages(coordinator));
  const std::uint64_t max_bytes =
      std::min<std::uint64_t>(kFrameTargetBytes, free_bytes(coordinator));
  MessageList chunk;
  messages_.items.clear();
  messages_.traced.clear();
  messages_.ages_ms.clear();
  std::uint32_t slot = queue.head;
  while (slot != kNoSlot && chunk.count < max_messages &&
         (chunk.empty() || chunk.bytes < max_bytes)) {
    HeldMessage& message = store.at(slot);
    message.state = MessageState::sent;
    message.coordinator = channel;
    if (message.sent_before) ++resent;
    message.sent_before = true;
    if (message.traced) {
      messages_.traced.push_back(
          {static_cast<std::uint32_t>(messages_.items.size()), traces.number_of(slot)});
      traces.say(slot, message, {.kind = wire::Sighting::Kind::sent, .peer = coordinator.name},
                 now);
    }
    messages_.items.push_back({store.id_of(slot), message.key(), message.payload()});
    if (sends_ages_) {
      const auto age = std::max(now - message.read_at, Duration::zero());
      messages_.ages_ms.push_back(static_cast<std::uint64_t>(age / std::chrono::milliseconds(1)));
    }
    chunk.extend(slot, message);
    slot = message.next;
  }
  store.cut(queue, chunk);
  store.append(coordinator.sent, chunk);
  constexpr std::size_t kItemHeadBytes = 24;
  std::string frame;
  frame.reserve(wire::kDataHeaderBytes + 16 + chunk.bytes +
                messages_.items.size() * kItemHeadBytes);
  wire::begin_data(wire::BodyKind::messages, frame);
  wire::encode(messages_, frame);
  coordinator.client.send(wire::BodyKind::messages, std::move(frame), now, output_);
  send_frames(channel, effects);
  return resent;
}

bool Coordinators::any_open() const {
  return std::any_of(coordinators_.begin(), coordinators_.end(),
                     [](const auto& entry) { return entry.second.window.messages > 0; });
}

std::size_t Coordinators::up_count() const {
  return static_cast<std::size_t>(
      std::count_if(coordinators_.begin(), coordinators_.end(),
                    [](const auto& entry) { return entry.second.client.is_up(); }));
}

std::uint64_t Coordinators::sent_count() const {
  std::uint64_t count = 0;
  for (const auto& [channel, coordinator] : coordinators_) count += coordinator.sent.count;
  return count;
}

link::Counters Coordinators::counters() const {
  link::Counters sum = past_counters_;
  for (const auto& [channel, coordinator] : coordinators_) sum += coordinator.client.counters();
  return sum;
}

link::Backlog Coordinators::backlog() const {
  link::Backlog sum;
  for (const auto& [channel, coordinator] : coordinators_) sum += coordinator.client.backlog();
  return sum;
}

void Coordinators::close(std::string_view reason, TimePoint now, link::Effects& effects) {
  for (auto& [channel, coordinator] : coordinators_) {
    coordinator.client.close(reason, now, output_);
    output_.events.clear();
    send_frames(channel, effects);
    effects.closes.push_back(channel);
  }
}

}  // namespace tempest::source_node
