// The metrics of this layer, looked up once a worker. Loop-affine.
#pragma once

#include "core/metrics.h"

namespace tributary::upstream {

struct UpstreamMetrics {
  explicit UpstreamMetrics(core::Registry& registry);

  core::Gauge& connecting;
  core::Gauge& active;
  core::Gauge& idle;
  core::Counter& reuse;
  core::Counter& bytes_sent;
  core::Counter& bytes_received;
  core::Histogram& duration;       // from start to the final response head
  core::Counter& stale_retries;
  core::Counter& connect_retries;
  core::Family<core::Counter>& connects;  // {protocol, result}
  core::Counter& connects_http_ok;
  core::Counter& connects_https_ok;
  core::Family<core::Counter>& tls_handshakes;          // {side, version, resumed}
  core::Family<core::Counter>& tls_handshake_failures;  // {side, reason}

  core::Gauge& downloads;
  core::Gauge& download_connections;
  core::Family<core::Counter>& download_pieces;  // {result}
};

}  // namespace tributary::upstream
