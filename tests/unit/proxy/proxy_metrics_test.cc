#include <gtest/gtest.h>

#include <thread>

#include "proxy/detection.h"
#include "proxy/metrics.h"

namespace tributary::proxy {
namespace {

double value(const core::Registry& registry, std::string_view name, const std::vector<std::string>& labels) {
  for (const core::FamilySnapshot& family : registry.snapshot()) {
    if (family.name != name) continue;
    for (const core::Sample& sample : family.samples) {
      if (sample.label_values == labels) return sample.value;
    }
  }
  return -1;
}

size_t children(const core::Registry& registry, std::string_view name) {
  for (const core::FamilySnapshot& family : registry.snapshot()) {
    if (family.name == name) return family.samples.size();
  }
  return 0;
}

TEST(ProxyMetrics, RequestsOfAllThreadsAreSummed) {
  core::Registry registry;
  Metrics metrics(registry, "1.2.3");
  const auto count = [&metrics](int thread) {
    if (thread != 0) core::bind_metric_thread(thread);
    for (int i = 0; i < 100; ++i) {
      metrics.request(Protocol::Http, http::Method::Get, 200, CacheResult::Hit, std::chrono::milliseconds(1));
    }
  };
  std::thread one(count, 1), two(count, 2), none(count, 0);
  one.join();
  two.join();
  none.join();
  EXPECT_EQ(value(registry, "tributary_requests_total", {"http", "GET", "200", "hit"}), 300);
  EXPECT_EQ(value(registry, "tributary_build_info", {"1.2.3"}), 1);
}

TEST(ProxyMetrics, PeersCannotMakeTheLabelsGrow) {
  core::Registry registry;
  Metrics metrics(registry, "1");
  std::thread([&metrics] {
    core::bind_metric_thread(1);
    for (uint16_t status = 0; status < 1000; ++status) {
      metrics.request(Protocol::Http, http::Method::Propfind, status, CacheResult::Miss, {});
      metrics.request(Protocol::Http, http::Method::Other, status, CacheResult::Miss, {});
    }
  }).join();
  EXPECT_LT(children(registry, "tributary_requests_total"), 80u);
  EXPECT_EQ(value(registry, "tributary_requests_total", {"http", "other", "204", "miss"}), 2);
  EXPECT_GT(value(registry, "tributary_requests_total", {"http", "other", "5xx", "miss"}), 100);
  EXPECT_GT(value(registry, "tributary_requests_total", {"http", "other", "0xx", "miss"}), 100);
}

TEST(ProxyMetrics, EveryRejectReasonIsThereFromTheStart) {
  core::Registry registry;
  Metrics metrics(registry, "1");
  EXPECT_EQ(children(registry, "tributary_rejected_total"), static_cast<size_t>(kRejectReasons));
  metrics.rejected(RejectReason::TooLarge);
  EXPECT_EQ(value(registry, "tributary_rejected_total", {"too_large"}), 1);
}

TEST(Detection, TheFirstByteDecides) {  // P-1
  using namespace std::string_view_literals;
  EXPECT_EQ(detect("\x05"), FirstBytes::Socks5);
  EXPECT_EQ(detect("\x04\x01"), FirstBytes::Socks4);
  EXPECT_EQ(detect("\x16\x03\x01"), FirstBytes::Tls);
  EXPECT_EQ(detect("G"), FirstBytes::Http);
  EXPECT_EQ(detect("P"), FirstBytes::Http);
  EXPECT_EQ(detect("PROPFIND / HTTP/1.1"), FirstBytes::Http);
  EXPECT_EQ(detect("PROXY TCP4 1.2.3.4"), FirstBytes::ProxyProtocol);
  EXPECT_EQ(detect("\r\n\r\n\0\r\nQUIT\n\x21"sv), FirstBytes::ProxyProtocol);
  EXPECT_EQ(detect("\r\n\r\nGET / HTTP/1.1"), FirstBytes::Http);
}

}  // namespace
}  // namespace tributary::proxy
