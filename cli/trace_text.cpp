// How a traced message is shown: to people, and to programs.

#include <algorithm>
#include <cstdio>
#include <nlohmann/json.hpp>
#include <set>

#include "cli/dead_letter_options.hpp"
#include "cli/trace_view.hpp"
#include "tempest/base/safe_text.hpp"
#include "tempest/builtin/json_text.hpp"

namespace tempest::cli {
namespace {

using Json = nlohmann::ordered_json;
using Kind = wire::Sighting::Kind;
using Next = wire::Sighting::Next;

constexpr std::size_t kShownReasonBytes = 200;

std::string time_text(std::uint64_t us) {
  char text[32];
  if (us < 1'000) {
    std::snprintf(text, sizeof text, "%llu us", static_cast<unsigned long long>(us));
  } else if (us < 1'000'000) {
    std::snprintf(text, sizeof text, "%.1f ms", static_cast<double>(us) / 1e3);
  } else {
    std::snprintf(text, sizeof text, "%.2f s", static_cast<double>(us) / 1e6);
  }
  return text;
}

double seconds(std::uint64_t us) {
  return static_cast<double>(us) / 1e6;
}

std::uint64_t since_us(TimePoint from, TimePoint now) {
  return static_cast<std::uint64_t>(
      std::chrono::duration_cast<std::chrono::microseconds>(now - from).count());
}

std::string padded(std::string text, std::size_t width) {
  if (text.size() < width) text.append(width - text.size(), ' ');
  return text;
}

std::string right(std::string text, std::size_t width) {
  return text.size() < width ? std::string(width - text.size(), ' ') + text : text;
}

std::string next_text(const wire::Sighting& sighting) {
  switch (sighting.next) {
    case Next::again:
      return "; again in " + time_text(sighting.again_us);
    case Next::give_up:
      return "; given up";
    case Next::go_on:
      return "; the rest goes on";
    case Next::dead_letter:
      return "; becomes a dead letter";
    case Next::ack:
      return "; acked all the same";
    case Next::leave:
      return "; left unacked";
    case Next::none:
      break;
  }
  return {};
}

/// Attempts of deliveries that have an end among the steps.
std::set<std::pair<std::string, std::uint64_t>> answered(const TracedMessage& message) {
  std::set<std::pair<std::string, std::uint64_t>> ids;
  for (const TraceStep& step : message.steps) {
    const Kind kind = step.sighting.kind;
    if (kind > Kind::handed_out && kind <= Kind::returned) {
      ids.insert({step.node, step.sighting.delivery});
    }
  }
  return ids;
}

const char* outcome_of(Kind kind) {
  switch (kind) {
    case Kind::done:
      return "done";
    case Kind::error:
      return "error";
    case Kind::task_timeout:
      return "timeout";
    case Kind::worker_lost:
      return "worker lost";
    case Kind::returned:
      return "came back";
    default:
      return "no answer yet";
  }
}

std::string hop_end(const wire::Sighting& hop) {
  if (hop.kind == Kind::done) {
    return "done, " + std::to_string(hop.count) + (hop.count == 1 ? " output" : " outputs");
  }
  return std::string(outcome_of(hop.kind)) + ": " + safe_text(hop.text, kShownReasonBytes) +
         next_text(hop);
}

struct Widths {
  std::size_t task = 0;
  std::size_t worker = 0;
};

std::string hop_line(const TraceStep& step, const Widths& widths, TimePoint now) {
  const wire::Sighting& hop = step.sighting;
  // On its way, and in line at its worker, it waited as well.
  const std::uint64_t waited_us =
      hop.waited_us +
      (hop.handled_us > 0 && hop.out_us > hop.handled_us ? hop.out_us - hop.handled_us : 0);
  std::string line = padded(hop.task, widths.task) + "  attempt " + std::to_string(hop.attempt) +
                     "  " + padded(hop.peer, widths.worker) + "  waited " +
                     right(time_text(waited_us), 8);
  if (hop.kind == Kind::handed_out) {
    return line + "  no answer yet, after " + time_text(since_us(step.heard_at, now));
  }
  const bool is_known = hop.handled_us > 0;
  line += is_known ? "  took " : "  out  ";
  line += right(time_text(is_known ? hop.handled_us : hop.out_us), 8);
  return line + "  " + hop_end(hop);
}

std::string source_line(const wire::Sighting& said) {
  switch (said.kind) {
    case Kind::sent:
      return "sent to " + said.peer;
    case Kind::taken_back:
      return "taken back from " + said.peer + ": " + said.text;
    case Kind::dead_letter:
      return "its dead letter is written";
    case Kind::failed: {
      std::string line = std::string("failed: ") + wire::to_string(said.failure);
      if (!said.task.empty()) line += " at " + said.task;
      if (!said.peer.empty()) line += " on " + said.peer;
      return line + ": " + safe_text(said.text, kShownReasonBytes) + next_text(said);
    }
    default:
      return {};
  }
}

/// How it ended and when; `at_us`: when something was last heard, if it has not.
std::pair<std::string, std::uint64_t> end_of(const TracedMessage& message, TimePoint now) {
  bool has_letter = false;
  for (const TraceStep& step : message.steps) {
    has_letter = has_letter || step.sighting.kind == Kind::dead_letter;
    if (step.sighting.kind == Kind::left) return {"left unacked", step.sighting.at_us};
    if (step.sighting.kind == Kind::acked) {
      return {has_letter ? "dead letter" : "acked", step.sighting.at_us};
    }
  }
  return {"unfinished", message.read.at_us + since_us(message.first_heard_at, now)};
}

Json hop_json(const TraceStep& step, std::uint64_t at_us) {
  const wire::Sighting& hop = step.sighting;
  Json json{{"at_seconds", seconds(at_us)},
            {"task", hop.task},
            {"attempt", hop.attempt},
            {"worker", hop.peer},
            {"coordinator", step.node},
            {"outcome", outcome_of(hop.kind)},
            {"waited_seconds", seconds(hop.waited_us)}};
  if (hop.kind != Kind::handed_out) json["out_seconds"] = seconds(hop.out_us);
  if (hop.handled_us > 0) json["handled_seconds"] = seconds(hop.handled_us);
  if (hop.kind == Kind::done) json["outputs"] = hop.count;
  if (!hop.text.empty()) json["reason"] = hop.text;
  if (hop.next == Next::again) json["again_seconds"] = seconds(hop.again_us);
  if (hop.next == Next::give_up) json["given_up"] = true;
  return json;
}

Json source_json(const TraceStep& step, std::uint64_t at_us) {
  const wire::Sighting& said = step.sighting;
  Json json{{"at_seconds", seconds(at_us)}};
  const auto put_failure = [&](const char* what) {
    json["what"] = what;
    json["kind"] = wire::to_string(said.failure);
    json["task"] = said.task;
    json["worker"] = said.peer;
    json["reason"] = said.text;
  };
  switch (said.kind) {
    case Kind::sent:
      json["what"] = "sent";
      json["coordinator"] = said.peer;
      break;
    case Kind::taken_back:
      json["what"] = "taken back";
      json["coordinator"] = said.peer;
      json["reason"] = said.text;
      break;
    case Kind::failed:
      put_failure("failed");
      if (said.next == Next::again) json["again_seconds"] = seconds(said.again_us);
      break;
    case Kind::tree_failed:
      put_failure("tree failed");
      break;
    case Kind::tree_done:
      json["what"] = "tree done";
      break;
    case Kind::dead_letter:
      json["what"] = "dead letter";
      break;
    case Kind::left:
      json["what"] = "left";
      break;
    default:
      json["what"] = "acked";
  }
  return json;
}

bool is_hop(Kind kind) {
  return kind >= Kind::handed_out && kind <= Kind::returned;
}

}  // namespace

std::string trace_text(const TracedMessage& message, TimePoint now) {
  const auto [end, at_us] = end_of(message, now);
  std::string text = "message " + std::to_string(message.number) + " of " + message.source;
  if (!message.read.text.empty()) text += " (" + safe_text(message.read.text) + ")";
  text += ": " + end + " after " + time_text(at_us) + "\n";
  Widths widths;
  for (const TraceStep& step : message.steps) {
    if (!is_hop(step.sighting.kind)) continue;
    widths.task = std::max(widths.task, step.sighting.task.size());
    widths.worker = std::max(widths.worker, step.sighting.peer.size());
  }
  const auto ids = answered(message);
  for (const auto& [offset_us, step] : in_order(message)) {
    const wire::Sighting& said = step->sighting;
    if (said.kind == Kind::handed_out && ids.contains({step->node, said.delivery})) continue;
    const std::string line = is_hop(said.kind) ? hop_line(*step, widths, now) : source_line(said);
    if (!line.empty()) text += "  " + right(time_text(offset_us), 9) + "  " + line + "\n";
  }
  return text;
}

std::string trace_json(const TracedMessage& message, const std::string& topology, TimePoint now) {
  const auto [end, at_us] = end_of(message, now);
  Json json{{"topology", topology},     {"message", message.number},
            {"source", message.source}, {"name", message.read.text},
            {"outcome", end},           {"seconds", seconds(at_us)}};
  const auto put = [&json](const char* name, const std::string& bytes) {
    auto field = builtin::json_text(name, bytes);
    json[field.name] = std::move(field.text);
  };
  put("key", message.read.key);
  put("payload", message.read.payload);
  json["payload_bytes"] = message.read.payload_bytes;
  json["hops"] = Json::array();
  json["events"] = Json::array();
  const auto ids = answered(message);
  for (const auto& [offset_us, step] : in_order(message)) {
    const wire::Sighting& said = step->sighting;
    if (said.kind == Kind::handed_out && ids.contains({step->node, said.delivery})) continue;
    if (is_hop(said.kind)) {
      json["hops"].push_back(hop_json(*step, offset_us));
    } else {
      json["events"].push_back(source_json(*step, offset_us));
    }
  }
  return json.dump(-1, ' ', false, Json::error_handler_t::replace);
}

}  // namespace tempest::cli
