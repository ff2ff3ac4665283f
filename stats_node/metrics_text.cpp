#include "stats_node/metrics_text.hpp"

#include <prometheus/metric_family.h>
#include <prometheus/text_serializer.h>

#include <limits>

namespace tempest::stats_node {
namespace {

using Families = std::map<std::string, prometheus::MetricFamily>;
using Labels = std::vector<prometheus::ClientMetric::Label>;

/// A metric of this name and type; null if other nodes report the name as something else.
prometheus::ClientMetric* add_metric(Families& families, const std::string& name,
                                     prometheus::MetricType type) {
  const auto [place, is_new] = families.try_emplace(name);
  prometheus::MetricFamily& family = place->second;
  if (is_new) {
    family.name = name;
    family.type = type;
  }
  if (family.type != type) return nullptr;
  return &family.metric.emplace_back();
}

Labels labels_of(const StatsMachine::NodeKey& key) {
  Labels labels{{"node", key.name}, {"role", to_string(key.role)}};
  if (!key.topology.empty()) labels.push_back({"topology", key.topology});
  return labels;
}

Labels with(Labels labels, const Series& series) {
  for (const auto& [name, value] : series.labels) labels.push_back({name, value});
  return labels;
}

void add_number(Families& families, const std::string& name, Labels labels, double value,
                bool is_counter) {
  using prometheus::MetricType;
  auto* metric = add_metric(families, name, is_counter ? MetricType::Counter : MetricType::Gauge);
  if (metric == nullptr) return;
  metric->label = std::move(labels);
  (is_counter ? metric->counter.value : metric->gauge.value) = value;
}

void add_histogram(Families& families, const std::string& name, Labels labels,
                   const Histogram& histogram) {
  auto* metric = add_metric(families, name, prometheus::MetricType::Histogram);
  if (metric == nullptr) return;
  metric->label = std::move(labels);
  metric->histogram.sample_count = histogram.count();
  metric->histogram.sample_sum = static_cast<double>(histogram.sum_ns()) / 1e9;
  std::uint64_t cumulative = 0;
  for (std::size_t i = 0; i < Histogram::kBuckets; ++i) {
    cumulative += histogram.buckets()[i];
    const bool last = i + 1 == Histogram::kBuckets;
    const double bound = last ? std::numeric_limits<double>::infinity()
                              : std::chrono::duration<double>(Histogram::upper_bound(i)).count();
    metric->histogram.bucket.push_back({cumulative, bound});
  }
}

}  // namespace

std::string metrics_text(const StatsMachine& machine, const std::string& version, TimePoint now) {
  Families families;
  add_number(families, "tempest_build_info", {{"version", version}}, 1, false);
  for (const auto& [key, report] : machine.live_nodes(now)) {
    const Labels labels = labels_of(*key);
    add_number(families, "tempest_node_uptime_seconds", labels,
               static_cast<double>(report->uptime_ms) / 1000.0, false);
    if (report->left_out > 0) {
      add_number(families, "tempest_node_series_left_out", labels,
                 static_cast<double>(report->left_out), false);
    }
    for (const auto& [series, number] : report->numbers) {
      add_number(families, series.name, with(labels, series), number.value, number.is_counter);
    }
    for (const auto& [series, histogram] : report->distributions) {
      add_histogram(families, series.name, with(labels, series), histogram);
    }
  }
  std::vector<prometheus::MetricFamily> list;
  list.reserve(families.size());
  for (auto& [name, family] : families) list.push_back(std::move(family));
  return prometheus::TextSerializer().Serialize(list);
}

}  // namespace tempest::stats_node
