#include "scenario.hpp"

#include <algorithm>
#include <cstdlib>
#include <iostream>
#include <sstream>

#include "tempest/runtime/topology_file.hpp"

namespace tempest::sim {

namespace {

std::string milliseconds_text(Duration duration) {
  return "\"" + std::to_string(std::chrono::duration_cast<milliseconds>(duration).count()) + "ms\"";
}

}  // namespace

const char* to_string(FaultKind kind) {
  constexpr const char* kNames[kFaultKinds] = {
      "crash",   "pause",      "stop",        "one-way",   "two-way",     "reconnect", "replay",
      "garbage", "redis away", "redis start", "redis cut", "new version", "scale"};
  return kNames[static_cast<std::size_t>(kind)];
}

// Random's state is counted up: seeds in a row would draw the same numbers, one apart.
Scenario::Scenario(std::uint64_t number) : seed(number), random(Random(number).next()) {
  // Not drawn, so that other seeds stay what they were.
  is_watched = seed % 16 == 5;
  keeps_key_order = chance(0.2);
  is_calm = chance(0.05);
  loses_workers_to_messages_only = !keeps_key_order && !is_calm && chance(0.15);
  hangs_in_batches = seed % 5 == 3 && !is_calm;
  stands_at_work = seed % 10 == 4 && !is_calm;
  keeps_letters_away = seed % 6 == 1 && !is_calm && !keeps_key_order;
  draw_topology();
  draw_failure();
  draw_deployment();
  draw_load();
  draw_faults();
  fuses = chance(0.5);
  handles_failures = !keeps_key_order && chance(0.2);
  if (handles_failures) text_ += "handler = { uses = \"sim:Again\" }\n";

  std::vector<runtime::Diagnostic> diagnostics;
  auto parsed =
      runtime::parse_topology(topology_text(0), "seed " + std::to_string(seed), diagnostics);
  if (!parsed) {
    std::cerr << text_ << "\n" << runtime::joined(diagnostics) << "\n";
    std::abort();
  }
  topology = std::move(*parsed);
  choose_lasting_faults();
  keeps_key_order = keeps_key_order && is_keyed_root_ && sources == 1 && coordinators == 1;
}

/// Nothing of it is drawn, so that other seeds stay what they were.
void Scenario::choose_lasting_faults() {
  if (loses_workers_to_messages_only) return;
  const auto late = static_cast<unsigned>(20 + seed % 40);
  const bool has_keyed =
      std::any_of(topology.tasks.begin(), topology.tasks.end(), [](const TaskDefinition& task) {
        return task.grouping == dag::Grouping::key && task.uses != "sink";
      });
  if (seed % 7 == 3) {
    constexpr LastingCut kCuts[] = {LastingCut::from_brokers, LastingCut::from_coordinators,
                                    LastingCut::from_one_coordinator};
    lasting_cut = kCuts[seed / 7 % 3];
    cut_worker = workers - 1;
    // Somebody else must be able to do its work.
    if (lasting_cut != LastingCut::from_brokers && workers == 1) lasting_cut = LastingCut::none;
    if (lasting_cut != LastingCut::none) late_messages = std::max(late_messages, late);
  }
  if (seed % 7 == 5 && has_keyed && workers > 1 && !handles_failures) {
    hangs_while_slots_move = true;
    late_messages = std::max(late_messages, late);
    coordinators = std::max(coordinators, 2U);
    keys = std::max(keys, 8U);
  }
  // So many at once that tasks have to share what workers take.
  if (seed % 7 == 1 && topology.graph.roots().size() > 1) late_messages = 300;
}

Duration Scenario::between(Duration least, Duration most) {
  const auto span = static_cast<std::uint64_t>((most - least).count());
  return least + Duration(static_cast<Duration::rep>(random.below(span + 1)));
}

std::string Scenario::topology_text(unsigned version) const {
  return "# version " + std::to_string(version) + "\n" + text_;
}

void Scenario::draw_topology() {
  const std::uint64_t max_pending = chance(0.4) ? 1 + random.below(10) : 20'000;
  text_ = "name = \"sim\"\n[source]\ntype = \"redis_stream\"\nkey = \"in\"\nfield = \"text\"\n";
  text_ += "key_field = \"key\"\npoll_interval = \"5ms\"\nmax_backoff = \"200ms\"\n";
  text_ += "max_pending = " + std::to_string(keeps_letters_away ? 20'000 : max_pending) + "\n";
  if (keeps_letters_away) text_ += "max_pending_bytes = \"256KiB\"\n";
  text_ += "read_count = " + std::to_string(chance(0.5) ? 1 + random.below(8) : 1000) + "\n";
  if (chance(0.2)) text_ += "ack = \"individual\"\n";
  task_count_ = 1 + random.below(5);
  for (std::size_t i = 0; i < task_count_; ++i) draw_task(i, text_);
}

void Scenario::draw_task(std::size_t index, std::string& text) {
  const auto name_of = [](std::size_t task) {
    return std::string(1, static_cast<char>('a' + task));
  };
  TaskShape& shape = shapes.emplace_back();
  text += "[[task]]\nname = \"" + name_of(index) + "\"\n";

  // Parents come before; a sink has no children.
  std::vector<std::string> after;
  for (std::size_t parent = 0; parent < index; ++parent) {
    if (shapes[parent].is_sink || !chance(0.5)) continue;
    const bool named = chance(0.25);
    after.push_back("\"" + name_of(parent) + (named ? ":late" : "") + "\"");
  }
  // Several roots are the exception; the first task is no sink.
  if (after.empty() && index > 0 && chance(0.7)) after.push_back("\"" + name_of(0) + "\"");
  const bool is_root = after.empty();
  if (!is_root) {
    text += "after = [";
    for (const std::string& input : after) text += input + ", ";
    text += "]\n";
  }
  shape.is_sink = index > 0 && chance(0.35);
  if (shape.is_sink) {
    text += "uses = \"sink\"\nsink = { type = \"redis_stream\", key = \"out." + name_of(index) +
            "\" }\n";
  } else {
    text += "uses = \"sim:Step\"\n";
  }
  const bool is_keyed = chance(is_root && keeps_key_order ? 0.9 : 0.3);
  if (is_keyed) {
    text += "grouping = \"key\"\n";
    if (is_root && !shape.is_sink) is_keyed_root_ = true;
  }
  if (!is_root && !shape.is_sink && chance(0.35)) {
    const bool joins = chance(0.5);
    text += std::string("gather = \"") + (joins && !is_keyed ? "all" : "each") + "\"\n";
  }
  shape.most_outputs = static_cast<unsigned>(1 + random.below(index < 2 ? 3 : 2));
  shape.handle_time = between(std::chrono::microseconds(50), milliseconds(chance(0.2) ? 30 : 4));
  if (!shape.is_sink && chance(0.3)) shape.filtered = 0.2;
  if (keeps_key_order) return;
  if (stands_at_work && !shape.is_sink) {
    shape.handle_time = milliseconds(30);
    text += "timeout = \"700ms\"\n";
  } else if (chance(0.3)) {
    const Duration timeout = between(milliseconds(150), milliseconds(1500));
    text += "timeout = " + milliseconds_text(timeout) + "\n";
    if (chance(0.6)) shape.slow = 0.05;
    shape.slow_time = 2 * timeout;
  } else if (loses_workers_to_messages_only && index == 0 && seed % 2 == 0) {
    // Not drawn, so that other seeds stay what they were: suspects beside what does not come back.
    shape.slow = 0.1;
    shape.slow_time = between(seconds(1), seconds(3));
  }
  // Not drawn, either: calls that take longer than the longest timeout of a message, within batches
  // of quick ones.
  if (hangs_in_batches && !shape.is_sink) {
    shape.handle_time = std::chrono::microseconds(20);
    shape.slow = 0.03;
    shape.slow_time = seconds(25);
  }
  if (shape.is_sink || is_calm) return;
  if (chance(0.3)) shape.flaky = 0.1 + 0.3 * random.fraction();
  if (chance(0.2)) shape.pausing = 0.1;
  if (chance(0.2)) shape.sick = 0.03;
  if (chance(0.1)) shape.throwing = 0.03;
  if (chance(0.2)) shape.bad = 0.03;
  if (loses_workers_to_messages_only && index == 0) shape.lethal = 0.03;
  // Not drawn, either.
  if (keeps_letters_away) shape.bad = 0.3;
}

void Scenario::draw_failure() {
  text_ += "[failure]\n";
  const std::uint64_t choice = keeps_key_order ? 0 : random.below(10);
  const char* policy = choice < 7 ? "retry" : choice < 8 ? "none" : "best_effort";
  text_ += std::string("policy = \"") + policy + "\"\n";
  if (choice >= 8 ? chance(0.6) : keeps_key_order || chance(0.2)) {
    text_ += "timeout = \"0s\"\n";
  } else {
    text_ +=
        "timeout = " + milliseconds_text(between(milliseconds(2000), milliseconds(20'000))) + "\n";
  }
  text_ += "max_attempts = " + std::to_string(1 + random.below(5)) + "\n";
  text_ +=
      "backoff = { initial = " + milliseconds_text(between(milliseconds(1), milliseconds(200))) +
      ", factor = " + (chance(0.2) ? "60.0" : "2.0") + ", max = \"1s\", jitter = 0.2 }\n";
  if (choice < 5 || (keeps_letters_away && choice < 7))
    text_ += "dead_letter = { type = \"redis_stream\", key = \"dead\" }\n";
}

void Scenario::draw_deployment() {
  brokers = chance(0.3) ? 2 : 1;
  sources = !keeps_key_order && chance(0.25) ? 2 : 1;
  coordinators = keeps_key_order ? 1 : static_cast<unsigned>(1 + random.below(3));
  workers = static_cast<unsigned>(1 + random.below(5));
  if (loses_workers_to_messages_only && chance(0.6)) coordinators = 1;
  if (!keeps_key_order && coordinators > 1 && chance(0.6)) {
    spare_coordinators = static_cast<unsigned>(1 + random.below(2));
  }
  if (chance(0.4)) spare_workers = static_cast<unsigned>(1 + random.below(2));
  const bool specialised = chance(0.3);
  for (unsigned worker = 0; worker < workers + spare_workers; ++worker) {
    threads.push_back(static_cast<unsigned>(1 + random.below(3)));
    auto& served = tasks.emplace_back();
    if (!specialised || worker == 0) continue;
    for (std::size_t task = 0; task < task_count_; ++task) {
      if (chance(0.6)) served.push_back(std::string(1, static_cast<char>('a' + task)));
    }
  }
  moves_endpoint = chance(0.5);
  if (chance(0.3)) worker_window_bytes = 50 + random.below(500);
  if (chance(0.4)) source_window = 1 + random.below(20);
  if (chance(0.3)) queue_limits.messages = 1 + random.below(10);
  if (chance(0.1)) queue_limits.bytes = 1 + random.below(500);
  // Not drawn: see above.
  if (seed % 3 == 1) queue_limits.begun_ahead = 1 + seed % 7;
  if (seed % 5 == 2) {
    queue_limits.made_ahead = seed % 11;
    queue_limits.fed_ahead = 1 + seed % 3;
  }
  if (chance(0.2)) min_workers = 1 + random.below(workers);

  link.lease = between(milliseconds(300), milliseconds(3000));
  if (stands_at_work) link.lease = seconds(4);
  link.heartbeat_interval = link.lease / 3;
  link.hello_interval = between(milliseconds(20), milliseconds(100));
  link.ack_delay = between(milliseconds(1), milliseconds(20));
  link.ack_every_frames = chance(0.3) ? 1 + random.below(4) : 32;
  link.resend_initial = between(milliseconds(50), milliseconds(300));
  link.resend_max = link.resend_initial * 4;
  if (chance(0.2)) link.max_unacked_frames = 1 + random.below(4);
  drain_timeout = between(milliseconds(500), milliseconds(8000));
  latency = between(std::chrono::microseconds(20), milliseconds(2));
  jitter = between(Duration(0), milliseconds(chance(0.3) ? 40 : 2));
  drift = chance(0.5) ? 0.02 * random.fraction() : 0;
}

void Scenario::draw_load() {
  messages = static_cast<unsigned>(10 + random.below(chance(0.2) ? 400 : 120));
  if (chance(0.5)) late_messages = static_cast<unsigned>(10 + random.below(60));
  keys = keeps_key_order || chance(0.6) ? static_cast<unsigned>(1 + random.below(12)) : 0;
  fault_phase = between(milliseconds(2000), milliseconds(12'000));
  production = between(milliseconds(100), fault_phase);
}

void Scenario::draw_faults() {
  fault_interval = between(milliseconds(50), milliseconds(1500));
  struck_roles = 0;
  if (is_calm) return;
  for (double& weight : weights) {
    if (chance(0.5)) weight = random.fraction();
  }
  if (stands_at_work) weights[static_cast<std::size_t>(FaultKind::pause)] += 4;
  // What comes of these is little beside crashes: more of them at a time.
  if (chance(0.3)) weights[static_cast<std::size_t>(FaultKind::crash)] += 2;
  const Role roles[] = {Role::broker, Role::source, Role::pipeline, Role::task};
  for (const Role role : roles) {
    if (chance(0.6)) struck_roles |= 1U << static_cast<unsigned>(role);
  }
  weights[static_cast<std::size_t>(FaultKind::new_version)] *= 0.1;
  if (spare_coordinators + spare_workers > 0) {
    weights[static_cast<std::size_t>(FaultKind::scale)] += 0.3;
  }
  is_wild = chance(0.25);
  stutters = chance(0.15);
  if (chance(0.4)) lost_reply = 0.1 * random.fraction();
  if (chance(0.2)) error_reply = 0.05 * random.fraction();
  if (loses_workers_to_messages_only) {
    struck_roles &= ~(1U << static_cast<unsigned>(Role::task));
    for (const FaultKind kind : {FaultKind::one_way, FaultKind::two_way, FaultKind::reconnect,
                                 FaultKind::replay, FaultKind::garbage}) {
      weights[static_cast<std::size_t>(kind)] = 0;
    }
    is_wild = false;
  }
  if (!keeps_key_order) return;
  struck_roles &= ~(1U << static_cast<unsigned>(Role::pipeline));
  weights[static_cast<std::size_t>(FaultKind::new_version)] = 0;
  error_reply = 0;
}

std::string Scenario::describe() const {
  std::ostringstream out;
  const auto in_ms = [](Duration duration) { return static_cast<double>(duration.count()) / 1e6; };
  out << topology_text(0) << "\n"
      << brokers << " brokers, " << sources << " sources, " << coordinators << " coordinators, "
      << workers << " workers; spare: " << spare_coordinators << " coordinators, " << spare_workers
      << " workers; " << messages << " messages and " << late_messages << " late, " << keys
      << " keys\n";
  for (unsigned worker = 0; worker < workers + spare_workers; ++worker) {
    out << "worker-" << worker << ": " << threads[worker] << " threads, serves";
    for (const std::string& task : tasks[worker]) out << " " << task;
    out << (tasks[worker].empty() ? " all\n" : "\n");
  }
  out << (fuses ? "what can be fused is\n" : "nothing is fused\n");
  for (std::size_t task = 0; task < shapes.size(); ++task) {
    const TaskShape& shape = shapes[task];
    out << static_cast<char>('a' + task) << ": filtered " << shape.filtered << ", sick "
        << shape.sick << ", throwing " << shape.throwing << ", lethal " << shape.lethal << ", bad "
        << shape.bad << ", flaky " << shape.flaky << ", pausing " << shape.pausing << ", slow "
        << shape.slow << ", handles in " << in_ms(shape.handle_time) << " ms\n";
  }
  out << "lease " << in_ms(link.lease) << " ms, unacked frames " << link.max_unacked_frames
      << ", source window " << source_window << ", worker window bytes " << worker_window_bytes
      << ", queue limits " << queue_limits.messages << " " << queue_limits.bytes << ", min workers "
      << min_workers << ", drain timeout " << in_ms(drain_timeout) << " ms\n"
      << (is_calm ? "calm " : "") << (is_wild ? "wild " : "") << (stutters ? "stutters " : "")
      << (keeps_key_order ? "keeps key order " : "")
      << (hangs_while_slots_move ? "a call hangs while slots move " : "")
      << (lasting_cut == LastingCut::none
              ? ""
              : "a line of worker-" + std::to_string(cut_worker) + " stays cut ")
      << "lost replies " << lost_reply << ", error replies " << error_reply << ", drift " << drift
      << "\nfaults:";
  for (std::size_t kind = 0; kind < kFaultKinds; ++kind) {
    if (weights[kind] > 0) {
      out << " " << to_string(static_cast<FaultKind>(kind)) << " " << weights[kind];
    }
  }
  out << "; every " << in_ms(fault_interval) << " ms for " << in_ms(fault_phase) << " ms; roles "
      << struck_roles;
  return out.str();
}

bool Scenario::serves(unsigned worker, const std::string& task) const {
  const auto& served = tasks[worker];
  return served.empty() || std::find(served.begin(), served.end(), task) != served.end();
}

Duration Scenario::settling_time() const {
  // The longest pause, two leases to notice, a last drain and start.
  return 6 * link.lease + drain_timeout + seconds(5);
}

Duration Scenario::drain_bound() const {
  const FailureDefinition& failure = topology.failure;
  const Duration attempt = failure.timeout + failure.backoff.max + seconds(2);
  const std::uint32_t attempts = failure.max_attempts + (handles_failures ? kHandledAttempts : 0);
  return seconds(60) + 10 * link.lease + attempts * attempt * 2;
}

}  // namespace tempest::sim
