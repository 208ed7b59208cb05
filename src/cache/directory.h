// Directory: what the store knows in memory, for all workers: fills in progress, objects not committed yet, the memory
// tier, loads from the index under way, and who fetches which key.
//
// 64 shards by hash, a mutex each, held for a few hundred nanoseconds and never across I/O. One node a key:
//
//   entry           the variants; null: none. Authoritative once the index was read, or the filter said it has nothing
//   pins            fills and operations of the writer thread that are not done; a pinned node stays
//   fetch           who is fetching it, and who waits for that
//   load waiters    lookups that wait for the index
//
// When the memory limit is reached, nodes that nobody needs are dropped as eviction.h says. Any thread.
#pragma once

#include <array>
#include <atomic>
#include <memory>
#include <mutex>
#include <string>
#include <string_view>
#include <unordered_map>
#include <utility>
#include <vector>

#include "cache/eviction_lists.h"
#include "cache/filter.h"
#include "cache/hash.h"
#include "cache/invalidation_log.h"
#include "cache/object.h"
#include "cache/purge.h"
#include "cache/store.h"
#include "core/loop.h"
#include "core/time.h"

namespace tributary::cache {

class Directory;

// One fetch of one key, held by the leader, the followers and the node. Shared, because any of them may go first.
struct FetchState {
  Directory* directory = nullptr;
  Hash128 hash;
  std::atomic<FetchOutcome> outcome{FetchOutcome::Undecided};
  std::vector<core::RemoteWaker::Handle> followers;  // under the shard's lock
};

class Directory {
 public:
  Directory(const KeyFilter& filter, const PurgeLog& purges, AccessSketch& sketch, uint64_t memory_limit)
      : filter_(filter),
        purges_(purges),
        memory_limit_(memory_limit),
        shards_(make_shards(sketch, std::make_index_sequence<kShards>())) {}

  static constexpr size_t kMaxVariants = 64;  // a key's oldest variant goes when a further one comes

  enum class Look : uint8_t { Hit, Miss, Loading, MustLoad };
  // MustLoad: the caller starts a load and ends it with finish_load. For Loading and MustLoad `waker()` gives the handle
  // that is woken when the load is done.
  template <class MakeWaker>
  Look find(const Hash128& hash, std::string_view key, EntryRef& entry, MakeWaker waker);
  // `loaded`: the variants the index had. Those that were replaced or purged meanwhile are dropped.
  void finish_load(const Hash128& hash, std::vector<ObjectRef> loaded);

  // The load did not begin after all: who waits for it looks again.
  void give_up_load(const Hash128& hash);

  // Makes `object` the variant of its key and pins the node; the one it replaces is dead.
  // False when another key has the same hash, or a purge or an invalidation came in between: then it cannot be stored. `dropped`: variants
  // beyond kMaxVariants, which are dead now; the node is pinned once for each, until it has left the index.
  bool publish(const Hash128& hash, const ObjectRef& object, std::vector<ObjectRef>& dropped);
  void pin(const Hash128& hash, std::string_view key);
  void unpin(const Hash128& hash);
  // Removes an object, with those that share its body, and marks them dead.
  void remove(const Hash128& hash, const ObjectRef& object);
  // The same, and pins the node, so that what the object replaced is not loaded from the index before it is deleted there.
  void withdraw(const Hash128& hash, const ObjectRef& object);
  // The same as remove() by body, for the writer thread when it evicts: the memory tier must not hold slots that are to be free.
  void evict(const Hash128& hash, uint64_t body_id);
  enum class Known : uint8_t { Nowhere, PerhapsInIndex, InMemory };
  // Removes every variant and pins the node, so that what the index still has is not loaded before it is deleted there.
  // Nowhere: there is nothing to delete, nor was anything pinned. A fetch under way is over for who follows it, and publish()
  // refuses what it brings.
  Known invalidate(const Hash128& hash, std::string_view key);
  // Removes what is selected and marks it dead; how many of them no record speaks of yet. Nodes are not pinned: PurgeLog
  // keeps out what the index still has. The writer thread's; a long walk in short holds.
  uint64_t purge(const Selection& selection);
  // The living object of the key that has this body, if there is one.
  ObjectRef holder(const Hash128& hash, const BodyView& body) const;
  // What memory knows of the key, for those who only look: nothing is loaded, nothing counted as use.
  EntryRef peek(const Hash128& hash, std::string_view key) const;

  template <class MakeWaker>
  FetchRole begin_fetch(const Hash128& hash, std::string_view key, core::TimePoint now,
                        std::shared_ptr<FetchState>& fetch, MakeWaker waker);
  void decide(FetchState& fetch, FetchOutcome outcome, core::TimePoint declined_until);

  const InvalidationLog& invalidations() const { return invalidations_; }
  uint64_t memory_bytes() const { return memory_bytes_.load(std::memory_order_relaxed); }
  size_t nodes() const;

 private:
  struct Node {
    std::string key;
    Hash128 hash;
    EntryRef entry;
    bool authoritative = false;
    bool loading = false;
    bool cleared = false;      // invalidated since the load began
    uint32_t pins = 0;
    size_t cost = 0;
    core::TimePoint declined_until{};
    std::shared_ptr<FetchState> fetch;
    std::vector<core::RemoteWaker::Handle> load_waiters;
    EvictionLinks<Node> links;

    bool is_busy() const { return pins > 0 || loading || fetch; }
    const Hash128& eviction_key() const { return hash; }
    uint64_t eviction_bytes() const { return cost; }
    bool take_touched() { return entry && entry->touched.exchange(false, std::memory_order_relaxed); }
  };
  struct alignas(64) Shard {
    explicit Shard(AccessSketch& sketch) : lists(sketch) {}
    mutable std::mutex mutex;
    std::unordered_map<Hash128, std::unique_ptr<Node>, Hash128Hasher> nodes;
    EvictionLists<Node> lists;
  };
  static constexpr size_t kShards = 64;

  template <size_t... I>
  static std::array<Shard, kShards> make_shards(AccessSketch& sketch, std::index_sequence<I...>) {
    return {{(static_cast<void>(I), Shard(sketch))...}};
  }
  Shard& shard(const Hash128& hash) { return shards_[hash.high >> 58]; }
  bool is_purged(const Object& object) const;
  uint64_t purge_node(Shard& shard, Node& node, const Selection& selection);
  // Ends the load of a key's node, with `settle(shard, node)` under the lock, and wakes who waits for it.
  template <class Settle>
  void end_load(const Hash128& hash, Settle settle);
  static Node* find_node(Shard& shard, const Hash128& hash);
  Node* make_node(Shard& shard, const Hash128& hash, std::string_view key);
  void set_entry(Shard& shard, Node& node, std::vector<ObjectRef> variants);
  static size_t cost_of(const Node& node);
  void settle_cost(Shard& shard, Node& node);
  void drop_if_idle(Shard& shard, Node& node);
  void erase(Shard& shard, Node& node);
  bool is_over() const { return memory_bytes_.load(std::memory_order_relaxed) > memory_limit_; }
  void shrink(Shard& shard, const Node& keep);
  void shrink_shard(Shard& shard, const Node* keep, int& second_chances);

  const KeyFilter& filter_;
  const PurgeLog& purges_;
  InvalidationLog invalidations_;
  const uint64_t memory_limit_;
  std::atomic<uint64_t> memory_bytes_{0};
  std::atomic<size_t> next_shard_{0};  // whose turn it is to give when one alone cannot
  std::array<Shard, kShards> shards_;
};

template <class MakeWaker>
Directory::Look Directory::find(const Hash128& hash, std::string_view key, EntryRef& entry, MakeWaker waker) {
  Shard& home = shard(hash);
  std::lock_guard lock(home.mutex);
  Node* node = find_node(home, hash);
  if (node && node->key != key) return Look::Miss;
  if (!node || !node->authoritative) {
    if (!filter_.may_hold(hash)) {
      if (node) node->authoritative = true;
    } else {
      if (!node) node = make_node(home, hash, key);
      node->load_waiters.push_back(waker());
      if (node->loading) return Look::Loading;
      node->loading = true;
      node->cleared = false;
      return Look::MustLoad;
    }
  }
  if (!node || !node->entry) return Look::Miss;
  node->entry->touch();
  entry = node->entry;
  return Look::Hit;
}

template <class MakeWaker>
FetchRole Directory::begin_fetch(const Hash128& hash, std::string_view key, core::TimePoint now,
                                 std::shared_ptr<FetchState>& fetch, MakeWaker waker) {
  Shard& home = shard(hash);
  std::lock_guard lock(home.mutex);
  Node* node = find_node(home, hash);
  if (node && (node->key != key || node->declined_until > now)) return FetchRole::Alone;
  if (node && node->fetch) {
    fetch = node->fetch;
    fetch->followers.push_back(waker());
    return FetchRole::Follower;
  }
  if (!node) node = make_node(home, hash, key);
  fetch = std::make_shared<FetchState>();
  fetch->directory = this;
  fetch->hash = hash;
  node->fetch = fetch;
  return FetchRole::Leader;
}

}  // namespace tributary::cache
