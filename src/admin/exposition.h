// The metrics registry as Prometheus text and as the JSON document of /api/v1/stats. Pure but for
// process_metrics().
#pragma once

#include <optional>
#include <string>
#include <vector>

#include "core/metrics.h"
#include "core/time.h"

namespace tributary::admin {

// process_* of this process, by the names that Prometheus' own client libraries use. Read from
// /proc, see server.h.
struct ProcessMetrics {
  double cpu_seconds = 0;
  double resident_bytes = 0, virtual_bytes = 0;
  double open_fds = 0, max_fds = 0;
  double start_time = 0;  // seconds since 1970
};
std::optional<ProcessMetrics> process_metrics();

// Text exposition format 0.0.4.
std::string prometheus_text(const std::vector<core::FamilySnapshot>& families,
                            const std::optional<ProcessMetrics>& process);

// One JSON document of the totals: see docs/admin-api.md.
std::string stats_json(const std::vector<core::FamilySnapshot>& families,
                       const std::optional<ProcessMetrics>& process, std::string_view version,
                       core::UnixTime started, core::UnixTime now);

}  // namespace tributary::admin
