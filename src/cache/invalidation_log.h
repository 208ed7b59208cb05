// InvalidationLog: which keys were made invalid lately (RFC 9111 4.4), so that a response that was asked for before then does
// not come into the store after it, where it would be taken for what is there since.
//
// A table of fixed size, one place for many hashes: a place tells the last time that one of them was made invalid. So another
// key may keep a response out, once; none is ever let in. note() and refuses() under the lock of the key's shard in the
// Directory, of which places are a part; current() any thread.
#pragma once

#include <atomic>
#include <cstdint>
#include <vector>

#include "cache/hash.h"

namespace tributary::cache {

class InvalidationLog {
 public:
  uint64_t current() const { return clock_.load(std::memory_order_acquire); }
  void note(const Hash128& hash) { places_[place(hash)] = clock_.fetch_add(1, std::memory_order_acq_rel) + 1; }
  // Whether this key, or another in its place, was made invalid since current() was that.
  bool refuses(uint64_t since, const Hash128& hash) const { return places_[place(hash)] > since; }

 private:
  static constexpr int kPlaceBits = 14;
  // By the same leading bits as the Directory's shards.
  static size_t place(const Hash128& hash) { return hash.high >> (64 - kPlaceBits); }

  std::atomic<uint64_t> clock_{0};
  std::vector<uint64_t> places_ = std::vector<uint64_t>(size_t{1} << kPlaceBits);
};

}  // namespace tributary::cache
