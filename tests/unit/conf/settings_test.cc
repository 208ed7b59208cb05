// Every key reaches the component that it is for.
#include "conf/settings.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "conf/load.h"

namespace tributary::conf {
namespace {

using namespace std::chrono_literals;
using ::testing::ElementsAre;
using ::testing::SizeIs;

Config read(std::string_view toml) {
  const Loaded loaded = parse(toml, "t.toml");
  EXPECT_THAT(loaded.problems, SizeIs(0));
  return loaded.config;
}

TEST(Settings, ServerAndLog) {
  const Config config = read(R"(
[server]
workers = 3
offload_threads = 7
max_connections = 99
[log]
level = "error"
file = "/tmp/x"
format = "json"
access_file = "-"
access_format = "json"
)");
  EXPECT_EQ(worker_count(config), 3u);
  EXPECT_EQ(offload_settings(config).threads, 7u);
  EXPECT_EQ(proxy_settings(config).max_connections, 99u);
  EXPECT_EQ(log_settings(config).level, core::log::Level::Error);
  EXPECT_EQ(log_settings(config).file, "/tmp/x");
  EXPECT_TRUE(log_settings(config).json);
  EXPECT_EQ(access_log_settings(config).file, "-");
  EXPECT_EQ(access_log_settings(config).format, proxy::AccessFormat::Json);
}

TEST(Settings, NoNumberOfWorkersIsOneForEachUsableCore) {
  EXPECT_GE(worker_count(Config{}), 1u);
  EXPECT_LE(worker_count(Config{}), 64u);
}

TEST(Settings, TimeoutsReachBothSides) {
  const Config config = read(R"(
[timeout]
header = "1s"
idle = "2s"
connect = "3s"
tls = "4s"
first_byte = "5s"
read = "6s"
tunnel_idle = "7s"
request = "8s"
socks = "9s"
dns = "10s"
acquire = "11s"
)");
  const proxy::Timeouts client = proxy_settings(config).timeout;
  EXPECT_EQ(client.header, Duration(1s));
  EXPECT_EQ(client.idle, Duration(2s));
  EXPECT_EQ(client.connect, Duration(3s));
  EXPECT_EQ(client.first_byte, Duration(5s));
  EXPECT_EQ(client.read, Duration(6s));
  EXPECT_EQ(client.tunnel_idle, Duration(7s));
  EXPECT_EQ(client.request, Duration(8s));
  EXPECT_EQ(client.socks, Duration(9s));
  EXPECT_EQ(client.dns, Duration(10s));
  const upstream::Timeouts origin = upstream_settings(config).timeouts;
  EXPECT_EQ(origin.connect, Duration(3s));
  EXPECT_EQ(origin.tls, Duration(4s));
  EXPECT_EQ(origin.first_byte, Duration(5s));
  EXPECT_EQ(origin.read, Duration(6s));
  EXPECT_EQ(origin.write, Duration(6s));
  EXPECT_EQ(origin.request, Duration(8s));
  EXPECT_EQ(origin.dns, Duration(10s));
  EXPECT_EQ(origin.acquire, Duration(11s));
  EXPECT_EQ(resolver_settings(config).timeout, Duration(10s));
}

TEST(Settings, LimitsAndAccess) {
  const Config config = read(R"(
[limit]
header_size = "8KiB"
header_count = 20
body_size = "1MiB"
requests_per_connection = 5
[access]
allow_clients = ["192.0.2.0/24"]
deny_clients = ["192.0.2.7", "::1"]
allow_hosts = [".example.com"]
deny_hosts = ["bad.example.com"]
allow_ports = ["*"]
connect_ports = [443, "8000-8010"]
allow_private = true
)");
  const proxy::Limits limit = proxy_settings(config).limit;
  EXPECT_EQ(limit.header_size, 8192u);
  EXPECT_EQ(limit.header_count, 20u);
  EXPECT_EQ(limit.body_size, 1u << 20);
  EXPECT_EQ(limit.requests_per_connection, 5u);
  EXPECT_EQ(upstream_settings(config).head_limits.header_size, 8192u);
  EXPECT_EQ(upstream_settings(config).head_limits.header_count, 20u);
  const proxy::AccessSettings access = access_settings(config);
  ASSERT_THAT(access.allow_clients, SizeIs(1));
  EXPECT_EQ(access.allow_clients[0].to_string(), "192.0.2.0/24");
  EXPECT_THAT(access.deny_clients, SizeIs(2));
  EXPECT_THAT(access.allow_hosts, ElementsAre(".example.com"));
  EXPECT_THAT(access.deny_hosts, ElementsAre("bad.example.com"));
  ASSERT_THAT(access.allow_ports, SizeIs(1));
  EXPECT_EQ(access.allow_ports[0].first, 0);
  EXPECT_EQ(access.allow_ports[0].last, 65535);
  ASSERT_THAT(access.connect_ports, SizeIs(2));
  EXPECT_EQ(access.connect_ports[1].last, 8010);
  EXPECT_TRUE(access.allow_private);
}

TEST(Settings, DefaultsAreThoseOfTheComponents) {
  // Two places state them: the table that is documented, and the structs that tests of the
  // components use.
  const Config config;
  const proxy::AccessSettings access = access_settings(config), declared;
  ASSERT_EQ(access.allow_ports.size(), declared.allow_ports.size());
  ASSERT_EQ(access.connect_ports.size(), declared.connect_ports.size());
  const proxy::Settings ours = proxy_settings(config), theirs;
  EXPECT_EQ(ours.timeout.header, theirs.timeout.header);
  EXPECT_EQ(ours.timeout.idle, theirs.timeout.idle);
  EXPECT_EQ(ours.timeout.tunnel_idle, theirs.timeout.tunnel_idle);
  EXPECT_EQ(ours.limit.header_size, theirs.limit.header_size);
  EXPECT_EQ(upstream_settings(config).max_connections_per_host,
            upstream::UpstreamSettings().max_connections_per_host);
  EXPECT_EQ(accelerate_settings(config).min_size, upstream::AccelerateSettings().min_size);
  EXPECT_EQ(accelerate_settings(config).max_connections,
            upstream::AccelerateSettings().max_connections);
  EXPECT_EQ(store_settings(config).size, cache::StoreSettings().size);
}

TEST(Settings, DnsUpstreamAccelerateAndCache) {
  const Config config = read(R"(
[server]
workers = 2
[dns]
servers = ["192.0.2.53"]
hosts_file = "/h"
min_ttl = "1500ms"
max_ttl = "1h"
negative_ttl = "5s"
cache_entries = 77
prefer = "ipv6"
[upstream]
max_connections = 10
max_connections_per_host = 9
max_idle_per_host = 8
idle_timeout = "7s"
max_age = "6m"
retries = 5
tls = { ca_file = "/ca", verify = false, min_version = "1.3" }
[accelerate]
enabled = false
min_size = "1MiB"
max_connections = 3
max_connections_per_host = 4
piece_size = "512KiB"
max_downloads = 2
[cache]
enabled = false
directory = "/c"
size = "1GiB"
memory = "32MiB"
max_object = "10MiB"
min_free_disk = "5MiB"
sync = "off"
)");
  const net::ResolverSettings dns = resolver_settings(config);
  EXPECT_THAT(dns.servers, ElementsAre("192.0.2.53"));
  EXPECT_EQ(dns.hosts_file, "/h");
  EXPECT_EQ(dns.cache.min_ttl, 2s) << "whole seconds, rounded up";
  EXPECT_EQ(dns.cache.max_ttl, 1h);
  EXPECT_EQ(dns.cache.negative_ttl, 5s);
  EXPECT_EQ(dns.cache.capacity, 77u);
  EXPECT_EQ(dns.prefer, net::Prefer::Ipv6);
  const upstream::UpstreamSettings upstream = upstream_settings(config);
  EXPECT_EQ(upstream.max_connections, 10u);
  EXPECT_EQ(upstream.max_connections_per_host, 9u);
  EXPECT_EQ(upstream.max_idle_per_host, 8u);
  EXPECT_EQ(upstream.idle_timeout, Duration(7s));
  EXPECT_EQ(upstream.max_age, Duration(6min));
  EXPECT_EQ(upstream.retries, 5u);
  const net::TlsClientSettings tls = tls_client_settings(config);
  EXPECT_EQ(tls.ca_file, "/ca");
  EXPECT_FALSE(tls.verify);
  EXPECT_EQ(tls.min_version, net::TlsVersion::Tls13);
  const upstream::AccelerateSettings accelerate = accelerate_settings(config);
  EXPECT_FALSE(accelerate.enabled);
  EXPECT_EQ(accelerate.min_size, 1u << 20);
  EXPECT_EQ(accelerate.max_connections, 3u);
  EXPECT_EQ(accelerate.max_connections_per_host, 4u);
  EXPECT_EQ(accelerate.piece_size, 512u << 10);
  EXPECT_EQ(accelerate.max_downloads, 2u);
  const cache::StoreSettings store = store_settings(config);
  EXPECT_FALSE(store.enabled);
  EXPECT_EQ(store.directory, "/c");
  EXPECT_EQ(store.size, 1u << 30);
  EXPECT_EQ(store.memory, 32u << 20);
  EXPECT_EQ(store.max_object, 10u << 20);
  EXPECT_EQ(store.min_free_disk, 5u << 20);
  EXPECT_EQ(store.sync, cache::Sync::Off);
  EXPECT_EQ(store.workers, 2u);
}

TEST(Settings, ProtocolsOfAListener) {
  EXPECT_EQ(protocols({":1", {"socks5"}}), (proxy::Protocols{false, false, true}));
  EXPECT_EQ(protocols(ListenSection{}), proxy::Protocols{});
}

}  // namespace
}  // namespace tributary::conf
