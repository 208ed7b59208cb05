#include "proxy/access_log.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <stdlib.h>

#include <cstdio>
#include <fstream>
#include <sstream>
#include <thread>
#include <vector>

namespace tributary::proxy {
namespace {

using testing::HasSubstr;
using testing::Not;

const net::SocketAddress kClient = *net::SocketAddress::parse("192.0.2.9:4711");

AccessRecord record() {
  AccessRecord made;
  made.client = &kClient;
  made.method = "GET";
  made.target = "http://example.com/a?b=c";
  made.status = 200;
  made.cache = CacheResult::Hit;
  made.bytes_sent = 5120;
  made.bytes_received = 12;
  made.referer = "http://example.com/";
  made.user_agent = "curl/8";
  made.content_type = "text/html; charset=utf-8";
  made.duration = std::chrono::milliseconds(45);
  made.finished = 1795249402;  // 2026-11-21T08:23:22Z
  made.finished_ms = 7;
  return made;
}

std::string line(AccessFormat format, const AccessRecord& each) {
  std::string out;
  format_access_line(format, each, out);
  return out;
}

TEST(AccessFormats, Common) {
  EXPECT_EQ(line(AccessFormat::Common, record()),
            "192.0.2.9 - - [21/Nov/2026:08:23:22 +0000] \"GET http://example.com/a?b=c HTTP/1.1\" 200 5120\n");
}

TEST(AccessFormats, Combined) {
  EXPECT_EQ(line(AccessFormat::Combined, record()),
            "192.0.2.9 - - [21/Nov/2026:08:23:22 +0000] \"GET http://example.com/a?b=c HTTP/1.1\" 200 5120 "
            "\"http://example.com/\" \"curl/8\"\n");
}

TEST(AccessFormats, Squid) {
  EXPECT_EQ(line(AccessFormat::Squid, record()),
            "1795249402.007     45 192.0.2.9 TCP_HIT/200 5120 GET http://example.com/a?b=c - HIER_NONE/- text/html\n");
  AccessRecord miss = record();
  miss.cache = CacheResult::Miss;
  miss.origin = "example.com";
  miss.duration = std::chrono::hours(10);
  EXPECT_EQ(line(AccessFormat::Squid, miss),
            "1795249402.007 36000000 192.0.2.9 TCP_MISS/200 5120 GET http://example.com/a?b=c - "
            "HIER_DIRECT/example.com text/html\n");
}

TEST(AccessFormats, Json) {
  EXPECT_EQ(line(AccessFormat::Json, record()),
            "{\"time\":\"2026-11-21T08:23:22.007Z\",\"client\":\"192.0.2.9\",\"protocol\":\"http\",\"method\":\"GET\","
            "\"target\":\"http://example.com/a?b=c\",\"status\":200,\"cache\":\"hit\",\"bytes_received\":12,"
            "\"bytes_sent\":5120,\"duration_ms\":45,\"content_type\":\"text/html; charset=utf-8\","
            "\"referer\":\"http://example.com/\",\"user_agent\":\"curl/8\"}\n");
}

TEST(AccessFormats, ATunnelIsARequestToo) {
  AccessRecord tunnel = record();
  tunnel.protocol = Protocol::Socks5;
  tunnel.method = "CONNECT";
  tunnel.target = "example.com:443";
  EXPECT_THAT(line(AccessFormat::Common, tunnel), HasSubstr("\"CONNECT example.com:443 SOCKS/5\""));
  EXPECT_THAT(line(AccessFormat::Squid, tunnel), HasSubstr(" TCP_TUNNEL/200 "));
}

TEST(AccessFormats, WhatIsUnknownIsADash) {
  AccessRecord bare;
  bare.finished = 0;
  EXPECT_EQ(line(AccessFormat::Combined, bare), "- - - [01/Jan/1970:00:00:00 +0000] \"-\" - 0 \"-\" \"-\"\n");
}

TEST(AccessFormats, HostileTextForgesNeitherColumnNorLine) {
  AccessRecord hostile = record();
  hostile.method = "GE T";
  hostile.target = "/\" 200 1\n127.0.0.1 - - fake";
  hostile.user = "a b\r";
  hostile.referer = "\"\\\x1b[31m";
  hostile.user_agent = "x\"\ny\xff";
  for (const AccessFormat format :
       {AccessFormat::Common, AccessFormat::Combined, AccessFormat::Squid, AccessFormat::Json}) {
    const std::string text = line(format, hostile);
    EXPECT_EQ(std::count(text.begin(), text.end(), '\n'), 1) << text;
    EXPECT_EQ(text.back(), '\n');
    EXPECT_THAT(text, Not(HasSubstr("\x1b")));
    EXPECT_THAT(text, Not(HasSubstr("\r")));
  }
  EXPECT_THAT(line(AccessFormat::Combined, hostile),
              HasSubstr("\"GE\\x20T /\\x22\\x20200\\x201\\x0a127.0.0.1\\x20-\\x20-\\x20fake HTTP/1.1\""));
  EXPECT_THAT(line(AccessFormat::Combined, hostile), HasSubstr("\"\\x22\\x5c\\x1b[31m\" \"x\\x22\\x0ay\\xff\"\n"));
  const std::string squid = line(AccessFormat::Squid, hostile);
  EXPECT_EQ(std::count(squid.begin(), squid.end(), ' '), 13) << squid;  // four of them pad the time
}

TEST(AccessFormats, AnEndlessTargetIsCut) {
  const std::string target(1 << 20, 'x');
  AccessRecord hostile = record();
  hostile.target = target;
  EXPECT_LT(line(AccessFormat::Json, hostile).size(), 10'000u);
}

class AccessLogFile : public testing::Test {
 protected:
  AccessLogFile() {
    char name[] = "/tmp/tributary-access-XXXXXX";
    directory_ = ::mkdtemp(name);
    path_ = directory_ + "/access.log";
  }
  ~AccessLogFile() override {
    std::remove(path_.c_str());
    std::remove((path_ + ".1").c_str());
    std::remove(directory_.c_str());
  }
  std::unique_ptr<AccessLog> open(size_t ring_size = 1 << 16) {
    AccessLogSettings settings;
    settings.file = path_;
    settings.format = AccessFormat::Common;
    settings.ring_size = ring_size;
    std::string why;
    auto log = AccessLog::open(settings, &why);
    EXPECT_TRUE(log.ok()) << why;
    return *std::move(log);
  }
  static std::string read(const std::string& path) {
    std::stringstream text;
    text << std::ifstream(path).rdbuf();
    return text.str();
  }

  std::string directory_, path_;
};

TEST_F(AccessLogFile, LinesOfEveryThreadArriveWhole) {
  {
    const auto log = open(1 << 20);
    std::vector<std::thread> threads;
    for (int number = 1; number <= 4; ++number) {
      threads.emplace_back([&log, number] {
        core::bind_metric_thread(number);
        for (int i = 0; i < 1000; ++i) log->write(record());
      });
    }
    for (std::thread& thread : threads) thread.join();
    log->write(record());  // a thread that is no worker
    EXPECT_EQ(log->dropped(), 0u);
  }
  std::ifstream file(path_);
  const std::string expected = line(AccessFormat::Common, record());
  int lines = 0;
  for (std::string each; std::getline(file, each); ++lines) EXPECT_EQ(each + "\n", expected);
  EXPECT_EQ(lines, 4001);
}

TEST_F(AccessLogFile, AFullRingDropsWholeLinesAndCountsThem) {
  const auto log = open(256);
  for (int i = 0; i < 100'000 && log->dropped() == 0; ++i) log->write(record());
  EXPECT_GT(log->dropped(), 0u);
  log->flush();
  const std::string text = read(path_), expected = line(AccessFormat::Common, record());
  EXPECT_EQ(text.size() % expected.size(), 0u);
}

TEST_F(AccessLogFile, ReopenGoesOnInANewFile) {
  const auto log = open();
  log->write(record());
  log->flush();
  std::rename(path_.c_str(), (path_ + ".1").c_str());
  log->reopen();
  log->flush();
  log->write(record());
  log->flush();
  EXPECT_EQ(read(path_), line(AccessFormat::Common, record()));
  EXPECT_EQ(read(path_ + ".1"), line(AccessFormat::Common, record()));
}

TEST(AccessLog, IsOffWithoutAFile) {
  const auto log = AccessLog::open({}, nullptr);
  ASSERT_TRUE(log.ok());
  EXPECT_FALSE((*log)->enabled());
  (*log)->write(record());
  (*log)->flush();
  (*log)->reopen();
}

TEST(AccessLog, AFileThatCannotBeOpenedIsTold) {
  AccessLogSettings settings;
  settings.file = "/proc/nonexistent/access.log";
  std::string why;
  EXPECT_FALSE(AccessLog::open(settings, &why).ok());
  EXPECT_EQ(why, "/proc/nonexistent/access.log: No such file or directory");
}

}  // namespace
}  // namespace tributary::proxy
