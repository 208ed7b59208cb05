#include "proxy/metrics.h"

#include <mutex>
#include <string>

namespace tributary::proxy {
namespace {

constexpr std::array<std::string_view, kCacheResults> kCacheNames = {
    "hit", "miss", "revalidated", "stale", "collapsed", "bypass"};
constexpr std::array<std::string_view, 5> kProtocolNames = {"unknown", "http", "connect", "socks4",
                                                            "socks5"};
constexpr std::array<std::string_view, kRejectReasons> kRejectNames = {
    "connections", "client", "target", "address", "protocol", "malformed", "too_large", "timeout", "loop"};

http::Method common(http::Method method) {
  return method <= http::Method::Patch ? method : http::Method::Other;
}
static_assert(static_cast<int>(http::Method::Patch) == 9, "GET to PATCH come first in the table");

// The code itself where it is registered, else the first digit alone.
uint16_t counted_status(uint16_t status) {
  if (!http::reason_phrase(status).empty()) return status;
  return static_cast<uint16_t>(status >= 100 && status < 600 ? status / 100 : 0);
}

std::string status_label(uint16_t counted) {
  return counted < 10 ? std::to_string(counted) + "xx" : std::to_string(counted);
}

}  // namespace

std::string_view cache_result_name(CacheResult result) {
  return kCacheNames[static_cast<size_t>(result)];
}

std::string_view protocol_name(Protocol protocol) {
  return kProtocolNames[static_cast<size_t>(protocol)];
}

// Open addressing, linear probing; what does not fit any more takes the slow way. Key 0 is an empty place.
struct Metrics::Table {
  static constexpr size_t kPlaces = 512;
  struct Place {
    uint32_t key = 0;
    core::Counter* counter = nullptr;
  };
  std::array<Place, kPlaces> places{};
  size_t used = 0;

  Place& find(uint32_t key) {
    size_t i = (key * 0x9e3779b1u) >> 23;
    while (places[i].key != 0 && places[i].key != key) i = (i + 1) % kPlaces;
    return places[i];
  }
};

Metrics::Metrics(core::Registry& registry, std::string_view version)
    : requests_(registry.counters("tributary_requests_total", "Requests answered",
                                  {"protocol", "method", "status", "cache"})),
      received_(registry
                    .counters("tributary_client_bytes_total", "Bytes over client connections",
                              {"direction"})
                    .with({"received"})),
      sent_(registry.counters("tributary_client_bytes_total", "Bytes over client connections",
                              {"direction"})
                .with({"sent"})) {
  registry.gauges("tributary_build_info", "Always 1; the version is in the label", {"version"})
      .with({std::string(version)})
      .add(1);
  auto& total = registry.counters("tributary_client_connections_total",
                                  "Client connections by what they turned out to speak", {"protocol"});
  auto& open = registry.gauges("tributary_client_connections", "Client connections now", {"protocol"});
  auto& tunnels = registry.gauges("tributary_tunnels", "Tunnels now", {"protocol"});
  for (size_t i = 0; i < kProtocols; ++i) {
    const std::string name(kProtocolNames[i]);
    connections_total_[i] = &total.with({name});
    connections_[i] = &open.with({name});
    tunnels_[i] = &tunnels.with({name});
  }
  auto& rejected = registry.counters("tributary_rejected_total", "Clients and requests turned away", {"reason"});
  for (size_t i = 0; i < kRejectReasons; ++i) {
    rejected_[i] = &rejected.with({std::string(kRejectNames[i])});
  }
  auto& durations = registry.histograms("tributary_request_duration_seconds",
                                        "From the request's first byte to the response's last", {"cache"});
  for (size_t i = 0; i < kCacheResults; ++i) {
    durations_[i] = &durations.with({std::string(kCacheNames[i])});
  }
}

Metrics::~Metrics() = default;

void Metrics::request(Protocol protocol, http::Method method, uint16_t status, CacheResult cache,
                      core::Duration duration) {
  request_counter(protocol, method, status, cache).add();
  durations_[static_cast<size_t>(cache)]->observe(duration);
}

core::Counter& Metrics::request_counter(Protocol protocol, http::Method method, uint16_t status,
                                        CacheResult cache) {
  // The exact status in the key, so that the hot path need not ask whether it is registered. The top bit makes it non-zero.
  const uint32_t key = uint32_t{1} << 31 | static_cast<uint32_t>(protocol) << 24 |
                       static_cast<uint32_t>(common(method)) << 19 | static_cast<uint32_t>(cache) << 16 | status;
  const int thread = core::metric_thread();
  if (thread == 0) return look_up(key, status);  // threads that are no workers share this number
  std::unique_ptr<Table>& table = tables_[static_cast<size_t>(thread)];
  if (!table) table = std::make_unique<Table>();
  Table::Place& place = table->find(key);
  if (place.key == key) return *place.counter;
  core::Counter& counter = look_up(key, status);
  if (table->used < Table::kPlaces * 3 / 4) {
    place = {key, &counter};
    ++table->used;
  }
  return counter;
}

core::Counter& Metrics::look_up(uint32_t key, uint16_t status) {
  const http::Method method = static_cast<http::Method>(key >> 19 & 31);
  const std::string_view method_name = http::method_text(method);
  return requests_.with({std::string(kProtocolNames[key >> 24 & 127]),
                         std::string(method_name.empty() ? "other" : method_name),
                         status_label(counted_status(status)), std::string(kCacheNames[key >> 16 & 7])});
}

}  // namespace tributary::proxy
