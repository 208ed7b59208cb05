// HotMap: the entries one worker served last, so that a hit takes no lock. Loop-affine.
//
// Holds only entries whose content lies in memory: one that lies in slots would keep them from being freed. An entry that
// was changed since is noticed by its flag when it is next asked for. Bounded in bytes; CLOCK.
#pragma once

#include <cstdint>
#include <string_view>
#include <unordered_map>
#include <vector>

#include "cache/hash.h"
#include "cache/object.h"

namespace tributary::cache {

class HotMap {
 public:
  explicit HotMap(size_t limit) : limit_(limit) {}

  // Null when it is not here. Valid until the next call.
  const EntryRef* find(const Hash128& hash, std::string_view key) {
    const auto found = places_.find(hash);
    if (found == places_.end()) return nullptr;
    Item& item = items_[found->second];
    if (item.entry->outdated.load(std::memory_order_acquire)) {
      remove(found->second);
      return nullptr;
    }
    if (item.entry->variants.front()->key() != key) return nullptr;
    item.referenced = true;
    return &item.entry;
  }

  void insert(const Hash128& hash, const EntryRef& entry) {
    size_t cost = sizeof(Item) + 64;
    for (const ObjectRef& object : entry->variants) {
      if (!object->memory_body()) return;
      cost += object->memory_cost();
    }
    if (cost > limit_ / 8) return;
    if (const auto found = places_.find(hash); found != places_.end()) remove(found->second);
    while (bytes_ + cost > limit_ && !items_.empty()) evict_one();
    places_.emplace(hash, static_cast<uint32_t>(items_.size()));
    items_.push_back({hash, entry, cost, false});
    bytes_ += cost;
  }

  size_t size() const { return items_.size(); }
  size_t bytes() const { return bytes_; }

 private:
  struct Item {
    Hash128 hash;
    EntryRef entry;
    size_t cost = 0;
    bool referenced = false;
  };

  void evict_one() {
    for (;;) {
      if (hand_ >= items_.size()) hand_ = 0;
      Item& item = items_[hand_];
      if (!item.referenced || item.entry->outdated.load(std::memory_order_relaxed)) break;
      item.referenced = false;
      ++hand_;
    }
    remove(static_cast<uint32_t>(hand_));
  }

  void remove(uint32_t place) {
    bytes_ -= items_[place].cost;
    places_.erase(items_[place].hash);
    if (place + 1 < items_.size()) {
      items_[place] = std::move(items_.back());
      places_[items_[place].hash] = place;
    }
    items_.pop_back();
  }

  const size_t limit_;
  size_t bytes_ = 0;
  size_t hand_ = 0;
  std::unordered_map<Hash128, uint32_t, Hash128Hasher> places_;
  std::vector<Item> items_;
};

}  // namespace tributary::cache
