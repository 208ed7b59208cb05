// RecordQueues: the records of the index as the eviction sees them (eviction.h), inside one write transaction.
//
// Two sets of queues, for two kinds of room: records that hold their content take room of the index, the others of the
// segments. To evict the one where the other is short would help nobody.
#pragma once

#include <array>
#include <optional>

#include "cache/eviction.h"
#include "cache/index.h"
#include "cache/record.h"
#include "core/metrics.h"
#include "core/result.h"

namespace tributary::cache {

enum class RoomKind : uint8_t { Index, Segments };
constexpr unsigned kRoomKinds = 2;
static_assert(kRoomKinds * Eviction::kQueues == kRecordQueues);

constexpr RoomKind room_kind(const Record& record) {
  return record.place == Place::Inline ? RoomKind::Index : RoomKind::Segments;
}
constexpr unsigned record_queue(RoomKind kind, unsigned queue) {
  return static_cast<unsigned>(kind) * Eviction::kQueues + queue;
}

// What a record costs in the index file, with its tags. `size`: encoded. Its texts must have been decoded.
uint64_t index_cost(const Record& record, size_t size);
// The same with its slots: what is free when it goes.
inline uint64_t room_of(const Record& record, size_t size) { return index_cost(record, size) + record.slot_bytes(); }

class RecordQueues {
 public:
  struct Item {
    RecordId id = 0;
    KeyName name;
    uint64_t body_id = 0;
    uint64_t due = 0;
    uint64_t bytes = 0;
  };

  // Everything outlives it. `next_id`: numbers for records that move.
  RecordQueues(RoomKind kind, Index::WriteTxn& txn, AccessSketch& sketch, uint64_t& next_id, uint64_t verify_below,
               core::Counter& corrupt)
      : kind_(kind), txn_(txn), sketch_(sketch), next_id_(next_id), verify_below_(verify_below), corrupt_(corrupt) {}

  std::optional<Eviction::Front> front(unsigned queue);
  bool touched(unsigned queue) { return sketch_.take_touched(fronts_[queue]->name.key); }
  bool requeue(unsigned queue, Eviction::Place to);

  // The front of a queue that has one; the caller erases it.
  Item take(unsigned queue);
  // Not ok: the transaction is of no more use.
  const core::Result<void>& status() const { return status_; }

 private:
  // Fronts are read once: the index is asked again only for a queue that lost its front, or was empty.
  std::optional<Item> read_front(unsigned queue);

  const RoomKind kind_;
  Index::WriteTxn& txn_;
  AccessSketch& sketch_;
  uint64_t& next_id_;
  const uint64_t verify_below_;
  core::Counter& corrupt_;
  core::Result<void> status_;
  std::array<std::optional<Item>, Eviction::kQueues> fronts_;
};

}  // namespace tributary::cache
