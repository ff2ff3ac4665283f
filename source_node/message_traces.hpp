#pragma once

#include <cstdint>
#include <map>
#include <string>
#include <string_view>
#include <vector>

#include "source_node/message_store.hpp"
#include "tempest/link/link.hpp"
#include "tempest/link/node.hpp"
#include "tempest/watch/sampler.hpp"
#include "tempest/watch/sighting_log.hpp"
#include "tempest/wire/frames.hpp"

namespace tempest::source_node {

/// Which messages of this source are traced (HeldMessage::traced), for which watch, and what is
/// said of them here. The source chooses: it alone knows what a message is called, and it holds the
/// message through all that happens. While nobody traces, nothing here is called.
class MessageTraces {
 public:
  static constexpr std::size_t kMaxTraced = 4'096;

  explicit MessageTraces(const link::Identity& self);

  /// Of these, the traces are heeded from now on.
  void set(const std::vector<wire::Watch>& watches);
  /// New messages are to be shown to consider().
  bool wanted() const { return !watches_.empty(); }
  /// ... and one of those that are read now may be chosen: what they are called is needed. (At full
  /// flow most reads have none that is, and naming them all would cost as much as reading them.)
  bool wants_names(TimePoint now) const;
  /// There may be something to publish.
  bool active() const { return wanted() || !traced_.empty(); }

  /// So many messages have been read. True: they are to be shown to consider().
  bool begin(std::size_t count, TimePoint now);
  /// A new message, which its source calls so: marks it, if a watch wants it.
  void consider(std::uint32_t slot, HeldMessage& message, std::string_view name, TimePoint now);

  /// As what it is traced; 0: it is not.
  std::uint64_t number_of(std::uint32_t slot) const;

  /// Of a traced message. What has no field for it stays empty.
  struct Event {
    wire::Sighting::Kind kind{};
    std::string_view peer = {};
    wire::Sighting::Next next = wire::Sighting::Next::none;
    Duration again{0};
    wire::FailureKind failure{};
    std::string_view task = {};
    std::uint32_t attempts = 0;
    std::string_view text = {};
  };
  void say(std::uint32_t slot, const HeldMessage& message, const Event& event, TimePoint now);
  /// The same, and it is the last of it.
  void end(std::uint32_t slot, HeldMessage& message, const Event& event, TimePoint now);

  void publish(TimePoint now, link::Effects& effects);

 private:
  struct Watched {
    wire::Watch watch;
    watch::Sampler sampler;
    bool open = false;  ///< Takes of the batch that is being considered.
  };

  std::uint32_t first_number_;
  std::uint32_t numbers_ = 0;
  std::vector<Watched> watches_;
  std::map<std::uint32_t, std::uint64_t> traced_;  ///< By slot.
  watch::SightingLog log_;
};

}  // namespace tempest::source_node
