#include "cache/fill.h"

#include <signal.h>
#include <sys/resource.h>

#include <atomic>
#include <mutex>
#include <random>
#include <thread>

#include "cache/fill_state.h"
#include "unit/cache/store_fixture.h"

namespace tributary::cache {
namespace {

class Filling : public StoreTest {
 protected:
  Filling() { open(); }

  void write(Fill& fill, const std::string& content, size_t first, size_t last) {
    fill.write(first, core::Slice::copy({content.data() + first, last - first}));
  }
  // Writes [first, last) in steps, waiting for room as upstream does.
  void write_steps(Fill& fill, const std::string& content, size_t first, size_t last, size_t step) {
    while (first < last) {
      ASSERT_TRUE(pump([&] { return fill.has_room(); }));
      const size_t n = std::min(step, last - first);
      write(fill, content, first, first + n);
      first += n;
    }
  }
};

TEST_F(Filling, ASmallBodyIsReadableAsItArrivesWithoutAnyJob) {
  const std::string content = content_of(3000, 1);
  auto fill = cache->start_fill(parts_for("k"), 3000, nullptr);
  Drain drain(loop, cache->read(fill->object()));
  write(*fill, content, 0, 1000);
  ASSERT_TRUE(pump([&] { return drain.bytes.size() == 1000; }));
  EXPECT_FALSE(drain.done);
  write(*fill, content, 1000, 3000);
  fill->finish(3000);
  ASSERT_TRUE(pump([&] { return drain.done; }));
  EXPECT_FALSE(drain.failed);
  EXPECT_EQ(drain.bytes, content);
  EXPECT_EQ(drain.file_parts, 0);
  EXPECT_TRUE(fill->object()->memory_body());
}

TEST_F(Filling, UnknownLengthEndsWhereFinishSays) {
  for (const size_t size : {0u, 1u, 5000u, 65536u, 65537u, 300'000u, 2'000'000u}) {
    const std::string content = content_of(size, size);
    auto fill = cache->start_fill(parts_for("k" + std::to_string(size)), std::nullopt, nullptr);
    Drain drain(loop, cache->read(fill->object()));
    write_steps(*fill, content, 0, size, 7000);
    ASSERT_TRUE(pump([&] { return drain.bytes.size() == size; })) << size;
    EXPECT_FALSE(drain.done);
    fill->finish(size);
    ASSERT_TRUE(pump([&] { return drain.done; })) << size;
    EXPECT_FALSE(drain.failed) << size;
    EXPECT_TRUE(drain.bytes == content) << size;
    ASSERT_TRUE(pump([&] { return fill->object()->body().is_whole(); }));
    EXPECT_EQ(fill->object()->body().length(), size);
  }
  reopen();
  for (const size_t size : {0u, 1u, 5000u, 65536u, 65537u, 300'000u, 2'000'000u}) {
    const EntryRef entry = find("k" + std::to_string(size));
    ASSERT_TRUE(entry) << size;
    EXPECT_TRUE(read_all(entry->variants.front()) == content_of(size, size)) << size;
  }
}

// P-1: split downloads write wherever their ranges are.
TEST_F(Filling, PiecesMayComeInAnyOrderAndOverlap) {
  constexpr size_t kSize = 12'345'678;
  const std::string content = content_of(kSize, 5);
  std::mt19937 random(7);
  auto fill = cache->start_fill(parts_for("k"), kSize, nullptr);
  Drain drain(loop, cache->read(fill->object()));
  std::vector<std::pair<size_t, size_t>> steps;
  for (size_t at = 0; at < kSize;) {
    const size_t n = std::min<size_t>(1 + random() % 700'000, kSize - at);
    steps.emplace_back(at, std::min(kSize, at + n + random() % 1000));
    at += n;
  }
  std::shuffle(steps.begin(), steps.end(), random);
  for (const auto& [first, last] : steps) {
    ASSERT_TRUE(pump([&] { return fill->has_room(); }));
    write(*fill, content, first, last);
  }
  fill->finish(kSize);
  ASSERT_TRUE(pump([&] { return drain.done; }));
  EXPECT_FALSE(drain.failed);
  EXPECT_TRUE(drain.bytes == content);
  const ObjectRef object = fill->object();
  fill.reset();
  ASSERT_TRUE(pump([&] { return object->body().is_whole(); }));
  reopen();
  EXPECT_TRUE(read_all(find("k")->variants.front()) == content);
}

TEST_F(Filling, WantedNamesTheReadersAndPresentWhatIsThere) {
  auto fill = cache->start_fill(parts_for("k"), 8 << 20, nullptr);
  auto first = cache->read(fill->object(), 0);
  auto second = cache->read(fill->object(), 5'000'000);
  http::BodyPart part;
  EXPECT_EQ(first->read(part, 1000), http::BodyRead::Wait);
  EXPECT_EQ(second->read(part, 1000), http::BodyRead::Wait);
  std::vector<uint64_t> wanted;
  fill->wanted(wanted);
  EXPECT_EQ(wanted, (std::vector<uint64_t>{0, 5'000'000}));
  fill->write(100, core::Slice::copy(std::string(50'000, 'x')));
  std::vector<http::ByteRange> present;
  fill->present(present);
  EXPECT_EQ(present, (std::vector<http::ByteRange>{{100, 50'100}}));
}

// S0-4.3: a short body is never a clean end.
TEST_F(Filling, AFailureReachesReadersAsAFailure) {
  for (const size_t size : {1000u, 5'000'000u}) {
    const std::string content = content_of(size, 1);
    auto fill = cache->start_fill(parts_for("k"), size, nullptr);
    const ObjectRef object = fill->object();
    Drain drain(loop, cache->read(object));
    write(*fill, content, 0, size / 2);
    ASSERT_TRUE(pump([&] { return drain.bytes.size() == size / 2; }));
    fill->fail({.code = core::ErrorCode::ConnectionReset, .side = core::Side::Origin});
    ASSERT_TRUE(pump([&] { return drain.done; }));
    EXPECT_TRUE(drain.failed);
    EXPECT_EQ(drain.error.code, core::ErrorCode::ConnectionReset);
    EXPECT_TRUE(drain.bytes == content.substr(0, size / 2));
  }
}

TEST_F(Filling, FinishWithBytesMissingIsAFailure) {
  auto fill = cache->start_fill(parts_for("k"), 1000, nullptr);
  Drain drain(loop, cache->read(fill->object()));
  fill->write(0, core::Slice::copy(std::string(999, 'x')));
  fill->finish(1000);
  ASSERT_TRUE(pump([&] { return drain.done; }));
  EXPECT_TRUE(drain.failed);
  EXPECT_EQ(find("k"), nullptr);
}

TEST_F(Filling, ADroppedFillFailsAndTheKeyIsAMissAgain) {
  auto fill = cache->start_fill(parts_for("k"), std::nullopt, nullptr);
  Drain drain(loop, cache->read(fill->object()));
  fill->write(0, core::Slice::copy("abc"));
  fill.reset();
  ASSERT_TRUE(pump([&] { return drain.done; }));
  EXPECT_TRUE(drain.failed);
  EXPECT_EQ(find("k"), nullptr);
  EXPECT_EQ(store->stats().fills, 0u);
}

// P-10: what came is kept, served, and completed later; also after a restart.
TEST_F(Filling, APartialObjectIsKeptServedAndCompleted) {
  constexpr size_t kSize = 6'500'000;
  const std::string content = content_of(kSize, 9);
  {
    auto fill = cache->start_fill(parts_for("k"), kSize, nullptr);
    write_steps(*fill, content, 0, 3 << 20, 50'000);
    const ObjectRef object = fill->object();
    fill->fail({.code = core::ErrorCode::ReadTimeout});
    ASSERT_TRUE(pump([&] { return object->body().is_partial(); }));
  }
  for (int round = 0; round < 2; ++round) {
    const EntryRef entry = find("k");
    ASSERT_TRUE(entry);
    const ObjectRef object = entry->variants.front();
    ASSERT_TRUE(object->body().is_partial());
    EXPECT_TRUE(object->body().has(0, 3 << 20));
    EXPECT_FALSE(object->body().has(0, (3 << 20) + 1));
    Drain inside(loop, cache->read(object, 1'000'000, 2'000'000));
    ASSERT_TRUE(pump([&] { return inside.done; }));
    EXPECT_FALSE(inside.failed);
    EXPECT_TRUE(inside.bytes == content.substr(1'000'000, 1'000'000));
    Drain beyond(loop, cache->read(object));
    ASSERT_TRUE(pump([&] { return beyond.done; }));
    EXPECT_TRUE(beyond.failed);
    reopen();
  }
  const ObjectRef object = find("k")->variants.front();
  auto fill = cache->resume_fill(object, nullptr);
  ASSERT_TRUE(fill);
  EXPECT_EQ(cache->resume_fill(object, nullptr), nullptr);
  std::vector<http::ByteRange> present;
  fill->present(present);
  EXPECT_EQ(present, (std::vector<http::ByteRange>{{0, 3 << 20}}));
  Drain drain(loop, cache->read(object));
  write_steps(*fill, content, 3 << 20, kSize, 300'000);
  fill->finish(kSize);
  ASSERT_TRUE(pump([&] { return drain.done; }));
  EXPECT_FALSE(drain.failed);
  EXPECT_TRUE(drain.bytes == content);
  fill.reset();
  ASSERT_TRUE(pump([&] { return object->body().is_whole(); }));
  reopen();
  const EntryRef entry = find("k");
  ASSERT_TRUE(entry);
  EXPECT_TRUE(entry->variants.front()->body().is_whole());
  EXPECT_TRUE(read_all(entry->variants.front()) == content);
}

// P-10: also a crash leaves what came before, but for the last pieces.
TEST_F(Filling, ALongFillIsCommittedOnItsWay) {
  constexpr size_t kSize = 60 << 20;
  const std::string content = content_of(kSize, 4);
  auto fill = cache->start_fill(parts_for("k"), kSize, nullptr);
  write_steps(*fill, content, 0, 45 << 20, 1 << 20);
  ASSERT_TRUE(pump([&] {
    store->flush();
    return store->stats().objects == 1 && store->stats().bytes >= 30u << 20;
  }));
  const ObjectRef object = fill->object();
  fill->discard({.code = core::ErrorCode::ContentMismatch});
  ASSERT_TRUE(pump([&] { return !object->body().is_filling(); }));
  store->flush();
  EXPECT_EQ(store->stats().objects, 0u);
  EXPECT_EQ(find("k"), nullptr);
}

// RFC 9111 4.3.4: a second request may validate what the first has not fetched to the end yet.
TEST_F(Filling, WhatWasRefreshedMeanwhileIsWhatIsStored) {
  for (const std::optional<uint64_t> declared : {std::optional<uint64_t>(3'000'000), std::optional<uint64_t>()}) {
    const std::string key = declared ? "declared" : "not declared";
    const std::string content = content_of(3'000'000, 1);
    auto fill = cache->start_fill(parts_for(key), declared, nullptr);
    write_steps(*fill, content, 0, 1'000'000, 100'000);
    ObjectParts parts = parts_for(key);
    parts.fields = core::Slice::copy("Fresh: yes\r\n");
    const ObjectRef fresh = cache->refresh(fill->object(), std::move(parts), nullptr);
    ASSERT_TRUE(fresh);
    store->flush();
    write_steps(*fill, content, 1'000'000, content.size(), 100'000);
    fill->finish(content.size());
    ASSERT_TRUE(pump([&] { return fresh->body().is_whole(); }));
    fill.reset();
    reopen();
    const EntryRef entry = find(key);
    ASSERT_TRUE(entry) << key;
    EXPECT_EQ(entry->variants.front()->fields().view(), "Fresh: yes\r\n");
    EXPECT_TRUE(entry->variants.front()->body().is_whole()) << key;
    EXPECT_TRUE(read_all(entry->variants.front()) == content) << key;
  }
}

TEST_F(Filling, WhatWasRefreshedMeanwhileIsKeptInPartWhenTheFillFails) {
  const std::string content = content_of(3'000'000, 1);
  auto fill = cache->start_fill(parts_for("k"), content.size(), nullptr);
  write_steps(*fill, content, 0, 2'000'000, 100'000);
  const ObjectRef fresh = cache->refresh(fill->object(), parts_for("k"), nullptr);
  ASSERT_TRUE(fresh);
  fill->fail({.code = core::ErrorCode::ConnectionReset, .side = core::Side::Origin});
  ASSERT_TRUE(pump([&] { return !fresh->body().is_filling(); }));
  fill.reset();
  reopen();
  const EntryRef entry = find("k");
  ASSERT_TRUE(entry);
  EXPECT_TRUE(entry->variants.front()->body().is_partial());
  EXPECT_TRUE(entry->variants.front()->body().has(0, 1'000'000));
}

TEST_F(Filling, WithoutAStrongValidatorNothingPartialIsKept) {
  ObjectParts parts = parts_for("k");
  parts.meta.flags = 0;
  auto fill = cache->start_fill(std::move(parts), 4 << 20, nullptr);
  write_steps(*fill, content_of(4 << 20, 1), 0, 2 << 20, 100'000);
  const ObjectRef object = fill->object();
  fill.reset();
  ASSERT_TRUE(pump([&] { return !object->body().is_filling(); }));
  EXPECT_TRUE(object->is_dead());
  EXPECT_EQ(find("k"), nullptr);
}

TEST_F(Filling, ADiscardedBodyIsNeverUsedAgain) {
  auto fill = cache->start_fill(parts_for("k"), 4 << 20, nullptr);
  write_steps(*fill, content_of(4 << 20, 1), 0, 2 << 20, 100'000);
  const ObjectRef object = fill->object();
  fill->discard({.code = core::ErrorCode::ContentMismatch});
  ASSERT_TRUE(pump([&] { return !object->body().is_filling(); }));
  EXPECT_TRUE(object->is_dead());
  EXPECT_EQ(find("k"), nullptr);
  reopen();
  EXPECT_EQ(find("k"), nullptr);
}

TEST_F(Filling, AReaderThatLeavesInTheMiddleIsForgotten) {
  auto fill = cache->start_fill(parts_for("k"), 1 << 20, nullptr);
  bool called = false;
  auto on_ready = [&called] { called = true; };
  auto reader = cache->read(fill->object());
  reader->set_ready(core::Callback<void()>::ref(on_ready));
  http::BodyPart part;
  ASSERT_EQ(reader->read(part, 1000), http::BodyRead::Wait);
  fill->write(0, core::Slice::copy(std::string(1 << 20, 'x')));
  reader.reset();
  fill->finish(1 << 20);
  const ObjectRef object = fill->object();
  ASSERT_TRUE(pump([&] { return object->body().is_whole(); }));
  EXPECT_FALSE(called);
  std::vector<uint64_t> wanted;
  fill->wanted(wanted);
  EXPECT_TRUE(wanted.empty());
}

TEST_F(Filling, InFlightBytesAreBounded) {
  auto fill = cache->start_fill(parts_for("k"), 64 << 20, nullptr);
  const std::string block(1 << 20, 'x');
  size_t written = 0;
  while (fill->has_room()) {
    fill->write(written, core::Slice::copy(block));
    written += block.size();
    ASSERT_LE(written, Fill::kMaxInFlight + block.size());
  }
  bool room = false;
  auto on_room = [&room] { room = true; };
  fill->set_room_callback(core::Callback<void()>::ref(on_room));
  ASSERT_TRUE(pump([&] { return room; }));
  EXPECT_TRUE(fill->has_room());
}

// A worker that ends in the middle of a fill leaves neither jobs nor waiters behind.
TEST_F(Filling, EndingTheWorkerEndsItsFills) {
  auto fill = cache->start_fill(parts_for("k"), 8 << 20, nullptr);
  fill->write(0, core::Slice::copy(std::string(3 << 20, 'x')));
  fill.reset();
  close();
  open();
  const EntryRef entry = find("k");
  if (entry) {
    EXPECT_TRUE(entry->variants.front()->body().is_partial());
  }
}

// Files beyond `bytes` cannot be written while this lives: what a full disk looks like.
class FileSizeLimit {
 public:
  explicit FileSizeLimit(rlim_t bytes) {
    ::signal(SIGXFSZ, SIG_IGN);
    ::getrlimit(RLIMIT_FSIZE, &before_);
    const rlimit now{bytes, before_.rlim_max};
    ::setrlimit(RLIMIT_FSIZE, &now);
  }
  ~FileSizeLimit() { ::setrlimit(RLIMIT_FSIZE, &before_); }

 private:
  rlimit before_{};
};

// S0-5.8: a disk that refuses costs the response being stored, and then only the storing.
TEST_F(Filling, ADiskThatRefusesFailsTheFillAndStoringIsGivenUpForAWhile) {
  ASSERT_TRUE(put("before", "content"));
  store->flush();
  const FileSizeLimit limit(1 << 20);
  auto fill = cache->start_fill(parts_for("k"), 3 << 20, nullptr);
  ASSERT_TRUE(fill);
  Drain drain(loop, cache->read(fill->object()));
  fill->write(0, core::Slice::copy(std::string(3 << 20, 'x')));
  fill->finish(3 << 20);
  ASSERT_TRUE(pump([&] { return drain.done; }));
  EXPECT_TRUE(drain.failed);
  EXPECT_EQ(find("k"), nullptr);
  EXPECT_TRUE(store->is_degraded());
  EXPECT_EQ(cache->start_fill(parts_for("l"), 100, nullptr), nullptr);
  EXPECT_EQ(cache->store_whole(parts_for("l"), core::Slice::copy("x"), nullptr), nullptr);
  EXPECT_TRUE(find("before"));
  EXPECT_GE(registry.counter("tributary_cache_write_errors_total", "").value(), 1u);
}

// No descriptor can be had while this lives; those in use stay.
class DescriptorLimit {
 public:
  DescriptorLimit() {
    ::getrlimit(RLIMIT_NOFILE, &before_);
    const rlimit now{0, before_.rlim_max};
    ::setrlimit(RLIMIT_NOFILE, &now);
  }
  ~DescriptorLimit() { ::setrlimit(RLIMIT_NOFILE, &before_); }

 private:
  rlimit before_{};
};

// The commit fails, and the index cannot be opened anew to see what is true: nobody waits for that to end.
TEST_F(Filling, AnIndexThatCannotBeReadHoldsUpNobody) {
#ifdef __SANITIZE_ADDRESS__
  GTEST_SKIP() << "UBSan asks a pipe whether memory is there, which takes descriptors";
#endif
  ASSERT_TRUE(put("k", "content"));
  store->flush();
  {
    const FileSizeLimit full(4096);
    const DescriptorLimit none;
    cache->invalidate("k");
    store->flush();
    EXPECT_TRUE(store->is_degraded());
    cache->invalidate("l");
    store->flush();
    const auto purged = store->purge_and_wait(Selection::all());
    ASSERT_TRUE(purged);
    EXPECT_FALSE(purged->durable);
    EXPECT_EQ(find("k"), nullptr);
  }
  reopen();
  EXPECT_FALSE(store->is_degraded());
  EXPECT_EQ(find("k"), nullptr);
  ASSERT_TRUE(put("k", "other"));
}

// The disk recovers just when the end comes, while the thread is trying once more.
TEST_F(Filling, WhatADiskThatRefusesWasToForgetIsForgottenAtTheEnd) {
  settings.retry = std::chrono::milliseconds(0);
  for (int i = 0; i < 20; ++i) {
    reopen();
    const std::string key = "k" + std::to_string(i);
    ASSERT_TRUE(put(key, "content"));
    store->flush();
    {
      const FileSizeLimit limit(4096);
      cache->invalidate(key);
      store->flush();
    }
    reopen();
    ASSERT_EQ(find(key), nullptr) << i;
  }
}

// RFC 9111 4.4: what was invalidated does not come back because the disk refused to forget it.
TEST_F(Filling, WhatADiskThatRefusesWasToForgetIsForgottenLater) {
  ASSERT_TRUE(put("k", "content"));
  store->flush();
  {
    const FileSizeLimit limit(4096);
    cache->invalidate("k");
    store->flush();
    EXPECT_TRUE(store->is_degraded());
    EXPECT_EQ(find("k"), nullptr);
  }
  close();
  open();
  EXPECT_EQ(find("k"), nullptr);
}

// The Fill may go once it has finished, also while its bytes still wait for a place in the offload queue.
TEST_F(Filling, WhatWaitsForTheOffloadPoolIsFinishedWithoutTheFill) {
  close();
  pool = std::make_unique<core::OffloadPool>(core::OffloadSettings{.threads = 1, .queue_limit = 1});
  open();
  std::mutex held;
  std::unique_lock hold(held);
  std::atomic<bool> begun{false};
  ASSERT_TRUE(pool->submit_detached([&] {
    begun = true;
    std::lock_guard wait(held);
  }));
  ASSERT_TRUE(pump([&] { return begun.load(); }));
  ASSERT_TRUE(pool->submit_detached([] {}));  // the queue is full
  const std::string content = content_of(300'000, 1);
  auto fill = cache->start_fill(parts_for("k"), content.size(), nullptr);
  ASSERT_TRUE(fill);
  const ObjectRef object = fill->object();
  Drain drain(loop, cache->read(object));
  fill->write(0, core::Slice::copy(content));
  fill->finish(content.size());
  fill.reset();
  hold.unlock();
  ASSERT_TRUE(pump([&] { return drain.done; }));
  EXPECT_FALSE(drain.failed);
  EXPECT_TRUE(drain.bytes == content);
  EXPECT_TRUE(object->body().is_whole());
}

TEST_F(Filling, WithoutRoomForASegmentTheStoreOpensAndPassesLargeContentThrough) {
  close();
  std::filesystem::remove_all(directory.path);
  const FileSizeLimit limit(1 << 20);
  open();
  EXPECT_EQ(cache->start_fill(parts_for("k"), 3 << 20, nullptr), nullptr);
  EXPECT_EQ(find("k"), nullptr);
}

// What it replaced must not come back from the index either.
TEST_F(Filling, WhatOutgrowsTheCacheLeavesNothingOlderBehind) {
  close();
  settings.max_object = 1 << 20;
  open();
  ASSERT_TRUE(put("k", "older"));
  store->flush();
  auto fill = cache->start_fill(parts_for("k"), std::nullopt, nullptr);
  const std::string content = content_of(3'000'000, 1);
  Drain drain(loop, cache->read(fill->object()));
  write_steps(*fill, content, 0, content.size(), 100'000);
  fill->finish(content.size());
  fill.reset();
  ASSERT_TRUE(pump([&] { return drain.done; }));
  EXPECT_TRUE(drain.bytes == content);
  EXPECT_EQ(find("k"), nullptr);
  reopen();
  EXPECT_EQ(find("k"), nullptr);
}

// A response of undeclared length that outgrows the cache reaches its readers all the same, through bounded space.
TEST_F(Filling, WhatOutgrowsTheCacheIsStreamedAndNotStored) {
  close();
  settings.max_object = 2 << 20;
  open();
  constexpr size_t kSize = 40'000'000;
  const std::string content = content_of(kSize, 8);
  auto fill = cache->start_fill(parts_for("k"), std::nullopt, nullptr);
  const ObjectRef object = fill->object();
  Drain fast(loop, cache->read(object));
  Drain slow(loop, cache->read(object), 10'000);
  bool room = false;
  auto on_room = [&room] { room = true; };
  fill->set_room_callback(core::Callback<void()>::ref(on_room));
  for (size_t at = 0; at < kSize;) {
    if (!fill->has_room()) {
      ASSERT_TRUE(pump([&] { return room || fill->has_room(); })) << at;
      room = false;
      continue;
    }
    const size_t n = std::min<size_t>(50'000, kSize - at);
    write(*fill, content, at, at + n);
    at += n;
    ASSERT_LE(store->stats().disk_bytes, 64u << 20);
  }
  EXPECT_TRUE(object->is_dead());
  fill->finish(kSize);
  fill.reset();
  ASSERT_TRUE(pump([&] { return fast.done && slow.done; }));
  EXPECT_FALSE(fast.failed);
  EXPECT_FALSE(slow.failed);
  EXPECT_TRUE(fast.bytes == content);
  EXPECT_TRUE(slow.bytes == content);
  EXPECT_EQ(find("k"), nullptr);
  // Who comes too late for the beginning is told so.
  bool failed = false;
  read_all(object, &failed);
  EXPECT_TRUE(failed);
}

TEST_F(Filling, ATransientBodyWaitsForItsSlowestReader) {
  close();
  settings.max_object = 1 << 20;
  open();
  auto fill = cache->start_fill(parts_for("k"), std::nullopt, nullptr);
  auto reader = cache->read(fill->object());
  const core::Slice block = core::Slice::copy(std::string(100'000, 'x'));
  uint64_t at = 0;
  for (int i = 0; i < 1000 && fill->has_room(); ++i) {
    fill->write(at, block);
    at += block.size();
    loop.run_once();
  }
  
  while (at <= 8 << 20) {  // in steps: bytes in flight may have been what was too much
    if (fill->has_room()) {
      fill->write(at, block);
      at += block.size();
    }
    loop.run_once(std::chrono::milliseconds(1));
  }
  ASSERT_TRUE(pump([&] { return !fill->has_room(); }));
  bool room = false;
  auto on_room = [&room] { room = true; };
  fill->set_room_callback(core::Callback<void()>::ref(on_room));
  reader.reset();
  EXPECT_TRUE(pump([&] { return room; }));
}

// S0-H2: one writer, readers on other loops, faster and slower than it; run under tsan.
TEST_F(Filling, ReadersOnOtherWorkersFollow) {
  constexpr int kThreads = 3;
  constexpr int kObjects = 6;
  const auto size_of = [](int i) { return i % 2 ? size_t{40'000} : size_t{2'500'000}; };
  std::atomic<int> wrong{0}, finished{0}, started{0};
  std::vector<std::thread> threads;
  for (int t = 0; t < kThreads; ++t) {
    core::Loop& mine = *loops.emplace_back(std::make_unique<core::Loop>());
    threads.emplace_back([&, t] {
      mine.run_once();
      WorkerCache view(*store, mine);
      std::vector<std::unique_ptr<Drain>> drains;
      for (int i = 0; i < kObjects; ++i) {
        const std::string key = "k" + std::to_string(i);
        EntryRef entry;
        while (!entry) {
          PendingLookup pending;
          if (view.lookup(key, entry, pending, {}) != Found::Hit) mine.run_once(std::chrono::milliseconds(1));
        }
        const uint64_t step = t == 0 ? UINT64_MAX : 20'000;
        drains.push_back(std::make_unique<Drain>(mine, view.read(entry->variants.front()), step));
        ++started;
      }
      for (int i = 0; i < kObjects; ++i) {
        while (!drains[i]->done) mine.run_once(std::chrono::milliseconds(5));
        if (drains[i]->failed || drains[i]->bytes != content_of(size_of(i), i)) ++wrong;
      }
      ++finished;
    });
  }
  std::vector<std::unique_ptr<Fill>> fills;
  std::vector<std::string> contents;
  for (int i = 0; i < kObjects; ++i) {
    contents.push_back(content_of(size_of(i), i));
    fills.push_back(cache->start_fill(parts_for("k" + std::to_string(i)),
                                      i % 3 == 0 ? std::nullopt : std::optional<uint64_t>(size_of(i)), nullptr));
  }
  ASSERT_TRUE(pump([&] { return started == kThreads * kObjects; }));
  for (size_t at = 0, step = 9'000; at < 2'500'000; at += step) {
    for (int i = 0; i < kObjects; ++i) {
      if (at >= contents[i].size()) continue;
      ASSERT_TRUE(pump([&] { return fills[i]->has_room(); }));
      write(*fills[i], contents[i], at, std::min(at + step, contents[i].size()));
      if (at + step >= contents[i].size()) fills[i]->finish(contents[i].size());
    }
  }
  EXPECT_TRUE(pump([&] { return finished == kThreads; }));
  for (std::thread& thread : threads) thread.join();
  EXPECT_EQ(wrong, 0);
}

// Issue 2, point 3: of many workers that ask for one absent key at once, one fetches.
TEST_F(Filling, OneOfManyWorkersLeads) {
  constexpr int kThreads = 4;
  std::atomic<int> leaders{0}, ready{0}, wrong{0};
  std::vector<std::thread> threads;
  const std::string content = content_of(200'000, 3);
  for (int t = 0; t < kThreads; ++t) {
    core::Loop& mine = *loops.emplace_back(std::make_unique<core::Loop>());
    threads.emplace_back([&] {
      mine.run_once();
      WorkerCache view(*store, mine);
      ++ready;
      while (ready < kThreads) std::this_thread::yield();
      Fetch fetch;
      bool changed = false;
      auto on_change = [&changed] { changed = true; };
      const FetchRole role = view.begin_fetch("one", fetch, core::Callback<void()>::ref(on_change));
      std::unique_ptr<Fill> fill;
      if (role == FetchRole::Leader && ++leaders == 1) {
        fill = view.start_fill(parts_for("one"), content.size(), &fetch);
        fill->write(0, core::Slice::copy(content));
        fill->finish(content.size());
      }
      while (role == FetchRole::Follower && !changed) mine.run_once(std::chrono::milliseconds(5));
      EntryRef entry;
      while (!entry) {
        bool found = false;
        auto on_found = [&found] { found = true; };
        PendingLookup pending;
        const Found answer = view.lookup("one", entry, pending, core::Callback<void()>::ref(on_found));
        if (answer == Found::Miss) {
          ++wrong;
          return;
        }
        while (answer == Found::Pending && !found) mine.run_once(std::chrono::milliseconds(5));
      }
      Drain drain(mine, view.read(entry->variants.front()));
      while (!drain.done) mine.run_once(std::chrono::milliseconds(5));
      if (drain.failed || drain.bytes != content) ++wrong;
      while (!entry->variants.front()->body().is_whole()) mine.run_once(std::chrono::milliseconds(1));
    });
  }
  for (std::thread& thread : threads) thread.join();
  EXPECT_EQ(wrong, 0);
  EXPECT_GE(leaders, 1);  // who comes after the publication leads a fetch of its own, as a validation would
}

TEST(FillMachine, EveryEdgeStandsInTheTableOnce) {
  for (const FillPhase from : {FillPhase::Open, FillPhase::Finishing, FillPhase::Failing, FillPhase::Done}) {
    EXPECT_FALSE(core::is_legal<FillPhase>(kFillEdges, from, FillPhase::Open));
    EXPECT_FALSE(core::is_legal<FillPhase>(kFillEdges, FillPhase::Done, from));
  }
  EXPECT_FALSE(core::is_legal<FillPhase>(kFillEdges, FillPhase::Failing, FillPhase::Finishing));
}

}  // namespace
}  // namespace tributary::cache
