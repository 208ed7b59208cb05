// EvictionLists: the queues of eviction.h in memory, as lists threaded through the items themselves. Not thread-safe.
//
//   struct Item {
//     EvictionLinks<Item> links;
//     const Hash128& eviction_key() const;
//     uint64_t eviction_bytes() const;
//     bool take_touched();             // asked for since it was placed; "no" from then on
//   };
#pragma once

#include <array>
#include <cstdint>
#include <optional>

#include "cache/eviction.h"

namespace tributary::cache {

template <class Item>
struct EvictionLinks {
  Item* older = nullptr;
  Item* newer = nullptr;
  uint64_t due = 0;
  unsigned queue = 0;
};

template <class Item>
class EvictionLists {
 public:
  explicit EvictionLists(AccessSketch& sketch) : eviction_(sketch) {}

  // The item stays where it is until it is removed.
  void add(Item& item) { append(item, eviction_.place(item.eviction_key(), item.eviction_bytes())); }
  void remove(Item& item) {
    Ends& ends = queues_[item.links.queue];
    (item.links.newer ? item.links.newer->links.older : ends.newest) = item.links.older;
    (item.links.older ? item.links.older->links.newer : ends.oldest) = item.links.newer;
  }
  // Its size or what it is has changed.
  void place_anew(Item& item) {
    remove(item);
    add(item);
  }
  // Who is to go, if anybody; it is not removed.
  Item* find_victim(int& second_chances) {
    const auto queue = eviction_.find_victim(*this, second_chances);
    return queue ? queues_[*queue].oldest : nullptr;
  }

  // What the eviction asks for.
  std::optional<Eviction::Front> front(unsigned queue) const {
    const Item* item = queues_[queue].oldest;
    if (!item) return std::nullopt;
    return Eviction::Front{.key = item->eviction_key(), .bytes = item->eviction_bytes(), .due = item->links.due};
  }
  bool touched(unsigned queue) { return queues_[queue].oldest->take_touched(); }
  bool requeue(unsigned queue, Eviction::Place to) {
    Item& item = *queues_[queue].oldest;
    remove(item);
    append(item, to);
    return true;
  }

 private:
  struct Ends {
    Item* oldest = nullptr;
    Item* newest = nullptr;
  };
  void append(Item& item, Eviction::Place place) {
    Ends& ends = queues_[place.queue];
    item.links = {.older = ends.newest, .newer = nullptr, .due = place.due, .queue = place.queue};
    (ends.newest ? ends.newest->links.newer : ends.oldest) = &item;
    ends.newest = &item;
  }

  Eviction eviction_;
  std::array<Ends, Eviction::kQueues> queues_{};
};

}  // namespace tributary::cache
