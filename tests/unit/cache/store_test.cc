#include "cache/store.h"

#include <fcntl.h>

#include <cstdio>
#include <fstream>
#include <set>

#include "cache/directory.h"
#include "cache/index.h"
#include "unit/cache/store_fixture.h"

namespace tributary::cache {
namespace {

class Store_ : public StoreTest {};

TEST_F(Store_, AnAbsentKeyIsAMiss) {
  open();
  EXPECT_EQ(find("http://a/"), nullptr);
}

TEST_F(Store_, ASmallObjectIsHitAtOnceAndAfterRestart) {
  open();
  const std::string content = content_of(1000, 1);
  ASSERT_TRUE(put("http://a/1", content));
  EntryRef entry = find("http://a/1");
  ASSERT_TRUE(entry);
  EXPECT_EQ(read_all(entry->variants.front()), content);
  entry.reset();
  reopen();
  entry = find("http://a/1");
  ASSERT_TRUE(entry);
  const Object& object = *entry->variants.front();
  EXPECT_EQ(object.meta(), parts_for("").meta);
  EXPECT_EQ(object.etag(), "\"v1\"");
  EXPECT_EQ(object.fields().view(), "Content-Type: text/plain\r\nETag: \"v1\"\r\n");
  EXPECT_EQ(object.memory_body()->view(), content);
}

TEST_F(Store_, EverySizeClassSurvivesARestart) {
  const size_t sizes[] = {0, 1, 4096, 4097, 16384, 16385, 65536, 65537, 262144, 262145, 1'000'000, 4 << 20, (9 << 20) + 5};
  open();
  for (const size_t size : sizes) ASSERT_TRUE(put("http://a/" + std::to_string(size), content_of(size, size))) << size;
  for (int round = 0; round < 2; ++round) {
    for (const size_t size : sizes) {
      const EntryRef entry = find("http://a/" + std::to_string(size));
      ASSERT_TRUE(entry) << size;
      EXPECT_TRUE(read_all(entry->variants.front()) == content_of(size, size)) << size;
    }
    reopen();
  }
  EXPECT_EQ(store->stats().objects, std::size(sizes));
}

TEST_F(Store_, LargeContentIsHandedOutAsPartsOfFiles) {
  open();
  const ObjectRef object = put("http://a/big", content_of(5 << 20, 7));
  ASSERT_TRUE(object);
  Drain drain(loop, cache->read(object));
  ASSERT_TRUE(pump([&] { return drain.done; }));
  EXPECT_EQ(drain.file_parts, 5);
  EXPECT_TRUE(drain.bytes == content_of(5 << 20, 7));
}

TEST_F(Store_, ARangeIsReadWithoutTheRest) {
  open();
  const std::string content = content_of(3 << 20, 3);
  const ObjectRef object = put("http://a/r", content);
  Drain drain(loop, cache->read(object, 1'000'000, 2'500'001), 77'777);
  ASSERT_TRUE(pump([&] { return drain.done; }));
  EXPECT_FALSE(drain.failed);
  EXPECT_TRUE(drain.bytes == content.substr(1'000'000, 1'500'001));
}

TEST_F(Store_, ARangeBeyondTheContentFailsInsteadOfEndingShort) {
  open();
  const ObjectRef object = put("http://a/s", content_of(100, 3));
  Drain drain(loop, cache->read(object, 50, 200));
  ASSERT_TRUE(pump([&] { return drain.done; }));
  EXPECT_TRUE(drain.failed);
}

TEST_F(Store_, VariantsLiveSideBySideAndTheSameOneIsReplaced) {
  open();
  const auto put_variant = [&](const std::string& variant, const std::string& content) {
    return cache->store_whole(parts_for("http://a/v", variant), core::Slice::copy(content), nullptr);
  };
  const ObjectRef old = put_variant("gzip", "one");
  put_variant("br", "two");
  put_variant("gzip", "three");
  EXPECT_TRUE(old->is_dead());
  for (int round = 0; round < 2; ++round) {
    const EntryRef entry = find("http://a/v");
    ASSERT_TRUE(entry);
    ASSERT_EQ(entry->variants.size(), 2u);
    std::set<std::string> seen;
    for (const ObjectRef& object : entry->variants) {
      seen.insert(object->variant() + "=" + std::string(object->memory_body()->view()));
    }
    EXPECT_EQ(seen, (std::set<std::string>{"gzip=three", "br=two"}));
    reopen();
  }
}

TEST_F(Store_, InvalidationHoldsAtOnceAndAfterRestart) {
  open();
  const ObjectRef object = put("http://a/i", "content");
  store->flush();
  EXPECT_TRUE(cache->invalidate("http://a/i"));
  EXPECT_TRUE(object->is_dead());
  EXPECT_EQ(find("http://a/i"), nullptr);
  reopen();
  EXPECT_EQ(find("http://a/i"), nullptr);
  EXPECT_EQ(store->stats().objects, 0u);
  // Also when only the index knows it.
  put("http://a/j", "content");
  reopen();
  EXPECT_FALSE(cache->invalidate("http://a/j"));
  EXPECT_EQ(find("http://a/j"), nullptr);
  reopen();
  EXPECT_EQ(find("http://a/j"), nullptr);
}

// RFC 9111 4.4: what was asked for before the change is not what is there after it.
TEST_F(Store_, InvalidationKeepsOutWhatWasAskedForBeforeIt) {
  open();
  ObjectParts before = parts_for("http://a/i"), other = parts_for("http://a/j");
  before.epoch = other.epoch = store->epoch();
  Fetch leader, follower, next;
  bool woken = false;
  auto on_change = [&woken] { woken = true; };
  ASSERT_EQ(cache->begin_fetch("http://a/i", leader, {}), FetchRole::Leader);
  ASSERT_EQ(cache->begin_fetch("http://a/i", follower, core::Callback<void()>::ref(on_change)), FetchRole::Follower);
  cache->invalidate("http://a/i");
  ASSERT_TRUE(pump([&] { return woken; })) << "the fetch is over for others";
  EXPECT_EQ(follower.outcome(), FetchOutcome::Vanished);
  EXPECT_EQ(cache->begin_fetch("http://a/i", next, {}), FetchRole::Leader);
  EXPECT_FALSE(cache->store_whole(before, core::Slice::copy("old"), &leader));
  EXPECT_FALSE(cache->start_fill(before, 3, nullptr));
  EXPECT_FALSE(find("http://a/i"));
  leader.reset();
  EXPECT_EQ(next.outcome(), FetchOutcome::Undecided);
  EXPECT_TRUE(cache->store_whole(other, core::Slice::copy("not concerned"), nullptr));
  ObjectParts after = parts_for("http://a/i");
  after.epoch = store->epoch();
  EXPECT_TRUE(cache->store_whole(after, core::Slice::copy("new"), &next));
}

TEST_F(Store_, ARefreshedHeadSharesTheContent) {
  for (const size_t size : {100u, 20'000u, 3'000'000u}) {
    open();
    const std::string key = "http://a/" + std::to_string(size);
    const ObjectRef old = put(key, content_of(size, 1));
    store->flush();
    ObjectParts parts = parts_for(key);
    parts.meta.response_time += 500;
    parts.fields = core::Slice::copy("Fresh: yes\r\n");
    const uint64_t before = store->stats().bytes;
    const ObjectRef fresh = cache->refresh(old, std::move(parts), nullptr);
    ASSERT_TRUE(fresh);
    EXPECT_TRUE(old->is_dead());
    EXPECT_EQ(&fresh->body(), &old->body());
    store->flush();
    EXPECT_LE(store->stats().bytes, before + 200);
    reopen();
    const EntryRef entry = find(key);
    ASSERT_TRUE(entry);
    EXPECT_EQ(entry->variants.front()->fields().view(), "Fresh: yes\r\n");
    EXPECT_TRUE(read_all(entry->variants.front()) == content_of(size, 1));
    close();
  }
}

TEST_F(Store_, VariantsBeyondTheBoundLeaveTheIndexToo) {
  open();
  for (size_t i = 0; i < Directory::kMaxVariants + 20; ++i) {
    ASSERT_TRUE(cache->store_whole(parts_for("http://a/v", std::to_string(i)), core::Slice::copy("x"), nullptr));
  }
  store->flush();
  EXPECT_EQ(store->stats().objects, Directory::kMaxVariants);
  reopen();
  const EntryRef entry = find("http://a/v");
  ASSERT_TRUE(entry);
  EXPECT_EQ(entry->variants.size(), Directory::kMaxVariants);
}

// Nothing syncs the bodies when a session ends: after a boot they are held against their checksums.
TEST_F(Store_, AfterABootBodiesAreVerifiedHoweverOrderlyTheEnd) {
  open();
  ASSERT_TRUE(put("http://a/b", content_of(200'000, 1)));
  close();
  {
    std::string why;
    bool damaged = false;
    const auto index = Index::open(directory.path, 64 << 20, true, why, damaged);
    ASSERT_TRUE(index) << why;
    Index::WriteTxn txn(*index);
    auto meta = txn.meta();
    ASSERT_TRUE(meta && meta->clean == 1);
    meta->boot_id[0] = meta->boot_id[0] == 'x' ? 'y' : 'x';
    ASSERT_TRUE(txn.put_meta(*meta).ok() && txn.commit().ok());
    std::fstream segment(directory.path + "/seg-000000", std::ios::in | std::ios::out | std::ios::binary);
    segment << std::string(4 << 20, 'Z');
  }
  open();
  const EntryRef entry = find("http://a/b");
  ASSERT_TRUE(entry);
  bool failed = false;
  EXPECT_EQ(read_all(entry->variants.front(), &failed), "");
  EXPECT_TRUE(failed);
  EXPECT_EQ(find("http://a/b"), nullptr);
}

TEST_F(Store_, ASecondProcessIsRefusedWithTheReason) {
  open();
  std::string why;
  EXPECT_EQ(Store::open(settings, *pool, registry, why), nullptr);
  EXPECT_NE(why.find("in use by another process, pid " + std::to_string(::getpid())), std::string::npos) << why;
}

// V-14
TEST_F(Store_, ADirectoryOfAnotherUserIsRefused) {
  if (::geteuid() != 0) GTEST_SKIP() << "only root can give a directory away";
  ASSERT_EQ(::chown(directory.path.c_str(), 12345, 12345), 0);
  std::string why;
  EXPECT_EQ(Store::open(settings, *pool, registry, why), nullptr);
  EXPECT_NE(why.find("belongs to user 12345"), std::string::npos) << why;
}

TEST_F(Store_, TheDirectoryAndItsFilesAreOursAlone) {
  ASSERT_EQ(::chmod(directory.path.c_str(), 0777), 0);
  open();
  put("http://a/1", content_of(1 << 20, 1));
  EXPECT_EQ(std::filesystem::status(directory.path).permissions(), std::filesystem::perms::owner_all);
  for (const auto& entry : std::filesystem::directory_iterator(directory.path)) {
    EXPECT_EQ(entry.status().permissions() & (std::filesystem::perms::group_all | std::filesystem::perms::others_all),
              std::filesystem::perms::none)
        << entry.path();
  }
}

TEST_F(Store_, LinksInTheWayOfItsFilesAreNotFollowed) {
  for (const char* name : {"lock", "data.mdb", "lock.mdb", "seg-000000"}) {
    const std::string victim = directory.path + "-victim", path = directory.path + "/" + name;
    { std::ofstream(victim) << "precious"; }
    for (const bool hard : {false, true}) {
      hard ? std::filesystem::create_hard_link(victim, path) : std::filesystem::create_symlink(victim, path);
      std::string why;
      const auto opened = Store::open(settings, *pool, registry, why);
      if (opened) {
        EXPECT_EQ(std::string(name), "seg-000000");  // there is no room for it, then
        EXPECT_EQ(opened->stats().disk_bytes / (1 << 20), 0u);
      }
      std::filesystem::remove(path);
      for (const char* other : {"lock", "data.mdb", "lock.mdb"}) std::filesystem::remove(directory.path + "/" + other);
    }
    std::string text;
    std::ifstream(victim) >> text;
    EXPECT_EQ(text, "precious") << name;
    std::filesystem::remove(victim);
  }
}

// S0-5.8: the proxy serves without its cache until the disk lets it.
TEST_F(Store_, ADirectoryThatCannotBeMadeYetIsOpenedOnceItCan) {
  const std::string missing = directory.path + "/mounted-later";
  std::filesystem::create_symlink(missing, directory.path + "/link");
  settings.directory = directory.path + "/link/cache";
  open();
  EXPECT_TRUE(store->is_degraded());
  EXPECT_EQ(find("http://a/1"), nullptr);
  EXPECT_FALSE(put("http://a/1", "content"));
  Fetch fetch;
  EXPECT_EQ(cache->begin_fetch("http://a/1", fetch, {}), FetchRole::Alone);
  EXPECT_EQ(registry.gauge("tributary_cache_degraded", "").value(), 1);
  std::filesystem::create_directory(missing);
  ASSERT_TRUE(pump([&] { return !store->is_degraded(); }));
  EXPECT_EQ(registry.gauge("tributary_cache_degraded", "").value(), 0);
  EXPECT_TRUE(put("http://a/1", "content"));
  reopen();
  EXPECT_TRUE(find("http://a/1"));
}

TEST_F(Store_, ADirectoryThatCannotBeMadeIsNamed) {
  settings.directory = "/dev/null/cache";
  std::string why;
  EXPECT_EQ(Store::open(settings, *pool, registry, why), nullptr);
  EXPECT_NE(why.find("/dev/null/cache"), std::string::npos) << why;
}

TEST_F(Store_, ADisabledStoreMissesAndStoresNothing) {
  settings.enabled = false;
  settings.directory = "/proc/nowhere";
  open();
  EXPECT_EQ(find("http://a/"), nullptr);
  Fetch fetch;
  EXPECT_EQ(cache->begin_fetch("http://a/", fetch, {}), FetchRole::Alone);
  EXPECT_EQ(cache->start_fill(parts_for("http://a/"), 10, nullptr), nullptr);
  EXPECT_EQ(cache->store_whole(parts_for("http://a/"), core::Slice::copy("x"), nullptr), nullptr);
  EXPECT_FALSE(cache->invalidate("http://a/"));
}

TEST_F(Store_, WhatIsLargerThanMaxObjectIsNotStored) {
  settings.max_object = 1 << 20;
  open();
  EXPECT_EQ(cache->start_fill(parts_for("http://a/"), (1 << 20) + 1, nullptr), nullptr);
  EXPECT_NE(cache->start_fill(parts_for("http://a/"), 1 << 20, nullptr), nullptr);
}

TEST_F(Store_, GarbageInTheIndexFileStartsAnEmptyCache) {
  { std::ofstream(directory.path + "/data.mdb") << std::string(20'000, 'x'); }
  open();
  ASSERT_TRUE(put("http://a/1", "content"));
  reopen();
  EXPECT_TRUE(find("http://a/1"));
}

// LMDB keeps no checksum of its pages.
class DamagedIndex : public StoreTest {
 protected:
  void change(const std::function<void(Index::WriteTxn&)>& damage) {
    close();
    {
      std::string why;
      bool damaged = false;
      const auto index = Index::open(directory.path, 64 << 20, true, why, damaged);
      ASSERT_TRUE(index) << why;
      Index::WriteTxn txn(*index);
      damage(txn);
      ASSERT_TRUE(txn.commit().ok());
    }
    open();
  }
  void change_meta(const std::function<void(IndexMeta&)>& damage) {
    change([&](Index::WriteTxn& txn) {
      IndexMeta meta = *txn.meta();
      damage(meta);
      ASSERT_TRUE(txn.put_meta(meta).ok());
    });
  }
};

TEST_F(DamagedIndex, WithTotalsThatCannotBeStartsAnEmptyCache) {
  const std::function<void(IndexMeta&)> damages[] = {
      [](IndexMeta& meta) { meta.objects = uint64_t{1} << 60; },
      [](IndexMeta& meta) { meta.next_id = 1; },
      [](IndexMeta& meta) { meta.clocks[1] = UINT64_MAX - 5; },
      [](IndexMeta& meta) { meta.segments = UINT32_MAX; },
      [](IndexMeta& meta) { meta.segment_size = 7; },
      [](IndexMeta& meta) { meta.slots += 1; },
  };
  for (const auto& damage : damages) {
    open();
    ASSERT_TRUE(put("k", content_of(200'000, 1)));
    change_meta(damage);
    EXPECT_EQ(find("k"), nullptr);
    ASSERT_TRUE(put("l", content_of(200'000, 2)));
    store->flush();
    EXPECT_FALSE(store->is_degraded());
    reopen();
    EXPECT_TRUE(find("l"));
    close();
  }
}

TEST_F(DamagedIndex, WithASlotThatIsNotInUseIsAMiss) {
  open();
  ASSERT_TRUE(put("k", content_of(200'000, 1)));
  change([](Index::WriteTxn& txn) {
    std::vector<uint32_t> chunks;
    txn.for_each_chunk([&](uint32_t chunk, const ChunkMap&) { chunks.push_back(chunk); });
    for (const uint32_t chunk : chunks) ASSERT_TRUE(txn.put_chunk(chunk, {}).ok());
    IndexMeta meta = *txn.meta();
    meta.slots = 0;
    ASSERT_TRUE(txn.put_meta(meta).ok());
  });
  EXPECT_EQ(find("k"), nullptr);
  const std::string other = content_of(200'000, 2);
  ASSERT_TRUE(put("l", other));
  store->flush();
  EXPECT_EQ(find("k"), nullptr);
  EXPECT_TRUE(read_all(find("l")->variants.front()) == other);
}

TEST_F(Store_, WhatIsNotStoredIsInvalidatedWithoutTheWriter) {
  open();
  cache->invalidate("before the filter knows that there is nothing");
  store->flush();  // the thread has filled it by then
  const uint64_t memory = store->stats().memory_bytes;
  for (int i = 0; i < 1000; ++i) EXPECT_FALSE(cache->invalidate("http://a/" + std::to_string(i)));
  EXPECT_EQ(store->stats().pending, 0u);
  EXPECT_EQ(store->stats().memory_bytes, memory);
  // What a commit has yet to bring is stored, though the index does not have it.
  ASSERT_TRUE(put("k", "content"));
  EXPECT_TRUE(cache->invalidate("k"));
  reopen();
  EXPECT_EQ(find("k"), nullptr);
}

TEST_F(Store_, AMissingSegmentFileStartsAnEmptyCache) {
  open();
  ASSERT_TRUE(put("http://a/1", content_of(1 << 20, 1)));
  close();
  ASSERT_TRUE(std::filesystem::remove(directory.path + "/seg-000000"));
  open();
  EXPECT_EQ(find("http://a/1"), nullptr);
  ASSERT_TRUE(put("http://a/1", content_of(1 << 20, 1)));
}

TEST_F(Store_, ASmallerSizeStartsAnEmptyCacheThatKeepsTheLimit) {
  open();
  for (int i = 0; i < 10; ++i) ASSERT_TRUE(put("http://a/" + std::to_string(i), content_of(10 << 20, i)));
  close();
  settings.size = uint64_t{64} << 20;
  open();
  EXPECT_EQ(store->stats().objects, 0u);
  EXPECT_LE(store->stats().disk_bytes, settings.size);
}

// S0-H2: what the requests of one key do to each other.
TEST_F(Store_, TheFirstFetchLeadsAndTheOthersHearOfItsPublication) {
  open();
  Fetch leader, follower;
  int woken = 0;
  auto on_change = [&woken] { ++woken; };
  ASSERT_EQ(cache->begin_fetch("http://a/f", leader, {}), FetchRole::Leader);
  ASSERT_EQ(cache->begin_fetch("http://a/f", follower, core::Callback<void()>::ref(on_change)), FetchRole::Follower);
  EXPECT_EQ(follower.outcome(), FetchOutcome::Undecided);
  auto fill = cache->start_fill(parts_for("http://a/f"), std::nullopt, &leader);
  ASSERT_TRUE(pump([&] { return woken == 1; }));
  EXPECT_EQ(follower.outcome(), FetchOutcome::Published);
  const EntryRef entry = find("http://a/f");
  ASSERT_TRUE(entry);
  EXPECT_TRUE(entry->variants.front()->body().is_filling());
  // The next fetch of the key (a validation, another variant) has a leader of its own.
  Fetch next;
  EXPECT_EQ(cache->begin_fetch("http://a/f", next, {}), FetchRole::Leader);
}

TEST_F(Store_, AVanishedLeaderIsSucceededByAFollower) {
  open();
  auto leader = std::make_unique<Fetch>();
  Fetch follower;
  bool woken = false;
  auto on_change = [&woken] { woken = true; };
  ASSERT_EQ(cache->begin_fetch("http://a/f", *leader, {}), FetchRole::Leader);
  ASSERT_EQ(cache->begin_fetch("http://a/f", follower, core::Callback<void()>::ref(on_change)), FetchRole::Follower);
  leader.reset();
  ASSERT_TRUE(pump([&] { return woken; }));
  EXPECT_EQ(follower.outcome(), FetchOutcome::Vanished);
  EXPECT_EQ(cache->begin_fetch("http://a/f", follower, core::Callback<void()>::ref(on_change)), FetchRole::Leader);
}

TEST_F(Store_, AfterADeclineEverybodyGoesAlone) {
  open();
  Fetch leader, follower, later;
  bool woken = false;
  auto on_change = [&woken] { woken = true; };
  ASSERT_EQ(cache->begin_fetch("http://a/f", leader, {}), FetchRole::Leader);
  ASSERT_EQ(cache->begin_fetch("http://a/f", follower, core::Callback<void()>::ref(on_change)), FetchRole::Follower);
  leader.decline();
  ASSERT_TRUE(pump([&] { return woken; }));
  EXPECT_EQ(follower.outcome(), FetchOutcome::Declined);
  EXPECT_EQ(cache->begin_fetch("http://a/f", later, {}), FetchRole::Alone);
  // Somebody who goes alone may still find it cacheable.
  EXPECT_TRUE(cache->store_whole(parts_for("http://a/f"), core::Slice::copy("x"), &later));
  EXPECT_EQ(cache->begin_fetch("http://a/f", later, {}), FetchRole::Leader);
}

TEST_F(Store_, ACancelledLookupIsNotCalledBack) {
  open();
  put("http://a/1", "content");
  reopen();
  EntryRef entry;
  bool called = false;
  auto on_ready = [&called] { called = true; };
  {
    PendingLookup pending;
    if (cache->lookup("http://a/1", entry, pending, core::Callback<void()>::ref(on_ready)) != Found::Pending) return;
  }
  ASSERT_TRUE(find("http://a/1"));
  EXPECT_FALSE(called);
}

TEST_F(Store_, MemoryStaysWithinItsLimitAndTheRestComesFromDisk) {
  settings.memory = 4 << 20;
  open();
  for (int i = 0; i < 400; ++i) {
    ASSERT_TRUE(put("http://a/" + std::to_string(i), content_of(50'000, i)));
    if (i % 50 == 49) store->flush();
  }
  store->flush();
  ASSERT_TRUE(put("http://a/last", "x"));
  EXPECT_LE(store->stats().memory_bytes, settings.memory);
  for (int i = 0; i < 400; ++i) {
    const EntryRef entry = find("http://a/" + std::to_string(i));
    ASSERT_TRUE(entry) << i;
    EXPECT_TRUE(read_all(entry->variants.front()) == content_of(50'000, i)) << i;
  }
  EXPECT_LE(store->stats().memory_bytes, settings.memory);
}

// S4-4.6, issue 2 point 5: nothing is scanned before the store is ready.
TEST_F(Store_, OpensAHundredThousandObjectsQuickly) {
  settings.size = uint64_t{2} << 30;
  open();
  constexpr int kObjects = 100'000;
  const std::string content(200, 'c');
  for (int i = 0; i < kObjects; ++i) {
    while (store->stats().pending > 20'000) store->flush();
    ASSERT_TRUE(put("http://host.example/some/path/" + std::to_string(i), content));
  }
  store->flush();
  EXPECT_EQ(store->stats().objects, static_cast<uint64_t>(kObjects));
  const auto close_start = std::chrono::steady_clock::now();
  close();
  const auto start = std::chrono::steady_clock::now();
  open();
  const auto opened = std::chrono::steady_clock::now();
  ASSERT_TRUE(find("http://host.example/some/path/4711"));
  const auto hit = std::chrono::steady_clock::now();
  const auto ms = [](auto span) { return std::chrono::duration<double, std::milli>(span).count(); };
  std::printf("100k objects: close %.1f ms, open %.1f ms, first hit %.1f ms later\n", ms(start - close_start),
              ms(opened - start), ms(hit - opened));
  EXPECT_EQ(store->stats().objects, static_cast<uint64_t>(kObjects));
  EXPECT_EQ(find("http://host.example/some/path/none"), nullptr);
}

}  // namespace
}  // namespace tributary::cache
