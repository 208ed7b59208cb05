#include "cache/segment_store.h"

#include <fcntl.h>
#include <sys/stat.h>
#include <sys/statvfs.h>

#include <algorithm>
#include <bit>
#include <cerrno>

#include <fmt/format.h>

#include "core/error.h"

namespace tributary::cache {

uint64_t SegmentStore::segment_size_for(uint64_t store_size) {
  // About 64 segments a store: few files, and a small cache is not eaten up by its first segment.
  return std::clamp(std::bit_floor(store_size / 64), kChunkSize, uint64_t{256} << 20);
}

SegmentStore::SegmentStore(const StoreFiles& files, uint64_t segment_size, uint64_t limit, uint64_t min_free_disk, bool durable)
    : files_(files),
      segment_size_(segment_size),
      chunks_per_segment_(static_cast<uint32_t>(segment_size / kChunkSize)),
      max_segments_(static_cast<uint32_t>(limit / segment_size)),
      min_free_disk_(min_free_disk),
      durable_(durable),
      segments_(std::make_unique<core::Fd[]>(max_segments_)) {
  // Kept ahead so that no fill waits for an eviction: 1/16 of the store, 8 to 256 MiB.
  reserve_ = std::clamp<uint64_t>(uint64_t{max_segments_} * chunks_per_segment_ / 16, 2, 64);
}

SegmentStore::~SegmentStore() = default;

core::Result<core::Fd> SegmentStore::open_file(uint32_t number, bool create) const {
  const std::string name = fmt::format("seg-{:06}", number);
  auto opened = files_.open_file(name, create);
  if (!opened) return opened;
  const core::Fd& fd = *opened;
  if (create) {
    core::Result<void> made;
    if (::fallocate(fd.get(), 0, 0, static_cast<off_t>(segment_size_)) != 0) {
      const int sys = errno;
      if (sys != EOPNOTSUPP || ::ftruncate(fd.get(), static_cast<off_t>(segment_size_)) != 0) made = storage_error(sys);
    }
    // The index must never name a segment that a power cut can take away.
    if (made.ok() && durable_) made = ::fsync(fd.get()) == 0 ? files_.sync() : storage_error(errno);
    if (made.ok()) return opened;
    files_.remove(name);
    return made.error();
  }
  struct stat info {};
  if (::fstat(fd.get(), &info) != 0) return storage_error(errno);
  if (static_cast<uint64_t>(info.st_size) < segment_size_) return storage_error(EIO);
  return opened;
}

core::Result<void> SegmentStore::open_segments(uint32_t count) {
  if (count > max_segments_) return storage_error(EINVAL);
  for (uint32_t number = 0; number < count; ++number) {
    auto fd = open_file(number, false);
    if (!fd) return fd.error();
    segments_[number] = std::move(*fd);
  }
  segment_count_.store(count, std::memory_order_release);
  chunks_.resize(size_t{count} * chunks_per_segment_);
  return {};
}

bool SegmentStore::restore(uint32_t chunk, const ChunkMap& map) {
  if (chunk >= chunks_.size() || static_cast<unsigned>(map.size_class) >= kSlotClasses) return false;
  Chunk& mine = chunks_[chunk];
  if (mine.assigned) return false;
  const unsigned slots = slots_per_chunk(map.size_class);
  unsigned used = 0;
  for (unsigned i = 0; i < 256; ++i) {
    if (!map.test(i)) continue;
    if (i >= slots) return false;
    ++used;
  }
  if (used == 0) return true;
  mine.map = map;
  mine.used = static_cast<uint16_t>(used);
  mine.assigned = true;
  used_bytes_.fetch_add(used * slot_size(map.size_class), std::memory_order_relaxed);
  return true;
}

void SegmentStore::ready() {
  for (size_t i = chunks_.size(); i-- > 0;) {
    Chunk& chunk = chunks_[i];
    if (!chunk.assigned) {
      free_.push_back(static_cast<uint32_t>(i));
    } else if (chunk.used < slots_per_chunk(chunk.map.size_class)) {
      open_[static_cast<unsigned>(chunk.map.size_class)].push_back(static_cast<uint32_t>(i));
      chunk.listed = true;
    }
  }
  free_chunks_.store(free_.size(), std::memory_order_relaxed);
}

bool SegmentStore::take_from(uint32_t number, Slot& slot) {
  Chunk& chunk = chunks_[number];
  const unsigned slots = slots_per_chunk(chunk.map.size_class);
  for (unsigned word = 0; word * 64 < slots; ++word) {
    const unsigned index = word * 64 + static_cast<unsigned>(std::countr_one(chunk.map.used[word]));
    if (index >= slots || index >= (word + 1) * 64) continue;
    chunk.map.set(index);
    ++chunk.used;
    slot = {.chunk = number, .index = static_cast<uint16_t>(index), .size_class = chunk.map.size_class};
    return true;
  }
  return false;
}

bool SegmentStore::allocate(SlotClass size_class, Slot& slot) {
  bool low = false;
  bool taken = false;
  {
    std::lock_guard lock(mutex_);
    std::vector<uint32_t>& open = open_[static_cast<unsigned>(size_class)];
    while (!open.empty() && !taken) {
      Chunk& chunk = chunks_[open.back()];
      // A listed chunk may have become free, or belong to another class by now.
      taken = chunk.assigned && chunk.map.size_class == size_class && take_from(open.back(), slot);
      if (!taken) {
        chunk.listed = false;
        open.pop_back();
      }
    }
    if (!taken && !free_.empty()) {
      const uint32_t number = free_.back();
      free_.pop_back();
      free_chunks_.store(free_.size(), std::memory_order_relaxed);
      low = wants_room();
      Chunk& chunk = chunks_[number];
      chunk.map = {.size_class = size_class};
      chunk.assigned = true;
      chunk.used = 0;
      chunk.listed = true;
      open.push_back(number);
      taken = take_from(number, slot);
    }
  }
  if (taken) used_bytes_.fetch_add(slot_size(size_class), std::memory_order_relaxed);
  if ((low || !taken) && low_) low_();
  return taken;
}

void SegmentStore::free(const Slot& slot) {
  if (!give_back(slot)) return;
  used_bytes_.fetch_sub(slot_size(slot.size_class), std::memory_order_relaxed);
  if (has_waiters() && low_) low_();
}

bool SegmentStore::give_back(const Slot& slot) {
  std::lock_guard lock(mutex_);
  if (!is_in_use(slot)) return false;
  Chunk& chunk = chunks_[slot.chunk];
  chunk.map.clear(slot.index);
  if (--chunk.used == 0) {
    chunk.assigned = false;
    chunk.listed = false;  // a stale place in open_ is skipped there
    std::erase(open_[static_cast<unsigned>(slot.size_class)], slot.chunk);
    free_.push_back(slot.chunk);
    free_chunks_.store(free_.size(), std::memory_order_relaxed);
  } else if (!chunk.listed) {
    open_[static_cast<unsigned>(slot.size_class)].push_back(slot.chunk);
    chunk.listed = true;
  }
  return true;
}

void SegmentStore::wait_for_room(core::RemoteWaker::Handle waker) {
  {
    std::lock_guard lock(mutex_);
    if (std::find(waiters_.begin(), waiters_.end(), waker) == waiters_.end()) waiters_.push_back(std::move(waker));
    waiting_.store(true, std::memory_order_release);
  }
  if (low_) low_();
}

void SegmentStore::wake_waiters() {
  std::vector<core::RemoteWaker::Handle> waiters;
  {
    std::lock_guard lock(mutex_);
    waiters.swap(waiters_);
    waiting_.store(false, std::memory_order_release);
  }
  for (const core::RemoteWaker::Handle& waiter : waiters) waiter.wake();
}

int SegmentStore::renew(const Slot& slot) const {
  const auto at = static_cast<off_t>(offset(slot));
  const auto size = static_cast<off_t>(slot_size(slot.size_class));
  // The first keeps the space; tmpfs has the second only. Both detach the pages from the file, whoever else uses them.
  if (::fallocate(fd(slot), FALLOC_FL_ZERO_RANGE | FALLOC_FL_KEEP_SIZE, at, size) == 0) return 0;
  if (errno != EOPNOTSUPP) return errno;
  if (::fallocate(fd(slot), FALLOC_FL_PUNCH_HOLE | FALLOC_FL_KEEP_SIZE, at, size) == 0) return 0;
  return errno == EOPNOTSUPP ? 0 : errno;
}

bool SegmentStore::is_taken(const Slot& slot) const {
  std::lock_guard lock(mutex_);
  return is_in_use(slot);
}

bool SegmentStore::is_in_use(const Slot& slot) const {
  if (slot.chunk >= chunks_.size() || static_cast<unsigned>(slot.size_class) >= kSlotClasses) return false;
  const Chunk& chunk = chunks_[slot.chunk];
  return chunk.assigned && chunk.map.size_class == slot.size_class && slot.index < slots_per_chunk(slot.size_class) &&
         chunk.map.test(slot.index);
}

core::Result<bool> SegmentStore::add_segment() {
  const uint32_t number = segments();
  if (number >= max_segments_) return false;
  if (min_free_disk_ > 0) {
    struct statvfs info {};
    if (::statvfs(files_.path().c_str(), &info) != 0) return storage_error(errno);
    if (uint64_t{info.f_bavail} * info.f_frsize < min_free_disk_ + segment_size_) return false;
  }
  auto fd = open_file(number, true);
  if (!fd) return fd.error();
  std::lock_guard lock(mutex_);
  segments_[number] = std::move(*fd);
  segment_count_.store(number + 1, std::memory_order_release);
  const auto first = static_cast<uint32_t>(chunks_.size());
  chunks_.resize(chunks_.size() + chunks_per_segment_);
  for (uint32_t i = chunks_per_segment_; i-- > 0;) free_.push_back(first + i);
  free_chunks_.store(free_.size(), std::memory_order_relaxed);
  return true;
}

core::Result<void> SegmentStore::sync(const std::set<uint32_t>& segments) {
  for (const uint32_t number : segments) {
    if (::fdatasync(segments_[number].get()) != 0) return storage_error(errno);
  }
  return {};
}

}  // namespace tributary::cache
