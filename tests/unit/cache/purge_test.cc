// Purging by URL, prefix, tag and as a whole (P-19): from memory, from fills, from the index, and for good.
#include "cache/purge.h"

#include <gtest/gtest.h>

#include "store_fixture.h"

namespace tributary::cache {
namespace {

constexpr char kA[] = "http://a.example/dir/one";
constexpr char kB[] = "http://a.example/dir/two";
constexpr char kC[] = "http://a.example/other";
constexpr char kD[] = "http://b.example/dir/one";

class Purging : public StoreTest {
 protected:
  void put_all() {
    for (const char* key : {kA, kB, kC, kD}) ASSERT_TRUE(put(key, content_of(1000, 1)));
  }
  ObjectRef put_tagged(const std::string& key, const std::string& fields) {
    ObjectParts parts = parts_for(key);
    parts.fields = core::Slice::copy(fields);
    return cache->store_whole(std::move(parts), core::Slice::copy(content_of(100, 2)), nullptr);
  }
  uint64_t purge(std::optional<Selection> selection) {
    EXPECT_TRUE(selection);
    PurgeWait wait;
    bool done = false;
    auto on_done = [&done] { done = true; };
    EXPECT_TRUE(store->purge(*selection, loop, wait, core::Callback<void()>::ref(on_done)));
    EXPECT_TRUE(pump([&] { return done; }));
    EXPECT_TRUE(wait.result().durable);
    return wait.result().objects;
  }
  std::string left() {
    std::string names;
    for (const char* key : {kA, kB, kC, kD}) names += find(key) ? 'x' : '.';
    return names;
  }
};

TEST_F(Purging, TakesWhatWaitsToBeCommittedAndDoesNotBringItBack) {
  open();
  put_all();
  EXPECT_EQ(purge(Selection::url("HTTP://A.Example:80/dir/one")), 1u);
  EXPECT_EQ(left(), ".xxx");
  reopen();
  EXPECT_EQ(left(), ".xxx");
}

TEST_F(Purging, TakesWhatTheIndexAloneKnows) {
  open();
  put_all();
  reopen();
  EXPECT_EQ(purge(Selection::url(kA)), 1u);
  EXPECT_EQ(purge(Selection::url(kA)), 0u);
  EXPECT_EQ(left(), ".xxx");
  reopen();
  EXPECT_EQ(left(), ".xxx");
  EXPECT_EQ(store->stats().objects, 3u);
}

TEST_F(Purging, TakesEveryVariantOfAUrl) {
  open();
  for (const char* variant : {"accept-encoding\ngzip", "accept-encoding\nbr"}) {
    ASSERT_TRUE(cache->store_whole(parts_for(kA, variant), core::Slice::copy("x"), nullptr));
  }
  store->flush();
  EXPECT_EQ(purge(Selection::url(kA)), 2u);
  EXPECT_FALSE(find(kA));
}

TEST_F(Purging, ByPrefixEndsWhereTheUrlEnds) {
  open();
  put_all();
  store->flush();
  EXPECT_EQ(purge(Selection::prefix("http://A.example/dir/")), 2u);
  EXPECT_EQ(left(), "..xx");
  put_all();
  // An origin, not everything that begins with the same letters.
  ASSERT_TRUE(put("http://a.example.evil/dir/one", "x"));
  EXPECT_EQ(purge(Selection::prefix("http://a.example")), 3u);
  EXPECT_EQ(left(), "...x");
  EXPECT_TRUE(find("http://a.example.evil/dir/one"));
  reopen();
  EXPECT_EQ(left(), "...x");
}

TEST_F(Purging, ByTagTakesWhatNamesItInAnyOfTheFields) {
  open();
  ASSERT_TRUE(put_tagged(kA, "Cache-Tag: red, Green\r\n"));
  ASSERT_TRUE(put_tagged(kB, "surrogate-key: blue green\r\nX: green\r\n"));
  ASSERT_TRUE(put_tagged(kC, "X-Cache-Tag: green\r\nxkey: greenish\r\n"));
  ASSERT_TRUE(put_tagged(kD, "Xkey: yellow\r\nxkey: GREEN\r\n"));
  EXPECT_EQ(purge(Selection::tag("green")), 3u);
  EXPECT_EQ(left(), "..x.");
  reopen();
  EXPECT_EQ(left(), "..x.");
}

TEST_F(Purging, ByTagFindsThroughTheIndexAfterARestart) {
  open();
  ASSERT_TRUE(put_tagged(kA, "Cache-Tag: red\r\n"));
  ASSERT_TRUE(put_tagged(kB, "Cache-Tag: red\r\n"));
  ASSERT_TRUE(put_tagged(kC, "Cache-Tag: blue\r\n"));
  reopen();
  EXPECT_EQ(purge(Selection::tag("RED")), 2u);
  EXPECT_EQ(left(), "..x.");
}

TEST_F(Purging, KnowsTheTagsOfTheNewestResponseOnly) {
  open();
  ASSERT_TRUE(put_tagged(kA, "Cache-Tag: old, both\r\n"));
  store->flush();
  ASSERT_TRUE(put_tagged(kA, "Cache-Tag: new, both\r\n"));
  reopen();
  EXPECT_EQ(purge(Selection::tag("old")), 0u);
  EXPECT_TRUE(find(kA));
  reopen();
  EXPECT_EQ(purge(Selection::tag("both")), 1u);  // its place in the table was kept when the record was replaced
  EXPECT_FALSE(find(kA));
  reopen();
  EXPECT_EQ(purge(Selection::tag("new")), 0u);
}

TEST_F(Purging, FindsATagBeyondThoseThatAreKept) {
  open();
  std::string fields = "Cache-Tag: t0";
  for (int i = 1; i < 1000; ++i) fields += ",t" + std::to_string(i);
  ASSERT_TRUE(put_tagged(kA, fields + "\r\n"));
  ASSERT_TRUE(put_tagged(kB, fields + ",more\r\n"));
  reopen();
  EXPECT_EQ(purge(Selection::tag("more")), 1u);
  EXPECT_EQ(purge(Selection::tag("t999")), 1u);
  EXPECT_EQ(left(), "....");
}

TEST_F(Purging, OfEverythingLeavesNothingInMoreThanOneTransaction) {
  open();
  for (int i = 0; i < 3000; ++i) ASSERT_TRUE(put("http://many.example/" + std::to_string(i), "content"));
  store->flush();
  for (int i = 3000; i < 3100; ++i) ASSERT_TRUE(put("http://many.example/" + std::to_string(i), "content"));
  EXPECT_EQ(purge(Selection::all()), 3100u);
  EXPECT_EQ(store->stats().objects, 0u);
  for (int i : {0, 1234, 2999, 3050}) EXPECT_FALSE(find("http://many.example/" + std::to_string(i)));
  ASSERT_TRUE(put(kA, "new"));
  EXPECT_TRUE(find(kA));
  reopen();
  EXPECT_EQ(store->stats().objects, 1u);
}

TEST_F(Purging, TakesARunningFillButNotFromUnderItsReader) {
  open();
  const std::string content = content_of(300'000, 7);
  auto fill = cache->start_fill(parts_for(kA), content.size(), nullptr);
  ASSERT_TRUE(fill);
  Drain reader(loop, cache->read(fill->object()));
  fill->write(0, core::Slice::copy({content.data(), 100'000}));
  ASSERT_TRUE(pump([&] { return reader.bytes.size() == 100'000; }));
  EXPECT_EQ(purge(Selection::prefix("http://a.example/")), 1u);
  EXPECT_FALSE(find(kA)) << "somebody new would be given what was purged";
  fill->write(100'000, core::Slice::copy({content.data() + 100'000, 200'000}));
  fill->finish(content.size());
  fill.reset();
  ASSERT_TRUE(pump([&] { return reader.done; }));
  EXPECT_EQ(reader.bytes, content);
  store->flush();
  EXPECT_FALSE(find(kA));
  reopen();
  EXPECT_FALSE(find(kA));
}

TEST_F(Purging, KeepsOutAnAnswerThatWasAskedForBefore) {
  open();
  ObjectParts before = parts_for(kA);
  before.epoch = store->epoch();
  ObjectParts other = parts_for(kC);
  other.epoch = store->epoch();
  EXPECT_EQ(purge(Selection::url(kA)), 0u);
  EXPECT_FALSE(cache->store_whole(std::move(before), core::Slice::copy("old"), nullptr));
  EXPECT_FALSE(find(kA));
  EXPECT_TRUE(cache->store_whole(std::move(other), core::Slice::copy("not concerned"), nullptr));
  ObjectParts after = parts_for(kA);
  after.epoch = store->epoch();
  EXPECT_TRUE(cache->store_whole(std::move(after), core::Slice::copy("new"), nullptr));
}

TEST_F(Purging, DoesNotLetAValidationBringThePurgedBack) {
  open();
  const ObjectRef old = put(kA, "old");
  EXPECT_EQ(purge(Selection::all()), 1u);
  EXPECT_FALSE(cache->refresh(old, old->parts(), nullptr));
  EXPECT_FALSE(find(kA));
  // What came later can be validated however often.
  ObjectRef fresh = put(kA, "new");
  for (int i = 0; i < 3; ++i) {
    fresh = cache->refresh(fresh, fresh->parts(), nullptr);
    ASSERT_TRUE(fresh);
  }
}

TEST_F(Purging, IsSeenByEveryWorkersHotMap) {
  open();
  core::Loop other_loop;
  WorkerCache other(*store, other_loop);
  put_all();
  ASSERT_TRUE(find(kA));  // the index has been asked
  EntryRef entry;
  PendingLookup pending;
  ASSERT_EQ(other.lookup(kA, entry, pending, {}), Found::Hit);
  ASSERT_EQ(other.lookup(kA, entry, pending, {}), Found::Hit);  // from its own map now
  EXPECT_EQ(purge(Selection::all()), 4u);
  EXPECT_NE(other.lookup(kA, entry, pending, {}), Found::Hit);
}

TEST_F(Purging, OfADisabledStoreFindsNothing) {
  settings.enabled = false;
  open();
  EXPECT_EQ(purge(Selection::all()), 0u);
  EXPECT_EQ(store->purge_and_wait(Selection::all())->objects, 0u);
}

TEST_F(Purging, UnderManyAtOnceEachIsAnswered) {
  open();
  for (int i = 0; i < 200; ++i) ASSERT_TRUE(put("http://many.example/" + std::to_string(i), "content"));
  std::vector<std::unique_ptr<PurgeWait>> waits;
  size_t answered = 0;
  auto on_done = [&answered] { ++answered; };
  for (int i = 0; i < 200; ++i) {
    waits.push_back(std::make_unique<PurgeWait>());
    ASSERT_TRUE(store->purge(*Selection::url("http://many.example/" + std::to_string(i)), loop, *waits.back(),
                             core::Callback<void()>::ref(on_done)));
  }
  ASSERT_TRUE(pump([&] { return answered == waits.size(); }));
  for (const auto& wait : waits) EXPECT_EQ(wait->result().objects, 1u);
}

TEST(Selection_, RefusesWhatNoObjectCanHave) {
  EXPECT_FALSE(Selection::url("not a url"));
  EXPECT_FALSE(Selection::url("ftp://a.example/"));
  EXPECT_FALSE(Selection::prefix(""));
  EXPECT_FALSE(Selection::tag(""));
  EXPECT_FALSE(Selection::tag("two words"));
  EXPECT_FALSE(Selection::url("http://a.example/" + std::string(20'000, 'x')));
}

TEST(PurgeLog_, RemembersInOrderAndRefusesWhatIsOlderThanItsMemory) {
  PurgeLog log;
  EXPECT_FALSE(log.refuses(0, kA, ""));
  const auto first = log.add(std::make_shared<const Selection>(*Selection::url(kA)));
  const auto second = log.add(std::make_shared<const Selection>(*Selection::url(kB)));
  EXPECT_TRUE(log.refuses(0, kA, ""));
  EXPECT_FALSE(log.refuses(*first, kA, ""));
  EXPECT_TRUE(log.refuses(*first, kB, ""));
  EXPECT_FALSE(log.refuses(0, kC, ""));
  log.settle(*second);
  EXPECT_EQ(log.settled(), 0u) << "the first is still under way";
  log.settle(*first);
  EXPECT_EQ(log.settled(), *second);
  for (size_t i = 0; i < PurgeLog::kKept + 10; ++i) {
    log.settle(*log.add(std::make_shared<const Selection>(*Selection::url(kB))));
  }
  EXPECT_TRUE(log.refuses(0, kC, ""));
  EXPECT_FALSE(log.refuses(log.current() - 5, kC, ""));
}

}  // namespace
}  // namespace tributary::cache
