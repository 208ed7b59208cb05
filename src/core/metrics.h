// The metrics registry: a cell per worker and metric, summed when somebody scrapes.
//
// Only the owning thread writes a cell, so counting is a plain load, add, store (relaxed atomics, no lock prefix); the
// scraping thread reads the cells. Metrics are declared once, at start-up, before workers run:
//
//   registry.counter("tributary_upstream_reuse_total", "Requests sent on a kept connection")
//
// A family is declared with its label names; its children appear when they are first used. Family::with takes a lock: look
// a child up once and keep the reference where the event is frequent.
//
// Every worker thread calls bind_metric_thread(number) once. Threads that did not (offload, writer, main) share cell 0,
// which is counted with atomic adds.
#pragma once

#include <array>
#include <atomic>
#include <chrono>
#include <cstdint>
#include <deque>
#include <functional>
#include <memory>
#include <mutex>
#include <string>
#include <string_view>
#include <vector>

namespace tributary::core {

enum class MetricKind : uint8_t { Counter, Gauge, Histogram };

// Threads are numbered: 0 is everybody who did not bind (atomic adds), 1.. are workers (plain adds).
constexpr int kMaxMetricThreads = 65;
int metric_thread();                   // this thread's number
void bind_metric_thread(int number);   // 1 .. kMaxMetricThreads - 1

// One number with a cell per thread. Counters only grow; a gauge may be counted up on one thread and down on another.
class Cells {
 public:
  void add(int64_t n) {
    const int thread = metric_thread();
    std::atomic<int64_t>& cell = cells_[thread].value;
    if (thread == 0) {
      cell.fetch_add(n, std::memory_order_relaxed);
    } else {
      cell.store(cell.load(std::memory_order_relaxed) + n, std::memory_order_relaxed);
    }
  }
  int64_t sum() const;
  int64_t of_thread(int thread) const { return cells_[thread].value.load(std::memory_order_relaxed); }

 private:
  struct alignas(64) Cell {
    std::atomic<int64_t> value{0};
  };
  std::array<Cell, kMaxMetricThreads> cells_{};
};

class Counter {
 public:
  void add(uint64_t n = 1) { cells_.add(static_cast<int64_t>(n)); }
  uint64_t value() const { return static_cast<uint64_t>(cells_.sum()); }

 private:
  Cells cells_;
};

class Gauge {
 public:
  void add(int64_t n = 1) { cells_.add(n); }
  void sub(int64_t n = 1) { cells_.add(-n); }
  int64_t value() const { return cells_.sum(); }

 private:
  Cells cells_;
};

// Durations in exponential buckets, four a power of two from 16 µs to about 60 s: quantiles are right within 10 %.
class Histogram {
 public:
  static constexpr int kBuckets = 90;
  void observe(std::chrono::nanoseconds duration);

  struct Snapshot {
    std::array<uint64_t, kBuckets> buckets{};  // not cumulative
    uint64_t count = 0;
    double sum = 0;  // seconds
    double quantile(double q) const;  // seconds; 0 when empty
  };
  Snapshot snapshot() const;
  static double upper_bound(int bucket);  // seconds; the last is +inf

 private:
  struct alignas(64) Cell {
    std::array<std::atomic<uint64_t>, kBuckets> buckets{};
    std::atomic<uint64_t> nanoseconds{0};
  };
  Cell* cell();
  std::array<std::atomic<Cell*>, kMaxMetricThreads> cells_{};

 public:
  ~Histogram();
};

// A read-only picture of everything, for /metrics, the JSON API and tests.
struct Sample {
  std::vector<std::string> label_values;
  double value = 0;                 // counters and gauges
  Histogram::Snapshot histogram;    // histograms
};
struct FamilySnapshot {
  std::string name, help;
  MetricKind kind = MetricKind::Counter;
  std::vector<std::string> label_names;
  std::vector<Sample> samples;
};

// Counters, gauges or histograms told apart by labels. A reference stays valid as long as the registry.
template <class Metric>
class Family {
 public:
  Metric& with(std::vector<std::string> label_values);

 private:
  friend class Registry;
  std::mutex mutex_;
  std::deque<std::pair<std::vector<std::string>, std::unique_ptr<Metric>>> children_;
};

class Registry {
 public:
  // References stay valid as long as the registry. Declaring a name twice returns the same metric.
  Counter& counter(std::string name, std::string help);
  Gauge& gauge(std::string name, std::string help);
  Histogram& histogram(std::string name, std::string help);
  Family<Counter>& counters(std::string name, std::string help, std::vector<std::string> labels);
  Family<Gauge>& gauges(std::string name, std::string help, std::vector<std::string> labels);
  Family<Histogram>& histograms(std::string name, std::string help, std::vector<std::string> labels);
  // A value asked for when scraped; must be callable on any thread.
  void gauge_callback(std::string name, std::string help, std::function<double()> read);

  std::vector<FamilySnapshot> snapshot() const;

 private:
  struct Entry;
  template <class Metric>
  Family<Metric>& family(MetricKind kind, std::string name, std::string help, std::vector<std::string> labels);
  mutable std::mutex mutex_;
  std::deque<std::unique_ptr<Entry>> entries_;

 public:
  Registry();
  ~Registry();
};

}  // namespace tributary::core
