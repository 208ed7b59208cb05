// The configuration in force, as plain data: one struct a section of conf/tributary.toml, one
// member a key.
//
// conf/keys.cc says for every member which key fills it, what it may be and what it means;
// conf/load.h reads the sources. Main copies the sections into the settings structs that the
// components declare: no component sees this type. Immutable after start; any thread may read it.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "core/log.h"
#include "core/time.h"

namespace tributary::conf {

using core::Duration;

// A closed range of ports; "443" is {443, 443}, "*" is {0, 65535}.
struct PortRange {
  uint16_t first = 0, last = 65535;
  bool contains(uint16_t port) const { return first <= port && port <= last; }
  friend bool operator==(const PortRange&, const PortRange&) = default;
};

enum class Prefer : uint8_t { Auto, Ipv4, Ipv6 };
enum class Sync : uint8_t { Batched, Always, Off };
enum class LogFormat : uint8_t { Text, Json };
enum class AccessFormat : uint8_t { Common, Combined, Squid, Json };
enum class TlsVersion : uint8_t { Tls12, Tls13 };
enum class Backend : uint8_t { Epoll };

struct ServerSection {
  uint64_t workers = 0;  // 0: one per core; see worker_count()
  uint64_t offload_threads = 4;
  Backend backend = Backend::Epoll;
  Duration drain_timeout = std::chrono::seconds(30);
  uint64_t max_connections = 50'000;  // of clients, in the whole process
  std::string pid_file;               // empty: none
  friend bool operator==(const ServerSection&, const ServerSection&) = default;
};

struct ListenSection {
  std::string address =
      "127.0.0.1:3128";  // checked: "IP:port", "[IP]:port", ":port" or "unix:/path"
  std::vector<std::string> protocols = {"http", "socks4", "socks5"};
  friend bool operator==(const ListenSection&, const ListenSection&) = default;
};

// Zero means no limit where the key allows it (request).
struct TimeoutSection {
  Duration header = std::chrono::seconds(30);
  Duration idle = std::chrono::seconds(90);
  Duration connect = std::chrono::seconds(10);
  Duration tls = std::chrono::seconds(10);
  Duration first_byte = std::chrono::seconds(60);
  Duration read = std::chrono::seconds(60);
  Duration tunnel_idle = std::chrono::hours(1);
  Duration request = Duration::zero();
  Duration socks = std::chrono::seconds(10);
  Duration dns = std::chrono::seconds(10);
  Duration acquire = std::chrono::seconds(30);
  friend bool operator==(const TimeoutSection&, const TimeoutSection&) = default;
};

struct LimitSection {
  uint64_t header_size = 64 * 1024;  // bytes of a request or response head
  uint64_t header_count = 128;
  uint64_t body_size = 0;                // bytes of a request's content; 0: no limit
  uint64_t requests_per_connection = 0;  // 0: no limit
  friend bool operator==(const LimitSection&, const LimitSection&) = default;
};

struct AccessSection {
  std::vector<std::string> allow_clients = {
      "127.0.0.0/8",    "::1",      "10.0.0.0/8", "172.16.0.0/12", "192.168.0.0/16",
      "169.254.0.0/16", "fc00::/7", "fe80::/10"};  // CIDR
  std::vector<std::string> deny_clients;
  std::vector<std::string>
      allow_hosts;  // empty: all; lower case; exact, ".suffix" or a glob with * and ?
  std::vector<std::string> deny_hosts;
  std::vector<PortRange> allow_ports = {{80, 80}, {443, 443}, {563, 563}, {1024, 65535}};
  std::vector<PortRange> connect_ports = {{443, 443}, {563, 563}};
  bool allow_private = false;
  friend bool operator==(const AccessSection&, const AccessSection&) = default;
};

struct DnsSection {
  std::vector<std::string> servers;       // "IP" or "IP:port"; empty: the system's
  std::string hosts_file = "/etc/hosts";  // empty: none is read
  Duration min_ttl = Duration::zero();
  Duration max_ttl = std::chrono::hours(24);
  Duration negative_ttl = std::chrono::seconds(30);
  uint64_t cache_entries = 10'000;  // per worker
  Prefer prefer = Prefer::Auto;
  friend bool operator==(const DnsSection&, const DnsSection&) = default;
};

struct UpstreamTlsSection {
  std::string ca_file;  // empty: the system's
  bool verify = true;
  TlsVersion min_version = TlsVersion::Tls12;
  friend bool operator==(const UpstreamTlsSection&, const UpstreamTlsSection&) = default;
};

struct UpstreamSection {
  uint64_t max_connections = 4096;
  uint64_t max_connections_per_host = 64;
  uint64_t max_idle_per_host = 64;
  Duration idle_timeout = std::chrono::seconds(60);
  Duration max_age =
      Duration::zero();  // of a connection, before it is not reused any more; 0: no limit
  uint64_t retries = 2;
  UpstreamTlsSection tls;
  friend bool operator==(const UpstreamSection&, const UpstreamSection&) = default;
};

struct AccelerateSection {
  bool enabled = true;
  uint64_t min_size = 8ull << 20;
  uint64_t max_connections = 16;  // for one download
  uint64_t max_connections_per_host = 16;
  uint64_t piece_size = 0;  // 0: chosen from the rate
  uint64_t max_downloads = 16;
  friend bool operator==(const AccelerateSection&, const AccelerateSection&) = default;
};

struct CacheSection {
  bool enabled = true;
  std::string directory;  // after load(): never empty, no "~"
  uint64_t size = 10ull << 30;
  uint64_t memory = 256ull << 20;
  uint64_t max_object = 0;  // 0: a quarter of size
  uint64_t min_free_disk = 1ull << 30;
  Sync sync = Sync::Batched;
  Duration stale_if_error = Duration::zero();
  Duration stale_while_revalidate = Duration::zero();
  Duration negative_ttl = Duration::zero();
  std::vector<std::string> targeted_fields = {"CDN-Cache-Control"};
  std::vector<std::string> ignore_query;
  bool offline = false;
  friend bool operator==(const CacheSection&, const CacheSection&) = default;
};

struct AdminSection {
  std::string address = "127.0.0.1:3129";  // "off": no admin listener
  std::vector<std::string> allow_clients = {"127.0.0.0/8", "::1"};  // CIDR
  bool enabled() const { return address != "off"; }
  friend bool operator==(const AdminSection&, const AdminSection&) = default;
};

struct LogSection {
  core::log::Level level = core::log::Level::Info;
  std::string file;  // empty: standard error
  LogFormat format = LogFormat::Text;
  std::string access_file;  // empty: none; "-": standard output
  AccessFormat access_format = AccessFormat::Combined;
  friend bool operator==(const LogSection&, const LogSection&) = default;
};

struct Config {
  ServerSection server;
  std::vector<ListenSection> listen = {ListenSection{}};  // never empty
  TimeoutSection timeout;
  LimitSection limit;
  AccessSection access;
  DnsSection dns;
  UpstreamSection upstream;
  AccelerateSection accelerate;
  CacheSection cache;
  AdminSection admin;
  LogSection log;
  friend bool operator==(const Config&, const Config&) = default;
};

}  // namespace tributary::conf
