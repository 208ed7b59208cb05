// Store: the cache's facade. One for the process, shared by the workers; each worker looks at it through its WorkerCache.
//
// Where a key is looked for, in this order:
//   1. the worker's own hot map            no lock: a refcount and a flag
//   2. the shared directory                a mutex a shard, held for a few hundred ns: fills in progress, objects not
//                                          committed yet, the memory tier, fetch locks
//   3. the membership filter               a definite "no" answers at once
//   4. the index (LMDB)                    on the offload pool; one load however many ask
//
// A request does:
//
//   switch (cache.lookup(key, entry, pending_, on_ready)) {
//     case Found::Hit:      pick a variant of *entry (policy); serve it with ObjectReader
//     case Found::Miss:     go on to begin_fetch
//     case Found::Pending:  on_ready runs later: call lookup again
//   }
//   switch (cache.begin_fetch(key, fetch_, on_change)) {
//     case FetchRole::Leader:    send the request; then exactly one of publish (through start_fill, store_whole or
//                                refresh), fetch_.decline(), or dropping fetch_ (the next waiter takes over)
//     case FetchRole::Follower:  on_change runs when the leader has decided; then look at fetch_.outcome()
//     case FetchRole::Alone:     fetch without coalescing (cache disabled, or the key was found uncacheable a moment ago)
//   }
//
// A disabled store says Miss and Alone, and starts no fill. A failing disk makes the store go on without storing
// (is_degraded()), never the proxy without serving.
#pragma once

#include <chrono>
#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <string_view>

#include "cache/fill.h"
#include "cache/object.h"
#include "cache/policy.h"
#include "cache/purge.h"
#include "cache/reader.h"
#include "core/loop.h"
#include "core/metrics.h"
#include "core/offload.h"
#include "http/body.h"

namespace tributary::cache {

enum class Sync : uint8_t {
  Batched,  // the index is committed durably a few times a second, bodies are left to the kernel
  Always,   // bodies are synced before the commit that names them
  Off,      // nothing is synced; after a crash of the machine (not of the program) the cache starts empty
};

struct StoreSettings {
  bool enabled = true;
  std::string directory;                   // created if missing, mode 0700
  uint64_t size = uint64_t{10} << 30;      // bytes on disk, segments and index together; at least kMinSize
  uint64_t memory = uint64_t{256} << 20;   // bytes for objects in memory, all tiers
  uint64_t max_object = 0;                 // bytes of content; 0: a quarter of size
  uint64_t min_free_disk = 0;              // bytes of the file system left free: no segment is added below it
  Sync sync = Sync::Batched;
  std::chrono::milliseconds retry{5000};   // how long a disk that refused is left alone
  bool existing_only = false;              // for who looks after a store and does not serve from it: nothing is made, emptied
                                           // or evicted, whatever the limits say; what cannot be used as it is, is refused
  unsigned workers = 1;                    // how many WorkerCaches share `memory`

  static constexpr uint64_t kMinSize = uint64_t{64} << 20;
};

struct StoreStats {
  uint64_t objects = 0;       // committed
  uint64_t bytes = 0;         // content and records of the committed objects
  uint64_t size = 0;          // the limit
  uint64_t disk_bytes = 0;    // segment files and index in use
  uint64_t memory_bytes = 0;
  uint64_t pending = 0;       // operations not committed yet
  uint64_t fills = 0;         // in progress
};

struct FetchState;
class StoreCore;

// Waits for a lookup. A pinned member of whoever looks; destroying or resetting it forgets the wait.
class PendingLookup {
 public:
  PendingLookup();
  ~PendingLookup();
  PendingLookup(const PendingLookup&) = delete;
  PendingLookup& operator=(const PendingLookup&) = delete;
  void reset();

 private:
  friend class WorkerCache;
  std::optional<core::RemoteWaker> waker_;
};

enum class FetchRole : uint8_t { Leader, Follower, Alone };
enum class FetchOutcome : uint8_t {
  Undecided,
  Published,  // look up again: the object is there, perhaps still filling (and perhaps another variant)
  Declined,   // not cacheable: everybody for himself
  Failed,     // no answer came: everybody for himself, lest each waits for all the failures before his own
  Vanished,   // the leader went away undecided: call begin_fetch again, one of the waiters becomes leader
};

// A place in the fetch of one key, as its leader or as a follower. Destroying it gives the place up.
class Fetch {
 public:
  Fetch();
  ~Fetch();
  Fetch(const Fetch&) = delete;
  Fetch& operator=(const Fetch&) = delete;

  bool is_leader() const;
  FetchOutcome outcome() const;
  // Leader: what came is not to be stored. Remembered for kDeclineMemory, so that uncacheable keys are not serialised.
  void decline();
  // Leader: the origin did not answer. Not remembered.
  void fail();
  void reset();

  static constexpr core::Duration kDeclineMemory = std::chrono::seconds(5);

 private:
  friend class WorkerCache;
  void decide(FetchOutcome outcome);
  std::shared_ptr<FetchState> state_;
  bool leader_ = false;
  std::optional<core::RemoteWaker> waker_;
};

enum class Found : uint8_t { Hit, Miss, Pending };

class Store {
 public:
  // At start-up (may block). On failure null, and `why` says in words what is wrong (the directory is in use by another
  // process, belongs to another user, …). A disabled store always opens; so does one whose disk refuses, which begins to find
  // and to store once the disk does not (is_degraded() until then). `offload` and `registry` outlive the store.
  static std::unique_ptr<Store> open(const StoreSettings& settings, core::OffloadPool& offload,
                                     core::Registry& registry, std::string& why);
  // After every WorkerCache, Fill and reader is gone: commits what is pending and marks the index clean.
  ~Store();
  Store(const Store&) = delete;
  Store& operator=(const Store&) = delete;

  bool enabled() const;
  // Storing is given up for now: the disk refused. Readable on any thread.
  bool is_degraded() const;
  uint64_t max_object() const;

  // Any thread; a few loads.
  StoreStats stats() const;

  // Takes out of the store what is selected (cache/purge.h): `done` runs once, later, when it is gone from memory and
  // index, unless `wait` is destroyed first. Any thread. False: too many purges are under way.
  bool purge(Selection selection, core::Loop& loop, PurgeWait& wait, core::Callback<void()> done);
  // The same for who has no loop and may block; nothing when too many are under way.
  std::optional<Purged> purge_and_wait(Selection selection);
  // For ObjectParts::epoch, taken before the origin is asked. Any thread.
  Epoch epoch() const;

  // Blocks until everything that was handed over so far is committed, or the disk refuses. Tests, export, shutdown; never on a
  // loop.
  void flush();

 private:
  friend class WorkerCache;
  friend class Fill;
  friend class ObjectReader;
  friend class Inspection;
  explicit Store(std::unique_ptr<StoreCore> core);
  std::unique_ptr<StoreCore> core_;
};

class WorkerCache {
 public:
  WorkerCache(Store& store, core::Loop& loop);
  ~WorkerCache();
  WorkerCache(const WorkerCache&) = delete;
  WorkerCache& operator=(const WorkerCache&) = delete;

  // Hit: `entry` holds at least one variant, none of them dead a moment ago. Pending: `ready` runs once, later, on this
  // loop, unless `pending` is destroyed or reset first; then call lookup again.
  Found lookup(std::string_view key, EntryRef& entry, PendingLookup& pending, core::Callback<void()> ready);

  // Call after a Miss, or when no variant fits or needs validation. `changed` runs once for a Follower, later.
  FetchRole begin_fetch(std::string_view key, Fetch& fetch, core::Callback<void()> changed);

  // Publishes an object whose content will come. `length`: the content's length when declared. Null when it will not be
  // stored (too large, no room, degraded): pass the content through. `fetch` (leader's, or null) is decided Published on
  // success and left alone otherwise. Replaces the variant with the same secondary key.
  std::unique_ptr<Fill> start_fill(ObjectParts parts, std::optional<uint64_t> length, Fetch* fetch);

  // The same for content that is here already (at most 64 KiB): no fill, no job, one copy of the bytes.
  // Null when it is not stored.
  ObjectRef store_whole(ObjectParts parts, const core::Slice& content, Fetch* fetch);

  // Goes on filling a partial object (body().is_partial()). Null when somebody else does, or it is dead; when `fetch` is
  // given it is decided Published on success.
  std::unique_ptr<Fill> resume_fill(const ObjectRef& partial, Fetch* fetch);

  // The same for those who read it already (ObjectReader::set_gap): a dead object, too, is filled to the end of what they
  // read, though nobody else will find it. Null when somebody fills it, or there is nowhere to write to.
  std::unique_ptr<Fill> fill_gap(const ObjectRef& partial);

  // After a 304: stores `parts` (same key and variant) with the content of `old`; RFC 9111 4.3.4. Null when `old` is dead.
  ObjectRef refresh(const ObjectRef& old, ObjectParts parts, Fetch* fetch);

  // Removes every variant of the key; RFC 9111 4.4 and purge. True when something was known in memory; the index is
  // cleared in any case.
  bool invalidate(std::string_view key);
  // Removes one object (a variant that proved wrong).
  void remove(const ObjectRef& object);

  // After an unclean end: false when some of [first, last) is to be held against its checksum before it is promised to a
  // client; `ready` runs once, later, when that is done: then look the key up again, for the object may be gone.
  bool is_proven(const ObjectRef& object, uint64_t first, uint64_t last, PendingLookup& pending, core::Callback<void()> ready);

  // The content [first, last) of an object.
  std::unique_ptr<ObjectReader> read(ObjectRef object, uint64_t first = 0, uint64_t last = ObjectReader::kToEnd);

  // Remembers why a response to this key was not stored, for `cache show`.
  void note_refusal(std::string_view key, NotStorable reason, uint16_t status);

  // Bytes that a client got without the origin sending them: tributary_cache_saved_bytes_total.
  void count_saved(uint64_t bytes);

  Store& store() { return store_; }
  core::Loop& loop() { return loop_; }

 private:
  struct Hot;
  std::unique_ptr<Fill> go_on_filling(const ObjectRef& partial);
  void stamp(ObjectParts& parts) const;
  void note_no_room(const ObjectParts& parts);
  bool is_storable(const ObjectParts& parts, std::optional<uint64_t> length) const;
  Store& store_;
  core::Loop& loop_;
  std::unique_ptr<Hot> hot_;
};

}  // namespace tributary::cache
