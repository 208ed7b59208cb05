// KeyFilter: "is the index sure not to hold this key?", answered in four loads, so that a miss on a loop needs no index.
// A counting Bloom filter, eight counters an expected key: 2.4 % of absent keys look present and cost a needless index read.
//
// Until the first fill() it says "maybe" to everything, so the store is ready before anything was scanned. Only the writer
// thread changes it; any thread asks. A table that became too small is replaced by one of twice the size and kept until
// the end, for a reader may be in it (all of them together are smaller than the newest).
#pragma once

#include <algorithm>
#include <atomic>
#include <bit>
#include <cstdint>
#include <memory>
#include <vector>

#include "cache/hash.h"

namespace tributary::cache {

class KeyFilter {
 public:
  bool may_hold(const Hash128& key) const {
    const Table* table = table_.load(std::memory_order_acquire);
    if (!table) return true;
    for (unsigned i = 0; i < kProbes; ++i) {
      if (table->counters[probe(*table, key, i)].load(std::memory_order_relaxed) == 0) return false;
    }
    return true;
  }

  // Writer thread: a new table for `expected` keys; `for_each(add)` is to call add(key) for every one there is.
  template <class ForEach>
  void fill(size_t expected, ForEach for_each) {
    auto table = std::make_unique<Table>(std::bit_ceil(std::max<size_t>(expected, kLeast) * 2));
    keys_ = 0;
    for_each([&](const Hash128& key) {
      count(*table, key, +1);
      ++keys_;
    });
    table_.store(table.get(), std::memory_order_release);
    tables_.push_back(std::move(table));
  }
  bool is_filled() const { return !tables_.empty(); }
  bool is_too_small() const { return is_filled() && keys_ > tables_.back()->keys; }

  void add(const Hash128& key) { change(key, +1); }
  void remove(const Hash128& key) { change(key, -1); }
  size_t keys() const { return keys_; }

 private:
  static constexpr unsigned kProbes = 4;
  static constexpr size_t kLeast = 32768;

  struct Table {
    explicit Table(size_t for_keys) : keys(for_keys), mask(for_keys * 8 - 1), counters(for_keys * 8) {}
    const size_t keys;
    const size_t mask;
    std::vector<std::atomic<uint8_t>> counters;
  };

  static size_t probe(const Table& table, const Hash128& key, unsigned i) {
    return (key.low + i * (key.high | 1)) & table.mask;
  }
  static void count(Table& table, const Hash128& key, int step) {
    for (unsigned i = 0; i < kProbes; ++i) {
      std::atomic<uint8_t>& counter = table.counters[probe(table, key, i)];
      const uint8_t value = counter.load(std::memory_order_relaxed);
      // A full counter has lost count and stays; an empty one has nothing to give.
      if (value == 255 || (step < 0 && value == 0)) continue;
      counter.store(static_cast<uint8_t>(value + step), std::memory_order_relaxed);
    }
  }
  void change(const Hash128& key, int step) {
    if (!is_filled()) return;
    count(*tables_.back(), key, step);
    keys_ += static_cast<size_t>(step);
  }

  std::atomic<const Table*> table_{nullptr};
  std::vector<std::unique_ptr<Table>> tables_;
  size_t keys_ = 0;
};

}  // namespace tributary::cache
