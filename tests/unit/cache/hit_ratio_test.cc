// The eviction against LRU on short forms of the simulator's traces (tests/bench/eviction), each with little and with much
// room. The product's own code is driven, nothing is modelled.
#include <gtest/gtest.h>

#include <algorithm>
#include <cctype>
#include <deque>
#include <optional>
#include <string>

#include "bench/eviction/policies.h"
#include "bench/eviction/traces.h"
#include "cache/eviction.h"

namespace tributary::cache {
namespace {

using eviction::Trace;

constexpr uint32_t kRequests = 60'000;

class HitRatio : public ::testing::TestWithParam<size_t> {};

TEST_P(HitRatio, IsAheadOfLru) {
  const Trace trace = eviction::all_traces(kRequests)[GetParam()]();
  for (const uint64_t percent : {1u, 5u, 20u}) {
    const uint64_t capacity = trace.unique_bytes() / 100 * percent;
    eviction::Lru lru(capacity);
    eviction::Tributary ours(capacity);
    const eviction::Ratios theirs = simulate(trace, lru);
    const eviction::Ratios got = simulate(trace, ours);
    EXPECT_GT(got.objects, theirs.objects) << trace.name << ", room for " << percent << " %";
    // What it costs: an object moved is a record written again.
    EXPECT_LT(got.moves, 3.0) << trace.name;
  }
}

std::string trace_name(const ::testing::TestParamInfo<size_t>& info) {
  std::string name = eviction::all_traces(1000)[info.param]().name;
  for (char& c : name) c = std::isalnum(static_cast<unsigned char>(c)) ? c : '_';
  return name;
}

INSTANTIATE_TEST_SUITE_P(Traces, HitRatio, ::testing::Range<size_t>(0, eviction::all_traces(1000).size()), trace_name);

Hash128 key(uint32_t n) { return eviction::hash_of(n); }

TEST(AccessSketch, CountsToSeven) {
  AccessSketch sketch(1024);
  for (unsigned i = 0; i < 10; ++i) {
    EXPECT_EQ(sketch.frequency(key(1)), std::min(i, 7u));
    sketch.touch(key(1));
  }
}

TEST(AccessSketch, AgeHalvesOnceThereWereFiveAccessesForEachObject) {
  AccessSketch sketch(1 << 16);
  for (unsigned i = 0; i < 7; ++i) sketch.touch(key(1));
  sketch.age(10'000);
  EXPECT_EQ(sketch.frequency(key(1)), 7u);
  for (uint32_t n = 2; n < 55'000; ++n) sketch.touch(key(n));
  sketch.age(10'000);
  EXPECT_EQ(sketch.frequency(key(1)), 3u);
  EXPECT_TRUE(sketch.take_touched(key(1)));
  sketch.age(10'000);  // and counts anew
  EXPECT_EQ(sketch.frequency(key(1)), 3u);
}

TEST(AccessSketch, TouchedIsSaidOnce) {
  AccessSketch sketch(1024);
  EXPECT_FALSE(sketch.take_touched(key(1)));
  sketch.touch(key(1));
  EXPECT_TRUE(sketch.take_touched(key(1)));
  EXPECT_FALSE(sketch.take_touched(key(1)));
  EXPECT_EQ(sketch.frequency(key(1)), 1u);
}

TEST(EvictionOrder, ASmallObjectIsWorthMoreForItsBytesAndAFrequentOneMore) {
  AccessSketch sketch(1024);
  Eviction eviction(sketch);
  const unsigned small = eviction.admit(key(1), 1 << 10, 0).queue;
  const unsigned middle = eviction.admit(key(2), 64 << 10, 0).queue;
  const unsigned large = eviction.admit(key(3), 64 << 20, 0).queue;
  EXPECT_GT(small, middle);
  EXPECT_GT(middle, large);
  EXPECT_EQ(large, 0u);
  // Among the large it is frequency alone.
  EXPECT_EQ(eviction.admit(key(4), uint64_t{4} << 30, 0).queue, large);
  for (int i = 0; i < 6; ++i) sketch.touch(key(3));
  EXPECT_EQ(eviction.place(key(3), 64 << 20).queue, 3u);
  EXPECT_LT(eviction.place(key(5), 0).queue, Eviction::kQueues);
}

// A cache of names only.
struct Names {
  struct Item {
    uint32_t name;
    uint64_t bytes, due;
  };
  std::deque<Item> queues[Eviction::kQueues];
  AccessSketch& sketch;
  int requeued = 0;

  void put(Eviction& eviction, uint32_t name, uint64_t bytes) {
    const auto place = eviction.admit(key(name), bytes, 100);
    queues[place.queue].push_back({name, bytes, place.due});
  }
  std::optional<Eviction::Front> front(unsigned queue) {
    if (queues[queue].empty()) return std::nullopt;
    const Item& item = queues[queue].front();
    return Eviction::Front{key(item.name), item.bytes, item.due};
  }
  bool touched(unsigned queue) { return sketch.take_touched(key(queues[queue].front().name)); }
  bool requeue(unsigned queue, Eviction::Place to) {
    Item item = queues[queue].front();
    item.due = to.due;
    queues[queue].pop_front();
    queues[to.queue].push_back(item);
    ++requeued;
    return true;
  }
  std::optional<uint32_t> evict(Eviction& eviction, int second_chances = 100) {
    const auto queue = eviction.find_victim(*this, second_chances);
    if (!queue) return std::nullopt;
    const uint32_t name = queues[*queue].front().name;
    queues[*queue].pop_front();
    return name;
  }
};

TEST(EvictionOrder, TheOldestGoesAmongEquals) {
  AccessSketch sketch(1024);
  Eviction eviction(sketch);
  Names names{.queues = {}, .sketch = sketch};
  EXPECT_EQ(names.evict(eviction), std::nullopt);
  for (uint32_t n = 0; n < 5; ++n) names.put(eviction, n, 1000);
  for (uint32_t n = 0; n < 5; ++n) EXPECT_EQ(names.evict(eviction), n);
}

TEST(EvictionOrder, WhatWasAskedForSinceItWasPlacedStays) {
  AccessSketch sketch(1024);
  Eviction eviction(sketch);
  Names names{.queues = {}, .sketch = sketch};
  for (uint32_t n = 0; n < 5; ++n) names.put(eviction, n, 1000);
  sketch.touch(key(0));
  sketch.touch(key(2));
  EXPECT_EQ(names.evict(eviction), 1u);
  EXPECT_EQ(names.evict(eviction), 3u);
  EXPECT_EQ(names.evict(eviction), 4u);
  EXPECT_EQ(names.evict(eviction), 0u);
  EXPECT_EQ(names.requeued, 2);
}

TEST(EvictionOrder, SecondChancesAreBounded) {
  AccessSketch sketch(1024);
  Eviction eviction(sketch);
  Names names{.queues = {}, .sketch = sketch};
  for (uint32_t n = 0; n < 50; ++n) names.put(eviction, n, 1000);
  for (uint32_t n = 0; n < 50; ++n) sketch.touch(key(n));
  EXPECT_TRUE(names.evict(eviction, 3));
  EXPECT_EQ(names.requeued, 3);
}

// The clock: what nobody asks for any more goes, however popular and small it was.
TEST(EvictionOrder, YesterdaysFavouriteGoes) {
  AccessSketch sketch(1024);
  Eviction eviction(sketch);
  Names names{.queues = {}, .sketch = sketch};
  names.put(eviction, 1, 64 << 10);
  for (int i = 0; i < 7; ++i) sketch.touch(key(1));
  bool gone = false;
  int rounds = 0;
  for (uint32_t n = 10; !gone && rounds < 10'000; ++n, ++rounds) {
    names.put(eviction, n, 1 << 20);
    gone = names.evict(eviction) == 1u;
  }
  EXPECT_TRUE(gone);
  EXPECT_GT(rounds, 20);
}

}  // namespace
}  // namespace tributary::cache
