// Hashes of keys and of content (xxHash). Not cryptographic: whoever finds a record by hash compares the whole key too.
#pragma once

#include <array>
#include <compare>
#include <cstddef>
#include <cstdint>
#include <cstring>
#include <memory>
#include <string_view>

namespace tributary::cache {

struct Hash128 {
  uint64_t low = 0, high = 0;
  friend auto operator<=>(const Hash128&, const Hash128&) = default;
};
struct Hash128Hasher {
  size_t operator()(const Hash128& hash) const { return hash.low; }
};

Hash128 hash_key(std::string_view key);
uint64_t hash_variant(std::string_view variant);  // 0 for the empty one
uint64_t checksum(std::string_view bytes);

// The checksum of bytes that come in steps; equal to checksum() of them all.
class Checksum {
 public:
  Checksum();
  ~Checksum();
  Checksum(const Checksum&) = delete;
  Checksum& operator=(const Checksum&) = delete;
  void add(std::string_view bytes);
  uint64_t value() const;

 private:
  struct State;
  std::unique_ptr<State> state_;
};

}  // namespace tributary::cache
