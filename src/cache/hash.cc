#include "cache/hash.h"

#define XXH_INLINE_ALL
#include <xxhash.h>

namespace tributary::cache {

Hash128 hash_key(std::string_view key) {
  const XXH128_hash_t hash = XXH3_128bits(key.data(), key.size());
  return {hash.low64, hash.high64};
}

uint64_t hash_variant(std::string_view variant) {
  return variant.empty() ? 0 : XXH3_64bits(variant.data(), variant.size());
}

uint64_t checksum(std::string_view bytes) { return XXH3_64bits(bytes.data(), bytes.size()); }

struct Checksum::State {
  XXH3_state_t xxh;
};

Checksum::Checksum() : state_(std::make_unique<State>()) { XXH3_64bits_reset(&state_->xxh); }
Checksum::~Checksum() = default;
void Checksum::add(std::string_view bytes) { XXH3_64bits_update(&state_->xxh, bytes.data(), bytes.size()); }
uint64_t Checksum::value() const { return XXH3_64bits_digest(&state_->xxh); }

}  // namespace tributary::cache
