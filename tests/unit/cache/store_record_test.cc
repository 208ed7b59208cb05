#include "cache/record.h"

#include <gtest/gtest.h>

#include <string>

#include "cache/hash.h"
#include "cache/range_set.h"

namespace tributary::cache {
namespace {

std::string encode(const Record& record) {
  std::string bytes(record.encoded_size(), '\0');
  record.encode(bytes.data());
  return bytes;
}

Record piece_record() {
  Record record;
  record.place = Place::Pieces;
  record.body_id = 77;
  record.length = 600'000;
  record.piece_size = 262144;
  record.due = 7;
  record.meta.status = 200;
  record.meta.lifetime = 60;
  record.key = "http://a/";
  record.variant = "v";
  record.etag = "\"e\"";
  record.fields = "A: b\r\n";
  record.pieces = {{{1, 2, SlotClass::K256}, 262144, 11}, {}, {{3, 4, SlotClass::K256}, 75712, 33}};
  return record;
}

TEST(StoreRecord, ComesBackAsItWas) {
  const Record record = piece_record();
  const std::string bytes = encode(record);
  Record back;
  ASSERT_TRUE(Record::decode(bytes, back));
  EXPECT_EQ(back.place, record.place);
  EXPECT_EQ(back.body_id, record.body_id);
  EXPECT_EQ(back.length, record.length);
  EXPECT_EQ(back.piece_size, record.piece_size);
  EXPECT_EQ(back.due, record.due);
  EXPECT_EQ(back.meta, record.meta);
  EXPECT_EQ(back.key, record.key);
  EXPECT_EQ(back.variant, record.variant);
  EXPECT_EQ(back.etag, record.etag);
  EXPECT_EQ(back.fields, record.fields);
  EXPECT_EQ(back.pieces, record.pieces);
  EXPECT_EQ(back.stored_bytes(), 262144u + 75712u);
  Record pieces;
  ASSERT_TRUE(Record::decode_pieces(bytes, pieces));
  EXPECT_EQ(pieces.pieces, record.pieces);
}

TEST(StoreRecord, InlineContentComesBack) {
  Record record;
  record.key = "k";
  record.content = "hello";
  record.length = 5;
  const std::string bytes = encode(record);
  Record back;
  ASSERT_TRUE(Record::decode(bytes, back));
  EXPECT_EQ(back.content, "hello");
}

TEST(StoreRecord, EveryTruncationAndEveryFlippedBitIsRefused) {
  const std::string bytes = encode(piece_record());
  Record back;
  for (size_t n = 0; n < bytes.size(); ++n) EXPECT_FALSE(Record::decode(bytes.substr(0, n), back)) << n;
  for (size_t bit = 0; bit < bytes.size() * 8; ++bit) {
    std::string bad = bytes;
    bad[bit / 8] = static_cast<char>(bad[bit / 8] ^ (1 << (bit % 8)));
    EXPECT_FALSE(Record::decode(bad, back)) << bit;
  }
}

// A hostile record has a right checksum.
TEST(StoreRecord, SizesThatDisagreeAreRefused) {
  const auto refused = [](void (*spoil)(Record&)) {
    Record record = piece_record();
    spoil(record);
    Record back;
    return !Record::decode(encode(record), back);
  };
  EXPECT_FALSE(refused([](Record&) {}));
  EXPECT_TRUE(refused([](Record& r) { r.piece_size = 0; }));
  EXPECT_TRUE(refused([](Record& r) { r.piece_size = 4096; }));
  EXPECT_TRUE(refused([](Record& r) { r.length = 0; }));
  EXPECT_TRUE(refused([](Record& r) { r.length = UINT64_MAX; }));
  EXPECT_TRUE(refused([](Record& r) { r.length = 700'000; }));
  EXPECT_TRUE(refused([](Record& r) { r.pieces.pop_back(); }));
  EXPECT_TRUE(refused([](Record& r) { r.pieces[0].length = 1; }));
  EXPECT_TRUE(refused([](Record& r) { r.pieces[2].slot.size_class = SlotClass::K16; }));
  EXPECT_TRUE(refused([](Record& r) { r.place = Place::Inline; }));
  EXPECT_TRUE(refused([](Record& r) { r.place = Place::Slot; }));
  EXPECT_TRUE(refused([](Record& r) { r.content = "x"; }));
  EXPECT_TRUE(refused([](Record& r) { r.key = ""; }));
  EXPECT_TRUE(refused([](Record& r) { r.meta.version = 9; }));
}

TEST(StoreRecord, WhatIsChangedWhereItLiesStaysReadable) {
  std::string bytes = encode(piece_record());
  Record::change(bytes.data(), bytes.size(), 99, true);
  Record back;
  ASSERT_TRUE(Record::decode(bytes, back));
  EXPECT_EQ(back.flags, Record::kUnverified);
  EXPECT_EQ(back.due, 99u);
}

TEST(StoreChecksum, StepsGiveTheChecksumOfTheWhole) {
  const std::string text(100'000, 'q');
  Checksum sum;
  for (size_t at = 0; at < text.size(); at += 777) sum.add(std::string_view(text).substr(at, 777));
  EXPECT_EQ(sum.value(), checksum(text));
}

TEST(RangeSet, MergesWhatTouches) {
  RangeSet set;
  set.add(10, 20);
  set.add(30, 40);
  set.add(20, 25);
  EXPECT_EQ(set.ranges(), (std::vector<http::ByteRange>{{10, 25}, {30, 40}}));
  set.add(24, 31);
  EXPECT_EQ(set.ranges(), (std::vector<http::ByteRange>{{10, 40}}));
  set.add(0, 5);
  set.add(50, 50);
  EXPECT_EQ(set.ranges(), (std::vector<http::ByteRange>{{0, 5}, {10, 40}}));
  set.remove(12, 14);
  EXPECT_EQ(set.ranges(), (std::vector<http::ByteRange>{{0, 5}, {10, 12}, {14, 40}}));
}

TEST(RangeSet, AgreesWithABitmap) {
  uint64_t state = 1;
  const auto random = [&state](uint64_t below) {
    state = state * 6364136223846793005u + 1442695040888963407u;
    return (state >> 33) % below;
  };
  for (int round = 0; round < 200; ++round) {
    RangeSet set;
    std::vector<bool> bits(100);
    for (int step = 0; step < 30; ++step) {
      const uint64_t first = random(100), last = first + random(100 - first + 1);
      const bool add = random(3) != 0;
      add ? set.add(first, last) : set.remove(first, last);
      for (uint64_t i = first; i < last; ++i) bits[i] = add;
      for (uint64_t i = 0; i < 100; ++i) {
        uint64_t end = i;
        while (end < 100 && bits[end]) ++end;
        ASSERT_EQ(set.end_from(i), end);
      }
      uint64_t there = 0;
      for (uint64_t i = first; i < last; ++i) there += bits[i];
      ASSERT_EQ(set.bytes_in(first, last), there);
    }
  }
}

}  // namespace
}  // namespace tributary::cache
