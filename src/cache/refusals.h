// Refusals: why a key is not in the store, remembered for whoever asks `tributary cache show`: what the policy or the
// store said when a response was last turned away, or what took a stored one out.
//
// A table of fixed size, one place a hash: a newer one takes the place of another, and of a key whose place was taken nothing
// is known. Any thread; a note that would have to wait for a reader or another note is dropped instead.
#pragma once

#include <array>
#include <chrono>
#include <cstdint>
#include <mutex>
#include <optional>
#include <vector>

#include "cache/hash.h"
#include "cache/policy.h"
#include "core/time.h"

namespace tributary::cache {

enum class Gone : uint8_t {
  NotStorable,  // the policy said no: `reason`
  NoRoom,       // the store said no: the disk is full, too slow or refuses
  Purged,       // by an operator
  Invalidated,  // RFC 9111 4.4: an unsafe request changed it
  Evicted,      // something else needed the room
  Corrupt,      // found damaged
};

struct Refusal {
  Gone gone = Gone::NotStorable;
  NotStorable reason = NotStorable::None;
  uint16_t status = 0;      // of the response that was turned away; 0: does not apply
  core::UnixTime when = 0;
};

inline core::UnixTime now_in_seconds() { return std::chrono::system_clock::to_time_t(std::chrono::system_clock::now()); }

class Refusals {
 public:
  static constexpr size_t kPlaces = 1 << 14;

  void note(const Hash128& key, const Refusal& refusal) {
    std::unique_lock lock(mutexes_[key.low % kMutexes], std::try_to_lock);
    if (lock) places_[key.low % kPlaces] = {key, refusal};
  }
  // Not on a loop.
  std::optional<Refusal> find(const Hash128& key) const {
    std::lock_guard lock(mutexes_[key.low % kMutexes]);
    const Place& place = places_[key.low % kPlaces];
    if (place.refusal.when == 0 || place.key != key) return std::nullopt;
    return place.refusal;
  }

 private:
  static constexpr size_t kMutexes = 64;  // divides kPlaces: a place has one mutex
  struct Place {
    Hash128 key;
    Refusal refusal;
  };
  mutable std::array<std::mutex, kMutexes> mutexes_;
  std::vector<Place> places_ = std::vector<Place>(kPlaces);
};

}  // namespace tributary::cache
