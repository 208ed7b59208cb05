#include "upstream/metrics.h"

namespace tributary::upstream {
namespace {

core::Family<core::Gauge>& connections(core::Registry& registry) {
  return registry.gauges("tributary_upstream_connections", "Connections to origins, by what they do", {"state"});
}
core::Family<core::Counter>& bytes(core::Registry& registry) {
  return registry.counters("tributary_upstream_bytes_total", "Bytes exchanged with origins, heads and framing included",
                           {"direction"});
}
core::Family<core::Counter>& retries(core::Registry& registry) {
  return registry.counters("tributary_upstream_retries_total", "Requests sent again, by what went wrong", {"reason"});
}
core::Family<core::Counter>& connect_results(core::Registry& registry) {
  return registry.counters("tributary_upstream_connects_total", "Connections opened to origins, by outcome",
                           {"protocol", "result"});
}

}  // namespace

UpstreamMetrics::UpstreamMetrics(core::Registry& registry)
    : connecting(connections(registry).with({"connecting"})),
      active(connections(registry).with({"active"})),
      idle(connections(registry).with({"idle"})),
      reuse(registry.counter("tributary_upstream_reuse_total", "Requests sent on a kept connection")),
      bytes_sent(bytes(registry).with({"sent"})),
      bytes_received(bytes(registry).with({"received"})),
      duration(registry.histogram("tributary_upstream_request_duration_seconds",
                                  "From the start of a request to the head of its final response")),
      stale_retries(retries(registry).with({"stale"})),
      connect_retries(retries(registry).with({"connect"})),
      connects(connect_results(registry)),
      connects_http_ok(connects.with({"http", "ok"})),
      connects_https_ok(connects.with({"https", "ok"})),
      tls_handshakes(registry.counters("tributary_tls_handshakes_total", "TLS handshakes that succeeded",
                                       {"side", "version", "resumed"})),
      tls_handshake_failures(registry.counters("tributary_tls_handshake_failures_total",
                                               "TLS handshakes that failed, by reason", {"side", "reason"})),
      downloads(registry.gauge("tributary_downloads", "Downloads under way, split or not")),
      download_connections(
          registry.gauge("tributary_download_connections", "Responses that feed a download at this moment")),
      download_pieces(registry.counters("tributary_download_pieces_total",
                                        "Range requests of split downloads, by outcome", {"result"})) {}

}  // namespace tributary::upstream
