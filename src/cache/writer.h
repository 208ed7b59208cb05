// Writer: the one thread that changes the index. It gathers operations for a quarter of a second, applies them in one
// transaction, commits, and only then frees slots, so that nothing durable ever names a slot with other content.
//
//   put, erase (any thread) ──> queue ──> batch ──> write transaction ──> commit ──> free slots, unpin, filter
//   poke (slots run low) ──────────────> add a segment, or evict (eviction.h) in transactions of their own
//   purge (any thread) ────────────────> sweep the directory, then the index in transactions between the batches
//
// load_gate: loaders hold it shared while they read a record and register its body; the thread holds it alone while it
// frees the slots of deleted records. So a record never comes to life after its slots were given away. Taken on offload
// threads and here only, through turn_: a shared mutex alone prefers its readers, and steady loads would starve the thread.
//
// A batch that the disk refused is not forgotten: what it replaced or erased is owed to the index and erased with the next
// one, and until then the keys' nodes stay pinned. So what was invalidated does not come back.
#pragma once

#include <array>
#include <atomic>
#include <condition_variable>
#include <cstdint>
#include <deque>
#include <functional>
#include <mutex>
#include <optional>
#include <shared_mutex>
#include <thread>
#include <unordered_map>
#include <unordered_set>
#include <vector>

#include "cache/directory.h"
#include "cache/eviction.h"
#include "cache/filter.h"
#include "cache/index.h"
#include "cache/object.h"
#include "cache/pieces.h"
#include "cache/purge.h"
#include "cache/refusals.h"
#include "cache/record_queues.h"
#include "cache/segment_store.h"
#include "cache/store.h"
#include "cache/store_files.h"
#include "core/metrics.h"

namespace tributary::cache {

struct StoreMetrics {
  explicit StoreMetrics(core::Registry& registry);
  core::Counter& evictions;
  core::Counter& stored_bytes;
  core::Counter& saved_bytes;
  core::Counter& corrupt;
  core::Counter& write_errors;
  core::Gauge& degraded;
  core::Gauge& objects;
  core::Gauge& bytes;
  core::Gauge& size;
};

class Writer {
 public:
  // Content waiting in memory to be written; above it nothing more is stored.
  static constexpr uint64_t kPendingLimit = uint64_t{64} << 20;

  // Everything outlives the writer. `index_limit`: bytes that records may take.
  Writer(const StoreFiles& files, Index& index, SegmentStore& segments, Directory& directory, KeyFilter& filter,
         AccessSketch& sketch, LiveBodies& live, PurgeLog& purges, Refusals& refusals, StoreMetrics& metrics,
         const StoreSettings& settings, uint64_t index_limit);
  ~Writer();
  Writer(const Writer&) = delete;
  Writer& operator=(const Writer&) = delete;

  // Start-up: takes over what the index holds.
  void start(const IndexMeta& meta, std::unordered_map<uint32_t, ChunkMap> maps);
  // Commits what is queued, marks the index clean and joins.
  void stop();

  // Any thread. The key's node in the directory is pinned by the caller, and unpinned when the operation is committed
  // or dropped.
  void put(const Hash128& key, ObjectRef object);
  void amend(const Hash128& key, ObjectRef object);            // put, while the record is still of the same body
  void erase(const Hash128& key);                              // every variant
  void erase(const Hash128& key, uint64_t variant, uint64_t body_id);  // that record, unless it was replaced
  void erase_unpinned(const KeyName& name);  // a record whose key cannot be read: no node speaks of it
  void poke();
  void flush();
  // `epoch`: as PurgeLog gave it. `done` runs once, on the writer's thread.
  void purge(PurgeLog::Epoch epoch, std::shared_ptr<const Selection> selection, std::function<void(const Purged&)> done);

  // While it is held no slots are given away. Offload threads.
  std::shared_lock<std::shared_mutex> enter_load() {
    std::lock_guard turn(turn_);
    return std::shared_lock(load_gate_);
  }
  // Records with lower numbers were written before an unclean end.
  uint64_t verify_below() const { return verify_below_; }
  // The disk does not keep up with what is waiting already.
  bool is_behind() const { return pending_bytes_.load(std::memory_order_relaxed) > kPendingLimit; }
  bool is_degraded() const { return degraded_.load(std::memory_order_acquire); }
  void report_error(const core::Error& error);  // a write failed, here or on the offload pool

  uint64_t objects() const { return objects_.load(std::memory_order_relaxed); }
  uint64_t bytes() const { return bytes_.load(std::memory_order_relaxed); }
  uint64_t index_bytes() const { return index_used_.load(std::memory_order_relaxed); }  // of the index file, in use
  uint64_t pending() const { return pending_.load(std::memory_order_relaxed); }

 private:
  enum class Kind : uint8_t { Put, EraseKey, EraseBody };
  struct Op {
    Kind kind = Kind::Put;
    Hash128 key;
    uint64_t variant = 0;
    uint64_t body_id = 0;    // EraseBody, Put: what the record must be of; 0: whatever it is
    size_t bytes = 0;        // Put: what it holds of pending_bytes_
    bool pinned = true;      // the key's node is
    ObjectRef object = {};
  };
  struct PurgeTask {
    PurgeLog::Epoch epoch = 0;
    std::shared_ptr<const Selection> selection;
    std::function<void(const Purged&)> done;
    uint64_t objects = 0;
    bool swept = false;               // the directory
    bool overflow = false;            // By::Tag: those that name too many tags have their turn
    std::optional<KeyName> cursor{};  // the last key looked at
  };
  struct Freed {
    uint64_t body_id = 0;
    std::vector<Slot> slots;
  };
  // What a transaction did, to be made true outside the index once it is committed, or undone when it is not.
  struct Changes {
    std::vector<Freed> freed;
    std::vector<Slot> taken;                                   // slots this transaction allocated
    std::vector<std::pair<ObjectRef, Record>> indexed;
    std::vector<std::pair<Hash128, int>> filter;
    std::vector<std::pair<Hash128, uint64_t>> evicted;         // key and body
    std::vector<std::pair<Slot, bool>> bits;                   // in order, the bit's old value
    std::unordered_set<uint32_t> chunks;
    uint64_t stored_bytes = 0;
  };

  void run();
  void mark_clean();
  void enqueue(Op op);
  void run_batch(std::vector<Op>& ops);
  core::Result<void> try_batch(std::vector<Op>& ops);
  void owe(std::vector<Op>& ops);
  core::Result<void> apply(Index::WriteTxn& txn, Op& op, Changes& changes);
  core::Result<void> apply_put(Index::WriteTxn& txn, Op& op, Changes& changes);
  core::Result<void> place_in_slot(const core::Slice& content, Record& record, Changes& changes);
  core::Result<void> erase_record(Index::WriteTxn& txn, const KeyName& name, RecordId id, bool keep_key,
                                  uint64_t kept_body, const std::vector<PieceRecord>* kept, Changes& changes);
  core::Result<void> finish(Index::WriteTxn& txn, Changes& changes);
  core::Result<void> decide(core::Result<void> failed);
  bool wait_for_disk();
  void undo(Changes& changes, const IndexMeta& before);
  void settle(Changes& changes);
  // writer_purge.cc
  void take_purges();
  void purge_some();
  void sweep(PurgeTask& task);
  void refuse_purges();
  static constexpr size_t kPurgeStep = 4096;  // keys looked at in one transaction
  core::Result<bool> purge_some_of(Index::WriteTxn& txn, PurgeTask& task, size_t& left, Changes& changes);
  void end_purges();

  void set_bit(const Slot& slot, bool value, Changes& changes);
  static core::Result<void> change_tags(Index::WriteTxn& txn, const Record& record, const KeyName& name, bool put);
  void account(const Record& record, size_t size, int sign);

  bool make_room(bool more_comes);
  bool add_segment();
  bool over_limit() const;
  bool evict_from_index();
  core::Result<bool> evict_some(RoomKind kind, size_t most);
  bool evict_some();
  bool evict_some(RoomKind kind);
  void fill_filter();
  void publish_totals();

  const StoreFiles& files_;
  Index& index_;
  SegmentStore& segments_;
  Directory& directory_;
  KeyFilter& filter_;
  AccessSketch& sketch_;
  LiveBodies& live_;
  PurgeLog& purge_log_;
  Refusals& refusals_;
  StoreMetrics& metrics_;
  const Sync sync_;
  const std::chrono::milliseconds retry_;
  const bool makes_room_;
  const uint64_t index_limit_;
  size_t purge_step_ = kPurgeStep;
  std::atomic<uint64_t> index_used_{0};  // bytes, as of the last transaction

  // Writer thread only.
  IndexMeta meta_;
  std::unordered_map<uint32_t, ChunkMap> maps_;  // as committed, but for the running transaction
  std::array<Eviction, kRoomKinds> evictions_;
  std::vector<Op> owed_;  // erasures of batches that failed
  std::deque<PurgeTask> purges_;  // under way, in the order of their epochs
  core::TimePoint starved_since_{};  // when there was nothing left to evict, and fills want room
  core::TimePoint full_since_{};  // when the disk had no room for a segment

  uint64_t verify_below_ = 0;
  std::mutex turn_;
  std::shared_mutex load_gate_;
  std::atomic<bool> degraded_{false};
  std::atomic<core::TimePoint> degraded_since_{};
  std::atomic<uint64_t> objects_{0}, bytes_{0}, pending_{0}, pending_bytes_{0};

  std::mutex mutex_;  // what follows
  std::condition_variable wake_;
  std::condition_variable flushed_;
  std::vector<Op> queue_;
  size_t queue_bytes_ = 0;
  std::vector<PurgeTask> purge_queue_;
  uint64_t enqueued_ = 0, done_ = 0;  // operations ever
  bool hurry_ = false;                // flush or stop: do not gather
  bool poked_ = false;
  bool is_stalled_ = false;           // in wait_for_disk()
  bool ending_ = false;
  std::thread thread_;
};

}  // namespace tributary::cache
