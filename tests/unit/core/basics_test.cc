// Slices, results, callbacks, metrics, state tables.
#include <gtest/gtest.h>

#include <algorithm>
#include <cerrno>
#include <cstring>
#include <thread>
#include <vector>

#include "core/callback.h"
#include "core/error.h"
#include "core/fsm.h"
#include "core/metrics.h"
#include "core/result.h"
#include "core/slice.h"

namespace tributary::core {
namespace {

TEST(Result, HoldsAValueOrAnError) {
  Result<int> good = 7;
  Result<int> bad = Error{.code = ErrorCode::StorageFull};
  ASSERT_TRUE(good.ok());
  EXPECT_EQ(*good, 7);
  ASSERT_FALSE(bad.ok());
  EXPECT_EQ(bad.error().code, ErrorCode::StorageFull);
  EXPECT_TRUE(Result<void>().ok());
}

TEST(ErrorText, NamesEveryCodeOnce) {
  std::vector<std::string> names;
  for (int i = 0; i <= static_cast<int>(ErrorCode::Internal); ++i) {
    names.emplace_back(error_name(static_cast<ErrorCode>(i)));
    EXPECT_NE(names.back(), "unknown");
  }
  std::sort(names.begin(), names.end());
  EXPECT_EQ(std::adjacent_find(names.begin(), names.end()), names.end());
  EXPECT_EQ(describe(error_from_errno(ECONNREFUSED, Side::Origin)),
            "connection_refused (origin): Connection refused");
}

TEST(Slice, SplitsWithoutCopyingAndKeepsTheBytesAlive) {
  Slice tail;
  const char* where = nullptr;
  {
    Slice whole = Slice::copy("hello world");
    where = whole.data();
    tail = whole.sub(6);
    EXPECT_EQ(whole.sub(0, 5).view(), "hello");
    EXPECT_TRUE(whole.sub(99).empty());
  }
  EXPECT_EQ(tail.view(), "world");
  EXPECT_EQ(tail.data(), where + 6);
}

TEST(BlockPool, ReusesABlockOnceItsLastSliceIsGone) {
  BlockPool pool(64, 4);
  BlockRef block = pool.take();
  const char* where = block.data();
  Slice slice = std::move(block).freeze(10);
  Slice copy = slice;
  slice = Slice();
  EXPECT_EQ(pool.in_use(), 1u);
  copy = Slice();
  EXPECT_EQ(pool.in_use(), 0u);
  BlockRef again = pool.take();
  EXPECT_EQ(again.data(), where);
}

TEST(BlockPool, SurvivesSlicesThatDieOnOtherThreads) {
  BlockPool pool(64, 4);
  std::vector<std::thread> threads;
  for (int t = 0; t < 4; ++t) {
    threads.emplace_back([&pool] {
      for (int i = 0; i < 5000; ++i) {
        BlockRef block = pool.take();
        std::memset(block.data(), i & 0xff, 64);
        Slice slice = std::move(block).freeze(64);
        Slice part = slice.sub(3, 5);
        ASSERT_EQ(part.data()[0], static_cast<char>(i & 0xff));
      }
    });
  }
  for (std::thread& thread : threads) thread.join();
  EXPECT_EQ(pool.in_use(), 0u);
}

TEST(Metrics, SumTheCellsOfAllThreads) {
  Registry registry;
  Counter& counter = registry.counter("test_total", "help");
  std::vector<std::thread> threads;
  for (int t = 0; t < 4; ++t) {
    threads.emplace_back([&counter, t] {
      bind_metric_thread(t);  // thread 0 is the shared cell
      for (int i = 0; i < 10'000; ++i) counter.add();
    });
  }
  for (std::thread& thread : threads) thread.join();
  EXPECT_EQ(counter.value(), 40'000u);
}

TEST(Metrics, AGaugeMayRiseOnOneThreadAndFallOnAnother) {
  Gauge gauge;
  std::thread([&] { bind_metric_thread(1), gauge.add(5); }).join();
  std::thread([&] { bind_metric_thread(2), gauge.sub(5); }).join();
  EXPECT_EQ(gauge.value(), 0);
}

TEST(Metrics, SnapshotShowsFamiliesWithTheirChildren) {
  Registry registry;
  registry.counters("requests_total", "Requests", {"method"}).with({"GET"}).add(3);
  registry.counters("requests_total", "Requests", {"method"}).with({"PUT"}).add(1);
  registry.gauge_callback("open", "Open", [] { return 2.0; });
  const auto families = registry.snapshot();
  ASSERT_EQ(families.size(), 2u);
  ASSERT_EQ(families[0].samples.size(), 2u);
  EXPECT_EQ(families[0].samples[0].label_values, std::vector<std::string>{"GET"});
  EXPECT_EQ(families[0].samples[0].value, 3);
  EXPECT_EQ(families[1].samples[0].value, 2);
}

TEST(Histogram, PutsEveryDurationInTheBucketThatHoldsIt) {
  for (const int64_t ns : {int64_t{0}, int64_t{1}, int64_t{16384}, int64_t{16385}, int64_t{20480}, int64_t{20481},
                           int64_t{1'000'000}, int64_t{123'456'789}, int64_t{59'000'000'000}, int64_t{3'000'000'000'000}}) {
    Histogram histogram;
    histogram.observe(std::chrono::nanoseconds(ns));
    const auto snapshot = histogram.snapshot();
    for (int i = 0; i < Histogram::kBuckets; ++i) {
      if (snapshot.buckets[static_cast<size_t>(i)] == 0) continue;
      EXPECT_LE(static_cast<double>(ns) * 1e-9, Histogram::upper_bound(i) * (1 + 1e-12)) << ns;
      const double below = i > 0 ? Histogram::upper_bound(i - 1) : -1;
      EXPECT_GT(static_cast<double>(ns) * 1e-9, below * (1 - 1e-12)) << ns;
    }
  }
}

TEST(Histogram, QuantilesAreWithinTenPercent) {
  Histogram histogram;
  for (int i = 1; i <= 10'000; ++i) histogram.observe(std::chrono::microseconds(i * 10));
  const auto snapshot = histogram.snapshot();
  for (const double q : {0.5, 0.75, 0.9, 0.99, 0.999}) {
    EXPECT_NEAR(snapshot.quantile(q), q * 0.1, q * 0.01) << q;
  }
}

enum class Light { Red, Green };
constexpr Edge<Light> kEdges[] = {{Light::Red, Light::Green}};

TEST(Machine, CountsATransitionThatNoTableAllows) {
  Machine<Light> machine(Light::Red, kEdges);
  machine.become(Light::Green);
  EXPECT_TRUE(machine.is(Light::Green));
#ifdef NDEBUG
  const uint64_t before = illegal_transitions();
  machine.become(Light::Red);
  EXPECT_EQ(illegal_transitions(), before + 1);
#else
  EXPECT_DEATH(machine.become(Light::Red), "illegal state transition");
#endif
}

}  // namespace
}  // namespace tributary::core
