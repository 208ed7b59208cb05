#include "admin/exposition.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <cmath>
#include <map>
#include <nlohmann/json.hpp>
#include <sstream>

namespace tributary::admin {
namespace {

using namespace std::chrono_literals;

// Text format 0.0.4, read back: "name{labels}" -> value, and what HELP and TYPE said of each
// family.
struct Parsed {
  std::map<std::string, double> values;
  std::map<std::string, std::string> types, helps;
};

Parsed parse(const std::string& text) {
  Parsed parsed;
  std::istringstream lines(text);
  for (std::string line; std::getline(lines, line);) {
    std::istringstream words(line);
    if (line.starts_with("# ")) {
      std::string hash, what, name, rest;
      words >> hash >> what >> name;
      std::getline(words >> std::ws, rest);
      (what == "TYPE" ? parsed.types : parsed.helps)[name] = rest;
      continue;
    }
    if (line.empty()) continue;
    const size_t space = line.rfind(' ');
    const std::string value = line.substr(space + 1);
    EXPECT_TRUE(parsed.values.emplace(line.substr(0, space), std::stod(value)).second)
        << "twice: " << line;
  }
  return parsed;
}

TEST(PrometheusText, HasHelpAndTypeForEveryFamily) {
  core::Registry registry;
  registry.counter("tributary_a_total", "Counts a").add(3);
  registry.gauge("tributary_b", "Shows b").sub(2);
  registry.gauge_callback("tributary_c", "Asks for c", [] { return 1.5; });
  registry.histogram("tributary_d_seconds", "Times d").observe(1ms);
  registry.counters("tributary_e_total", "Counts e", {"reason"}).with({"why"}).add();
  const std::vector<core::FamilySnapshot> families = registry.snapshot();
  const Parsed parsed = parse(prometheus_text(families, process_metrics()));
  for (const core::FamilySnapshot& family : families) {
    EXPECT_EQ(parsed.helps.at(family.name), family.help);
    EXPECT_TRUE(parsed.types.contains(family.name)) << family.name;
  }
  EXPECT_EQ(parsed.types.at("tributary_a_total"), "counter");
  EXPECT_EQ(parsed.types.at("tributary_b"), "gauge");
  EXPECT_EQ(parsed.types.at("tributary_d_seconds"), "histogram");
  EXPECT_EQ(parsed.values.at("tributary_a_total"), 3);
  EXPECT_EQ(parsed.values.at("tributary_b"), -2);
  EXPECT_EQ(parsed.values.at("tributary_c"), 1.5);
  EXPECT_EQ(parsed.values.at("tributary_e_total{reason=\"why\"}"), 1);
  for (const char* name : {"process_cpu_seconds_total", "process_resident_memory_bytes",
                           "process_open_fds", "process_max_fds", "process_start_time_seconds"}) {
    EXPECT_TRUE(parsed.types.contains(name) && parsed.helps.contains(name)) << name;
    EXPECT_GE(parsed.values.at(name), 0) << name;
  }
}

TEST(PrometheusText, HistogramsAreCumulativeWithOneBucketForEachPowerOfTwo) {
  core::Registry registry;
  core::Histogram& histogram = registry.histogram("h_seconds", "H");
  histogram.observe(1us);
  histogram.observe(16384ns);
  histogram.observe(1ms);
  histogram.observe(2s);
  histogram.observe(1h);
  const Parsed parsed = parse(prometheus_text(registry.snapshot(), std::nullopt));
  EXPECT_EQ(parsed.values.at("h_seconds_count"), 5);
  EXPECT_NEAR(parsed.values.at("h_seconds_sum"), 3602.001, 0.001);
  EXPECT_EQ(parsed.values.at("h_seconds_bucket{le=\"+Inf\"}"), 5);
  std::map<double, double> buckets;
  for (const auto& [name, value] : parsed.values) {
    const size_t at = name.find("le=\"");
    if (at != std::string::npos && name.find("+Inf") == std::string::npos)
      buckets[std::stod(name.substr(at + 4))] = value;
  }
  EXPECT_THAT(buckets.size(), testing::AllOf(testing::Ge(15u), testing::Le(25u)));
  EXPECT_NEAR(buckets.begin()->first, 16.384e-6, 1e-9);
  EXPECT_EQ(buckets.begin()->second, 2);
  double previous = 0;
  for (const auto& [bound, count] : buckets) {
    EXPECT_GE(count, previous);
    previous = count;
    EXPECT_EQ(count, 2 + (bound >= 1e-3) + (bound >= 2)) << bound;
  }
}

TEST(PrometheusText, EscapesLabelValues) {
  core::Registry registry;
  registry.counters("x_total", "X", {"l"}).with({"a\"b\\c\nd"}).add();
  EXPECT_THAT(prometheus_text(registry.snapshot(), std::nullopt),
              testing::HasSubstr("x_total{l=\"a\\\"b\\\\c\\nd\"} 1"));
}

TEST(ProcessMetrics, AreThoseOfThisProcess) {
  const std::optional<ProcessMetrics> metrics = process_metrics();
  ASSERT_TRUE(metrics);
  EXPECT_GE(metrics->open_fds, 3);
  EXPECT_GE(metrics->max_fds, metrics->open_fds);
  EXPECT_GT(metrics->virtual_bytes, metrics->resident_bytes);
  EXPECT_GT(metrics->start_time, 1.6e9);
}

TEST(Stats, SumOverLabelsAndByLabel) {
  core::Registry registry;
  auto& requests =
      registry.counters("tributary_requests_total", "R", {"protocol", "method", "status", "cache"});
  requests.with({"http", "GET", "200", "hit"}).add(5);
  requests.with({"http", "GET", "404", "miss"}).add(2);
  requests.with({"http", "HEAD", "200", "hit"}).add(1);
  auto& durations = registry.histograms("tributary_request_duration_seconds", "D", {"cache"});
  for (int i = 0; i < 100; ++i) durations.with({"hit"}).observe(1ms);
  auto& lag = registry.histograms("tributary_loop_lag_seconds", "L", {"worker"});
  lag.with({"0"}).observe(1ms);
  lag.with({"1"}).observe(1ms);
  registry.gauge_callback("tributary_cache_bytes", "B", [] { return 1e6; });
  const nlohmann::json document = nlohmann::json::parse(
      stats_json(registry.snapshot(), process_metrics(), "0.1.0", 1000, 1060));
  EXPECT_EQ(document.at("uptime_seconds"), 60);
  EXPECT_EQ(document.at("/requests/total"_json_pointer), 8);
  EXPECT_EQ(document.at("/requests/by_cache/hit"_json_pointer), 6);
  EXPECT_EQ(document.at("/requests/by_status/404"_json_pointer), 2);
  const nlohmann::json& hit = document.at("/requests/duration_seconds/hit"_json_pointer);
  EXPECT_EQ(hit.at("count"), 100);
  EXPECT_NEAR(hit.at("p50").get<double>(), 1e-3, 2e-4);
  EXPECT_NEAR(hit.at("mean").get<double>(), 1e-3, 1e-6);
  EXPECT_EQ(document.at("/loop/lag_seconds/count"_json_pointer), 2);
  EXPECT_EQ(document.at("/cache/bytes"_json_pointer), 1000000);
  EXPECT_GT(document.at("/process/resident_bytes"_json_pointer).get<double>(), 0);
}

TEST(Stats, AreJsonWhateverAPeerPutIntoALabel) {
  core::Registry registry;
  registry.counters("tributary_requests_total", "R", {"cache"}).with({"\xff\"\n"}).add();
  const std::string text = stats_json(registry.snapshot(), std::nullopt, "0", 0, 0);
  EXPECT_TRUE(nlohmann::json::accept(text)) << text;
}

}  // namespace
}  // namespace tributary::admin
