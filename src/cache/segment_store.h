// SegmentStore: where bodies lie on disk. Preallocated files, cut into chunks of 4 MiB, each cut into slots of one size.
//
//   seg-000000  | chunk 0        | chunk 1        | chunk 2        | …        segment: 4 to 256 MiB, fallocate'd once
//               | 64K 64K … 64K  | 1M 1M 1M 1M    | (free)         |          chunk: belongs to one class while in use
//
// Taking and freeing a slot flips a bit in memory: no file is made, cut or removed for an object. A chunk whose last
// slot is freed may serve another class, so a change of what is stored cannot leave the space in the wrong sizes (whole
// segments a class, the other layout considered, would). Which slots are in use is also part of the index, per chunk;
// nothing is scanned at start.
//
// allocate and free: any thread, a mutex held for some tens of instructions. Making segments and reading the layout:
// the writer thread and start-up, for they touch the file system.
#pragma once

#include <array>
#include <atomic>
#include <bit>
#include <cstdint>
#include <functional>
#include <memory>
#include <mutex>
#include <set>
#include <vector>

#include "cache/store_files.h"
#include "core/fd.h"
#include "core/loop.h"
#include "core/result.h"

namespace tributary::cache {

enum class SlotClass : uint8_t { K16, K64, K256, M1, M4 };
constexpr unsigned kSlotClasses = 5;
constexpr uint64_t kChunkSize = uint64_t{4} << 20;
constexpr uint64_t slot_size(SlotClass size_class) { return uint64_t{16384} << (2 * static_cast<unsigned>(size_class)); }
constexpr unsigned slots_per_chunk(SlotClass size_class) {
  return static_cast<unsigned>(kChunkSize / slot_size(size_class));
}
// The smallest class that holds `bytes` (at most 4 MiB).
constexpr SlotClass class_for(uint64_t bytes) {
  unsigned c = 0;
  while (c + 1 < kSlotClasses && slot_size(static_cast<SlotClass>(c)) < bytes) ++c;
  return static_cast<SlotClass>(c);
}

struct Slot {
  uint32_t chunk = 0;
  uint16_t index = 0;
  SlotClass size_class = SlotClass::K16;
  friend bool operator==(const Slot&, const Slot&) = default;
};

// The slots of one chunk that are in use, a bit each.
struct ChunkMap {
  SlotClass size_class = SlotClass::K16;
  std::array<uint64_t, 4> used{};
  bool test(unsigned index) const { return (used[index / 64] >> (index % 64)) & 1; }
  void set(unsigned index) { used[index / 64] |= uint64_t{1} << (index % 64); }
  void clear(unsigned index) { used[index / 64] &= ~(uint64_t{1} << (index % 64)); }
  unsigned count() const {
    unsigned bits = 0;
    for (const uint64_t word : used) bits += static_cast<unsigned>(std::popcount(word));
    return bits;
  }
  bool empty() const { return (used[0] | used[1] | used[2] | used[3]) == 0; }
};

class SegmentStore {
 public:
  // `limit`: bytes all segments may take together. `segment_size`: a multiple of kChunkSize. `durable`: a segment is on
  // the disk, with its name, before add_segment returns. `files` is used by start-up and the writer thread alone, and need
  // not outlive them.
  SegmentStore(const StoreFiles& files, uint64_t segment_size, uint64_t limit, uint64_t min_free_disk, bool durable);
  ~SegmentStore();
  SegmentStore(const SegmentStore&) = delete;
  SegmentStore& operator=(const SegmentStore&) = delete;

  static uint64_t segment_size_for(uint64_t store_size);

  // Start-up: opens segment files 0 .. count-1 as they are named; StorageIo when one is missing or too short.
  core::Result<void> open_segments(uint32_t count);
  // Start-up: marks what the index says is in use. False when it cannot be (a hostile index).
  bool restore(uint32_t chunk, const ChunkMap& map);
  // Start-up, after the last restore: what is not in use is free from here on.
  void ready();

  // Any thread. False: no slot of that class is free at the moment; wait_for_room tells when to try again. To free what is
  // not in use does nothing.
  bool allocate(SlotClass size_class, Slot& slot);
  void free(const Slot& slot);
  // Wakes `waker` once, after slots became free or it is certain that none will (is_stuck).
  void wait_for_room(core::RemoteWaker::Handle waker);

  // Where a slot is. The descriptor lives as long as the store. is_taken() must have been checked for slots from the index.
  int fd(const Slot& slot) const { return segments_[slot.chunk / chunks_per_segment_].get(); }
  uint64_t offset(const Slot& slot) const {
    return (slot.chunk % chunks_per_segment_) * kChunkSize + slot.index * slot_size(slot.size_class);
  }
  // Whether it is one, and in use; what an index names that was damaged need be neither. Any thread.
  bool is_taken(const Slot& slot) const;
  // Before a slot is first written (not on a loop): gives it new pages. What sendfile queued for a client refers to the
  // page cache long after the call returned; writing to those pages would change what that client receives.
  // 0, or errno.
  int renew(const Slot& slot) const;

  // Writer thread. True when the free chunks are fewer than are kept ahead.
  bool wants_room() const { return free_chunks_.load(std::memory_order_relaxed) < reserve_; }
  // Adds a segment when the limits allow; false when they do not, an error when the disk refuses.
  core::Result<bool> add_segment();
  void wake_waiters();
  // The writer found nothing to evict: who waits is to give up.
  void set_stuck(bool stuck) { stuck_.store(stuck, std::memory_order_release); }
  bool is_stuck() const { return stuck_.load(std::memory_order_acquire); }
  bool has_waiters() const { return waiting_.load(std::memory_order_acquire); }
  // Writes to the disk what is not there yet of some segments.
  core::Result<void> sync(const std::set<uint32_t>& segments);
  uint32_t segment_of(const Slot& slot) const { return slot.chunk / chunks_per_segment_; }

  // Called, on any thread, when the free chunks fall below what is kept ahead, or somebody waits. Set before use.
  void set_low_callback(std::function<void()> low) { low_ = std::move(low); }

  uint32_t segments() const { return segment_count_.load(std::memory_order_acquire); }
  uint64_t disk_bytes() const { return segments() * segment_size_; }
  uint64_t used_bytes() const { return used_bytes_.load(std::memory_order_relaxed); }
  uint64_t limit() const { return max_segments_ * segment_size_; }
  uint64_t free_chunks() const { return free_chunks_.load(std::memory_order_relaxed); }

 private:
  struct Chunk {
    ChunkMap map;
    uint16_t used = 0;
    bool assigned = false;  // belongs to map.size_class; else free
    bool listed = false;    // is in open_[class]
  };

  core::Result<core::Fd> open_file(uint32_t number, bool create) const;
  bool take_from(uint32_t chunk, Slot& slot);
  bool is_in_use(const Slot& slot) const;  // under the mutex
  bool give_back(const Slot& slot);

  const StoreFiles& files_;
  const uint64_t segment_size_;
  const uint32_t chunks_per_segment_;
  const uint32_t max_segments_;
  const uint64_t min_free_disk_;
  const bool durable_;
  uint64_t reserve_ = 1;
  std::unique_ptr<core::Fd[]> segments_;  // max_segments_ places, filled in order
  std::atomic<uint32_t> segment_count_{0};
  std::atomic<uint64_t> free_chunks_{0};
  std::atomic<uint64_t> used_bytes_{0};
  std::atomic<bool> stuck_{false};
  std::atomic<bool> waiting_{false};
  std::function<void()> low_;

  mutable std::mutex mutex_;  // chunks_ and the lists
  std::vector<Chunk> chunks_;
  std::vector<uint32_t> free_;                             // chunks of no class; the lowest last
  std::array<std::vector<uint32_t>, kSlotClasses> open_;  // chunks of the class that may have a free slot
  std::vector<core::RemoteWaker::Handle> waiters_;
};

}  // namespace tributary::cache
