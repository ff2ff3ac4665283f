#include "bench/report.hpp"

#include <algorithm>
#include <cmath>
#include <cstdio>
#include <functional>
#include <nlohmann/json.hpp>

namespace tempest::bench {

namespace {

using Value = std::function<std::optional<double>(const Measured&)>;

const char* name_of(Transport transport) {
  switch (transport) {
    case Transport::tcp:
      return "tcp";
    case Transport::ipc:
      return "ipc";
    case Transport::process:
      return "process";
  }
  return "";
}

std::optional<double> latency(const Measured& run, std::size_t index) {
  if (!run.latency_us) return std::nullopt;
  return (*run.latency_us)[index];
}

/// A figure's name, how it is read off a run, and the ceiling's number it is held against.
struct Column {
  std::string name;
  Value value;
  std::string ceiling;
  double crossings = 1;  ///< How many of the ceiling's make one of ours.
};

std::vector<Column> columns_of(const Settings& settings, const Repeats& repeats) {
  // Source, coordinator, worker, coordinator, worker, coordinator, source; in one worker two less.
  const double crossings = settings.separate ? 2.0 + 2.0 * static_cast<double>(settings.depth) : 4;
  std::vector<Column> columns = {
      {"messages/s", [](const Measured& run) { return run.messages_per_second; },
       "messages_per_second"},
      {"CPU us/message", [](const Measured& run) { return run.cpu_us_per_message; },
       "cpu_us_per_message"},
  };
  for (std::size_t i = 0; i < repeats.runs.front().cpu_us_by_kind.size(); ++i) {
    columns.push_back({"  " + repeats.runs.front().cpu_us_by_kind[i].first,
                       [i](const Measured& run) { return run.cpu_us_by_kind[i].second; },
                       {}});
  }
  columns.push_back({"latency p50 us", [](const Measured& run) { return latency(run, 0); },
                     "crossing_p50_us", crossings});
  columns.push_back({"latency p99 us", [](const Measured& run) { return latency(run, 1); },
                     "crossing_p99_us", crossings});
  columns.push_back({"latency p99.9 us", [](const Measured& run) { return latency(run, 2); }, {}});
  columns.push_back({"latency max us", [](const Measured& run) { return latency(run, 3); }, {}});
  columns.push_back({"messages/frame from source",
                     [](const Measured& run) { return run.messages_per_source_frame; },
                     {}});
  columns.push_back(
      {"frames/message", [](const Measured& run) { return run.frames_per_message; }, {}});
  columns.push_back(
      {"wake-ups/message", [](const Measured& run) { return run.switches_per_message; }, {}});
  columns.push_back(
      {"system calls/message", [](const Measured& run) { return run.syscalls_per_message; }, {}});
  columns.push_back({"in flight", [](const Measured& run) { return run.in_flight; }, {}});
  columns.push_back(
      {"duplicates", [](const Measured& run) { return static_cast<double>(run.duplicates); }, {}});
  return columns;
}

std::string shown(double value) {
  char text[64];
  const double size = std::abs(value);
  const int digits = size >= 1000 || value == std::floor(value) ? 0
                     : size >= 10                               ? 1
                     : size >= 0.1                              ? 3
                                                                : 5;
  std::snprintf(text, sizeof text, "%.*f", digits, value);
  std::string number = text;
  const std::size_t end = number.find('.') == std::string::npos ? number.size() : number.find('.');
  for (std::size_t at = end; at > 3 && number[at - 4] != '-'; at -= 3) number.insert(at - 3, ",");
  return number;
}

std::string range_of(const Spread& spread) {
  return shown(spread.lowest) + " .. " + shown(spread.highest);
}

std::string title_of(const Settings& settings, std::size_t repeats) {
  std::string title = settings.workload + "  " + name_of(settings.transport) + "  " +
                      std::to_string(settings.size_bytes) + " bytes";
  if (settings.depth > 1) title += "  depth " + std::to_string(settings.depth);
  if (settings.fan_out > 1) title += "  fan-out " + std::to_string(settings.fan_out);
  if (settings.rate > 0) title += "  " + std::to_string(settings.rate) + "/s";
  title += settings.separate ? "  a worker for each task"
                             : "  workers " + std::to_string(settings.workers);
  return title + "  repeats " + std::to_string(repeats);
}

}  // namespace

Spread spread_of(std::vector<double> values) {
  if (values.empty()) return {};
  std::sort(values.begin(), values.end());
  const std::size_t middle = values.size() / 2;
  const double median =
      values.size() % 2 == 1 ? values[middle] : (values[middle - 1] + values[middle]) / 2;
  return {median, values.front(), values.back()};
}

std::vector<Figure> figures_of(const Settings& settings, const Repeats& repeats) {
  std::vector<Figure> figures;
  for (const Column& column : columns_of(settings, repeats)) {
    Figure figure;
    figure.name = column.name;
    for (const Measured& run : repeats.runs) {
      if (const auto value = column.value(run)) figure.values.push_back(*value);
    }
    if (figure.values.empty()) continue;
    figure.spread = spread_of(figure.values);
    std::vector<double> bounds;
    for (const CeilingNumbers& numbers : repeats.ceilings) {
      const auto found = numbers.find(column.ceiling);
      if (found != numbers.end()) bounds.push_back(found->second * column.crossings);
    }
    if (!bounds.empty()) {
      figure.ceiling = spread_of(bounds);
      figure.ratio = figure.spread.median / figure.ceiling->median;
    }
    figures.push_back(std::move(figure));
  }
  return figures;
}

std::vector<Figure> figures_of(const std::vector<NamedValues>& repeats) {
  std::vector<Figure> figures;
  for (std::size_t i = 0; i < repeats.front().size(); ++i) {
    Figure figure;
    figure.name = repeats.front()[i].first;
    for (const NamedValues& values : repeats) figure.values.push_back(values[i].second);
    figure.spread = spread_of(figure.values);
    figures.push_back(std::move(figure));
  }
  return figures;
}

void print_table(const Settings& settings, const std::vector<Figure>& figures, std::ostream& out) {
  out << title_of(settings, figures.front().values.size()) << "\n";
  std::vector<std::vector<std::string>> rows = {
      {"", "median", "range", "ceiling", "its range", "ratio"}};
  for (const Figure& figure : figures) {
    std::vector<std::string> row = {
        figure.name, shown(figure.spread.median), range_of(figure.spread), "", "", ""};
    if (figure.ceiling) {
      row[3] = shown(figure.ceiling->median);
      row[4] = range_of(*figure.ceiling);
      row[5] = shown(figure.ratio);
    }
    rows.push_back(std::move(row));
  }
  std::vector<std::size_t> widths(rows.front().size());
  for (const auto& row : rows) {
    for (std::size_t i = 0; i < row.size(); ++i) widths[i] = std::max(widths[i], row[i].size());
  }
  for (const auto& row : rows) {
    std::string line;
    for (std::size_t i = 0; i < row.size(); ++i) {
      const std::string padding(widths[i] - row[i].size(), ' ');
      line += (i == 0 ? row[i] + padding : "  " + padding + row[i]);
    }
    line.erase(line.find_last_not_of(' ') + 1);
    out << line << "\n";
  }
}

void print_json(const Settings& settings, const std::vector<Figure>& figures, std::ostream& out) {
  const auto spread_json = [](const Spread& spread) {
    return nlohmann::ordered_json{
        {"median", spread.median}, {"lowest", spread.lowest}, {"highest", spread.highest}};
  };
  nlohmann::ordered_json object;
  object["workload"] = settings.workload;
  object["transport"] = name_of(settings.transport);
  object["size_bytes"] = settings.size_bytes;
  object["depth"] = settings.depth;
  object["fan_out"] = settings.fan_out;
  object["workers"] = settings.workers;
  object["threads"] = settings.threads;
  object["rate"] = settings.rate;
  object["in_flight_limit"] = settings.in_flight;
  object["separate"] = settings.separate;
  object["repeats"] = figures.front().values.size();
  for (const Figure& figure : figures) {
    const std::size_t first = figure.name.find_first_not_of(' ');
    nlohmann::ordered_json entry = spread_json(figure.spread);
    entry["values"] = figure.values;
    if (figure.ceiling) {
      entry["ceiling"] = spread_json(*figure.ceiling);
      entry["ratio"] = figure.ratio;
    }
    const std::string name = figure.name.substr(first);
    object["figures"][first == 0 ? name : "CPU us/message " + name] = std::move(entry);
  }
  out << object.dump() << std::endl;
}

}  // namespace tempest::bench
