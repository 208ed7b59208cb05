#include "proxy/access.h"

#include <gtest/gtest.h>

namespace tributary::proxy {
namespace {

using core::ErrorCode;

net::SocketAddress at(std::string_view text) { return *net::SocketAddress::parse(text); }
net::Cidr cidr(std::string_view text) { return *net::Cidr::parse(text); }

AccessSettings open_settings() {
  AccessSettings settings;
  settings.allow_private = true;
  settings.allow_ports = {{1, 65535}};
  settings.connect_ports = {{1, 65535}};
  return settings;
}

ErrorCode refusal(const Access& access, std::string_view host, uint16_t port,
                  TargetKind kind = TargetKind::Forward) {
  const core::Result<void> result = access.check_target(host, port, kind);
  EXPECT_FALSE(result.ok()) << host << ':' << port;
  return result.ok() ? ErrorCode::Internal : result.error().code;
}

bool allowed(const Access& access, std::string_view host, uint16_t port = 80,
             TargetKind kind = TargetKind::Forward) {
  return access.check_target(host, port, kind).ok();
}

TEST(HostRules, ExactSuffixAndGlob) {
  const HostRules rules({"Exact.Example", ".suffix.example", "glob-*.example"});
  EXPECT_TRUE(rules.matches("exact.example"));
  EXPECT_FALSE(rules.matches("sub.exact.example"));
  EXPECT_TRUE(rules.matches("suffix.example"));
  EXPECT_TRUE(rules.matches("a.b.suffix.example"));
  EXPECT_FALSE(rules.matches("notsuffix.example"));
  EXPECT_TRUE(rules.matches("glob-1.example"));
  EXPECT_FALSE(rules.matches("example"));
}

TEST(ClientAccess, DenyWinsAndUnlistedIsRefused) {
  AccessSettings settings;
  settings.allow_clients = {cidr("10.0.0.0/8"), cidr("::1")};
  settings.deny_clients = {cidr("10.9.0.0/16")};
  const Access access(settings);
  EXPECT_TRUE(access.allows_client(at("10.1.2.3:5")));
  EXPECT_FALSE(access.allows_client(at("10.9.2.3:5")));
  EXPECT_FALSE(access.allows_client(at("192.0.2.1:5")));
  EXPECT_TRUE(access.allows_client(at("[::1]:5")));
}

TEST(ClientAccess, UnixPeersWereAdmittedByTheFilesPermissions) {
  EXPECT_TRUE(Access(AccessSettings{}).allows_client(net::SocketAddress::unix_path("")));
}

TEST(TargetAccess, PortsAreLimitedAndConnectMoreSo) {  // V-6
  const Access access{AccessSettings{}};
  EXPECT_TRUE(allowed(access, "example.com", 80));
  EXPECT_TRUE(allowed(access, "example.com", 8080));
  EXPECT_EQ(refusal(access, "example.com", 25), ErrorCode::Forbidden);
  EXPECT_TRUE(allowed(access, "example.com", 443, TargetKind::Connect));
  EXPECT_EQ(refusal(access, "example.com", 80, TargetKind::Connect), ErrorCode::Forbidden);
  EXPECT_TRUE(allowed(access, "example.com", 80, TargetKind::Socks));
  EXPECT_EQ(refusal(access, "example.com", 25, TargetKind::Socks), ErrorCode::Forbidden);
  EXPECT_EQ(refusal(access, "example.com", 0), ErrorCode::Forbidden);
}

TEST(TargetAccess, TheReasonNamesTheRule) {
  AccessSettings settings;
  settings.deny_hosts = {"bad.example"};
  const Access access(settings);
  std::string_view reason;
  EXPECT_FALSE(access.check_target("bad.example", 80, TargetKind::Forward, &reason).ok());
  EXPECT_EQ(reason, "host not allowed");
  EXPECT_FALSE(access.check_target("good.example", 80, TargetKind::Connect, &reason).ok());
  EXPECT_EQ(reason, "port not allowed for CONNECT");
  EXPECT_FALSE(access.check_target("127.0.0.1", 80, TargetKind::Forward, &reason).ok());
  EXPECT_EQ(reason, "address not allowed");
}

TEST(TargetAccess, SpellingOfTheHostDoesNotGetAroundARule) {
  AccessSettings settings = open_settings();
  settings.deny_hosts = {"bad.example", "2001:db8::1", "192.0.2.1"};
  const Access access(settings);
  EXPECT_EQ(refusal(access, "BAD.example", 80), ErrorCode::Forbidden);
  EXPECT_EQ(refusal(access, "bad.example.", 80), ErrorCode::Forbidden);
  EXPECT_EQ(refusal(access, "2001:DB8:0:0::1", 80), ErrorCode::Forbidden);
  EXPECT_EQ(refusal(access, "::ffff:192.0.2.1", 80), ErrorCode::Forbidden);
  EXPECT_TRUE(allowed(access, "other.example"));
}

TEST(TargetAccess, AllowListAdmitsNothingElseAndDenyWins) {
  AccessSettings settings;
  settings.allow_hosts = {".example.com"};
  settings.deny_hosts = {"secret.example.com"};
  const Access access(settings);
  EXPECT_TRUE(allowed(access, "www.example.com"));
  EXPECT_EQ(refusal(access, "secret.example.com", 80), ErrorCode::Forbidden);
  EXPECT_EQ(refusal(access, "example.org", 80), ErrorCode::Forbidden);
}

TEST(AddressAccess, SpecialAddressesAreProhibitedByDefault) {  // V-5
  const Access access{AccessSettings{}};
  for (const char* address :
       {"127.0.0.1:80", "10.0.0.1:80", "169.254.169.254:80", "0.0.0.0:80", "100.64.0.1:80", "[::1]:80",
        "[fe80::1]:80", "[fd00::1]:80", "[::ffff:127.0.0.1]:80", "[64:ff9b::7f00:1]:80", "[::]:80"}) {
    EXPECT_FALSE(access.allows_address(at(address))) << address;
    EXPECT_FALSE(access.address_filter()(at(address))) << address;
  }
  EXPECT_TRUE(access.allows_address(at("8.8.8.8:80")));
  EXPECT_TRUE(access.address_filter()(at("[2606:4700::1]:443")));
  EXPECT_EQ(refusal(access, "127.0.0.1", 80), ErrorCode::DestinationProhibited);
  EXPECT_EQ(refusal(access, "::ffff:10.0.0.1", 80), ErrorCode::DestinationProhibited);
}

TEST(AddressAccess, UnixSocketsAreNoDestination) {
  EXPECT_FALSE(Access(open_settings()).allows_address(net::SocketAddress::unix_path("/run/docker.sock")));
}

TEST(AddressAccess, OwnListenersAreNeverADestination) {  // V-6
  const Access access(open_settings(), {at("127.0.0.1:3128"), at("127.0.0.1:3129"), at("192.0.2.7:3128")});
  for (const char* address : {"127.0.0.1:3128", "127.0.0.1:3129", "[::ffff:127.0.0.1]:3129", "0.0.0.0:3129",
                              "[::]:3128", "192.0.2.7:3128"}) {
    EXPECT_FALSE(access.allows_address(at(address))) << address;
  }
  EXPECT_TRUE(access.allows_address(at("127.0.0.1:8080")));
  EXPECT_TRUE(access.allows_address(at("127.0.0.2:3128")));
  EXPECT_TRUE(access.allows_address(at("192.0.2.7:80")));
  EXPECT_EQ(refusal(access, "127.0.0.1", 3129), ErrorCode::DestinationProhibited);
}

TEST(AddressAccess, AWildcardListenerStandsForEveryAddressOfTheMachine) {
  const Access access(open_settings(), {at("[::]:3128")});
  EXPECT_FALSE(access.allows_address(at("127.0.0.1:3128")));
  EXPECT_FALSE(access.allows_address(at("127.8.8.8:3128")));
  EXPECT_FALSE(access.allows_address(at("[::1]:3128")));
  EXPECT_FALSE(access.allows_address(at("0.0.0.0:3128")));
  EXPECT_TRUE(access.allows_address(at("198.51.100.1:3128")));
  EXPECT_TRUE(access.allows_address(at("127.0.0.1:3130")));
}

}  // namespace
}  // namespace tributary::proxy
