#include "tempest/link/link.hpp"

namespace tempest::link {

const char* to_string(LostReason reason) {
  switch (reason) {
    case LostReason::lease:
      return "lease";
    case LostReason::incarnation:
      return "incarnation";
    case LostReason::reset:
      return "reset";
    case LostReason::left:
      return "left";
    case LostReason::closed:
      return "closed";
    case LostReason::silent:
      return "silent";
    case LostReason::malformed:
      return "malformed";
  }
  return "unknown";
}

void identify(const Identity& self, TimePoint started, TimePoint now, wire::StatsReport& report) {
  using std::chrono::duration_cast;
  report.node = self.name;
  report.role = self.role;
  report.topology = self.topology;
  report.incarnation = self.incarnation;
  report.uptime_ms =
      static_cast<std::uint64_t>(duration_cast<std::chrono::milliseconds>(now - started).count());
}

Counters& Counters::operator+=(const Counters& other) {
  frames_sent += other.frames_sent;
  frames_received += other.frames_received;
  frames_resent += other.frames_resent;
  oversize += other.oversize;
  malformed += other.malformed;
  refused += other.refused;
  stale += other.stale;
  duplicate += other.duplicate;
  out_of_order += other.out_of_order;
  leases_lost += other.leases_lost;
  return *this;
}

void report(const Counters& counters, const Backlog& backlog, wire::StatsBuilder& stats) {
  stats.counter("tempest_link_frames_sent_total", counters.frames_sent);
  stats.counter("tempest_link_frames_received_total", counters.frames_received);
  stats.counter("tempest_link_frames_resent_total", counters.frames_resent);
  stats.counter("tempest_link_oversize_total", counters.oversize);
  stats.counter("tempest_link_malformed_total", counters.malformed);
  stats.counter("tempest_link_refused_total", counters.refused);
  stats.counter("tempest_link_stale_total", counters.stale);
  stats.counter("tempest_link_duplicate_total", counters.duplicate);
  stats.counter("tempest_link_out_of_order_total", counters.out_of_order);
  stats.counter("tempest_link_leases_lost_total", counters.leases_lost);
  stats.gauge("tempest_link_unacked_frames", backlog.frames);
  stats.gauge("tempest_link_unacked_bytes", backlog.bytes);
}

}  // namespace tempest::link
