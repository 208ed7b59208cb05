// The metrics of the client's side, by the names of the interface. Any thread; counting takes no lock.
//
// tributary_requests_total has more label combinations than can be laid out beforehand: each thread keeps a small table of
// the counters it has met, and only a combination that is new to it takes the registry's lock. The set of
// combinations is bounded: methods beyond the common ones count as "other", unregistered status codes as "2xx" and so on,
// so no peer can make it grow.
#pragma once

#include <array>
#include <atomic>
#include <cstdint>
#include <memory>
#include <string_view>

#include "core/metrics.h"
#include "core/time.h"
#include "http/message.h"
#include "proxy/session.h"

namespace tributary::proxy {

// What the cache did for a request: the label `cache`.
enum class CacheResult : uint8_t { Hit, Miss, Revalidated, Stale, Collapsed, Bypass };
inline constexpr int kCacheResults = 6;
std::string_view cache_result_name(CacheResult result);  // "hit"
std::string_view protocol_name(Protocol protocol);       // "http", "connect", "socks4", "socks5", "unknown"

// Why a client or its request was turned away: the label `reason`.
enum class RejectReason : uint8_t {
  Connections,   // server.max_connections
  Client,        // access.allow_clients, access.deny_clients
  Target,        // hosts and ports
  Address,       // the name resolved to what may not be reached
  Protocol,      // a protocol that this listener does not speak, or that nobody speaks
  Malformed,     // a request that cannot be understood without guessing
  TooLarge,      // head or content over its limit
  Timeout,       // the client was too slow with what it had to send
  Loop,
};
inline constexpr int kRejectReasons = 9;

class Metrics {
 public:
  // Declares everything; the registry outlives this object.
  Metrics(core::Registry& registry, std::string_view version);
  ~Metrics();
  Metrics(const Metrics&) = delete;
  Metrics& operator=(const Metrics&) = delete;

  // A finished request (or a tunnel, when it ends being set up).
  void request(Protocol protocol, http::Method method, uint16_t status, CacheResult cache, core::Duration duration);
  // What went over client connections.
  void client_bytes_in(uint64_t bytes) { received_.add(bytes); }
  void client_bytes_out(uint64_t bytes) { sent_.add(bytes); }
  void rejected(RejectReason reason) { rejected_[static_cast<size_t>(reason)]->add(); }

  // The connection's protocol became known (proxy/worker.h counts the sessions themselves).
  void connection_detected(Protocol protocol) { connections_total_[index(protocol)]->add(); }
  core::Gauge& connections(Protocol protocol) { return *connections_[index(protocol)]; }
  core::Gauge& tunnels(Protocol protocol) { return *tunnels_[index(protocol)]; }

 private:
  struct Table;
  static size_t index(Protocol protocol) { return static_cast<size_t>(protocol); }
  core::Counter& request_counter(Protocol protocol, http::Method method, uint16_t status, CacheResult cache);
  core::Counter& look_up(uint32_t key, uint16_t status);

  static constexpr int kProtocols = 5;
  core::Family<core::Counter>& requests_;
  core::Counter& received_;
  core::Counter& sent_;
  std::array<core::Counter*, kProtocols> connections_total_{};
  std::array<core::Gauge*, kProtocols> connections_{};
  std::array<core::Gauge*, kProtocols> tunnels_{};
  std::array<core::Counter*, kRejectReasons> rejected_{};
  std::array<core::Histogram*, kCacheResults> durations_{};
  std::array<std::unique_ptr<Table>, core::kMaxMetricThreads> tables_;  // each made and used by its thread alone
};

}  // namespace tributary::proxy
