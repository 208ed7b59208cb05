// S4-4.1, V-5 (forms).
#include "net/address.h"

#include <gtest/gtest.h>

#include <unordered_set>

namespace tributary::net {
namespace {

TEST(IpAddress, PrintsAsRfc5952Says) {
  const std::pair<const char*, const char*> rows[] = {
      {"1.2.3.4", "1.2.3.4"},
      {"2001:DB8::0:1", "2001:db8::1"},
      {"2001:db8:0:0:1:0:0:1", "2001:db8::1:0:0:1"},
      {"2001:db8:0:1:1:1:1:1", "2001:db8:0:1:1:1:1:1"},
      {"::ffff:192.0.2.1", "::ffff:192.0.2.1"},
      {"::", "::"},
  };
  for (const auto& [text, printed] : rows) {
    const auto ip = IpAddress::parse(text);
    ASSERT_TRUE(ip) << text;
    EXPECT_EQ(ip->to_string(), printed);
    EXPECT_EQ(IpAddress::parse(ip->to_string()), ip);
  }
}

TEST(IpAddress, RefusesFormsThatOtherParsersReadDifferently) {
  for (const std::string_view text :
       {"127.1", "0x7f.0.0.1", "0177.0.0.1", "2130706433", "0x7f000001", "01.2.3.4", "1.2.3.04", "1.2.3", "1.2.3.4.5",
        "256.0.0.1", "1.2.3.4 ", " 1.2.3.4", "1..2.3", "1.2.3.", "", "1.2.3.4/8", "fe80::1%eth0", "[::1]", "::1::",
        ":::", "1:2:3:4:5:6:7", "1:2:3:4:5:6:7:8:9", "12345::", "::ffff:127.1", "::ffff:0177.0.0.1", "::1.2.3.256",
        "+1.2.3.4", "1.2.3.-4", "localhost"}) {
    EXPECT_FALSE(IpAddress::parse(text)) << text;
  }
  EXPECT_FALSE(IpAddress::parse(std::string_view("::1\0", 4)));
  EXPECT_FALSE(IpAddress::parse(std::string_view("1.2.3.4\0", 8)));
}

TEST(Classify, FollowsTheSpecialPurposeRegistries) {
  struct Row {
    const char* ip;
    AddressClass kind;
  };
  using enum AddressClass;
  const Row rows[] = {
      {"0.0.0.0", Unspecified}, {"0.1.2.3", Unspecified}, {"1.0.0.0", Public}, {"8.8.8.8", Public},
      {"9.255.255.255", Public}, {"10.0.0.0", Private}, {"10.255.255.255", Private}, {"11.0.0.0", Public},
      {"100.63.255.255", Public}, {"100.64.0.0", CarrierNat}, {"100.127.255.255", CarrierNat}, {"100.128.0.0", Public},
      {"126.255.255.255", Public}, {"127.0.0.0", Loopback}, {"127.255.255.255", Loopback}, {"128.0.0.0", Public},
      {"169.253.255.255", Public}, {"169.254.0.0", LinkLocal}, {"169.254.169.254", LinkLocal}, {"169.255.0.0", Public},
      {"172.15.255.255", Public}, {"172.16.0.0", Private}, {"172.31.255.255", Private}, {"172.32.0.0", Public},
      {"192.0.0.0", Special}, {"192.0.0.9", Special}, {"192.0.0.170", Special}, {"192.0.1.0", Public},
      {"192.0.2.1", Documentation}, {"192.0.3.0", Public}, {"192.31.196.1", Public}, {"192.52.193.1", Public},
      {"192.88.99.1", Special}, {"192.167.255.255", Public}, {"192.168.0.0", Private}, {"192.168.255.255", Private},
      {"192.169.0.0", Public}, {"192.175.48.1", Public}, {"198.17.255.255", Public}, {"198.18.0.0", Benchmarking},
      {"198.19.255.255", Benchmarking}, {"198.20.0.0", Public}, {"198.51.100.7", Documentation},
      {"203.0.113.7", Documentation}, {"223.255.255.255", Public}, {"224.0.0.0", Multicast},
      {"239.255.255.255", Multicast}, {"240.0.0.0", Reserved}, {"255.255.255.254", Reserved},
      {"255.255.255.255", Broadcast},
      {"::", Unspecified}, {"::1", Loopback}, {"::2", Reserved}, {"::7f00:1", Reserved},
      {"::ffff:8.8.8.8", Public}, {"::ffff:127.0.0.1", Loopback}, {"::ffff:10.0.0.1", Private},
      {"::ffff:169.254.169.254", LinkLocal}, {"::ffff:0.0.0.0", Unspecified}, {"::ffff:0:127.0.0.1", Reserved},
      {"64:ff9b::8.8.8.8", Public}, {"64:ff9b::127.0.0.1", Loopback}, {"64:ff9b::10.1.1.1", Private},
      {"64:ff9b:0:0:1::1", Reserved}, {"64:ff9b:1::8.8.8.8", Nat64Local}, {"64:ff9b:2::1", Reserved},
      {"100::", Discard}, {"100::ffff", Discard}, {"100:0:0:1::1", Discard}, {"100:0:0:2::1", Reserved},
      {"2001::1", Teredo}, {"2001:0:4136:e378:8000:63bf:3fff:fdd2", Teredo}, {"2001:1::1", Special},
      {"2001:2::1", Benchmarking}, {"2001:2:1::1", Special}, {"2001:10::1", Special}, {"2001:20::1", Special},
      {"2001:1ff:ffff::", Special}, {"2001:200::1", Public}, {"2001:db8::1", Documentation}, {"2001:db9::1", Public},
      {"2002:808:808::1", Public}, {"2002:7f00:1::1", Loopback}, {"2002:a00:1::1", Private}, {"2002:a9fe:a9fe::", LinkLocal},
      {"2606:4700::1111", Public}, {"2a00:1450:4001::1", Public}, {"3fff::1", Documentation}, {"3fff:fff::1", Documentation},
      {"3fff:1000::1", Public}, {"4000::1", Reserved}, {"5f00::1", Special}, {"1fff::1", Reserved},
      {"fbff::1", Reserved}, {"fc00::1", UniqueLocal}, {"fdff::1", UniqueLocal}, {"fe00::1", Reserved},
      {"fe80::1", LinkLocal}, {"febf::1", LinkLocal}, {"fec0::1", SiteLocal}, {"feff::1", SiteLocal},
      {"ff02::1", Multicast}, {"ffff::", Multicast},
  };
  for (const Row& row : rows) {
    const auto ip = IpAddress::parse(row.ip);
    ASSERT_TRUE(ip) << row.ip;
    EXPECT_EQ(address_class_name(classify(*ip)), address_class_name(row.kind)) << row.ip;
    EXPECT_EQ(is_public(*ip), row.kind == Public) << row.ip;
  }
}

TEST(SocketAddress, ParsesWhatItPrints) {
  for (const char* text : {"1.2.3.4:80", "[::1]:3128", "[2001:db8::1]:0", "unix:/run/a.sock", "127.0.0.1:65535"}) {
    const auto address = SocketAddress::parse(text);
    ASSERT_TRUE(address) << text;
    EXPECT_EQ(address->to_string(), text);
    sockaddr_storage storage;
    const socklen_t length = address->to_sockaddr(storage);
    ASSERT_GT(length, 0u);
    EXPECT_EQ(SocketAddress::from(storage, length), *address);
  }
  for (const char* text : {"1.2.3.4", "::1:80", "[1.2.3.4]:80", "1.2.3.4:", "1.2.3.4:65536", "1.2.3.4:080", "[::1]", "[::1",
                           "[::1]80", "example.com:80", "unix:", ":80", "1.2.3.4:80 ", "1.2.3.4:+80"}) {
    EXPECT_FALSE(SocketAddress::parse(text)) << text;
  }
  EXPECT_FALSE(SocketAddress::parse("unix:/" + std::string(107, 'x')));
}

TEST(SocketAddress, KnowsADualStackPeerByItsIpv4Address) {
  sockaddr_storage storage;
  const SocketAddress mapped(*IpAddress::parse("::ffff:192.0.2.1"), 80);
  const socklen_t length = mapped.to_sockaddr(storage);
  EXPECT_EQ(SocketAddress::from(storage, length).to_string(), "192.0.2.1:80");
}

TEST(HostPort, SplitsNamesAndLiterals) {
  EXPECT_EQ(HostPort::parse("Example.COM.:443"), (HostPort{"example.com", 443}));
  EXPECT_EQ(HostPort::parse("[2001:DB8::1]:80"), (HostPort{"2001:db8::1", 80}));
  EXPECT_EQ(HostPort::parse("1.2.3.4", 80), (HostPort{"1.2.3.4", 80}));
  EXPECT_EQ(HostPort::parse("[::1]", 80), (HostPort{"::1", 80}));
  EXPECT_EQ((HostPort{"::1", 80}.to_string()), "[::1]:80");
  for (const char* text : {"", ":80", "a:b:80", "::1:80", "a:", "a:99999", "a b:80", "[a]:80", "[1.2.3.4]:80", "a\n:80"}) {
    EXPECT_FALSE(HostPort::parse(text)) << text;
  }
  EXPECT_FALSE(HostPort::parse("example.com"));
}

TEST(ListenAddress, UnderstandsTheFourForms) {
  EXPECT_TRUE(ListenAddress::parse(":3128")->every_interface);
  EXPECT_EQ(ListenAddress::parse(":3128")->address.port(), 3128);
  EXPECT_FALSE(ListenAddress::parse("[::1]:3128")->every_interface);
  for (const char* text : {":3128", "127.0.0.1:3128", "[::1]:3128", "unix:/run/tributary.sock"}) {
    EXPECT_EQ(ListenAddress::parse(text)->to_string(), text);
  }
  for (const char* text : {"", "3128", "localhost:3128", "*:3128", ":", ":x"}) EXPECT_FALSE(ListenAddress::parse(text)) << text;
}

TEST(Cidr, RefusesStrayBitsAndBadPrefixes) {
  EXPECT_TRUE(Cidr::parse("10.0.0.0/8"));
  EXPECT_TRUE(Cidr::parse("::/0"));
  EXPECT_EQ(Cidr::parse("192.0.2.1")->prefix, 32);
  EXPECT_EQ(Cidr::parse("fd00::/8")->to_string(), "fd00::/8");
  for (const char* text : {"10.0.0.1/8", "10.0.0.0/33", "::/129", "10.0.0.0/", "10.0.0.0/-1", "10/8", "fd00::1/8", "10.0.0.0/08"}) {
    EXPECT_FALSE(Cidr::parse(text)) << text;
  }
}

TEST(CidrSet, ContainsExactlyItsNetworks) {
  CidrSet set;
  for (const char* text : {"10.1.0.0/16", "10.0.0.0/8", "10.2.0.0/16", "192.0.2.7", "fd00::/8", "::1", "::ffff:198.51.100.0/120"}) {
    set.add(*Cidr::parse(text));
  }
  EXPECT_EQ(set.size(), 5u);
  for (const char* in : {"10.0.0.0", "10.255.255.255", "192.0.2.7", "fdff::1", "::1", "::ffff:10.3.4.5", "198.51.100.255"}) {
    EXPECT_TRUE(set.contains(*IpAddress::parse(in))) << in;
  }
  for (const char* out : {"9.255.255.255", "11.0.0.0", "192.0.2.6", "192.0.2.8", "fe00::", "::2", "a00::", "198.51.101.0"}) {
    EXPECT_FALSE(set.contains(*IpAddress::parse(out))) << out;
  }
  CidrSet all;
  all.add(*Cidr::parse("0.0.0.0/0"));
  EXPECT_TRUE(all.contains(*IpAddress::parse("255.255.255.255")));
  EXPECT_FALSE(all.contains(*IpAddress::parse("::1")));
  EXPECT_FALSE(CidrSet().contains(*IpAddress::parse("::1")));
}

TEST(IpAddress, HashesAndComparesByFamily) {
  const std::unordered_set<IpAddress> set{*IpAddress::parse("1.2.3.4"), *IpAddress::parse("102:304::")};
  EXPECT_EQ(set.size(), 2u);
  EXPECT_NE(*IpAddress::parse("127.0.0.1"), *IpAddress::parse("::ffff:127.0.0.1"));
  EXPECT_EQ(IpAddress::parse("::ffff:127.0.0.1")->unmapped(), *IpAddress::parse("127.0.0.1"));
}

}  // namespace
}  // namespace tributary::net
