// The faults of a World.

#include <algorithm>

#include "world.hpp"

namespace tempest::sim {

void World::next_fault() {
  const auto mean = static_cast<std::uint64_t>(scenario_.fault_interval.count());
  after(Duration(static_cast<Duration::rep>(random_.below(2 * mean))), [this] {
    if (!has_faults_) return;
    double total = 0;
    for (const double weight : scenario_.weights) total += weight;
    double drawn = random_.fraction() * total;
    for (std::size_t kind = 0; kind < kFaultKinds && total > 0; ++kind) {
      drawn -= scenario_.weights[kind];
      if (drawn >= 0) continue;
      commit(static_cast<FaultKind>(kind));
      break;
    }
    next_fault();
  });
}

void World::commit(FaultKind kind) {
  trace_line("fault", to_string(kind));
  trace_.mix(static_cast<std::uint64_t>(kind));
  if (scenario_.trims_pending()) redis_.trim_pending(20);
  if (scenario_.fails_over() && kind != FaultKind::redis_start) redis_.replicate();
  switch (kind) {
    case FaultKind::crash:
      return crash_one();
    case FaultKind::pause:
      if (Host* host = draw_host(true)) {
        const auto lease = static_cast<double>(scenario_.link.lease.count());
        host->pause(now_ +
                    Duration(static_cast<Duration::rep>(lease * (0.5 + 2.5 * random_.fraction()))));
      }
      return;
    case FaultKind::stop:
      if (Host* host = draw_host(true)) {
        ++counts_.stops;
        host->stop(random_.below(5) == 0);
        start_later(*host);
      }
      return;
    case FaultKind::one_way:
    case FaultKind::two_way:
      return block_two(kind == FaultKind::two_way);
    case FaultKind::reconnect:
      ++counts_.reconnects;
      return network_.reconnect_one();
    case FaultKind::replay:
      for (int i = 0; i < 5; ++i) network_.replay_one();
      return;
    case FaultKind::garbage:
      return network_.garbage();
    case FaultKind::redis_away:
    case FaultKind::redis_start:
    case FaultKind::redis_cut:
      return strike_redis(kind);
    case FaultKind::new_version:
      return bring_new_version();
    case FaultKind::scale:
      return scale_one();
  }
}

Host* World::draw_host(bool struck, bool dead_too) {
  Host& host = *hosts_[random_.below(hosts_.size())];
  if (!host.is_alive() && !dead_too) return nullptr;
  if (struck && (scenario_.struck_roles >> static_cast<unsigned>(host.role()) & 1U) == 0) {
    return nullptr;
  }
  return &host;
}

void World::crash_one() {
  Host* host = draw_host(true);
  if (host == nullptr) return;
  if (random_.below(3) == 0) {
    host->crash();
  } else {
    // At a boundary of a step to come; or in the middle of what a thread does with Redis.
    host->crash_soon(static_cast<unsigned>(random_.below(10)),
                     static_cast<unsigned>(random_.below(10)), random_.fraction());
  }
  start_later(*host);
}

void World::start_later(Host& host) {
  const std::size_t index = host.index();
  after(milliseconds(50 + random_.below(3000)), [this, index] {
    if (!is_over_) hosts_[index]->start();
  });
}

void World::block_two(bool both) {
  if (hosts_.size() < 2) return;
  const std::size_t from = random_.below(hosts_.size());
  const std::size_t to = random_.below(hosts_.size());
  if (from == to) return;
  ++counts_.partitions;
  const auto lease = static_cast<double>(scenario_.link.lease.count());
  const TimePoint until =
      now_ + Duration(static_cast<Duration::rep>(lease * (0.2 + 2 * random_.fraction())));
  const bool loses = random_.below(2) == 0;
  network_.block(from, to, until, loses);
  if (both) network_.block(to, from, until, loses);
}

void World::strike_redis(FaultKind kind) {
  ++counts_.redis_faults;
  // In some seeds for longer than any timeout; not drawn, so that others stay what they were.
  const int times = scenario_.seed % 4 == 1 ? 5 : 1;
  const Duration span = times * milliseconds(20 + random_.below(2500));
  if (kind == FaultKind::redis_cut) {
    Host* host = draw_host(false);
    if (host == nullptr) return;
    host->reaches_redis = false;
    after(span, [host] { host->reaches_redis = true; });
    return;
  }
  redis_.is_up = false;
  if (kind == FaultKind::redis_start && scenario_.fails_over()) {
    redis_.fail_over();
  } else if (kind == FaultKind::redis_start) {
    ++redis_.life;
  }
  after(span, [this] { redis_.is_up = true; });
}

void World::bring_new_version() {
  ++version_;
  for (const auto& host : hosts_) {
    if (host->role() != Role::pipeline) continue;
    Host* coordinator = host.get();
    after(milliseconds(random_.below(1500)), [this, coordinator] {
      coordinator->stop(false);
      start_later(*coordinator);
    });
  }
}

/// The first of a kind stay, and as many workers as coordinators wait for.
void World::scale_one() {
  Host* host = draw_host(false, true);
  if (host == nullptr || host->number() == 0) return;
  if (host->role() != Role::task && host->role() != Role::pipeline) return;
  const auto others = std::count_if(hosts_.begin(), hosts_.end(), [host](const auto& other) {
    return other->role() == host->role() && other->is_wanted && other.get() != host;
  });
  const std::size_t least = host->role() == Role::task ? scenario_.min_workers : 1;
  if (host->is_wanted && static_cast<std::size_t>(others) < least) return;
  ++counts_.scalings;
  host->is_wanted = !host->is_wanted;
  if (host->is_wanted) return start_later(*host);
  host->stop(false);
}

void World::heal() {
  trace_line("world", "no more faults");
  has_faults_ = false;
  healed_at_ = now_;
  network_.heal();
  redis_.is_up = true;
  redis_.lost_reply = 0;
  redis_.error_reply = 0;
  redis_.refuses_letters = false;
  for (const auto& host : hosts_) {
    host->reaches_redis = true;
    host->calm_down();
  }
  keep_alive();
}

/// Those that were to end may still do so: they are started again whenever it is.
void World::keep_alive() {
  if (is_over_) return;
  for (const auto& host : hosts_) {
    if (!ends_by_draining_ || host->role() != Role::source) host->start();
  }
  after(milliseconds(100), [this] { keep_alive(); });
}

}  // namespace tempest::sim
