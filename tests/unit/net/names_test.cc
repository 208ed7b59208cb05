// The parts of name resolution that need no network: hosts file, cache, order of addresses. S0-1.6, S4-4.2.
#include <gtest/gtest.h>

#include <fstream>

#include "net/address_order.h"
#include "net/dns_cache.h"
#include "net/hosts_file.h"
#include "unit/net/support.h"

namespace tributary::net {
namespace {

using namespace std::chrono_literals;

std::vector<IpAddress> ips(std::initializer_list<const char*> texts) {
  std::vector<IpAddress> list;
  for (const char* text : texts) list.push_back(*IpAddress::parse(text));
  return list;
}

std::string joined(const std::vector<IpAddress>& list) {
  std::string text;
  for (const IpAddress& ip : list) text += ip.to_string() + " ";
  return text;
}

TEST(AddressOrder, InterleavesTheFamiliesWithIpv6First) {
  EXPECT_EQ(joined(order_addresses(ips({"1.1.1.1", "1.1.1.2", "2606::1", "2606::2", "2606::3"}), Prefer::Auto, true)),
            "2606::1 1.1.1.1 2606::2 1.1.1.2 2606::3 ");
}

TEST(AddressOrder, PutsIpv6LastWhereThereIsNoRoute) {
  EXPECT_EQ(joined(order_addresses(ips({"2606::1", "1.1.1.1", "2606::2", "1.1.1.2"}), Prefer::Auto, false)),
            "1.1.1.1 1.1.1.2 2606::1 2606::2 ");
}

TEST(AddressOrder, ObeysThePreference) {
  const auto list = ips({"2606::1", "1.1.1.1", "1.1.1.2"});
  EXPECT_EQ(joined(order_addresses(list, Prefer::Ipv4, true)), "1.1.1.1 2606::1 1.1.1.2 ");
  EXPECT_EQ(joined(order_addresses(list, Prefer::Ipv6, false)), "2606::1 1.1.1.1 1.1.1.2 ");
}

TEST(AddressOrder, FollowsThePolicyTableAndDropsDuplicates) {
  // RFC 6724 2.1: native before IPv4 before 6to4 before Teredo before unique local.
  EXPECT_EQ(joined(order_addresses(ips({"fd00::1", "fd00::1"}), Prefer::Auto, true)), "fd00::1 ");
  EXPECT_EQ(joined(order_addresses(ips({"fd00::1", "2001::5"}), Prefer::Auto, true)), "2001::5 fd00::1 ");
  EXPECT_EQ(joined(order_addresses(ips({"2002:808:808::1", "8.8.8.8"}), Prefer::Auto, true)), "8.8.8.8 2002:808:808::1 ");
  EXPECT_EQ(joined(order_addresses(ips({"1.1.1.2", "1.1.1.1"}), Prefer::Auto, true)), "1.1.1.2 1.1.1.1 ");
}

TEST(HostsFile, ReadsAliasesCommentsAndBothFamilies) {
  const HostsFile table = HostsFile::parse(
      "# comment\n127.0.0.1\tlocalhost\n10.0.0.1  Web.Example.  www # tail\n::1 localhost ip6\n\nnonsense x\n10.1 y\n10.0.0.2 www");
  EXPECT_EQ(joined(*table.find("localhost")), "127.0.0.1 ::1 ");
  EXPECT_EQ(joined(*table.find("web.example")), "10.0.0.1 ");
  EXPECT_EQ(joined(*table.find("www")), "10.0.0.1 10.0.0.2 ");
  EXPECT_EQ(table.find("tail"), nullptr);
  EXPECT_EQ(table.find("x"), nullptr);
  EXPECT_EQ(table.find("y"), nullptr);
}

TEST(HostsFile, StampTellsAChangeAndAMissingFileIsEmpty) {
  const test::TemporaryFolder folder;
  const std::string path = folder.path + "/hosts";
  EXPECT_EQ(HostsFile::read(path)->stamp(), HostsFile::stamp(path));
  std::ofstream(path) << "10.0.0.1 a\n";
  const auto table = HostsFile::read(path);
  EXPECT_EQ(table->stamp(), HostsFile::stamp(path));
  std::ofstream(path) << "10.0.0.1 a b\n";
  EXPECT_NE(table->stamp(), HostsFile::stamp(path));
}

class DnsCacheTest : public ::testing::Test {
 protected:
  static DnsAnswer answer(const char* ip) { return {std::make_shared<const std::vector<IpAddress>>(1, *IpAddress::parse(ip))}; }
  static DnsAnswer error(core::ErrorCode code) { return {core::Error{.code = code}}; }
  core::TimePoint now{};
};

TEST_F(DnsCacheTest, KeepsAnAnswerForItsTtl) {
  DnsCache cache({});
  cache.put("a", answer("1.1.1.1"), 60s, now);
  EXPECT_TRUE(cache.find("a", now + 59s).answer);
  EXPECT_FALSE(cache.find("a", now + 60s).answer);
  EXPECT_EQ(cache.size(), 0u);
}

TEST_F(DnsCacheTest, ClampsTheTtl) {
  DnsCache cache({.min_ttl = 30s, .max_ttl = 100s});
  cache.put("short", answer("1.1.1.1"), 1s, now);
  cache.put("long", answer("1.1.1.1"), 10000s, now);
  EXPECT_TRUE(cache.find("short", now + 29s).answer);
  EXPECT_FALSE(cache.find("short", now + 30s).answer);
  EXPECT_TRUE(cache.find("long", now + 99s).answer);
  EXPECT_FALSE(cache.find("long", now + 100s).answer);
}

TEST_F(DnsCacheTest, DoesNotKeepTtlZero) {
  DnsCache cache({});
  cache.put("a", answer("1.1.1.1"), 0s, now);
  EXPECT_FALSE(cache.find("a", now).answer);
}

TEST_F(DnsCacheTest, KeepsMissingNamesAndFailuresForTheirOwnTimes) {
  DnsCache cache({.negative_ttl = 20s});
  cache.put("missing", error(core::ErrorCode::NameNotFound), 9999s, now);
  cache.put("failed", error(core::ErrorCode::DnsFailure), 9999s, now);
  EXPECT_TRUE(cache.find("missing", now + 19s).answer);
  EXPECT_FALSE(cache.find("missing", now + 20s).answer);
  EXPECT_TRUE(cache.find("failed", now + 999ms).answer);  // RFC 9520
  EXPECT_FALSE(cache.find("failed", now + 1s).answer);
}

TEST_F(DnsCacheTest, AFailureDoesNotReplaceAGoodAnswer) {
  DnsCache cache({});
  cache.put("a", answer("1.1.1.1"), 60s, now);
  cache.put("a", error(core::ErrorCode::DnsTimeout), 0s, now + 55s);
  EXPECT_TRUE(cache.find("a", now + 56s).answer->ok());
  cache.put("a", error(core::ErrorCode::NameNotFound), 0s, now + 57s);
  EXPECT_FALSE(cache.find("a", now + 58s).answer->ok());
}

TEST_F(DnsCacheTest, AsksForRefreshOnceNearTheEnd) {
  DnsCache cache({});
  cache.put("a", answer("1.1.1.1"), 100s, now);
  EXPECT_FALSE(cache.find("a", now + 89s).refresh);
  EXPECT_TRUE(cache.find("a", now + 90s).refresh);
  EXPECT_FALSE(cache.find("a", now + 91s).refresh);
  cache.put("a", answer("1.1.1.2"), 100s, now + 91s);
  EXPECT_FALSE(cache.find("a", now + 120s).refresh);
}

TEST_F(DnsCacheTest, IsBoundedAndForgetsTheLeastRecentlyUsed) {
  DnsCache cache({.capacity = 3});
  for (const char* name : {"a", "b", "c"}) cache.put(name, answer("1.1.1.1"), 60s, now);
  EXPECT_TRUE(cache.find("a", now).answer);
  cache.put("d", answer("1.1.1.1"), 60s, now);
  EXPECT_EQ(cache.size(), 3u);
  EXPECT_TRUE(cache.find("a", now).answer);
  EXPECT_FALSE(cache.find("b", now).answer);
}

}  // namespace
}  // namespace tributary::net
