#include <cmath>
#include <nlohmann/json.hpp>

#include "admin/exposition.h"

namespace tributary::admin {
namespace {

using Json = nlohmann::ordered_json;

// Where each metric stands in the document. With a label: an object with a member for each of its
// values, summed over the other labels; without: the sum of all.
struct Row {
  const char *section, *name, *metric, *label;
};
constexpr Row kRows[] = {
    {"clients", "connections", "tributary_client_connections", ""},
    {"clients", "connections_by_protocol", "tributary_client_connections", "protocol"},
    {"clients", "connections_total", "tributary_client_connections_total", ""},
    {"clients", "bytes", "tributary_client_bytes_total", "direction"},
    {"clients", "rejected", "tributary_rejected_total", "reason"},
    {"requests", "total", "tributary_requests_total", ""},
    {"requests", "by_cache", "tributary_requests_total", "cache"},
    {"requests", "by_status", "tributary_requests_total", "status"},
    {"requests", "duration_seconds", "tributary_request_duration_seconds", "cache"},
    {"tunnels", "open", "tributary_tunnels", ""},
    {"tunnels", "by_protocol", "tributary_tunnels", "protocol"},
    {"upstream", "connections", "tributary_upstream_connections", "state"},
    {"upstream", "connects", "tributary_upstream_connects_total", "result"},
    {"upstream", "reuse", "tributary_upstream_reuse_total", ""},
    {"upstream", "retries", "tributary_upstream_retries_total", ""},
    {"upstream", "bytes", "tributary_upstream_bytes_total", "direction"},
    {"upstream", "request_duration_seconds", "tributary_upstream_request_duration_seconds", ""},
    {"dns", "queries", "tributary_dns_queries_total", "result"},
    {"dns", "cache", "tributary_dns_cache_total", "result"},
    {"dns", "query_duration_seconds", "tributary_dns_query_duration_seconds", ""},
    {"cache", "objects", "tributary_cache_objects", ""},
    {"cache", "bytes", "tributary_cache_bytes", ""},
    {"cache", "size_bytes", "tributary_cache_size_bytes", ""},
    {"cache", "evictions", "tributary_cache_evictions_total", ""},
    {"cache", "stored_bytes", "tributary_cache_stored_bytes_total", ""},
    {"cache", "saved_bytes", "tributary_cache_saved_bytes_total", ""},
    {"cache", "corrupt", "tributary_cache_corrupt_total", ""},
    {"downloads", "active", "tributary_downloads", ""},
    {"downloads", "connections", "tributary_download_connections", ""},
    {"downloads", "pieces", "tributary_download_pieces_total", "result"},
    {"loop", "lag_seconds", "tributary_loop_lag_seconds", ""},
    {"loop", "offload_queue_depth", "tributary_offload_queue_depth", ""},
};

// The number as JSON shows it best: whole where it is whole.
Json number(double value) {
  constexpr double kExact = 9007199254740992.0;  // 2^53
  if (std::abs(value) <= kExact && value == std::trunc(value)) return static_cast<int64_t>(value);
  return value;
}

void add(core::Histogram::Snapshot& total, const core::Histogram::Snapshot& part) {
  for (size_t i = 0; i < total.buckets.size(); ++i) total.buckets[i] += part.buckets[i];
  total.count += part.count;
  total.sum += part.sum;
}

Json distribution(const core::Histogram::Snapshot& snapshot) {
  return {{"count", snapshot.count},
          {"mean", snapshot.count ? snapshot.sum / static_cast<double>(snapshot.count) : 0.0},
          {"p50", snapshot.quantile(0.5)},
          {"p90", snapshot.quantile(0.9)},
          {"p99", snapshot.quantile(0.99)},
          {"p999", snapshot.quantile(0.999)}};
}

// The samples of a family, summed for each value of a label ("" for all of them together).
class Summed {
 public:
  Summed(const core::FamilySnapshot& family, std::string_view label) : kind_(family.kind) {
    size_t at = 0;
    while (at < family.label_names.size() && family.label_names[at] != label) ++at;
    for (const core::Sample& sample : family.samples) {
      Group& group =
          group_of(at < sample.label_values.size() ? sample.label_values[at] : std::string());
      group.value += sample.value;
      add(group.histogram, sample.histogram);
    }
  }

  Json json(bool by_label) const {
    if (!by_label) return groups_.empty() ? shown({}) : shown(groups_.front());
    Json object = Json::object();
    for (const Group& group : groups_) object[group.name] = shown(group);
    return object;
  }

 private:
  struct Group {
    std::string name;
    double value = 0;
    core::Histogram::Snapshot histogram;
  };
  Group& group_of(const std::string& name) {
    for (Group& group : groups_) {
      if (group.name == name) return group;
    }
    return groups_.emplace_back(Group{name, 0, {}});
  }
  Json shown(const Group& group) const {
    return kind_ == core::MetricKind::Histogram ? distribution(group.histogram)
                                                : number(group.value);
  }

  core::MetricKind kind_;
  std::vector<Group> groups_;
};

}  // namespace

std::string stats_json(const std::vector<core::FamilySnapshot>& families,
                       const std::optional<ProcessMetrics>& process, std::string_view version,
                       core::UnixTime started, core::UnixTime now) {
  Json document = {{"version", version}, {"started", started}, {"uptime_seconds", now - started}};
  if (process) {
    document["process"] = {{"cpu_seconds", process->cpu_seconds},
                           {"resident_bytes", number(process->resident_bytes)},
                           {"open_fds", number(process->open_fds)},
                           {"max_fds", number(process->max_fds)}};
  }
  for (const Row& row : kRows) {
    for (const core::FamilySnapshot& family : families) {
      if (family.name != row.metric) continue;
      document[row.section][row.name] = Summed(family, row.label).json(*row.label != '\0');
    }
  }
  // Names of labels may come from peers (a request's method): whatever is not UTF-8 is replaced.
  return document.dump(2, ' ', false, Json::error_handler_t::replace) + "\n";
}

}  // namespace tributary::admin
