#include "conf/settings.h"

#include <sched.h>

#include <algorithm>

#include "core/metrics.h"

namespace tributary::conf {
namespace {

// The keys' ranges keep counts within 32 bits.
unsigned count(uint64_t n) {
  return static_cast<unsigned>(n);
}

std::chrono::seconds whole_seconds(Duration duration) {
  return std::chrono::ceil<std::chrono::seconds>(duration);
}

std::vector<net::Cidr> networks(const std::vector<std::string>& texts) {
  std::vector<net::Cidr> result;
  for (const std::string& text : texts) {
    if (const std::optional<net::Cidr> cidr = net::Cidr::parse(text)) result.push_back(*cidr);
  }
  return result;
}

std::vector<proxy::PortRange> ports(const std::vector<PortRange>& ranges) {
  std::vector<proxy::PortRange> result;
  for (const PortRange& range : ranges) result.push_back({range.first, range.last});
  return result;
}

}  // namespace

unsigned worker_count(const Config& config) {
  if (config.server.workers > 0) return count(config.server.workers);
  cpu_set_t cores;  // what taskset and containers leave us, not what the machine has
  const int usable = ::sched_getaffinity(0, sizeof cores, &cores) == 0 ? CPU_COUNT(&cores) : 1;
  return static_cast<unsigned>(std::clamp(usable, 1, core::kMaxMetricThreads - 1));
}

core::log::Settings log_settings(const Config& config) {
  return {config.log.level, config.log.file, config.log.format == LogFormat::Json};
}

core::OffloadSettings offload_settings(const Config& config) {
  core::OffloadSettings settings;
  settings.threads = count(config.server.offload_threads);
  return settings;
}

net::ResolverSettings resolver_settings(const Config& config) {
  net::ResolverSettings settings;
  settings.servers = config.dns.servers;
  settings.hosts_file = config.dns.hosts_file;
  settings.cache = {whole_seconds(config.dns.min_ttl), whole_seconds(config.dns.max_ttl),
                    whole_seconds(config.dns.negative_ttl), config.dns.cache_entries};
  settings.prefer = static_cast<net::Prefer>(config.dns.prefer);
  settings.timeout = config.timeout.dns;
  return settings;
}

net::TlsClientSettings tls_client_settings(const Config& config) {
  net::TlsClientSettings settings;
  settings.verify = config.upstream.tls.verify;
  settings.ca_file = config.upstream.tls.ca_file;
  settings.min_version = static_cast<net::TlsVersion>(config.upstream.tls.min_version);
  return settings;
}

cache::StoreSettings store_settings(const Config& config) {
  cache::StoreSettings settings;
  settings.enabled = config.cache.enabled;
  settings.directory = config.cache.directory;
  settings.size = config.cache.size;
  settings.memory = config.cache.memory;
  settings.max_object = config.cache.max_object;
  settings.min_free_disk = config.cache.min_free_disk;
  settings.sync = static_cast<cache::Sync>(config.cache.sync);
  settings.workers = worker_count(config);
  return settings;
}

cache::PolicySettings policy_settings(const Config& config) {
  const auto span = [](Duration duration) { return static_cast<uint32_t>(whole_seconds(duration).count()); };
  cache::PolicySettings settings;
  settings.stale_if_error = span(config.cache.stale_if_error);
  settings.stale_while_revalidate = span(config.cache.stale_while_revalidate);
  settings.negative_ttl = span(config.cache.negative_ttl);
  settings.targeted = config.cache.targeted_fields;
  settings.ignore_query = config.cache.ignore_query;
  settings.offline = config.cache.offline;
  return settings;
}

upstream::UpstreamSettings upstream_settings(const Config& config) {
  upstream::UpstreamSettings settings;
  settings.max_connections = count(config.upstream.max_connections);
  settings.max_connections_per_host = count(config.upstream.max_connections_per_host);
  settings.max_idle_per_host = count(config.upstream.max_idle_per_host);
  settings.idle_timeout = config.upstream.idle_timeout;
  settings.max_age = config.upstream.max_age;
  settings.retries = count(config.upstream.retries);
  settings.timeouts.dns = config.timeout.dns;
  settings.timeouts.connect = config.timeout.connect;
  settings.timeouts.tls = config.timeout.tls;
  settings.timeouts.first_byte = config.timeout.first_byte;
  settings.timeouts.read = config.timeout.read;
  settings.timeouts.write = config.timeout.read;
  settings.timeouts.acquire = config.timeout.acquire;
  settings.timeouts.request = config.timeout.request;
  settings.head_limits = {count(config.limit.header_size), count(config.limit.header_count)};
  return settings;
}

upstream::AccelerateSettings accelerate_settings(const Config& config) {
  upstream::AccelerateSettings settings;
  settings.enabled = config.accelerate.enabled;
  settings.min_size = config.accelerate.min_size;
  settings.max_connections = count(config.accelerate.max_connections);
  settings.max_connections_per_host = count(config.accelerate.max_connections_per_host);
  settings.piece_size = config.accelerate.piece_size;
  settings.max_downloads = count(config.accelerate.max_downloads);
  return settings;
}

proxy::Settings proxy_settings(const Config& config) {
  proxy::Settings settings;
  settings.timeout.header = config.timeout.header;
  settings.timeout.idle = config.timeout.idle;
  settings.timeout.connect = config.timeout.connect;
  settings.timeout.dns = config.timeout.dns;
  settings.timeout.first_byte = config.timeout.first_byte;
  settings.timeout.read = config.timeout.read;
  settings.timeout.tunnel_idle = config.timeout.tunnel_idle;
  settings.timeout.request = config.timeout.request;
  settings.timeout.socks = config.timeout.socks;
  settings.limit.header_size = count(config.limit.header_size);
  settings.limit.header_count = count(config.limit.header_count);
  settings.limit.body_size = config.limit.body_size;
  settings.limit.requests_per_connection = config.limit.requests_per_connection;
  settings.max_connections = config.server.max_connections;
  return settings;
}

proxy::AccessSettings access_settings(const Config& config) {
  proxy::AccessSettings settings;
  settings.allow_clients = networks(config.access.allow_clients);
  settings.deny_clients = networks(config.access.deny_clients);
  settings.allow_hosts = config.access.allow_hosts;
  settings.deny_hosts = config.access.deny_hosts;
  settings.allow_ports = ports(config.access.allow_ports);
  settings.connect_ports = ports(config.access.connect_ports);
  settings.allow_private = config.access.allow_private;
  settings.purge_clients = networks(config.admin.allow_clients);
  return settings;
}

net::CidrSet admin_clients(const Config& config) {
  net::CidrSet clients;
  for (const net::Cidr& cidr : networks(config.admin.allow_clients)) clients.add(cidr);
  return clients;
}

proxy::AccessLogSettings access_log_settings(const Config& config) {
  proxy::AccessLogSettings settings;
  settings.file = config.log.access_file;
  settings.format = static_cast<proxy::AccessFormat>(config.log.access_format);
  return settings;
}

proxy::Protocols protocols(const ListenSection& listen) {
  const auto speaks = [&](std::string_view name) {
    return std::find(listen.protocols.begin(), listen.protocols.end(), name) !=
           listen.protocols.end();
  };
  return {speaks("http"), speaks("socks4"), speaks("socks5")};
}

}  // namespace tributary::conf
