// The table of keys against everything that is derived from it, and against the published list of
// keys.
#include "conf/schema.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <filesystem>
#include <fstream>
#include <nlohmann/json.hpp>
#include <set>
#include <sstream>

#include "conf/keys.h"
#include "conf/load.h"

namespace tributary::conf {
namespace {

std::string shipped_file() {
  const auto path = std::filesystem::path(TRIBUTARY_SOURCE_DIR) / "conf/tributary.toml";
  std::ifstream stream(path);
  std::ostringstream text;
  text << stream.rdbuf();
  return text.str();
}

// A setting that is commented out has no space behind its "#".
std::string uncommented(const std::string& text) {
  std::istringstream lines(text);
  std::string result;
  for (std::string line; std::getline(lines, line);) {
    const bool is_setting = line.size() > 1 && line[0] == '#' && line[1] != ' ';
    result += (is_setting ? line.substr(1) : line) + "\n";
  }
  return result;
}

TEST(ShippedFile, IsWhatTheTableOfKeysSays) {
  std::istringstream shipped(shipped_file()), wanted(documented_toml());
  for (int line = 1; wanted || shipped; ++line) {
    std::string a, b;
    std::getline(shipped, a);
    std::getline(wanted, b);
    ASSERT_EQ(a, b) << "conf/tributary.toml:" << line
                    << "; write it anew: tributary config schema --toml > conf/tributary.toml";
  }
}

TEST(ShippedFile, ChangesNothingAsItIs) {
  const Loaded loaded = parse(shipped_file(), "tributary.toml");
  EXPECT_THAT(loaded.problems, testing::IsEmpty());
  EXPECT_EQ(loaded.config, parse("", "empty").config);
}

TEST(ShippedFile, HasEveryKeyWithItsTrueDefault) {
  const std::string text = uncommented(shipped_file());
  const Loaded loaded = parse(text, "tributary.toml");
  EXPECT_THAT(loaded.problems, testing::IsEmpty());
  EXPECT_EQ(loaded.config, parse("", "empty").config);
  for (const Key& key : keys()) {
    EXPECT_THAT(text, testing::HasSubstr("\n" + std::string(key.name()) + " = ")) << key.path;
  }
}

TEST(Keys, AreWithinSectionsAndUniqueAlsoAsEnvironmentVariables) {
  std::set<std::string> names, variables, sections_seen;
  for (const Section& section : sections()) sections_seen.emplace(section.name);
  for (const Key& key : keys()) {
    EXPECT_TRUE(names.emplace(key.path).second) << key.path;
    EXPECT_TRUE(variables.insert(environment_name(key.path)).second) << key.path;
    EXPECT_TRUE(sections_seen.contains(std::string(key.section()))) << key.path;
    EXPECT_TRUE(key.help.ends_with('.')) << key.path;
  }
  for (const std::string_view path : keys_not_implemented()) {
    EXPECT_TRUE(names.emplace(path).second) << path;
    EXPECT_FALSE(sections_seen.contains(std::string(path))) << path;
  }
  EXPECT_EQ(environment_name("upstream.tls.ca_file"), "TRIBUTARY_UPSTREAM_TLS_CA_FILE");
}

TEST(Keys, EveryDefaultIsAllowed) {
  const Config defaults;
  for (const Key& key : keys()) {
    const Value value = key.get(defaults, 0);
    if (is_list(key.kind)) {
      for (const std::string& item : std::get<std::vector<std::string>>(value)) {
        EXPECT_TRUE(parse_value(key, item)) << key.path << " " << item;
      }
    } else {
      std::string text = format_value(key, value);
      if (text.starts_with('"')) text = text.substr(1, text.size() - 2);
      EXPECT_EQ(parse_value(key, text), value) << key.path;
    }
  }
}

TEST(Keys, CoverTheWholePublishedConfiguration) {
  // Every key of the published interface is either read or refused by name; none is unknown.
  const char* published[] = {
      "server.workers",
      "server.offload_threads",
      "server.backend",
      "server.user",
      "server.drain_timeout",
      "server.max_connections",
      "server.max_connections_per_client",
      "server.pid_file",
      "server.memory_limit",
      "listen.address",
      "listen.protocols",
      "listen.tls",
      "listen.proxy_protocol",
      "listen.transparent",
      "timeout.header",
      "timeout.idle",
      "timeout.connect",
      "timeout.tls",
      "timeout.first_byte",
      "timeout.read",
      "timeout.tunnel_idle",
      "timeout.request",
      "timeout.socks",
      "timeout.dns",
      "timeout.acquire",
      "limit.header_size",
      "limit.header_count",
      "limit.body_size",
      "limit.requests_per_connection",
      "limit.bandwidth_per_client",
      "limit.bandwidth_per_connection",
      "limit.requests_per_second_per_client",
      "access.allow_clients",
      "access.deny_clients",
      "access.allow_hosts",
      "access.deny_hosts",
      "access.allow_ports",
      "access.connect_ports",
      "access.allow_private",
      "auth",
      "dns.servers",
      "dns.hosts_file",
      "dns.min_ttl",
      "dns.max_ttl",
      "dns.negative_ttl",
      "dns.cache_entries",
      "dns.prefer",
      "upstream.max_connections",
      "upstream.max_connections_per_host",
      "upstream.max_idle_per_host",
      "upstream.idle_timeout",
      "upstream.max_age",
      "upstream.http2",
      "upstream.retries",
      "upstream.fast_open",
      "upstream.tls.ca_file",
      "upstream.tls.verify",
      "upstream.tls.ocsp",
      "upstream.tls.crl_file",
      "upstream.tls.crl_refresh",
      "upstream.tls.ct_log_list",
      "upstream.tls.min_version",
      "upstream.tls.certificate",
      "upstream.tls.key",
      "parent",
      "accelerate.enabled",
      "accelerate.min_size",
      "accelerate.max_connections",
      "accelerate.max_connections_per_host",
      "accelerate.piece_size",
      "accelerate.max_downloads",
      "cache.enabled",
      "cache.directory",
      "cache.size",
      "cache.memory",
      "cache.max_object",
      "cache.min_free_disk",
      "cache.sync",
      "cache.stale_if_error",
      "cache.stale_while_revalidate",
      "cache.negative_ttl",
      "cache.verify",
      "cache.targeted_fields",
      "cache.ignore_query",
      "cache.offline",
      "mirror",
      "intercept",
      "admin.address",
      "admin.token_file",
      "admin.allow_clients",
      "admin.cors_origins",
      "log.level",
      "log.file",
      "log.format",
      "log.access_file",
      "log.access_format",
      "log.sample",
      "statsd",
  };
  std::set<std::string_view> refused(keys_not_implemented().begin(), keys_not_implemented().end());
  size_t known = 0;
  for (const char* path : published) {
    EXPECT_TRUE(find_key(path) || refused.contains(path)) << path;
    ++known;
  }
  EXPECT_EQ(known, keys().size() + refused.size()) << "a key that is not published";
}

TEST(ToToml, IsReadBackToAnEqualConfiguration) {
  Config config = parse(R"(
[[listen]]
address = ":1"
[[listen]]
address = "[::1]:2"
protocols = ["http"]
[access]
connect_ports = ["*"]
allow_hosts = [".example.com"]
[cache]
directory = "/tmp/a \"quoted\" \\ path"
size = "1GB"
[log]
access_file = "-"
)",
                        "t")
                      .config;
  const Loaded again = parse(to_toml(config), "again");
  EXPECT_THAT(again.problems, testing::IsEmpty());
  EXPECT_EQ(again.config, config);
}

TEST(JsonSchema, DescribesEveryKey) {
  const nlohmann::json schema = nlohmann::json::parse(json_schema());
  for (const Key& key : keys()) {
    std::string pointer = "/properties/";
    for (const char c : key.section())
      pointer += c == '.' ? std::string("/properties/") : std::string(1, c);
    if (key.section() == "listen") pointer += "/items";
    pointer += "/properties/" + std::string(key.name());
    ASSERT_TRUE(schema.contains(nlohmann::json::json_pointer(pointer))) << key.path;
    const nlohmann::json& property = schema.at(nlohmann::json::json_pointer(pointer));
    EXPECT_TRUE(property.contains("default") && property.contains("description") &&
                property.contains("type"))
        << key.path;
  }
  EXPECT_EQ(schema.at("/properties/cache/properties/size/default"_json_pointer), "10GiB");
  EXPECT_EQ(schema.at("/properties/server/properties/workers/maximum"_json_pointer), 64);
  EXPECT_EQ(schema.at("/additionalProperties"_json_pointer), false);
}

}  // namespace
}  // namespace tributary::conf
