#include "cache/segment_store.h"

#include <arpa/inet.h>
#include <sys/sendfile.h>
#include <sys/socket.h>
#include <unistd.h>

#include <set>

#include "unit/cache/store_fixture.h"

namespace tributary::cache {
namespace {

class Segments : public ::testing::Test {
 protected:
  TemporaryDirectory directory;
  StoreFiles files = [this] {
    StoreFiles opened;
    std::string why;
    EXPECT_EQ(opened.open(directory.path, why), OpenFailure::None) << why;
    return opened;
  }();
  SegmentStore store{files, kChunkSize * 2, kChunkSize * 6, 0, true};
};

TEST_F(Segments, NothingIsFreeBeforeTheFirstSegment) {
  Slot slot;
  EXPECT_FALSE(store.allocate(SlotClass::K16, slot));
}

TEST_F(Segments, SlotsDoNotOverlapAndFillTheirChunk) {
  ASSERT_TRUE(store.add_segment().ok());
  std::set<std::pair<int, uint64_t>> places;
  Slot slot;
  for (unsigned i = 0; i < slots_per_chunk(SlotClass::K16); ++i) {
    ASSERT_TRUE(store.allocate(SlotClass::K16, slot));
    EXPECT_TRUE(store.is_taken(slot));
    EXPECT_TRUE(places.insert({store.fd(slot), store.offset(slot)}).second);
  }
  EXPECT_EQ(store.free_chunks(), 1u);
  ASSERT_TRUE(store.allocate(SlotClass::M4, slot));
  EXPECT_FALSE(store.allocate(SlotClass::M4, slot));
  EXPECT_FALSE(store.allocate(SlotClass::K16, slot));
  EXPECT_EQ(store.used_bytes(), 2 * kChunkSize);
}

// A damaged index names slots that are in no use, twice in use, or of another size.
TEST_F(Segments, ToFreeWhatIsNotInUseDoesNothing) {
  ASSERT_TRUE(store.add_segment().ok());
  Slot slot, other;
  ASSERT_TRUE(store.allocate(SlotClass::K16, slot));
  ASSERT_TRUE(store.allocate(SlotClass::K16, other));
  for (const Slot& wrong : {Slot{slot.chunk, slot.index, SlotClass::M4}, Slot{slot.chunk, 200, SlotClass::K16},
                            Slot{slot.chunk, 9999, SlotClass::K16}, Slot{slot.chunk + 1, 0, SlotClass::K16},
                            Slot{1u << 30, 0, SlotClass::K16}}) {
    EXPECT_FALSE(store.is_taken(wrong));
    store.free(wrong);
  }
  EXPECT_EQ(store.used_bytes(), 2u * 16384);
  store.free(slot);
  store.free(slot);
  EXPECT_TRUE(store.is_taken(other));
  EXPECT_EQ(store.used_bytes(), 16384u);
}

// sendfile queues the pages themselves: what a client has yet to receive must not change with the slot's next content.
TEST_F(Segments, ARenewedSlotLeavesWhatIsUnderWayAlone) {
  ASSERT_TRUE(store.add_segment().ok());
  const core::Fd listener(::socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0));
  sockaddr_in address{.sin_family = AF_INET, .sin_port = 0, .sin_addr = {htonl(INADDR_LOOPBACK)}, .sin_zero = {}};
  socklen_t size = sizeof(address);
  auto* name = reinterpret_cast<sockaddr*>(&address);
  ASSERT_EQ(::bind(listener.get(), name, size), 0);
  ASSERT_EQ(::listen(listener.get(), 1), 0);
  ASSERT_EQ(::getsockname(listener.get(), name, &size), 0);
  const core::Fd client(::socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0));
  ASSERT_EQ(::connect(client.get(), name, size), 0);
  const core::Fd server(::accept4(listener.get(), nullptr, nullptr, SOCK_CLOEXEC));
  ASSERT_TRUE(server);

  Slot slot, again;
  const std::string old(16384, 'a'), other(16384, 'b');
  ASSERT_TRUE(store.allocate(SlotClass::K16, slot));
  const auto at = static_cast<off_t>(store.offset(slot));
  ASSERT_EQ(::pwrite(store.fd(slot), old.data(), old.size(), at), 16384);
  off_t from = at;
  ASSERT_EQ(::sendfile(server.get(), store.fd(slot), &from, old.size()), 16384);
  store.free(slot);
  ASSERT_TRUE(store.allocate(SlotClass::K16, again));
  ASSERT_EQ(slot, again);
  ASSERT_EQ(store.renew(again), 0);
  ASSERT_EQ(::pwrite(store.fd(again), other.data(), other.size(), at), 16384);
  std::string received(16384, 0);
  ASSERT_EQ(::recv(client.get(), received.data(), received.size(), MSG_WAITALL), 16384);
  EXPECT_TRUE(received == old);
}

TEST_F(Segments, AChunkThatBecameFreeServesAnotherClass) {
  ASSERT_TRUE(store.add_segment().ok());
  std::vector<Slot> slots(8);
  for (Slot& slot : slots) ASSERT_TRUE(store.allocate(SlotClass::M1, slot));
  Slot large;
  EXPECT_FALSE(store.allocate(SlotClass::M4, large));
  for (const Slot& slot : slots) {
    if (slot.chunk == slots[0].chunk) store.free(slot);
  }
  EXPECT_TRUE(store.allocate(SlotClass::M4, large));
  EXPECT_EQ(large.chunk, slots[0].chunk);
  Slot small;
  EXPECT_FALSE(store.allocate(SlotClass::M1, small));
}

TEST_F(Segments, TheLimitIsKept) {
  int added = 0;
  while (true) {
    const auto more = store.add_segment();
    ASSERT_TRUE(more.ok());
    if (!*more) break;
    ++added;
  }
  EXPECT_EQ(added, 3);
  EXPECT_EQ(store.disk_bytes(), store.limit());
}

TEST_F(Segments, RestoreRefusesWhatCannotBe) {
  ASSERT_TRUE(store.add_segment().ok());
  SegmentStore again(files, kChunkSize * 2, kChunkSize * 6, 0, true);
  ASSERT_TRUE(again.open_segments(1).ok());
  ChunkMap map{.size_class = SlotClass::M1};
  map.set(2);
  EXPECT_TRUE(again.restore(1, map));
  EXPECT_FALSE(again.restore(1, map));
  EXPECT_FALSE(again.restore(2, map));
  map.set(4);
  EXPECT_FALSE(again.restore(0, map));
  again.ready();
  Slot slot;
  std::set<unsigned> indexes;
  for (int i = 0; i < 3; ++i) {
    ASSERT_TRUE(again.allocate(SlotClass::M1, slot));
    EXPECT_EQ(slot.chunk, 1u);
    indexes.insert(slot.index);
  }
  EXPECT_EQ(indexes, (std::set<unsigned>{0, 1, 3}));
  EXPECT_FALSE(again.open_segments(2).ok());
}

TEST_F(Segments, WhoWaitsIsWokenWhenToldSo) {
  core::Loop loop;
  int woken = 0;
  auto on_room = [&woken] { ++woken; };
  core::RemoteWaker waker(loop, core::Callback<void()>::ref(on_room));
  int low = 0;
  store.set_low_callback([&low] { ++low; });
  store.wait_for_room(waker.handle());
  EXPECT_EQ(low, 1);
  EXPECT_TRUE(store.has_waiters());
  store.wake_waiters();
  EXPECT_FALSE(store.has_waiters());
  while (woken == 0) loop.run_once(std::chrono::milliseconds(5));
  EXPECT_EQ(woken, 1);
}

TEST(SegmentSize, FollowsTheSizeOfTheStore) {
  EXPECT_EQ(SegmentStore::segment_size_for(uint64_t{64} << 20), kChunkSize);
  EXPECT_EQ(SegmentStore::segment_size_for(uint64_t{10} << 30), uint64_t{128} << 20);
  EXPECT_EQ(SegmentStore::segment_size_for(uint64_t{4} << 40), uint64_t{256} << 20);
}

}  // namespace
}  // namespace tributary::cache
