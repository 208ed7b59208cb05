#include <prometheus/metric_family.h>
#include <prometheus/text_serializer.h>

#include <cmath>

#include "admin/exposition.h"

namespace tributary::admin {
namespace {

// One le for each power of two: the registry's four would make a scrape four times as long and
// dashboards no better.
constexpr int kBucketStep = 4;

prometheus::MetricType type_of(core::MetricKind kind) {
  switch (kind) {
    case core::MetricKind::Counter:
      return prometheus::MetricType::Counter;
    case core::MetricKind::Gauge:
      return prometheus::MetricType::Gauge;
    case core::MetricKind::Histogram:
      return prometheus::MetricType::Histogram;
  }
  return prometheus::MetricType::Untyped;
}

prometheus::ClientMetric::Histogram reduced(const core::Histogram::Snapshot& snapshot) {
  prometheus::ClientMetric::Histogram histogram;
  histogram.sample_count = snapshot.count;
  histogram.sample_sum = snapshot.sum;
  uint64_t cumulative = 0;
  for (int i = 0; i < core::Histogram::kBuckets; ++i) {
    cumulative += snapshot.buckets[static_cast<size_t>(i)];
    const double bound = core::Histogram::upper_bound(i);
    if (std::isinf(bound)) break;
    if (i % kBucketStep == 0) histogram.bucket.push_back({cumulative, bound});
  }
  histogram.bucket.push_back({snapshot.count, INFINITY});
  return histogram;
}

prometheus::MetricFamily family_of(const core::FamilySnapshot& from) {
  prometheus::MetricFamily family{from.name, from.help, type_of(from.kind), {}};
  for (const core::Sample& sample : from.samples) {
    prometheus::ClientMetric metric;
    for (size_t i = 0; i < from.label_names.size() && i < sample.label_values.size(); ++i) {
      metric.label.push_back({from.label_names[i], sample.label_values[i]});
    }
    metric.counter.value = metric.gauge.value = sample.value;
    if (from.kind == core::MetricKind::Histogram) metric.histogram = reduced(sample.histogram);
    family.metric.push_back(std::move(metric));
  }
  return family;
}

void add_process(const ProcessMetrics& process, std::vector<prometheus::MetricFamily>& families) {
  const auto add = [&](const char* name, const char* help, core::MetricKind kind, double value) {
    core::FamilySnapshot family{name, help, kind, {}, {}};
    family.samples.push_back({{}, value, {}});
    families.push_back(family_of(family));
  };
  add("process_cpu_seconds_total", "User and system CPU time spent", core::MetricKind::Counter,
      process.cpu_seconds);
  add("process_resident_memory_bytes", "Resident memory", core::MetricKind::Gauge,
      process.resident_bytes);
  add("process_virtual_memory_bytes", "Virtual memory", core::MetricKind::Gauge,
      process.virtual_bytes);
  add("process_open_fds", "Open file descriptors", core::MetricKind::Gauge, process.open_fds);
  add("process_max_fds", "Limit of open file descriptors", core::MetricKind::Gauge,
      process.max_fds);
  add("process_start_time_seconds", "Start of the process since 1970-01-01 UTC",
      core::MetricKind::Gauge, process.start_time);
}

}  // namespace

std::string prometheus_text(const std::vector<core::FamilySnapshot>& families,
                            const std::optional<ProcessMetrics>& process) {
  std::vector<prometheus::MetricFamily> converted;
  for (const core::FamilySnapshot& family : families) converted.push_back(family_of(family));
  if (process) add_process(*process, converted);
  return prometheus::TextSerializer().prometheus::Serializer::Serialize(converted);
}

}  // namespace tributary::admin
