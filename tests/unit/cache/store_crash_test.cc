// What a SIGKILL at any point leaves behind (P-7, S0-H2; issue 2 point 5). The victim is this program itself, started anew
// with the one test Victim.DISABLED_Writes.
#include <fcntl.h>
#include <signal.h>
#include <spawn.h>
#include <sys/wait.h>

#include <cstdlib>
#include <fstream>

#include "unit/cache/store_fixture.h"

extern char** environ;

namespace tributary::cache {
namespace {

size_t size_of(int i) {
  constexpr size_t kSizes[] = {500, 30'000, 200'000, 3'000'000};
  return kSizes[i % 4];
}

class Victim : public StoreTest {};

// Stores objects for ever; after every commit it says how many are in, on the descriptor named in the environment.
TEST_F(Victim, DISABLED_Writes) {
  const char* where = std::getenv("TRIBUTARY_TEST_DIRECTORY");
  if (!where) GTEST_SKIP();
  settings.directory = where;
  open();
  std::ofstream progress(std::string(where) + "/progress");
  for (int i = 0;; ++i) {
    if (!put("k" + std::to_string(i), content_of(size_of(i), i))) break;
    if (i % 5 == 4) {
      store->flush();
      progress << i << std::endl;
    }
  }
}

class Crash : public StoreTest {
 protected:
  // Lets the victim write until `objects` are committed, kills it, and says how many were known to be.
  int kill_after(int objects) {
    const std::string program = std::filesystem::read_symlink("/proc/self/exe");
    ::setenv("TRIBUTARY_TEST_DIRECTORY", directory.path.c_str(), 1);
    const char* arguments[] = {program.c_str(), "--gtest_filter=Victim.DISABLED_Writes",
                               "--gtest_also_run_disabled_tests", nullptr};
    pid_t child = 0;
    EXPECT_EQ(::posix_spawn(&child, program.c_str(), nullptr, nullptr, const_cast<char**>(arguments), environ), 0);
    int done = -1;
    while (done < objects) {
      std::ifstream progress(directory.path + "/progress");
      for (int n; progress >> n;) done = n;
      int status = 0;
      if (::waitpid(child, &status, WNOHANG) != 0) {
        ADD_FAILURE() << "the victim ended by itself";
        return done;
      }
      std::this_thread::yield();
    }
    ::kill(child, SIGKILL);
    ::waitpid(child, nullptr, 0);
    return done;
  }
  uint64_t corrupt() { return registry.counter("tributary_cache_corrupt_total", "").value(); }
};

TEST_F(Crash, CommittedObjectsHitWithTheirBytesAfterAKill) {
  for (const int objects : {4, 23}) {
    std::filesystem::remove(directory.path + "/progress");
    const int last = kill_after(objects);
    open();
    for (int i = 0; i <= last; ++i) {
      const EntryRef entry = find("k" + std::to_string(i));
      ASSERT_TRUE(entry) << i;
      bool failed = false;
      EXPECT_TRUE(read_all(entry->variants.front(), &failed) == content_of(size_of(i), i)) << i;
      EXPECT_FALSE(failed) << i;
    }
    // What was on its way is there whole, or not at all.
    for (int i = last + 1; i < last + 10; ++i) {
      const EntryRef entry = find("k" + std::to_string(i));
      if (entry && entry->variants.front()->body().is_whole()) {
        EXPECT_TRUE(read_all(entry->variants.front()) == content_of(size_of(i), i)) << i;
      }
    }
    EXPECT_EQ(corrupt(), 0u);
    // The store goes on working in slots that belong to nobody.
    for (int i = 1000; i < 1010; ++i) ASSERT_TRUE(put("k" + std::to_string(i), content_of(size_of(i), i)));
    for (int i = 0; i <= last; ++i) {
      EXPECT_TRUE(read_all(find("k" + std::to_string(i))->variants.front()) == content_of(size_of(i), i)) << i;
    }
    close();
  }
}

TEST_F(Crash, ADamagedPieceIsNoticedAfterAnUncleanEndAndNeverServed) {
  kill_after(9);
  // k2 (200,000 bytes) and others lie in seg-000000; every byte of it is changed.
  {
    const int fd = ::open((directory.path + "/seg-000000").c_str(), O_RDWR | O_CLOEXEC);
    ASSERT_GE(fd, 0);
    const std::string noise(1 << 20, 'Z');
    for (int i = 0; i < 4; ++i) ASSERT_EQ(::pwrite(fd, noise.data(), noise.size(), i << 20), 1 << 20);
    ::close(fd);
  }
  open();
  int damaged = 0;
  for (int i = 0; i < 9; ++i) {
    const EntryRef entry = find("k" + std::to_string(i));
    if (!entry) {
      ++damaged;
      continue;
    }
    bool failed = false;
    const std::string bytes = read_all(entry->variants.front(), &failed);
    const std::string right = content_of(size_of(i), i);
    if (failed) {
      ++damaged;
      EXPECT_FALSE(entry->variants.front()->body().is_whole());
      EXPECT_TRUE(right.starts_with(bytes));
    } else {
      EXPECT_TRUE(bytes == right) << i;
    }
  }
  EXPECT_GT(damaged, 0);
  EXPECT_GE(corrupt(), static_cast<uint64_t>(damaged));
}

// k3: 3,000,000 bytes in pieces of 256 KiB.
class DamagedPiece : public Crash {
 protected:
  static constexpr int kObject = 3;
  const std::string right_ = content_of(size_of(kObject), kObject);

  // Leaves k3 with its piece at `offset` damaged, and the store opened after an unclean end.
  void damage(uint64_t offset) {
    kill_after(4);
    const int fd = ::open((directory.path + "/seg-000000").c_str(), O_RDWR | O_CLOEXEC);
    ASSERT_GE(fd, 0);
    std::string file(64 << 20, '\0');
    const ssize_t size = ::pread(fd, file.data(), file.size(), 0);
    ASSERT_GT(size, 0);
    const size_t at = file.find(right_.substr(offset, 64));
    ASSERT_NE(at, std::string::npos);
    ASSERT_EQ(::pwrite(fd, "?", 1, static_cast<off_t>(at + 10)), 1);
    ::close(fd);
    open();
    object = find("k3")->variants.front();
    EXPECT_EQ(object->body().phase(), BodyPhase::Unproven);
  }

  // What the owner of a reader does: has the gap filled.
  bool on_gap(const ObjectRef& of, http::ByteRange range) {
    gaps.push_back(range);
    auto fill = cache->fill_gap(of);
    if (!fill) return false;
    fill->write(range.first, core::Slice::copy({right_.data() + range.first, range.size()}));
    fills.push_back(std::move(fill));
    return true;
  }
  std::string read_with_gaps() {
    auto reader = cache->read(object);
    reader->set_gap(core::Callback<bool(const ObjectRef&, http::ByteRange)>::to<&DamagedPiece::on_gap>(this));
    Drain drain(loop, std::move(reader));
    EXPECT_TRUE(pump([&] {
      if (!gaps.empty() && !fills.empty()) {
        fills.back()->finish(right_.size());
        fills.pop_back();
      }
      return drain.done;
    }));
    EXPECT_FALSE(drain.failed);
    return drain.bytes;
  }

  ObjectRef object;
  std::vector<http::ByteRange> gaps;
  std::vector<std::unique_ptr<Fill>> fills;
};

TEST_F(DamagedPiece, IsAGapThatIsFilledWhileTheReaderWaits) {
  damage(300'000);
  EXPECT_TRUE(read_with_gaps() == right_);
  ASSERT_EQ(gaps.size(), 1u);
  EXPECT_EQ(gaps[0], (http::ByteRange{262'144, 524'288}));
  EXPECT_EQ(corrupt(), 1u);
  EXPECT_TRUE(object->body().is_whole());
  // The repaired object is what the index has, and no slot was lost over it.
  store->flush();
  object.reset();
  const uint64_t bytes = store->stats().bytes;
  reopen();
  EXPECT_EQ(store->stats().bytes, bytes);
  EXPECT_TRUE(read_all(find("k3")->variants.front()) == right_);
  EXPECT_EQ(corrupt(), 1u);
}

TEST_F(DamagedPiece, IsFilledForItsReadersWhenTheObjectWasPushedOutMeanwhile) {
  damage(300'000);
  cache->remove(object);
  ASSERT_TRUE(object->is_dead());
  const uint64_t others = store->stats().objects;
  EXPECT_TRUE(read_with_gaps() == right_);
  EXPECT_EQ(gaps.size(), 1u);
  // Nobody else finds it, nothing of it stays.
  object.reset();
  store->flush();
  EXPECT_EQ(find("k3"), nullptr);
  EXPECT_EQ(store->stats().objects, others - 1);
  const uint64_t bytes = store->stats().bytes;
  reopen();
  EXPECT_EQ(find("k3"), nullptr);
  EXPECT_EQ(store->stats().bytes, bytes);
}

TEST_F(DamagedPiece, OfAnObjectPushedOutStaysReadableWhenItsFillEndsEarly) {
  damage(300'000);
  cache->remove(object);
  auto reader = cache->read(object);
  auto on_gap = [&](const ObjectRef& of, http::ByteRange range) {
    auto fill = cache->fill_gap(of);
    EXPECT_TRUE(fill);
    fill->write(range.first, core::Slice::copy({right_.data() + range.first, range.size()}));
    fill->fail({.code = core::ErrorCode::Cancelled});  // as a fetch does that brought all that was asked of it
    return true;
  };
  reader->set_gap(core::Callback<bool(const ObjectRef&, http::ByteRange)>::ref(on_gap));
  Drain drain(loop, std::move(reader));
  EXPECT_TRUE(pump([&] { return drain.done; }));
  EXPECT_FALSE(drain.failed);
  EXPECT_TRUE(drain.bytes == right_);
}

TEST_F(DamagedPiece, IsMissingFromTheIndexUntilItIsFetchedAgain) {
  damage(300'000);
  bool failed = false;
  read_all(object, &failed);  // nobody fills the gap
  EXPECT_TRUE(failed);
  EXPECT_TRUE(object->body().is_partial());
  EXPECT_FALSE(object->body().has(262'144, 262'145));
  object.reset();
  store->flush();
  reopen();
  object = find("k3")->variants.front();
  EXPECT_TRUE(object->body().is_partial());
  EXPECT_TRUE(read_with_gaps() == right_);
  EXPECT_EQ(gaps.size(), 1u);
}

TEST_F(DamagedPiece, IsKnownBeforeTheHeadIsPromised) {
  damage(10);
  PendingLookup pending;
  bool ready = false;
  auto on_ready = [&ready] { ready = true; };
  EXPECT_FALSE(cache->is_proven(object, 0, 1, pending, core::Callback<void()>::ref(on_ready)));
  ASSERT_TRUE(pump([&] { return ready; }));
  EXPECT_TRUE(cache->is_proven(object, 0, 1, pending, core::Callback<void()>::ref(on_ready)));
  EXPECT_FALSE(object->body().has(0, 1));
  EXPECT_TRUE(object->body().has(262'144, right_.size()));
}

TEST_F(DamagedPiece, TakesWithItAnObjectThatCannotBeCompleted) {
  damage(300'000);
  ObjectParts parts = object->parts();
  parts.meta.flags = 0;
  parts.etag.clear();
  const ObjectRef weak = cache->refresh(object, std::move(parts), nullptr);
  ASSERT_TRUE(weak);
  PendingLookup pending;
  bool ready = false;
  auto on_ready = [&ready] { ready = true; };
  EXPECT_FALSE(cache->is_proven(weak, 0, right_.size(), pending, core::Callback<void()>::ref(on_ready)));
  ASSERT_TRUE(pump([&] { return ready; }));
  EXPECT_TRUE(weak->is_dead());
  EXPECT_EQ(find("k3"), nullptr);
}

}  // namespace
}  // namespace tributary::cache
