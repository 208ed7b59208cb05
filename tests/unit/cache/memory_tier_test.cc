// The memory tier: the directory for all workers and a hot map for each, within `cache.memory` with all that they cost.
#include <malloc.h>

#include "cache/directory.h"
#include "cache/hot_map.h"
#include "cache/pieces.h"
#include "unit/cache/store_fixture.h"

#if defined(__SANITIZE_ADDRESS__) || defined(__SANITIZE_THREAD__)
constexpr bool kCountsHeap = false;  // the sanitizer's heap has other costs
#elif defined(__has_feature)
#if __has_feature(address_sanitizer) || __has_feature(thread_sanitizer)
constexpr bool kCountsHeap = false;
#else
constexpr bool kCountsHeap = true;
#endif
#else
constexpr bool kCountsHeap = true;
#endif

namespace tributary::cache {
namespace {

class MemoryTier : public StoreTest {
 protected:
  std::string key(int i) { return "http://origin.example/some/path/object-" + std::to_string(i); }
  Found look(WorkerCache& worker, const std::string& name) {
    EntryRef entry;
    PendingLookup pending;
    return worker.lookup(name, entry, pending, {});
  }
  void put_many(int count, size_t size, int first = 0) {
    const std::string content = content_of(size, 1);
    for (int i = first; i < first + count; ++i) {
      ASSERT_TRUE(put(key(i), content));
      if (i % 200 == 199) store->flush();
    }
    store->flush();
  }
};

TEST_F(MemoryTier, KeepsWithinItsLimitWhateverTheSize) {
  settings.memory = 2 << 20;
  open();
  for (const size_t size : {size_t{100}, size_t{4000}, size_t{60'000}}) {
    for (int i = 0; i < 2000; ++i) {
      ASSERT_TRUE(put(key(i), content_of(size, 1)));
      if (i % 20 == 19) {
        store->flush();  // what is not committed yet cannot go
        ASSERT_LE(store->stats().memory_bytes, settings.memory) << size;
      }
    }
  }
}

// 64 shards, and room for a dozen of these: one shard alone cannot make room.
TEST_F(MemoryTier, ShardsMakeRoomForEachOther) {
  settings.memory = 1 << 20;
  open();
  put_many(300, 60'000);
  EXPECT_LE(store->stats().memory_bytes, settings.memory);
  EXPECT_GE(store->stats().memory_bytes, settings.memory / 2);
}

// Room for some 530, of which 200 are asked for again after 400 others: in order of use alone, none would stay.
TEST_F(MemoryTier, KeepsWhatIsAskedForThroughAScan) {
  settings.memory = 3 << 20;
  open();
  put_many(200, 4000);
  int hits = 0;
  for (int i = 0; i < 6000; ++i) {
    ASSERT_TRUE(put(key(1000 + i), content_of(4000, 1)));
    if (i % 3 == 0) {
      const uint64_t before = index_waits;
      ASSERT_TRUE(find(key(i / 3 % 200)));
      if (i >= 4200) hits += index_waits == before;  // the last three rounds of ten
    }
    if (i % 50 == 49) store->flush();  // what is not committed yet cannot go
  }
  EXPECT_GE(hits, 500);
}

ObjectRef object_of(const std::string& key, size_t size) {
  auto body = std::make_shared<Body>(nullptr, core::Slice::copy(content_of(size, 1)));
  return std::make_shared<const Object>(parts_for(key), std::move(body));
}

EntryRef entry_of(const std::string& key, size_t size) {
  auto entry = std::make_shared<Entry>();
  entry->variants.push_back(object_of(key, size));
  return entry;
}

void publish(Directory& directory, const std::string& key, size_t size) {
  std::vector<ObjectRef> dropped;
  ASSERT_TRUE(directory.publish(hash_key(key), object_of(key, size), dropped));
  directory.unpin(hash_key(key));
}

// What the directory dropped, a worker's own map must not go on serving: who changes it would not be heard there.
TEST(DirectoryNode, TakesItsEntryFromTheHotMapsWhenItGoes) {
  const KeyFilter filter;
  const PurgeLog purges;
  AccessSketch sketch(1024);
  Directory directory(filter, purges, sketch, 1 << 20);
  HotMap hot(1 << 20, sketch);
  const Hash128 hash = hash_key("k");
  publish(directory, "k", 50'000);
  hot.insert(hash, directory.peek(hash, "k"));
  ASSERT_TRUE(hot.find(hash, "k"));
  for (int i = 0; directory.peek(hash, "k") && i < 1000; ++i) publish(directory, "other" + std::to_string(i), 50'000);
  ASSERT_FALSE(directory.peek(hash, "k"));
  EXPECT_FALSE(hot.find(hash, "k"));
}

// What the heap really gives for the objects, with all that is around them.
TEST(MemoryAccount, IsWhatTheHeapGives) {
  if (!kCountsHeap) GTEST_SKIP();
  constexpr size_t kLimit = 16 << 20;
  const KeyFilter filter;
  const PurgeLog purges;
  AccessSketch sketch(1 << 15);
  for (const size_t size : {size_t{10}, size_t{1000}, size_t{20'000}}) {
    const auto key = [](size_t i) { return "http://origin.example/some/path/object-" + std::to_string(i); };
    const size_t count = 3 * kLimit / (size + 500);
    {
      Directory directory(filter, purges, sketch, kLimit);
      const size_t before = ::mallinfo2().uordblks;  // its own tables have a fixed size
      for (size_t i = 0; i < count; ++i) publish(directory, key(i), size);
      ASSERT_LE(directory.memory_bytes(), kLimit);
      const size_t used = ::mallinfo2().uordblks - before;
      EXPECT_LE(used, directory.memory_bytes()) << "objects of " << size;
      EXPECT_GE(used, directory.memory_bytes() * 19 / 20) << "objects of " << size;
    }
    const size_t before = ::mallinfo2().uordblks;
    HotMap hot(kLimit, sketch);
    for (size_t i = 0; i < count; ++i) hot.insert(hash_key(key(i)), entry_of(key(i), size));
    ASSERT_LE(hot.bytes(), kLimit);
    const size_t used = ::mallinfo2().uordblks - before;
    EXPECT_LE(used, hot.bytes()) << "objects of " << size;
    EXPECT_GE(used, hot.bytes() * 9 / 10) << "objects of " << size;
  }
}

TEST(HotMap, HoldsTheMostAskedForWithinItsLimit) {
  AccessSketch sketch(1024);
  HotMap map(1 << 20, sketch);
  const auto ask = [&](int i) {
    const std::string key = "k" + std::to_string(i);
    const Hash128 hash = hash_key(key);
    sketch.touch(hash);
    if (map.find(hash, key)) return true;
    map.insert(hash, entry_of(key, 4000));
    return false;
  };
  uint64_t state = 1;
  int hits = 0, asked = 0;
  for (int i = 0; i < 200'000; ++i) {
    state = state * 6364136223846793005u + 1442695040888963407u;
    const bool popular = state >> 63;
    const int which = static_cast<int>((state >> 33) % (popular ? 100 : 100'000));
    const bool hit = ask(popular ? which : 1000 + which);
    if (i > 100'000 && popular) hits += hit, ++asked;
    ASSERT_LE(map.bytes(), size_t{1} << 20);
  }
  EXPECT_GT(hits, asked * 95 / 100);
}

TEST(HotMap, AnEntryThatChangedIsLetGo) {
  AccessSketch sketch(1024);
  HotMap map(1 << 20, sketch);
  const EntryRef entry = entry_of("k", 100);
  map.insert(hash_key("k"), entry);
  ASSERT_TRUE(map.find(hash_key("k"), "k"));
  EXPECT_FALSE(map.find(hash_key("k"), "another key of this hash"));
  entry->outdated.store(true);
  EXPECT_FALSE(map.find(hash_key("k"), "k"));
  EXPECT_EQ(map.size(), 0u);
  EXPECT_EQ(map.bytes(), 0u);
}

TEST(HotMap, WhatLiesInSlotsIsNotHeld) {
  AccessSketch sketch(1024);
  HotMap map(1 << 20, sketch);
  auto entry = std::make_shared<Entry>();
  entry->variants.push_back(
      std::make_shared<const Object>(parts_for("k"), std::make_shared<Body>(nullptr, std::optional<uint64_t>(1000))));
  map.insert(hash_key("k"), entry);
  EXPECT_EQ(map.size(), 0u);
}

}  // namespace
}  // namespace tributary::cache
