#include "cache/eviction.h"

#include <algorithm>
#include <bit>

namespace tributary::cache {
namespace {

constexpr unsigned kRows = 4;
constexpr uint64_t kTouchedBits = 0x8888888888888888;
constexpr uint64_t kCountBits = ~kTouchedBits;

// Where in the word the key's nibble of a row begins: each row has four.
unsigned shift(const Hash128& key, unsigned row) { return 16 * row + 4 * (static_cast<unsigned>(key.low >> (40 + 2 * row)) & 3); }

unsigned least_count(uint64_t word, const Hash128& key) {
  unsigned least = AccessSketch::kMostFrequent;
  for (unsigned row = 0; row < kRows; ++row) {
    least = std::min(least, static_cast<unsigned>(word >> shift(key, row)) & 7);
  }
  return least;
}

// One bit a key and not four: a neighbour in the word then clears or sets it in one case of sixteen.
uint64_t touched_bit(const Hash128& key) { return uint64_t{8} << (4 * ((key.low >> 56) & 15)); }

}  // namespace

AccessSketch::AccessSketch(size_t objects)
    : mask_(std::bit_ceil(std::max<size_t>(objects, 1024)) - 1), words_(mask_ + 1) {}

// Only the lowest of the four counts: the others are too high because of other keys.
uint64_t AccessSketch::touched(uint64_t word, const Hash128& key) {
  const unsigned least = least_count(word, key);
  uint64_t after = word | touched_bit(key);
  if (least == kMostFrequent) return after;
  for (unsigned row = 0; row < kRows; ++row) {
    if (((word >> shift(key, row)) & 7) == least) after += uint64_t{1} << shift(key, row);
  }
  return after;
}

unsigned AccessSketch::frequency(const Hash128& key) const {
  return least_count(words_[key.high & mask_].load(std::memory_order_relaxed), key);
}

bool AccessSketch::take_touched(const Hash128& key) {
  std::atomic<uint64_t>& word = words_[key.high & mask_];
  const uint64_t value = word.load(std::memory_order_relaxed);
  if (!(value & touched_bit(key))) return false;
  word.store(value & ~touched_bit(key), std::memory_order_relaxed);
  return true;
}

void AccessSketch::age(size_t objects) {
  const uint64_t period = kPeriod * std::max<uint64_t>(objects, 1024);
  const uint64_t samples = samples_.load(std::memory_order_relaxed);
  if (samples < period) return;
  samples_.fetch_sub(samples - std::min(samples, period) / 2, std::memory_order_relaxed);
  for (std::atomic<uint64_t>& word : words_) {
    const uint64_t value = word.load(std::memory_order_relaxed);
    if (value == 0) continue;
    const uint64_t halves = (value & kCountBits) >> 1 & 0x3333333333333333;
    word.store((value & kTouchedBits) | halves, std::memory_order_relaxed);
  }
}

Eviction::Place Eviction::admit(const Hash128& key, uint64_t bytes, size_t objects) {
  sketch_.age(objects);
  sketch_.touch(key);
  sketch_.take_touched(key);
  return place(key, bytes);
}

Eviction::Place Eviction::place(const Hash128& key, uint64_t bytes) const {
  const uint64_t frequency = std::max(1u, sketch_.frequency(key));
  const uint64_t room = std::max<uint64_t>(bytes, 64);
  // In 256ths, times the square root of two (362 / 256): so that the power of two below is the nearest.
  const uint64_t worth = frequency * (256 + 256 * kRoundTrip / room) * 362 / 256;
  const unsigned queue = std::min<unsigned>(static_cast<unsigned>(std::bit_width(worth)) - 9, kQueues - 1);
  return {.queue = queue, .due = clock_ + (uint64_t{1} << queue)};
}

}  // namespace tributary::cache
