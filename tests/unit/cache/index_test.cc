#include "cache/index.h"

#include "unit/cache/store_fixture.h"

namespace tributary::cache {
namespace {

class IndexTest : public ::testing::Test {
 protected:
  void open() {
    std::string why;
    bool damaged = false;
    index = Index::open(directory.path, 64 << 20, true, why, damaged);
    ASSERT_TRUE(index) << why;
  }
  void append(Index::WriteTxn& txn, RecordId id, std::string_view text) {
    auto place = txn.append(id, text.size());
    ASSERT_TRUE(place.ok());
    std::copy(text.begin(), text.end(), *place);
  }
  TemporaryDirectory directory;
  std::unique_ptr<Index> index;
};

TEST_F(IndexTest, WhatIsCommittedIsThereAfterReopening) {
  open();
  EXPECT_FALSE(Index::ReadTxn(*index).meta());
  {
    Index::WriteTxn txn(*index);
    append(txn, 1, "one");
    append(txn, record_id(31, 2), "two");
    ASSERT_TRUE(txn.put_key({{1, 2}, 0}, 1).ok());
    ASSERT_TRUE(txn.put_key({{1, 2}, 5}, record_id(31, 2)).ok());
    ASSERT_TRUE(txn.put_key({{1, 3}, 0}, 7).ok());
    ChunkMap map{.size_class = SlotClass::K64};
    map.set(3);
    ASSERT_TRUE(txn.put_chunk(4, map).ok());
    ASSERT_TRUE(txn.put_meta({.next_id = 9}).ok());
    ASSERT_TRUE(txn.commit().ok());
  }
  index.reset();
  open();
  const Index::ReadTxn txn(*index);
  EXPECT_EQ(txn.meta()->next_id, 9u);
  EXPECT_EQ(txn.record(1), "one");
  EXPECT_EQ(txn.record(record_id(31, 2)), "two");
  EXPECT_EQ(txn.record(2), std::nullopt);
  EXPECT_EQ(txn.find({{1, 2}, 5}), record_id(31, 2));
  std::vector<std::pair<uint64_t, RecordId>> variants;
  txn.for_each_variant({1, 2}, [&](uint64_t variant, RecordId id) { variants.emplace_back(variant, id); });
  EXPECT_EQ(variants, (std::vector<std::pair<uint64_t, RecordId>>{{0, 1}, {5, record_id(31, 2)}}));
  int chunks = 0;
  txn.for_each_chunk([&](uint32_t chunk, const ChunkMap& map) {
    EXPECT_EQ(chunk, 4u);
    EXPECT_EQ(map.size_class, SlotClass::K64);
    EXPECT_TRUE(map.test(3));
    ++chunks;
  });
  EXPECT_EQ(chunks, 1);
}

TEST_F(IndexTest, WhatIsNotCommittedNeverHappened) {
  open();
  {
    Index::WriteTxn txn(*index);
    append(txn, 1, "one");
  }
  EXPECT_EQ(Index::ReadTxn(*index).record(1), std::nullopt);
}

TEST_F(IndexTest, TheFrontOfAQueueIsItsOldest) {
  open();
  Index::WriteTxn txn(*index);
  EXPECT_EQ(txn.first(0), std::nullopt);
  for (RecordId id = 10; id < 20; ++id) append(txn, id, "x");
  append(txn, record_id(7, 5), "y");
  EXPECT_EQ(txn.first(0), 10u);
  EXPECT_EQ(txn.first(7), record_id(7, 5));
  ASSERT_TRUE(txn.erase(10).ok());
  ASSERT_TRUE(txn.erase(10).ok());
  EXPECT_EQ(txn.first(0), 11u);
}

TEST_F(IndexTest, AFullMapIsStorageFull) {
  std::string why;
  bool damaged = false;
  index = Index::open(directory.path, 1 << 20, true, why, damaged);
  ASSERT_TRUE(index) << why;
  Index::WriteTxn txn(*index);
  const std::string text(3000, 'x');
  core::ErrorCode code{};
  for (RecordId id = 1; id < 2000; ++id) {
    const auto place = txn.append(id, text.size());
    if (place.ok()) continue;
    code = place.error().code;
    break;
  }
  EXPECT_EQ(code, core::ErrorCode::StorageFull);
}

}  // namespace
}  // namespace tributary::cache
