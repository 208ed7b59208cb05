// HotMap: the entries one worker serves most, so that a hit takes no lock. Loop-affine.
//
// It is a view of the directory: when that changes an entry or drops it, the entry's flag says so, and it is let go here when
// it is next asked for. Holds only entries whose content lies in memory: one that lies in slots would keep them from being
// freed. Bounded in bytes (its entries count here though the directory mostly holds them too); the policy is eviction.h.
//
// While it is full only one entry in eight that comes by is taken: who is asked for often gets in soon, and a working set
// that is too large does not cost every hit an exchange.
#pragma once

#include <array>
#include <cstdint>
#include <string_view>
#include <unordered_map>
#include <utility>

#include "cache/eviction_lists.h"
#include "cache/hash.h"
#include "cache/object.h"
#include "core/heap_cost.h"

namespace tributary::cache {

class HotMap {
 public:
  // The sketch outlives it.
  HotMap(size_t limit, AccessSketch& sketch) : limit_(limit), lists_(sketch) {}

  // Null when it is not here. Valid until the next call.
  const EntryRef* find(const Hash128& hash, std::string_view key) {
    const auto found = items_.find(hash);
    if (found == items_.end()) return nullptr;
    Item& item = found->second;
    for (const void* at : item.soon) __builtin_prefetch(at);
    const Entry& entry = *item.entry;
    if (entry.outdated.load(std::memory_order_acquire)) {
      erase(item);
      return nullptr;
    }
    if (entry.variants.front()->key() != key) return nullptr;
    item.touched = true;
    entry.touch();
    return &item.entry;
  }

  void insert(const Hash128& hash, const EntryRef& entry) {
    for (const ObjectRef& object : entry->variants) {
      if (!object->memory_body()) return;
    }
    const size_t cost = kItemCost + entry->memory_cost();
    if (cost > limit_ / 8) return;
    if (const auto found = items_.find(hash); found != items_.end()) erase(found->second);
    if (bytes_ + cost > limit_ && ++refused_ % 8 != 0) return;
    while (bytes_ + cost > limit_) {
      int second_chances = 64;
      erase(*lists_.find_victim(second_chances));
    }
    Item& item = items_.try_emplace(hash).first->second;
    item.hash = hash;
    item.entry = entry;
    item.cost = cost;
    const Object& newest = *entry->variants.front();
    item.soon = {entry.get(),
                 &entry->variants.front(),
                 &newest,
                 &newest.meta(),
                 &newest.fields(),
                 newest.key().data(),
                 newest.fields().data(),
                 &newest.body(),
                 newest.memory_body(),
                 newest.memory_body()->data()};
    bytes_ += cost;
    lists_.add(item);
  }

  size_t size() const { return items_.size(); }
  size_t bytes() const { return bytes_; }

 private:
  struct Item {
    EntryRef entry;
    Hash128 hash;
    size_t cost = 0;
    EvictionLinks<Item> links;
    bool touched = false;
    // What a hit reads one after the other, each found through the one before. With many objects none of it is in the
    // processor's caches; asked for together, the waits are one.
    std::array<const void*, 10> soon{};

    const Hash128& eviction_key() const { return hash; }
    uint64_t eviction_bytes() const { return cost; }
    bool take_touched() { return std::exchange(touched, false) && !entry->outdated.load(std::memory_order_relaxed); }
  };
  // With its place in the table: the key, a link and a hash, and about two words in the buckets.
  static constexpr size_t kItemCost =
      core::heap_cost(sizeof(Item) + sizeof(Hash128) + 2 * sizeof(void*)) + 2 * sizeof(void*);

  void erase(Item& item) {
    bytes_ -= item.cost;
    lists_.remove(item);
    const Hash128 hash = item.hash;
    items_.erase(hash);
  }

  const size_t limit_;
  size_t bytes_ = 0;
  uint32_t refused_ = 0;
  EvictionLists<Item> lists_;
  std::unordered_map<Hash128, Item, Hash128Hasher> items_;  // addresses are stable
};

}  // namespace tributary::cache
