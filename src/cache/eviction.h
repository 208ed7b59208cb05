// Eviction: what goes when there is no more room; one policy for the disk and the memory tiers. Sans-I/O: whoever owns the
// objects keeps them in queues as it is told, and is told which front is to go. tests/bench/eviction_simulator.cc drives it too.
//
// The worth of keeping an object is  frequency * (1 + kRoundTrip / bytes):  what the next misses would cost, in transfer
// and in waiting, for each byte of room. Among large objects that is frequency alone; a small one is worth more for its
// bytes. Worths are rounded to powers of two, a queue each:
//
//   queue k     due, due, due …         new ones at the end, due = clock + 2^k: so each queue is in order
//
// The front with the least due is judged, and the clock is set to its due. If it was asked for since it was placed, it is
// placed anew, else it goes. That is GDSF (greedy dual, size, frequency) without its heap and without a write at a hit: no
// object's state lies in memory, a restart needs no scan, and records are only ever appended and removed at the front. Who
// is never asked for again leaves after the clock has moved by its worth, however often it was asked for before; so a scan
// passes through the lowest queues, and yesterday's favourites go.
//
// Why not S3-FIFO or W-TinyLFU, which look at frequency only: docs/decisions/0009-eviction.md has the figures.
#pragma once

#include <algorithm>
#include <atomic>
#include <cstddef>
#include <cstdint>
#include <optional>
#include <vector>

#include "cache/hash.h"

namespace tributary::cache {

// How often keys were asked for, resident or not, and whether since they were last placed. A count-min sketch: each key has
// four of the sixteen nibbles of one word; in each three bits count, and the fourth says "asked for" for one key of the
// word. All of it is an estimate: neighbours in a word are taken for one another, and of two threads' counts one may be lost.
class AccessSketch {
 public:
  static constexpr unsigned kMostFrequent = 7;

  // About how many objects a tier of `bytes` will hold: 64 KiB each, within what is worth its memory (0.25 to 8 MiB).
  static size_t objects_for(uint64_t bytes) {
    return std::clamp<uint64_t>(bytes >> 16, uint64_t{1} << 15, uint64_t{1} << 20);
  }
  // `objects`: about how many will be stored; eight bytes each.
  explicit AccessSketch(size_t objects);

  // Any thread; a load, and a store unless nothing changes: a favourite's word is only read, by all workers alike.
  void touch(const Hash128& key) {
    std::atomic<uint64_t>& word = words_[key.high & mask_];
    const uint64_t before = word.load(std::memory_order_relaxed);
    const uint64_t after = touched(before, key);
    if (after == before) return;
    word.store(after, std::memory_order_relaxed);
    // One in sixteen is counted, for sixteen: by chance, but the same chance at every run.
    if (((after ^ key.low) * 0x9e3779b97f4a7c15) >> 60 == 0) samples_.fetch_add(16, std::memory_order_relaxed);
  }
  // touch() comes soon: with many objects its word is in no cache of the processor.
  void prefetch(const Hash128& key) const { __builtin_prefetch(&words_[key.high & mask_], 1); }
  unsigned frequency(const Hash128& key) const;
  // Whether it was asked for since the last call; the answer is "no" from now on.
  bool take_touched(const Hash128& key);
  // Halves every frequency once there were `kPeriod` accesses for each of `objects`: what was popular must stay so.
  // One thread; some hundred microseconds when it is due.
  void age(size_t objects);

 private:
  static constexpr size_t kPeriod = 5;
  static uint64_t touched(uint64_t word, const Hash128& key);

  const uint64_t mask_;
  std::vector<std::atomic<uint64_t>> words_;
  std::atomic<uint64_t> samples_{0};
};

// One per tier (or part of a tier with queues of its own); not thread-safe but for the sketch.
class Eviction {
 public:
  static constexpr unsigned kQueues = 16;
  // Bytes that could have been transferred while a miss waits for its first: 40 ms at 50 Mbit/s. In memory, where a miss
  // is a read of the disk by another thread (some 0.1 ms at 2 GB/s), about the same.
  static constexpr uint64_t kRoundTrip = uint64_t{256} << 10;

  struct Place {
    unsigned queue = 0;
    uint64_t due = 0;
  };
  // The oldest of a queue, as its owner knows it.
  struct Front {
    Hash128 key;
    uint64_t bytes = 0;  // of room that it takes
    uint64_t due = 0;
  };

  // The sketch outlives it. `clock`: as it was when the queues were last kept.
  explicit Eviction(AccessSketch& sketch, uint64_t clock = 0) : sketch_(sketch), clock_(clock) {}

  // Where an object belongs that is new, or replaces another. Counts as an access; `objects`: how many there are.
  Place admit(const Hash128& key, uint64_t bytes, size_t objects);
  // The same where the access was counted already.
  Place place(const Hash128& key, uint64_t bytes) const;
  uint64_t clock() const { return clock_; }
  void set_clock(uint64_t clock) { clock_ = clock; }

  // Finds what is to go. `Queues` offers
  //   std::optional<Front> front(unsigned queue)
  //   bool touched(unsigned queue)              whether the front was asked for since it was placed; "no" from then on
  //   bool requeue(unsigned queue, Place to)    moves the front to the end of another (or the same); false: give up
  // `second_chances`: how many may be placed anew meanwhile; counted down. Returns the queue whose front goes, if there is
  // any: the caller removes it.
  template <class Queues>
  std::optional<unsigned> find_victim(Queues& queues, int& second_chances) {
    for (;;) {
      std::optional<Front> least;
      unsigned queue = 0;
      for (unsigned k = 0; k < kQueues; ++k) {
        const std::optional<Front> front = queues.front(k);
        if (front && (!least || front->due < least->due)) {
          least = front;
          queue = k;
        }
      }
      if (!least) return std::nullopt;
      if (least->due > clock_) clock_ = least->due;
      if (second_chances <= 0 || !queues.touched(queue)) return queue;
      --second_chances;
      if (!queues.requeue(queue, place(least->key, least->bytes))) return std::nullopt;
    }
  }

 private:
  AccessSketch& sketch_;
  uint64_t clock_;
};

}  // namespace tributary::cache
