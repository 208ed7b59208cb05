// Body: the content of a stored response, in memory or as pieces in segment files; shared by the objects that use it.
//
// What is there is a set of byte ranges: one range that grows when a response comes in order, several when it comes split.
//
//   filling ──> whole            everything is there; from now on immutable and read without the lock
//      │  └───> partial          the writer gave up; what is there may be served, and filling may be resumed
//      └──────> failed           nothing of it will be used again
//   partial ──> filling | failed
//   unproven ─> whole | partial  everything is there as the index says, after an unclean end: it becomes whole when every
//                                piece was held against its checksum, and partial when one proves damaged
//
// Any thread; the lock is held for short list work only. Readers that need more leave a waiter; who adds bytes wakes them.
#pragma once

#include <atomic>
#include <cstdint>
#include <optional>
#include <vector>

#include "http/range_sink.h"

namespace tributary::cache {

class Body;  // cache/pieces.h

enum class BodyPhase : uint8_t { Filling, Whole, Partial, Failed, Unproven };

// What anybody may ask a body; cache/pieces.h has what the store itself needs.
class BodyView {
 public:
  virtual ~BodyView() = default;
  BodyPhase phase() const { return phase_.load(std::memory_order_acquire); }
  bool is_whole() const { return phase() == BodyPhase::Whole; }
  bool is_partial() const { return phase() == BodyPhase::Partial; }
  bool is_filling() const { return phase() == BodyPhase::Filling; }

  // Whether [first, last) is there. True never turns false but by failure of the disk.
  virtual bool has(uint64_t first, uint64_t last) const = 0;
  // Whether nothing of [first, last) waits to be held against its checksum.
  virtual bool is_proven(uint64_t first, uint64_t last) const = 0;
  // What is there, in order, disjoint; appended.
  virtual void present(std::vector<http::ByteRange>& ranges) const = 0;

  // It is stored in pieces of this size; 0: as one, or not known yet.
  virtual uint64_t piece_size() const = 0;

  // The length of the whole content, once known.
  std::optional<uint64_t> length() const {
    const uint64_t length = length_.load(std::memory_order_acquire);
    return length == kUnknown ? std::nullopt : std::optional<uint64_t>(length);
  }

 protected:
  static constexpr uint64_t kUnknown = UINT64_MAX;
  std::atomic<BodyPhase> phase_{BodyPhase::Filling};
  std::atomic<uint64_t> length_{kUnknown};
};

}  // namespace tributary::cache
