#include "conf/load.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <filesystem>
#include <fstream>

namespace tributary::conf {
namespace {

using namespace std::chrono_literals;
using ::testing::ElementsAre;
using ::testing::HasSubstr;
using ::testing::SizeIs;
using ::testing::StartsWith;

Loaded with_environment(std::vector<std::pair<std::string, std::string>> environment) {
  Sources sources;
  sources.environment = std::move(environment);
  return load(sources);
}

Loaded with_options(std::vector<Assignment> command_line) {
  Sources sources;
  sources.command_line = std::move(command_line);
  return load(sources);
}

class File {
 public:
  explicit File(std::string_view text) {
    path_ = (std::filesystem::temp_directory_path() /
             ("tributary_conf_" + std::to_string(::getpid()) + ".toml"))
                .string();
    std::ofstream(path_) << text;
  }
  ~File() { std::filesystem::remove(path_); }
  const std::string& path() const { return path_; }

 private:
  std::string path_;
};

TEST(Config, NeedsNoFile) {
  const Loaded loaded = load({});
  EXPECT_THAT(loaded.problems, SizeIs(0));
  ASSERT_THAT(loaded.config.listen, SizeIs(1));
  EXPECT_EQ(loaded.config.listen[0].address, "127.0.0.1:3128");
  EXPECT_EQ(loaded.config.admin.address, "127.0.0.1:3129");
  EXPECT_EQ(loaded.config.cache.size, 10ull << 30);
  EXPECT_EQ(loaded.config.cache.memory, 256ull << 20);
  EXPECT_EQ(loaded.config.server.workers, 0u);
  EXPECT_FALSE(loaded.config.access.allow_private);
  EXPECT_EQ(loaded.config.access.connect_ports, (std::vector<PortRange>{{443, 443}, {563, 563}}));
}

TEST(Config, ReadsEveryKindOfValue) {
  const Loaded loaded = parse(R"(
[server]
workers = 2
drain_timeout = "250ms"
[[listen]]
address = ":8080"
protocols = ["http"]
[[listen]]
address = "unix:/run/tributary.sock"
[timeout]
request = 0
[limit]
header_size = 32768
[access]
allow_clients = ["192.0.2.0/24", "::1"]
deny_hosts = [".Example.COM", "*.ads.example"]
connect_ports = [443, "8000-8999", "22"]
allow_private = true
[dns]
servers = ["192.0.2.53", "[2001:db8::53]:5353"]
prefer = "ipv4"
[upstream]
tls = { verify = false, min_version = "1.3" }
[cache]
size = "1GB"
sync = "always"
[log]
level = "warn"
access_format = "squid"
)",
                              "t.toml");
  ASSERT_THAT(loaded.problems, SizeIs(0));
  const Config& config = loaded.config;
  EXPECT_EQ(config.server.workers, 2u);
  EXPECT_EQ(config.server.drain_timeout, Duration(250ms));
  ASSERT_THAT(config.listen, SizeIs(2));
  EXPECT_EQ(config.listen[0].address, ":8080");
  EXPECT_THAT(config.listen[0].protocols, ElementsAre("http"));
  EXPECT_EQ(config.listen[1].address, "unix:/run/tributary.sock");
  EXPECT_THAT(config.listen[1].protocols, ElementsAre("http", "socks4", "socks5"));
  EXPECT_EQ(config.timeout.request, Duration::zero());
  EXPECT_EQ(config.limit.header_size, 32768u);
  EXPECT_THAT(config.access.allow_clients, ElementsAre("192.0.2.0/24", "::1"));
  EXPECT_THAT(config.access.deny_hosts, ElementsAre(".example.com", "*.ads.example"));
  EXPECT_EQ(config.access.connect_ports,
            (std::vector<PortRange>{{443, 443}, {8000, 8999}, {22, 22}}));
  EXPECT_TRUE(config.access.allow_private);
  EXPECT_THAT(config.dns.servers, ElementsAre("192.0.2.53", "[2001:db8::53]:5353"));
  EXPECT_EQ(config.dns.prefer, Prefer::Ipv4);
  EXPECT_FALSE(config.upstream.tls.verify);
  EXPECT_EQ(config.upstream.tls.min_version, TlsVersion::Tls13);
  EXPECT_EQ(config.cache.size, 1000000000u);
  EXPECT_EQ(config.cache.sync, Sync::Always);
  EXPECT_EQ(config.log.level, core::log::Level::Warn);
  EXPECT_EQ(config.log.access_format, AccessFormat::Squid);
}

struct Bad {
  const char* toml;
  const char* message;
};

class BadFile : public ::testing::TestWithParam<Bad> {};

TEST_P(BadFile, IsRefusedWithFileLineKeyFoundAndAllowed) {
  const Loaded loaded = parse(GetParam().toml, "t.toml");
  EXPECT_THAT(loaded.problems, ElementsAre(GetParam().message));
}

constexpr Bad kBad[] = {
    {"[cache]\nsize = \"10XB\"",
     "t.toml:2: cache.size: found \"10XB\"; allowed: a size from 64MiB to 1024TiB, such as 64KiB, "
     "10GiB or 1GB"},
    {"[cache]\nsize = 5",
     "t.toml:2: cache.size: found 5; allowed: a size from 64MiB to 1024TiB, such as 64KiB, 10GiB "
     "or 1GB"},
    {"\n\n[server]\nworkers = \"two\"",
     "t.toml:4: server.workers: found \"two\"; allowed: a whole number from 0 to 64"},
    {"[server]\nworkers = 65",
     "t.toml:2: server.workers: found 65; allowed: a whole number from 0 to 64"},
    {"[server]\nworkers = -1",
     "t.toml:2: server.workers: found -1; allowed: a whole number from 0 to 64"},
    {"[server]\nworkers = 1.5",
     "t.toml:2: server.workers: found the fraction 1.5; allowed: a whole number from 0 to 64"},
    {"[accelerate]\npiece_size = 1",
     "t.toml:2: accelerate.piece_size: found 1; allowed: a size of 0 or from 256KiB to 1GiB, such "
     "as 64KiB, 10GiB or 1GB"},
    {"[timeout]\nconnect = 30",
     "t.toml:2: timeout.connect: found 30; allowed: a duration from 100ms to 7d, such as 250ms, "
     "30s, 5m or 7d"},
    {"[timeout]\nconnect = \"10ms\"",
     "t.toml:2: timeout.connect: found \"10ms\"; allowed: a duration from 100ms to 7d, such as "
     "250ms, 30s, 5m or 7d"},
    {"[cache]\nenabled = \"yes\"",
     "t.toml:2: cache.enabled: found \"yes\"; allowed: true or false"},
    {"[cache]\nenabled = 2026-01-01",
     "t.toml:2: cache.enabled: found the date or time 2026-01-01; allowed: true or false"},
    {"[cache]\ndirectory = 7", "t.toml:2: cache.directory: found 7; allowed: a path"},
    {"[cache]\nsync = \"sometimes\"",
     "t.toml:2: cache.sync: found \"sometimes\"; allowed: one of \"batched\", \"always\", \"off\""},
    {"[server]\nbackend = \"select\"",
     "t.toml:2: server.backend: found \"select\"; allowed: \"epoll\""},
    {"[[listen]]\naddress = \"localhost:3128\"",
     "t.toml:2: listen.address: found \"localhost:3128\"; allowed: an IP address with a port, such "
     "as 127.0.0.1:3128, "
     "[::1]:3128 or :3128 (all interfaces), or unix:/run/tributary.sock"},
    {"[[listen]]\nprotocols = []",
     "t.toml:2: listen.protocols: found an empty list; allowed: a list of at least one of "
     "\"http\", \"socks4\", \"socks5\""},
    {"[[listen]]\nprotocols = [\"gopher\"]",
     "t.toml:2: listen.protocols: found \"gopher\"; allowed: a list of at least one of \"http\", "
     "\"socks4\", \"socks5\""},
    {"[listen]\naddress = \":1\"",
     "t.toml:1: listen: found a table; allowed: one table or more, each [[listen]]"},
    {"listen = []", "t.toml:1: listen: found a list; allowed: one table or more, each [[listen]]"},
    {"cache = 5", "t.toml:1: cache: found 5; allowed: a table, [cache]"},
    {"[access]\nallow_clients = \"::1\"",
     "t.toml:2: access.allow_clients: found \"::1\"; allowed: a list of addresses and networks, "
     "such as 10.0.0.0/8, fc00::/7 "
     "or 192.0.2.7"},
    {"[access]\nallow_clients = [\n  \"::1\",\n  \"10.0.0.1/8\"]",
     "t.toml:4: access.allow_clients: found \"10.0.0.1/8\"; allowed: a list of addresses and "
     "networks, such as 10.0.0.0/8, "
     "fc00::/7 or 192.0.2.7"},
    {"[access]\nconnect_ports = [true]",
     "t.toml:2: access.connect_ports: found true; allowed: a list of ports from 1 to 65535, such "
     "as 443, \"1024-65535\" or "
     "\"*\""},
    {"[access]\ndeny_hosts = [\"http://x/\"]",
     "t.toml:2: access.deny_hosts: found \"http://x/\"; allowed: a list of host names, such as "
     "example.com, .example.com or "
     "*.cdn.example.com"},
    {"[dns]\nservers = [\"tls://192.0.2.53\"]",
     "t.toml:2: dns.servers: found \"tls://192.0.2.53\"; allowed: a list of IP addresses, with a "
     "port or without, such as "
     "192.0.2.53 or [2001:db8::53]:53"},
    {"[admin]\naddress = \":3129\"",
     "t.toml:2: admin.address: found \":3129\"; allowed: an address of this machine only, such as "
     "127.0.0.1:3129, "
     "[::1]:3129 or unix:/run/tributary-admin.sock, or off"},
    {"[cache]\nsise = \"1GiB\"",
     "t.toml:2: cache.sise: found an unknown key; allowed: enabled, directory, size, memory, "
     "max_object, min_free_disk, sync, stale_if_error, stale_while_revalidate, negative_ttl, "
     "targeted_fields, ignore_query, offline "
     "(did you mean size?)"},
    {"[cash]\nsize = \"1GiB\"",
     "t.toml:1: cash: found an unknown key; allowed: server, listen, timeout, limit, access, dns, "
     "upstream, accelerate, "
     "cache, admin, log (did you mean cache?)"},
    {"[upstream.tls]\nverfy = true",
     "t.toml:2: upstream.tls.verfy: found an unknown key; allowed: ca_file, verify, min_version "
     "(did you mean verify?)"},
    {"[server]\nuser = \"proxy\"",
     "t.toml:2: server.user: found a key that is not implemented in this version; allowed: leaving "
     "it out"},
    {"[[listen]]\ntls = { certificate = \"a\" }",
     "t.toml:2: listen.tls: found a key that is not implemented in this version; allowed: leaving "
     "it out"},
    {"[auth]\nscheme = \"basic\"",
     "t.toml:1: auth: found a key that is not implemented in this version; allowed: leaving it "
     "out"},
    {"[[mirror]]\nprefix = \"/npm/\"",
     "t.toml:1: mirror: found a key that is not implemented in this version; allowed: leaving it "
     "out"},
    {"[dns]\nmin_ttl = \"2d\"",
     "t.toml:2: dns.min_ttl: found 2d; allowed: at most dns.max_ttl, which is 1d"},
    {"[[listen]]\naddress = \"127.0.0.1:3129\"",
     "t.toml:2: listen.address: found \"127.0.0.1:3129\" a second time; allowed: each address "
     "once, admin.address among "
     "them"},
};
INSTANTIATE_TEST_SUITE_P(Each, BadFile, ::testing::ValuesIn(kBad));

TEST(Config, ReportsAllProblemsInTheOrderOfTheLines) {
  const Loaded loaded =
      parse("[server]\nworkers = -1\n[cache]\nsize = 1\n[access]\nallow_private = 1\n", "t.toml");
  EXPECT_THAT(loaded.problems, ElementsAre(StartsWith("t.toml:2: server.workers"),
                                           StartsWith("t.toml:4: cache.size"),
                                           StartsWith("t.toml:6: access.allow_private")));
}

TEST(Config, StopsReportingAtTwentyProblems) {
  std::string toml = "[cache]\n";
  for (int i = 0; i < 100; ++i) toml += "k" + std::to_string(i) + " = 1\n";
  EXPECT_THAT(parse(toml, "t.toml").problems, SizeIs(kMaxProblems));
}

TEST(Config, NamesTheLineWhereTheTextStopsBeingToml) {
  const Loaded loaded = parse("[cache]\nsize = \"1GiB\nenabled = true\n", "t.toml");
  ASSERT_THAT(loaded.problems, SizeIs(1));
  EXPECT_THAT(loaded.problems[0], StartsWith("t.toml:2: not TOML: "));
  EXPECT_THAT(parse("\n[!cache]\n", "t.toml").problems,
              ElementsAre(StartsWith("t.toml:2: not TOML: ")));
  EXPECT_THAT(parse("a = 1\na = 2\n", "t.toml").problems,
              ElementsAre(StartsWith("t.toml:2: not TOML: ")));
}

TEST(Config, ShowsNoControlCharactersOfTheFile) {
  const Loaded loaded = parse("[cache]\nsync = \"a\\u001b[31m\\nb\"\n\"k\\u001b\" = 1\n", "t.toml");
  ASSERT_THAT(loaded.problems, SizeIs(2));
  EXPECT_THAT(loaded.problems[0], HasSubstr("found \"a\\x1b[31m\\x0ab\""));
  EXPECT_THAT(loaded.problems[1], StartsWith("t.toml:3: cache.k\\x1b: "));
}

TEST(Config, SaysWhyAFileCannotBeRead) {
  Sources sources;
  sources.file = "/nonexistent/tributary.toml";
  EXPECT_THAT(
      load(sources).problems,
      ElementsAre("/nonexistent/tributary.toml: cannot be read: No such file or directory"));
  sources.file = "/";
  EXPECT_THAT(load(sources).problems, ElementsAre("/: cannot be read: Is a directory"));
}

TEST(Precedence, IsDefaultThenFileThenEnvironmentThenCommandLine) {
  const File file("[cache]\nsize = \"1GiB\"\nmemory = \"64MiB\"\n[log]\nlevel = \"debug\"\n");
  Sources sources;
  sources.file = file.path();
  sources.environment = {{"TRIBUTARY_CACHE_SIZE", "2GiB"}, {"TRIBUTARY_CACHE_MEMORY", "128MiB"}};
  sources.command_line = {{"cache.size", "3GiB", "--cache-size"}};
  const Loaded loaded = load(sources);
  ASSERT_THAT(loaded.problems, SizeIs(0));
  EXPECT_EQ(loaded.config.cache.size, 3ull << 30);
  EXPECT_EQ(loaded.config.cache.memory, 128ull << 20);
  EXPECT_EQ(loaded.config.log.level, core::log::Level::Debug);
  EXPECT_EQ(loaded.config.cache.min_free_disk, 1ull << 30);
}

TEST(Environment, SetsListsAndNestedKeys) {
  const Loaded loaded = with_environment({{"TRIBUTARY_ACCESS_CONNECT_PORTS", "443, 8000-8999"},
                                          {"TRIBUTARY_UPSTREAM_TLS_VERIFY", "false"},
                                          {"TRIBUTARY_LISTEN_ADDRESS", "127.0.0.1:1,[::1]:1"},
                                          {"TRIBUTARY_LISTEN_PROTOCOLS", "http"}});
  ASSERT_THAT(loaded.problems, SizeIs(0));
  EXPECT_EQ(loaded.config.access.connect_ports, (std::vector<PortRange>{{443, 443}, {8000, 8999}}));
  EXPECT_FALSE(loaded.config.upstream.tls.verify);
  ASSERT_THAT(loaded.config.listen, SizeIs(2));
  EXPECT_EQ(loaded.config.listen[1].address, "[::1]:1");
  EXPECT_THAT(loaded.config.listen[1].protocols, ElementsAre("http"));
}

// S0-1: written as in the file, and as one types it.
TEST(Environment, TakesAListInTheFormOfTheFileToo) {
  const Loaded loaded = with_environment({{"TRIBUTARY_ACCESS_CONNECT_PORTS", R"(["*"])"},
                                          {"TRIBUTARY_ACCESS_ALLOW_PORTS", R"([443, "8000-8999"])"},
                                          {"TRIBUTARY_LISTEN_ADDRESS", "[::1]:1"},
                                          {"TRIBUTARY_LISTEN_PROTOCOLS", R"(['http'])"},
                                          {"TRIBUTARY_ACCESS_ALLOW_HOSTS", "[]"}});
  ASSERT_THAT(loaded.problems, SizeIs(0));
  EXPECT_EQ(loaded.config.access.connect_ports, (std::vector<PortRange>{{0, 65535}}));
  EXPECT_EQ(loaded.config.access.allow_ports, (std::vector<PortRange>{{443, 443}, {8000, 8999}}));
  ASSERT_THAT(loaded.config.listen, SizeIs(1));
  EXPECT_EQ(loaded.config.listen[0].address, "[::1]:1");
  EXPECT_THAT(loaded.config.listen[0].protocols, ElementsAre("http"));
  EXPECT_THAT(with_environment({{"TRIBUTARY_ACCESS_CONNECT_PORTS", "[true]"}}).problems, SizeIs(1));
  EXPECT_THAT(with_environment({{"TRIBUTARY_ACCESS_CONNECT_PORTS", "[443"}}).problems, SizeIs(1));
  EXPECT_THAT(with_environment({{"TRIBUTARY_LISTEN_PROTOCOLS", "[]"}}).problems, SizeIs(1));
}

TEST(Environment, AnEmptyVariableIsNotSet) {
  EXPECT_EQ(with_environment({{"TRIBUTARY_CACHE_SIZE", ""}}).config.cache.size, 10ull << 30);
}

TEST(Environment, BadValuesAndNamesAreRefused) {
  EXPECT_THAT(with_environment({{"TRIBUTARY_CACHE_SIZE", "big"}}).problems,
              ElementsAre("environment TRIBUTARY_CACHE_SIZE: cache.size: found \"big\"; allowed: a "
                          "size from 64MiB to "
                          "1024TiB, such as 64KiB, 10GiB or 1GB"));
  EXPECT_THAT(with_environment({{"TRIBUTARY_CACHE_SISE", "1GiB"}}).problems,
              ElementsAre("environment: TRIBUTARY_CACHE_SISE: found an unknown key; allowed: "
                          "TRIBUTARY_CACHE_SIZE (did you "
                          "mean TRIBUTARY_CACHE_SIZE?)"));
  EXPECT_THAT(with_environment({{"TRIBUTARY_AUTH_SCHEME", "basic"}}).problems,
              ElementsAre("environment: TRIBUTARY_AUTH_SCHEME: found a key that is not implemented "
                          "in this version; "
                          "allowed: leaving it out"));
  EXPECT_THAT(with_environment({{"TRIBUTARY_SERVER_USER", "x"}}).problems, SizeIs(1));
}

TEST(Environment, LeavesVariablesOfContainerPlatformsAlone) {
  EXPECT_THAT(with_environment({{"TRIBUTARY_PORT", "tcp://10.0.0.1:3128"},
                                {"TRIBUTARY_SERVICE_HOST", "10.0.0.1"},
                                {"TRIBUTARY_PORT_3128_TCP_ADDR", "10.0.0.1"},
                                {"TRIBUTARY_ADMIN_SERVICE_HOST", "10.0.0.1"},
                                {"TRIBUTARY_ADMIN_PORT_3129_TCP", "tcp://10.0.0.1:3129"},
                                {"TRIBUTARY_VERSION", "1"}})
                  .problems,
              SizeIs(0));
}

TEST(CommandLine, ListenReplacesTheListenersOfTheFileAndAddsUp) {
  const File file(
      "[[listen]]\naddress = \":1\"\nprotocols = [\"socks5\"]\n[[listen]]\naddress = \":2\"\n");
  Sources sources;
  sources.file = file.path();
  sources.environment = {{"TRIBUTARY_LISTEN_ADDRESS", ":3"}};
  sources.command_line = {{"listen.address", ":4", "--listen"},
                          {"listen.address", ":5", "--listen"}};
  const Loaded loaded = load(sources);
  ASSERT_THAT(loaded.problems, SizeIs(0));
  ASSERT_THAT(loaded.config.listen, SizeIs(2));
  EXPECT_EQ(loaded.config.listen[0].address, ":4");
  EXPECT_EQ(loaded.config.listen[1].address, ":5");
  EXPECT_THAT(loaded.config.listen[1].protocols, ElementsAre("socks5"));
}

TEST(CommandLine, AnEmptyListEmptiesAList) {
  EXPECT_THAT(with_options({{"access.allow_clients", "", "--set"}}).config.access.allow_clients,
              SizeIs(0));
}

TEST(CommandLine, BadAssignmentsNameTheOption) {
  EXPECT_THAT(
      with_options({{"server.workers", "many", "--workers"}}).problems,
      ElementsAre(
          "--workers: server.workers: found \"many\"; allowed: a whole number from 0 to 64"));
  EXPECT_THAT(with_options({{"cache.nope", "1", "--set"}}).problems,
              ElementsAre(StartsWith(
                  "--set: cache.nope: found an unknown key; allowed: enabled, directory")));
  EXPECT_THAT(
      with_options({{"nope", "1", "--set"}}).problems,
      ElementsAre(StartsWith("--set: nope: found an unknown key; allowed: server, listen")));
  EXPECT_THAT(with_options({{"statsd.address", "1", "--set"}}).problems,
              ElementsAre("--set: statsd.address: found a key that is not implemented in this "
                          "version; allowed: leaving it out"));
}

TEST(CacheDirectory, IsTheUsersCacheOrTheSystems) {
  EXPECT_EQ(default_cache_directory({{"XDG_CACHE_HOME", "/x"}, {"HOME", "/home/u"}}),
            "/x/tributary");
  EXPECT_EQ(default_cache_directory({{"XDG_CACHE_HOME", "relative"}, {"HOME", "/home/u"}}),
            "/home/u/.cache/tributary");
  EXPECT_EQ(default_cache_directory({{"HOME", "/"}}), "/var/cache/tributary");
  EXPECT_EQ(default_cache_directory({}), "/var/cache/tributary");
  Sources sources;
  sources.environment = {{"HOME", "/home/u"}};
  sources.command_line = {{"cache.directory", "~/c", "--cache-dir"}};
  EXPECT_EQ(load(sources).config.cache.directory, "/home/u/c");
}

}  // namespace
}  // namespace tributary::conf
