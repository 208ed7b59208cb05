#include "unit/cache/store_fixture.h"

namespace tributary::cache {
namespace {

class Eviction : public StoreTest {
 protected:
  Eviction() {
    settings.size = uint64_t{64} << 20;
    settings.memory = 1 << 20;
    open();
  }
  uint64_t evictions() { return registry.counter("tributary_cache_evictions_total", "").value(); }
  uint64_t bytes_on_disk() {
    uint64_t bytes = 0;
    for (const auto& file : std::filesystem::directory_iterator(directory.path)) bytes += file.file_size();
    return bytes;
  }
};

TEST_F(Eviction, LargeObjectsKeepWithinTheSize) {
  const std::string content = content_of(3'000'000, 1);
  for (int i = 0; i < 60; ++i) {
    ASSERT_TRUE(put("k" + std::to_string(i), content)) << i;
    if (i % 8 == 7) store->flush();
    ASSERT_LE(store->stats().disk_bytes, settings.size);
  }
  EXPECT_GT(evictions(), 30u);
  EXPECT_LE(bytes_on_disk(), settings.size + (4 << 20));
  EXPECT_EQ(find("k0"), nullptr);
  store->flush();
  EXPECT_TRUE(find("k59"));
}

TEST_F(Eviction, TinyObjectsKeepWithinTheIndexShare) {
  const std::string content = content_of(3000, 1);
  for (int i = 0; i < 8000; ++i) {
    ASSERT_TRUE(put("k" + std::to_string(i), content));
    if (i % 500 == 499) store->flush();
  }
  store->flush();
  store->flush();
  EXPECT_GT(evictions(), 1000u);
  EXPECT_LE(store->stats().disk_bytes, settings.size);
  EXPECT_LE(bytes_on_disk(), settings.size);
}

TEST_F(Eviction, MixedSizesDisplaceEachOther) {
  for (int round = 0; round < 3; ++round) {
    for (int i = 0; i < 700; ++i) {
      ASSERT_TRUE(put("s" + std::to_string(round * 1000 + i), content_of(60'000, i)));
      if (i % 100 == 99) store->flush();
    }
    for (int i = 0; i < 20; ++i) {
      const std::string content = content_of(5'000'000, i);
      const ObjectRef object = put("l" + std::to_string(round * 100 + i), content);
      ASSERT_TRUE(object) << round << " " << i;
      ASSERT_TRUE(object->body().is_whole()) << round << " " << i;
      EXPECT_TRUE(read_all(object) == content);
    }
    store->flush();
    EXPECT_LE(store->stats().disk_bytes, settings.size);
  }
}

// One pass over many new objects does not drive out those in use.
TEST_F(Eviction, AScanLeavesWhatIsAskedForAgain) {
  const std::string content = content_of(400'000, 1);
  for (int i = 0; i < 20; ++i) ASSERT_TRUE(put("hot" + std::to_string(i), content));
  store->flush();
  for (int i = 0; i < 300; ++i) {
    ASSERT_TRUE(put("scan" + std::to_string(i), content));
    if (i % 10 == 9) {
      for (int k = 0; k < 20; ++k) find("hot" + std::to_string(k));
      store->flush();
    }
  }
  int left = 0;
  for (int i = 0; i < 20; ++i) left += find("hot" + std::to_string(i)) != nullptr;
  EXPECT_GE(left, 18);
  EXPECT_GT(evictions(), 100u);
}

TEST_F(Eviction, WhatIsErasedIsNoLongerCounted) {
  for (const size_t size : {size_t{3000}, size_t{50'000}, size_t{3'000'000}}) {
    ASSERT_TRUE(put("k", content_of(size, 1)));
    store->flush();
    EXPECT_GE(store->stats().bytes, size);
    cache->invalidate("k");
    store->flush();
    EXPECT_EQ(store->stats().bytes, 0u) << size;
  }
}

// Two kinds of room: records that hold their content lie in the index, the others in segments.
TEST_F(Eviction, AFullIndexDrivesNothingOutOfTheSegments) {
  const std::string large = content_of(2'000'000, 1);
  for (int i = 0; i < 5; ++i) ASSERT_TRUE(put("large" + std::to_string(i), large));
  store->flush();
  const std::string tiny = content_of(3000, 1);
  for (int i = 0; i < 8000; ++i) {
    ASSERT_TRUE(put("tiny" + std::to_string(i), tiny));
    if (i % 500 == 499) store->flush();
  }
  store->flush();
  EXPECT_GT(evictions(), 1000u);
  for (int i = 0; i < 5; ++i) EXPECT_TRUE(find("large" + std::to_string(i))) << i;
}

TEST_F(Eviction, FullSegmentsDriveNothingOutOfTheIndex) {
  const std::string tiny = content_of(3000, 1);
  for (int i = 0; i < 100; ++i) ASSERT_TRUE(put("tiny" + std::to_string(i), tiny));
  store->flush();
  const std::string large = content_of(3'000'000, 1);
  for (int i = 0; i < 60; ++i) {
    ASSERT_TRUE(put("large" + std::to_string(i), large));
    if (i % 8 == 7) store->flush();
  }
  EXPECT_GT(evictions(), 30u);
  reopen();  // so that memory does not answer
  for (int i = 0; i < 100; ++i) EXPECT_TRUE(find("tiny" + std::to_string(i))) << i;
}

// The clock and what is due stand in the index. Were the clock lost, what comes after the restart would be due before all
// that was there.
TEST_F(Eviction, TheOrderSurvivesARestart) {
  const std::string larger = content_of(60'000, 1);
  for (int i = 0; i < 9000; ++i) {
    ASSERT_TRUE(put("before" + std::to_string(i), larger));
    if (i % 200 == 199) store->flush();
  }
  reopen();
  const uint64_t evicted = evictions();
  ASSERT_GT(evicted, 7000u);
  const std::string smaller = content_of(10'000, 1);  // and so worth more for its bytes
  for (int i = 0; i < 1500; ++i) {
    ASSERT_TRUE(put("after" + std::to_string(i), smaller));
    if (i % 200 == 199) store->flush();
  }
  ASSERT_GT(evictions(), evicted + 200);
  reopen();  // so that memory does not answer
  for (int i = 0; i < 1500; ++i) ASSERT_TRUE(find("after" + std::to_string(i))) << i;
}

TEST_F(Eviction, AReaderKeepsItsBytesWhenTheObjectIsEvicted) {
  const std::string content = content_of(2'000'000, 42);
  const ObjectRef object = put("read", content);  // and never looked up again: it stays among the small
  store->flush();
  auto reader = cache->read(object);
  http::BodyPart part;
  ASSERT_EQ(reader->read(part, 1000), http::BodyRead::Part);
  for (int i = 0; i < 60; ++i) {
    ASSERT_TRUE(put("k" + std::to_string(i), content_of(3'000'000, i)));
    if (i % 8 == 7) store->flush();
  }
  store->flush();
  EXPECT_EQ(find("read"), nullptr);
  EXPECT_TRUE(object->is_dead());
  EXPECT_TRUE(read_all(object) == content);
}

TEST_F(Eviction, AFillThatFindsNoRoomGetsIt) {
  settings.max_object = 0;
  for (int i = 0; i < 18; ++i) ASSERT_TRUE(put("k" + std::to_string(i), content_of(3'000'000, i)));
  // Not flushed: what is to be evicted is only just being committed.
  const std::string content = content_of(14'000'000, 3);
  const ObjectRef object = put("large", content);
  ASSERT_TRUE(object);
  EXPECT_TRUE(object->body().is_whole());
  EXPECT_TRUE(read_all(object) == content);
}

// The index keeps to its share of the size whatever is stored, replaced and erased: the file as it lies on the disk, at any time.
TEST_F(Eviction, TheIndexFileNeverOutgrowsItsShare) {
  const uint64_t share = settings.size / 8;
  const auto check = [&] {
    ASSERT_LE(std::filesystem::file_size(directory.path + "/data.mdb"), share);
    ASSERT_FALSE(store->is_degraded());
  };
  const std::string content = content_of(3000, 1);
  for (int i = 0; i < 20'000; ++i) {
    // Names that lie anywhere in the order of the keys; some come again, some go.
    const std::string key = "http://a/" + std::to_string(i * 2654435761u % 15'013);
    if (i % 7 == 0) {
      cache->invalidate(key);
    } else {
      cache->store_whole(parts_for(key), core::Slice::copy({content.data(), i % 3 == 0 ? size_t{50} : content.size()}), nullptr);
    }
    if (i % 500 == 0) {
      store->flush();
      check();
    }
  }
  store->flush();
  check();
  EXPECT_GT(store->stats().objects, 500u);
  // More at once than the whole index holds.
  for (int i = 0; i < 5'000; ++i) {
    cache->store_whole(parts_for("http://b/" + std::to_string(i * 2654435761u)), core::Slice::copy(content_of(4000, 2)), nullptr);
  }
  store->flush();
  check();
  EXPECT_GT(store->stats().objects, 500u);
  const std::string last = "http://a/last";
  ASSERT_TRUE(put(last, content));
  reopen();
  EXPECT_TRUE(find(last));
  EXPECT_LE(store->stats().disk_bytes, settings.size);
}

}  // namespace
}  // namespace tributary::cache
