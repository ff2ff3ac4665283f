#include "world.hpp"

#include <algorithm>
#include <utility>

#include "shells.hpp"

namespace tempest::sim {

World::World(std::uint64_t seed, std::ostream* trace_lines)
    : scenario_(seed),
      trace_(trace_lines),
      random_(scenario_.random.next()),
      ledger_(scenario_),
      redis_(ledger_, random_.next()),
      network_(*this, random_.next()),
      watch_(*this) {
  make_hosts();
}

World::~World() = default;

void World::at(TimePoint when, std::function<void()> action) {
  events_.push({std::max(when, now_), next_order_++, std::move(action)});
}

std::vector<std::string> World::broker_endpoints() const {
  std::vector<std::string> endpoints;
  for (unsigned i = 0; i < scenario_.brokers; ++i) {
    endpoints.push_back("sim://broker-" + std::to_string(i));
  }
  return endpoints;
}

void World::make_hosts() {
  const auto add = [this](Role role, unsigned number, Host::MakeShell make) {
    const double drift = scenario_.drift * (2 * random_.fraction() - 1);
    hosts_.push_back(
        std::make_unique<Host>(*this, hosts_.size(), role, number, drift, std::move(make)));
    return hosts_.back().get();
  };
  for (unsigned i = 0; i < scenario_.brokers; ++i) {
    add(Role::broker, i, [this](Host& host) {
      return make_broker_shell(*this, host);
    })->listen_at("sim://broker-" + std::to_string(i));
  }
  for (unsigned i = 0; i < scenario_.coordinators + scenario_.spare_coordinators; ++i) {
    add(Role::pipeline, i, [this](Host& host) {
      const bool moves = scenario_.moves_endpoint;
      host.listen_at("sim://" + host.name() + (moves ? ":" + std::to_string(host.life()) : ""));
      return make_coordinator_shell(*this, host);
    })->is_wanted = i < scenario_.coordinators;
  }
  for (unsigned i = 0; i < scenario_.sources; ++i) {
    add(Role::source, i, [this](Host& host) { return make_source_shell(*this, host); });
  }
  for (unsigned i = 0; i < scenario_.workers + scenario_.spare_workers; ++i) {
    add(Role::task, i, [this, i](Host& host) {
      return make_worker_shell(*this, host, i);
    })->is_wanted = i < scenario_.workers;
  }
  for (unsigned i = 0; scenario_.is_watched && i < 2; ++i) {
    add(Role::operator_, i, [this, i](Host& host) { return make_operator_shell(*this, host, i); });
  }
}

void World::produce(unsigned count, Duration span) {
  for (unsigned i = 0; i < count; ++i) {
    const std::uint64_t drawn = random_.below(static_cast<std::uint64_t>(span.count()));
    after(Duration(static_cast<Duration::rep>(drawn)), [this] {
      const auto number = static_cast<unsigned>(ledger_.counts().messages);
      std::string payload = "m" + std::to_string(number);
      if (random_.below(60) == 0) payload += std::string(random_.below(20'000), '~');
      const std::string key =
          scenario_.keys == 0 ? "" : "k" + std::to_string(random_.below(scenario_.keys));
      const SourceToken token = redis_.add_entry(payload, key);
      ledger_.produced(number, token, std::move(payload), key);
    });
  }
}

void World::run_until(TimePoint until, const std::function<bool()>& is_done) {
  std::uint64_t since_look = 0;
  while (!is_violated() && !events_.empty() && events_.top().when <= until) {
    // The queue gives no way to move out of its top but this.
    auto action = std::move(const_cast<Event&>(events_.top()).action);
    now_ = events_.top().when;
    trace_.mix(static_cast<std::uint64_t>(now_.time_since_epoch().count()));
    events_.pop();
    action();
    if (++since_look % 64 == 0 && is_done()) return;
  }
  now_ = std::max(now_, until == kNever ? now_ : until);
}

Outcome World::run() {
  const auto never = [] { return false; };
  if (has_trace()) trace_line("scenario", "\n" + scenario_.describe());
  has_faults_ = !scenario_.is_calm;
  network_.is_wild = scenario_.is_wild;
  redis_.lost_reply = scenario_.lost_reply;
  redis_.error_reply = scenario_.error_reply;
  redis_.refuses_letters = scenario_.keeps_letters_away;
  for (auto& host : hosts_) {
    Host* started = host.get();
    after(milliseconds(random_.below(300)), [started] { started->start(); });
  }
  produce(scenario_.messages, scenario_.production);
  if (has_faults_) next_fault();
  run_until(now_ + scenario_.fault_phase, never);
  heal();
  if (scenario_.late_messages > 0) {
    run_until(now_ + scenario_.settling_time(), never);
    // Messages that kill workers go on doing so.
    if (scenario_.hangs_while_slots_move) {
      hang_while_slots_move();
    } else {
      cut_for_good();
      is_settled_ = !scenario_.loses_workers_to_messages_only;
      watches_slots_ = is_settled_;
    }
    produce(scenario_.late_messages, milliseconds(100));
  }
  drain();
  if (!is_violated() && scenario_.ends_by_draining()) end_by_draining();
  if (!is_violated()) end_nodes();

  Outcome outcome;
  outcome.violation = ledger_.violation();
  outcome.trace_hash = trace_.hash();
  outcome.ledger = ledger_.counts();
  counts_.seeds = 1;
  counts_.frames = network_.frames;
  counts_.frames_lost = network_.lost;
  counts_.frames_doubled = network_.doubled;
  counts_.frames_replayed = network_.replayed;
  counts_.simulated_ms = static_cast<std::uint64_t>(
      std::chrono::duration_cast<milliseconds>(now_.time_since_epoch()).count());
  outcome.counts = counts_;
  return outcome;
}

// --- The end -------------------------------------------------------------------------------------

bool World::is_drained() const {
  const std::uint64_t all = scenario_.messages + scenario_.late_messages;
  if (ledger_.counts().messages < all || !redis_.all_read()) return false;
  if (!scenario_.leaves() && !redis_.pending().empty()) return false;
  return std::all_of(hosts_.begin(), hosts_.end(), [](const auto& host) {
    return host->is_wanted ? host->is_alive() && host->shell()->is_idle() : !host->is_alive();
  });
}

void World::drain() {
  if (is_violated()) return;
  const Duration bound = scenario_.drain_bound();
  run_until(now_ + bound, [this] { return is_drained(); });
  if (is_violated()) return;
  if (!is_drained()) {
    std::string where;
    for (const auto& host : hosts_) {
      if (!host->is_wanted && !host->is_alive()) continue;
      if (!host->is_alive()) {
        where += " " + host->name() + " is not there;";
      } else if (!host->shell()->is_idle()) {
        where += " " + host->name() + ": " + host->shell()->leftovers() + ";";
      }
    }
    return violate("everything drains",
                   "not within " + std::to_string(bound.count() / 1'000'000'000) +
                       " s: " + std::to_string(redis_.pending().size()) + " pending," + where);
  }
  // What is still on its way (answers to what has timed out, confirmations) arrives.
  const TimePoint settled = healed_at_ + scenario_.settling_time();
  run_until(std::max(settled, now_ + 2 * scenario_.link.lease), [] { return false; });
  if (is_violated()) return;
  // Where messages are left unacked, a source that lost sight of Redis reads them again.
  if (scenario_.leaves() && !is_drained()) return drain();
  ledger_.check_end(redis_.pending(), redis_.all_read());
  check_leftovers();
  check_connected();
}

/// Who is there at the end has been there for long.
void World::check_connected() {
  if (scenario_.loses_workers_to_messages_only) return;
  for (const auto& coordinator : hosts_) {
    if (coordinator->role() != Role::pipeline || !coordinator->is_wanted) continue;
    for (const auto& host : hosts_) {
      if (!host->is_wanted) continue;
      if (network_.is_blocked(coordinator->index(), host->index())) continue;
      const auto at = watch_.at_worker(coordinator->index(), host->index());
      const std::string pair = host->name() + " at " + coordinator->name();
      if (host->role() == Role::task && (!at.has_attached || at.window_messages == 0)) {
        violate("everybody is connected in the end", pair + " would get no work");
      }
      if (host->role() == Role::task && at.out > 0) {
        violate("everybody is connected in the end",
                std::to_string(at.out) + " deliveries have no answer from " + pair);
      }
      if (host->role() == Role::source &&
          watch_.window_of_source(host->index(), coordinator->index()) == 0) {
        violate("everybody is connected in the end", pair + " may send nothing");
      }
    }
  }
}

void World::check_leftovers() {
  for (const auto& host : hosts_) {
    if (!host->is_wanted) continue;
    const std::string left = host->is_alive() ? host->shell()->leftovers() : "it is not there";
    if (!left.empty()) violate("nothing is left behind", host->name() + ": " + left);
  }
}

/// Sources die with messages under way, and are started so that they end once nothing is left.
void World::end_by_draining() {
  constexpr unsigned kMessages = 30;
  produce(kMessages, milliseconds(50));
  run_until(now_ + milliseconds(60), [] { return false; });
  if (is_violated()) return;
  ends_by_draining_ = true;  // A source that has ended stays so.
  const auto is_source = [](const auto& host) { return host->role() == Role::source; };
  for (const auto& host : hosts_) {
    if (!is_source(host)) continue;
    if (host->is_alive()) host->crash();
    host->start();
  }
  const Duration bound = scenario_.drain_bound();
  run_until(now_ + bound, [&] {
    return std::none_of(hosts_.begin(), hosts_.end(),
                        [&](const auto& host) { return is_source(host) && host->is_alive(); });
  });
  if (is_violated()) return;
  for (const auto& host : hosts_) {
    if (is_source(host) && host->is_alive()) {
      return violate("a drained source ends", host->name() + ": " + host->shell()->leftovers());
    }
  }
  if (!scenario_.leaves() && !redis_.pending().empty()) {
    return violate("drained means nothing is left",
                   std::to_string(redis_.pending().size()) + " are pending");
  }
  ledger_.check_end(redis_.pending(), redis_.all_read());
}

void World::end_nodes() {
  is_over_ = true;
  watches_slots_ = false;
  network_.heal();
  const Role order[] = {Role::operator_, Role::source, Role::task, Role::pipeline, Role::broker};
  for (const Role role : order) {
    for (const auto& host : hosts_) {
      if (host->role() == role) host->stop(false);
    }
    // There is nothing to drain: nobody needs the drain timeout.
    run_until(now_ + scenario_.drain_timeout + seconds(1), [&] {
      return std::none_of(hosts_.begin(), hosts_.end(), [role](const auto& host) {
        return host->role() == role && host->is_alive();
      });
    });
    for (const auto& host : hosts_) {
      if (host->role() == role && host->is_alive() && !is_violated()) {
        violate("a node that is to stop does", host->name());
      }
    }
  }
}

}  // namespace tempest::sim
