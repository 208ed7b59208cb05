#include "cache/directory.h"

#include <algorithm>

#include "cache/pieces.h"
#include "core/heap_cost.h"

namespace tributary::cache {
namespace {

constexpr int kMostSecondChances = 64;  // bounds the work of one insertion

// A place in a table of nodes: the pair with its link and hash, and about two words in the buckets.
constexpr size_t kPlaceCost = core::heap_cost(sizeof(Hash128) + 3 * sizeof(void*)) + 2 * sizeof(void*);

}  // namespace

size_t Directory::cost_of(const Node& node) {
  return core::heap_cost(sizeof(Node)) + kPlaceCost + core::heap_cost(node.key) +
         (node.entry ? node.entry->memory_cost() : 0);
}

Directory::Node* Directory::find_node(Shard& shard, const Hash128& hash) {
  const auto found = shard.nodes.find(hash);
  return found == shard.nodes.end() ? nullptr : found->second.get();
}

Directory::Node* Directory::make_node(Shard& home, const Hash128& hash, std::string_view key) {
  auto made = std::make_unique<Node>();
  Node* node = made.get();
  node->key = key;
  node->hash = hash;
  node->cost = cost_of(*node);
  memory_bytes_.fetch_add(node->cost, std::memory_order_relaxed);
  home.nodes.emplace(hash, std::move(made));
  home.lists.add(*node);
  shrink(home, *node);
  return node;
}

void Directory::erase(Shard& home, Node& node) {
  memory_bytes_.fetch_sub(node.cost, std::memory_order_relaxed);
  // A worker's hot map must not outlive the node: who changes the entry would not find it to say so.
  if (node.entry) node.entry->outdated.store(true, std::memory_order_release);
  home.lists.remove(node);
  const Hash128 hash = node.hash;
  home.nodes.erase(hash);
}

// `keep` is in use by the caller.
void Directory::shrink(Shard& home, const Node& keep) {
  if (!is_over()) return;
  int second_chances = kMostSecondChances;
  shrink_shard(home, &keep, second_chances);
  // What one shard holds may be less than what came, or all in use. Others that are not locked give the rest.
  for (size_t i = 0; i < kShards && is_over() && second_chances > 0; ++i) {
    Shard& other = shards_[next_shard_.fetch_add(1, std::memory_order_relaxed) % kShards];
    if (&other == &home) continue;
    const std::unique_lock lock(other.mutex, std::try_to_lock);
    if (lock) shrink_shard(other, nullptr, second_chances);
  }
}

void Directory::shrink_shard(Shard& home, const Node* keep, int& second_chances) {
  const Node* passed = nullptr;
  while (is_over()) {
    Node* victim = home.lists.find_victim(second_chances);
    if (!victim || victim == passed) return;  // all round
    if (!victim->is_busy() && victim != keep) {
      erase(home, *victim);
      continue;
    }
    if (--second_chances <= 0) return;
    if (!passed) passed = victim;
    home.lists.place_anew(*victim);
  }
}

void Directory::set_entry(Shard& home, Node& node, std::vector<ObjectRef> variants) {
  if (node.entry) node.entry->outdated.store(true, std::memory_order_release);
  if (variants.empty()) {
    node.entry.reset();
  } else {
    auto entry = std::make_shared<Entry>();
    entry->variants = std::move(variants);
    node.entry = std::move(entry);
  }
  settle_cost(home, node);
}

void Directory::settle_cost(Shard& home, Node& node) {
  const size_t cost = cost_of(node);
  memory_bytes_.fetch_add(cost - node.cost, std::memory_order_relaxed);
  node.cost = cost;
  home.lists.place_anew(node);
}

void Directory::drop_if_idle(Shard& home, Node& node) {
  if (node.pins == 0 && !node.entry && !node.loading && !node.fetch && node.declined_until == core::TimePoint{}) {
    erase(home, node);
  }
}

template <class Settle>
void Directory::end_load(const Hash128& hash, Settle settle) {
  std::vector<core::RemoteWaker::Handle> waiters;
  {
    Shard& home = shard(hash);
    std::lock_guard lock(home.mutex);
    Node* node = find_node(home, hash);
    if (!node) return;
    waiters.swap(node->load_waiters);
    node->loading = false;
    settle(home, *node);
  }
  for (const core::RemoteWaker::Handle& waiter : waiters) waiter.wake();
}

void Directory::finish_load(const Hash128& hash, std::vector<ObjectRef> loaded) {
  end_load(hash, [&](Shard& home, Node& node) {
    node.authoritative = true;
    // Another key with this hash, which the index holds, is none of ours.
    std::erase_if(loaded, [&](const ObjectRef& object) {
      return object->key() != node.key || node.cleared || is_purged(*object);
    });
    if (loaded.empty()) return;
    std::vector<ObjectRef> variants;
    if (node.entry) variants = node.entry->variants;
    for (ObjectRef& object : loaded) {
      const bool known = std::any_of(variants.begin(), variants.end(), [&](const ObjectRef& other) {
        return other->variant() == object->variant();
      });
      if (!known) variants.push_back(std::move(object));
    }
    set_entry(home, node, std::move(variants));
    shrink(home, node);
  });
}

void Directory::give_up_load(const Hash128& hash) {
  end_load(hash, [this](Shard& home, Node& node) { drop_if_idle(home, node); });
}

bool Directory::publish(const Hash128& hash, const ObjectRef& object, std::vector<ObjectRef>& dropped) {
  Shard& home = shard(hash);
  std::lock_guard lock(home.mutex);
  // Under the lock: a purge that is not known here yet will find the object in its node.
  if (is_purged(*object) || invalidations_.refuses(object->parts().epoch.change, hash)) return false;
  Node* node = find_node(home, hash);
  if (!node) {
    node = make_node(home, hash, object->key());
    node->authoritative = !filter_.may_hold(hash);
  }
  if (node->key != object->key()) return false;
  std::vector<ObjectRef> variants{object};
  if (node->entry) {
    for (const ObjectRef& other : node->entry->variants) {
      if (other->variant() == object->variant()) {
        other->mark_dead();
      } else if (variants.size() == kMaxVariants) {
        other->mark_dead();
        dropped.push_back(other);
        ++node->pins;
      } else {
        variants.push_back(other);
      }
    }
  }
  node->declined_until = {};
  ++node->pins;
  set_entry(home, *node, std::move(variants));
  shrink(home, *node);
  return true;
}

void Directory::pin(const Hash128& hash, std::string_view key) {
  Shard& home = shard(hash);
  std::lock_guard lock(home.mutex);
  Node* node = find_node(home, hash);
  if (!node) node = make_node(home, hash, key);
  ++node->pins;
}

void Directory::unpin(const Hash128& hash) {
  Shard& home = shard(hash);
  std::lock_guard lock(home.mutex);
  Node* node = find_node(home, hash);
  if (!node || node->pins == 0) return;
  --node->pins;
  // What was being filled has its size now.
  if (node->entry) {
    settle_cost(home, *node);
    shrink(home, *node);
  }
  drop_if_idle(home, *node);
}

void Directory::remove(const Hash128& hash, const ObjectRef& object) {
  object->mark_dead();
  Shard& home = shard(hash);
  std::lock_guard lock(home.mutex);
  Node* node = find_node(home, hash);
  if (!node || !node->entry) return;
  std::vector<ObjectRef> variants = node->entry->variants;
  const size_t removed = std::erase_if(variants, [&](const ObjectRef& other) {
    if (other->stored_body() != object->stored_body()) return false;
    other->mark_dead();
    return true;
  });
  if (removed == 0) return;
  set_entry(home, *node, std::move(variants));
  drop_if_idle(home, *node);
}

void Directory::withdraw(const Hash128& hash, const ObjectRef& object) {
  pin(hash, object->key());
  {
    Shard& home = shard(hash);
    std::lock_guard lock(home.mutex);
    Node* node = find_node(home, hash);
    node->cleared = true;
    node->authoritative = !node->loading;
  }
  remove(hash, object);
}

void Directory::evict(const Hash128& hash, uint64_t body_id) {
  Shard& home = shard(hash);
  std::lock_guard lock(home.mutex);
  Node* node = find_node(home, hash);
  if (!node || !node->entry) return;
  std::vector<ObjectRef> variants = node->entry->variants;
  const size_t removed = std::erase_if(variants, [&](const ObjectRef& object) {
    // Content in memory needs no slot: it may go on being served from there. What fills again is not idle.
    const bool evicted = object->stored_body()->id() == body_id && !object->memory_body() && !object->body().is_filling();
    if (evicted) object->mark_dead();
    return evicted;
  });
  if (removed == 0) return;
  set_entry(home, *node, std::move(variants));
  drop_if_idle(home, *node);
}

Directory::Known Directory::invalidate(const Hash128& hash, std::string_view key) {
  std::vector<core::RemoteWaker::Handle> followers;
  Known known = Known::Nowhere;
  {
    Shard& home = shard(hash);
    std::lock_guard lock(home.mutex);
    Node* node = find_node(home, hash);
    // Most of what changes was never stored: no work for the writer.
    if ((node && (node->entry || node->loading)) || filter_.may_hold(hash)) {
      if (!node) node = make_node(home, hash, key);
      ++node->pins;
      node->cleared = true;
      node->authoritative = !node->loading;
      known = node->entry ? Known::InMemory : Known::PerhapsInIndex;
      if (node->entry) {
        for (const ObjectRef& object : node->entry->variants) object->mark_dead();
      }
      set_entry(home, *node, {});
    }
    invalidations_.note(hash);  // after that: who reads the new time sees what is dead (WorkerCache::refresh)
    // Who fetches it asked before the change: that answer is for nobody else.
    if (node && node->fetch) {
      node->fetch->outcome.store(FetchOutcome::Vanished, std::memory_order_release);
      followers.swap(node->fetch->followers);
      node->fetch.reset();
      drop_if_idle(home, *node);
    }
  }
  for (const core::RemoteWaker::Handle& follower : followers) follower.wake();
  return known;
}

bool Directory::is_purged(const Object& object) const {
  return purges_.refuses(object.parts().epoch.purge, object.key(), object.fields().view());
}

uint64_t Directory::purge(const Selection& selection) {
  if (selection.by == Selection::By::Url) {
    const Hash128 hash = hash_key(selection.text);
    Shard& home = shard(hash);
    std::lock_guard lock(home.mutex);
    Node* node = find_node(home, hash);
    return node ? purge_node(home, *node, selection) : 0;
  }
  constexpr size_t kBuckets = 64;  // a hold of the mutex
  uint64_t objects = 0;
  for (Shard& home : shards_) {
    size_t buckets = 0;
    for (size_t bucket = 0;;) {
      std::lock_guard lock(home.mutex);
      if (buckets != home.nodes.bucket_count()) {  // everything stands elsewhere now
        buckets = home.nodes.bucket_count();
        bucket = 0;
      }
      std::vector<Node*> found;
      for (const size_t last = std::min(buckets, bucket + kBuckets); bucket < last; ++bucket) {
        for (auto at = home.nodes.begin(bucket); at != home.nodes.end(bucket); ++at) found.push_back(at->second.get());
      }
      for (Node* node : found) objects += purge_node(home, *node, selection);
      if (bucket == buckets) break;
    }
  }
  return objects;
}

// The node may be gone afterwards.
uint64_t Directory::purge_node(Shard& home, Node& node, const Selection& selection) {
  if (!node.entry) return 0;
  uint64_t unrecorded = 0;
  std::vector<ObjectRef> variants = node.entry->variants;
  const size_t removed = std::erase_if(variants, [&](const ObjectRef& object) {
    if (!selection.matches(object->key(), object->fields().view())) return false;
    object->mark_dead();
    if (object->stored_body()->id() == 0) ++unrecorded;
    return true;
  });
  if (removed == 0) return 0;
  set_entry(home, node, std::move(variants));
  drop_if_idle(home, node);
  return unrecorded;
}

ObjectRef Directory::holder(const Hash128& hash, const BodyView& body) const {
  const Shard& home = shards_[hash.high >> 58];
  std::lock_guard lock(home.mutex);
  const auto found = home.nodes.find(hash);
  if (found == home.nodes.end() || !found->second->entry) return nullptr;
  for (const ObjectRef& object : found->second->entry->variants) {
    if (&object->body() == &body) return object;
  }
  return nullptr;
}

EntryRef Directory::peek(const Hash128& hash, std::string_view key) const {
  const Shard& home = shards_[hash.high >> 58];
  std::lock_guard lock(home.mutex);
  const auto found = home.nodes.find(hash);
  return found != home.nodes.end() && found->second->key == key ? found->second->entry : nullptr;
}

void Directory::decide(FetchState& fetch, FetchOutcome outcome, core::TimePoint declined_until) {
  std::vector<core::RemoteWaker::Handle> followers;
  {
    Shard& home = shard(fetch.hash);
    std::lock_guard lock(home.mutex);
    if (fetch.outcome.load(std::memory_order_relaxed) != FetchOutcome::Undecided) return;
    fetch.outcome.store(outcome, std::memory_order_release);
    followers.swap(fetch.followers);
    Node* node = find_node(home, fetch.hash);
    if (node && node->fetch.get() == &fetch) {
      node->fetch.reset();
      if (outcome == FetchOutcome::Declined) node->declined_until = declined_until;
      drop_if_idle(home, *node);
    }
  }
  for (const core::RemoteWaker::Handle& follower : followers) follower.wake();
}

size_t Directory::nodes() const {
  size_t count = 0;
  for (const Shard& each : shards_) {
    std::lock_guard lock(each.mutex);
    count += each.nodes.size();
  }
  return count;
}

}  // namespace tributary::cache
