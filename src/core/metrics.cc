#include "core/metrics.h"

#include <algorithm>
#include <bit>
#include <cmath>
#include <map>

namespace tributary::core {
namespace {

thread_local int t_thread = 0;

}  // namespace

int metric_thread() { return t_thread; }
void bind_metric_thread(int number) {
  t_thread = number > 0 && number < kMaxMetricThreads ? number : 0;
}

int64_t Cells::sum() const {
  int64_t total = 0;
  for (const Cell& cell : cells_) total += cell.value.load(std::memory_order_relaxed);
  return total;
}

// Bucket 0 ends at 2^14 ns; then four a power of two.
double Histogram::upper_bound(int bucket) {
  if (bucket >= kBuckets - 1) return INFINITY;
  return std::ldexp(1.0 + (bucket % 4) / 4.0, 14 + bucket / 4) * 1e-9;
}

Histogram::Cell* Histogram::cell() {
  std::atomic<Cell*>& slot = cells_[static_cast<size_t>(metric_thread())];
  Cell* cell = slot.load(std::memory_order_acquire);
  if (cell) return cell;
  auto fresh = std::make_unique<Cell>();
  if (slot.compare_exchange_strong(cell, fresh.get(), std::memory_order_acq_rel)) return fresh.release();
  return cell;
}

void Histogram::observe(std::chrono::nanoseconds duration) {
  const auto ns = static_cast<uint64_t>(std::max<int64_t>(duration.count(), 0));
  int bucket = 0;
  if (ns > (uint64_t{1} << 14)) {
    const uint64_t below = ns - 1;  // upper bounds are inclusive
    const int power = static_cast<int>(std::bit_width(below)) - 1;
    bucket = (power - 14) * 4 + static_cast<int>((below >> (power - 2)) & 3) + 1;
    bucket = std::min(bucket, kBuckets - 1);
  }
  Cell* mine = cell();
  if (metric_thread() == 0) {
    mine->buckets[static_cast<size_t>(bucket)].fetch_add(1, std::memory_order_relaxed);
    mine->nanoseconds.fetch_add(ns, std::memory_order_relaxed);
    return;
  }
  auto bump = [](std::atomic<uint64_t>& value, uint64_t n) {
    value.store(value.load(std::memory_order_relaxed) + n, std::memory_order_relaxed);
  };
  bump(mine->buckets[static_cast<size_t>(bucket)], 1);
  bump(mine->nanoseconds, ns);
}

Histogram::Snapshot Histogram::snapshot() const {
  Snapshot all;
  for (const std::atomic<Cell*>& slot : cells_) {
    const Cell* cell = slot.load(std::memory_order_acquire);
    if (!cell) continue;
    for (size_t i = 0; i < kBuckets; ++i) {
      const uint64_t n = cell->buckets[i].load(std::memory_order_relaxed);
      all.buckets[i] += n;
      all.count += n;
    }
    all.sum += static_cast<double>(cell->nanoseconds.load(std::memory_order_relaxed)) * 1e-9;
  }
  return all;
}

double Histogram::Snapshot::quantile(double q) const {
  if (count == 0) return 0;
  const double rank = q * static_cast<double>(count);
  double seen = 0;
  for (int i = 0; i < kBuckets; ++i) {
    const auto here = static_cast<double>(buckets[static_cast<size_t>(i)]);
    if (here > 0 && seen + here >= rank) {
      const double low = i == 0 ? 0 : upper_bound(i - 1);
      if (i == kBuckets - 1) return low;
      return low + (upper_bound(i) - low) * std::max(0.0, rank - seen) / here;
    }
    seen += here;
  }
  return upper_bound(kBuckets - 2);
}

Histogram::~Histogram() {
  for (std::atomic<Cell*>& slot : cells_) delete slot.load(std::memory_order_acquire);
}

template <class Metric>
Metric& Family<Metric>::with(std::vector<std::string> label_values) {
  std::lock_guard lock(mutex_);
  for (auto& [labels, metric] : children_) {
    if (labels == label_values) return *metric;
  }
  children_.emplace_back(std::move(label_values), std::make_unique<Metric>());
  return *children_.back().second;
}
template class Family<Counter>;
template class Family<Gauge>;
template class Family<Histogram>;

struct Registry::Entry {
  std::string name, help;
  MetricKind kind = MetricKind::Counter;
  std::vector<std::string> labels;
  std::unique_ptr<Family<Counter>> counters;
  std::unique_ptr<Family<Gauge>> gauges;
  std::unique_ptr<Family<Histogram>> histograms;
  std::function<double()> read;
};

Registry::Registry() = default;
Registry::~Registry() = default;

template <class Metric>
Family<Metric>& Registry::family(MetricKind kind, std::string name, std::string help,
                                 std::vector<std::string> labels) {
  auto member = [](Entry& entry) -> std::unique_ptr<Family<Metric>>& {
    if constexpr (std::is_same_v<Metric, Counter>) return entry.counters;
    else if constexpr (std::is_same_v<Metric, Gauge>) return entry.gauges;
    else return entry.histograms;
  };
  std::lock_guard lock(mutex_);
  for (auto& entry : entries_) {
    if (entry->name == name && entry->kind == kind && member(*entry)) return *member(*entry);
  }
  auto entry = std::make_unique<Entry>();
  entry->name = std::move(name);
  entry->help = std::move(help);
  entry->kind = kind;
  entry->labels = std::move(labels);
  member(*entry) = std::make_unique<Family<Metric>>();
  entries_.push_back(std::move(entry));
  return *member(*entries_.back());
}

Counter& Registry::counter(std::string name, std::string help) {
  return counters(std::move(name), std::move(help), {}).with({});
}
Gauge& Registry::gauge(std::string name, std::string help) {
  return gauges(std::move(name), std::move(help), {}).with({});
}
Histogram& Registry::histogram(std::string name, std::string help) {
  return histograms(std::move(name), std::move(help), {}).with({});
}
Family<Counter>& Registry::counters(std::string name, std::string help, std::vector<std::string> labels) {
  return family<Counter>(MetricKind::Counter, std::move(name), std::move(help), std::move(labels));
}
Family<Gauge>& Registry::gauges(std::string name, std::string help, std::vector<std::string> labels) {
  return family<Gauge>(MetricKind::Gauge, std::move(name), std::move(help), std::move(labels));
}
Family<Histogram>& Registry::histograms(std::string name, std::string help,
                                        std::vector<std::string> labels) {
  return family<Histogram>(MetricKind::Histogram, std::move(name), std::move(help), std::move(labels));
}

void Registry::gauge_callback(std::string name, std::string help, std::function<double()> read) {
  auto entry = std::make_unique<Entry>();
  entry->name = std::move(name);
  entry->help = std::move(help);
  entry->kind = MetricKind::Gauge;
  entry->read = std::move(read);
  std::lock_guard lock(mutex_);
  entries_.push_back(std::move(entry));
}

std::vector<FamilySnapshot> Registry::snapshot() const {
  std::vector<FamilySnapshot> families;
  std::lock_guard lock(mutex_);
  families.reserve(entries_.size());
  for (const auto& entry : entries_) {
    FamilySnapshot family{entry->name, entry->help, entry->kind, entry->labels, {}};
    auto collect = [&family](auto& children, auto read) {
      if (!children) return;
      std::lock_guard children_lock(children->mutex_);
      for (const auto& [labels, metric] : children->children_) {
        Sample sample;
        sample.label_values = labels;
        read(sample, *metric);
        family.samples.push_back(std::move(sample));
      }
    };
    collect(entry->counters,
            [](Sample& s, const Counter& m) { s.value = static_cast<double>(m.value()); });
    collect(entry->gauges, [](Sample& s, const Gauge& m) { s.value = static_cast<double>(m.value()); });
    collect(entry->histograms, [](Sample& s, const Histogram& m) { s.histogram = m.snapshot(); });
    if (entry->read) family.samples.push_back(Sample{{}, entry->read(), {}});
    families.push_back(std::move(family));
  }
  return families;
}

}  // namespace tributary::core
