#include "conf/value.h"

#include <gtest/gtest.h>

namespace tributary::conf {
namespace {

using namespace std::chrono_literals;

TEST(Size, ReadsBinaryAndDecimalUnitsAndPlainBytes) {
  const struct {
    const char* text;
    uint64_t bytes;
  } rows[] = {{"0", 0},
              {"4096", 4096},
              {"1B", 1},
              {"64KiB", 65536},
              {"1kB", 1000},
              {"1KB", 1000},
              {"1GB", 1000000000},
              {"10GiB", 10ull << 30},
              {"10 GiB", 10ull << 30},
              {"2TiB", 2ull << 40},
              {"3TB", 3000000000000ull},
              {"18446744073709551615", UINT64_MAX}};
  for (const auto& row : rows) EXPECT_EQ(parse_size(row.text), row.bytes) << row.text;
}

TEST(Size, RefusesWhatIsAmbiguousOrOverflows) {
  for (const char* text : {"", "GiB", "10G", "10gib", "-1", "1.5GiB", "1  GiB", " 1", "1GiB ",
                           "18446744073709551616", "16777216TiB", "0x10", "1e9"}) {
    EXPECT_FALSE(parse_size(text)) << text;
  }
}

TEST(Size, IsWrittenInTheLargestExactUnitAndReadsBack) {
  const struct {
    uint64_t bytes;
    const char* text;
  } rows[] = {{0, "0"},
              {1, "1"},
              {1000, "1kB"},
              {1024, "1KiB"},
              {65536, "64KiB"},
              {10ull << 30, "10GiB"},
              {1000000000, "1GB"},
              {1500000, "1500kB"},
              {1024ull << 40, "1024TiB"},
              {4097, "4097"}};
  for (const auto& row : rows) {
    EXPECT_EQ(format_size(row.bytes), row.text);
    EXPECT_EQ(parse_size(row.text), row.bytes);
  }
}

TEST(Duration, ReadsOneUnit) {
  EXPECT_EQ(parse_duration("250ms"), Duration(250ms));
  EXPECT_EQ(parse_duration("30s"), Duration(30s));
  EXPECT_EQ(parse_duration("5m"), Duration(5min));
  EXPECT_EQ(parse_duration("2h"), Duration(2h));
  EXPECT_EQ(parse_duration("7d"), Duration(168h));
  EXPECT_EQ(parse_duration("0"), Duration::zero());
}

TEST(Duration, RefusesMissingUnitsAndOverflow) {
  for (const char* text : {"", "30", "s", "1h30m", "1.5s", "-1s", "5 minutes", "1000000000000d"}) {
    EXPECT_FALSE(parse_duration(text)) << text;
  }
}

TEST(Duration, IsWrittenInTheLargestExactUnit) {
  EXPECT_EQ(format_duration(90s), "90s");
  EXPECT_EQ(format_duration(60s), "1m");
  EXPECT_EQ(format_duration(24h), "1d");
  EXPECT_EQ(format_duration(1500ms), "1500ms");
  EXPECT_EQ(format_duration(0s), "0s");
}

TEST(Ports, ReadsSinglePortsRangesAndAll) {
  EXPECT_EQ(parse_ports("443"), (PortRange{443, 443}));
  EXPECT_EQ(parse_ports("1024-65535"), (PortRange{1024, 65535}));
  EXPECT_EQ(parse_ports("*"), PortRange{});
  for (const char* text : {"", "0", "65536", "9-8", "-", "80-", "-80", "http", "80,81", "0-80"}) {
    EXPECT_FALSE(parse_ports(text)) << text;
  }
  for (const char* text : {"443", "1024-65535", "*"})
    EXPECT_EQ(format_ports(*parse_ports(text)), text);
}

TEST(LocalAddress, IsLoopbackOrAUnixSocket) {
  for (const char* text : {"127.0.0.1:3129", "127.9.9.9:1", "[::1]:3129", "unix:/run/a.sock"}) {
    EXPECT_TRUE(is_listen_address(text) && is_local_address(text)) << text;
  }
  for (const char* text : {":3129", "0.0.0.0:3129", "[::]:3129", "192.0.2.1:3129", "10.0.0.1:80"}) {
    EXPECT_TRUE(is_listen_address(text)) << text;
    EXPECT_FALSE(is_local_address(text)) << text;
  }
}

TEST(HostPattern, TakesNamesSuffixesGlobsAndAddressesOnly) {
  for (const char* text : {"example.com", ".example.com", "*.cdn.example.com", "a?.example",
                           "192.0.2.1", "2001:db8::1"}) {
    EXPECT_TRUE(is_host_pattern(text)) << text;
  }
  for (const char* text : {"", ".", "http://x", "a b", "@/etc/hosts", "m\xc3\xbcnchen.example",
                           "a/b", "Upper.example"}) {
    EXPECT_FALSE(is_host_pattern(text)) << text;
  }
}

}  // namespace
}  // namespace tributary::conf
