// The policies that the simulator compares: tributary's own code (cache/eviction.h), and plain forms of the usual ones.
//
// Each is a cache of `capacity` bytes in which nothing but names and sizes is kept. Objects above a quarter of it are not
// stored, by any of them.
#pragma once

#include <cstdint>
#include <deque>
#include <functional>
#include <list>
#include <memory>
#include <optional>
#include <set>
#include <string>
#include <unordered_map>
#include <utility>
#include <vector>

#include "bench/eviction/traces.h"
#include "cache/eviction.h"

namespace tributary::eviction {

class Policy {
 public:
  explicit Policy(uint64_t capacity) : capacity_(capacity) {}
  virtual ~Policy() = default;
  Policy(const Policy&) = delete;
  Policy& operator=(const Policy&) = delete;

  // True: a hit. Otherwise it is stored, and others go.
  bool ask(uint32_t object, uint64_t size) {
    if (hit(object)) return true;
    if (size > capacity_ / 4) return false;
    used_ += size;
    store(object, size);
    while (used_ > capacity_) used_ -= evict();
    return false;
  }
  uint64_t moves() const { return moves_; }          // writes to the order of objects, beyond storing and evicting
  uint64_t evictions() const { return evictions_; }

 protected:
  virtual bool hit(uint32_t object) = 0;
  virtual void store(uint32_t object, uint64_t size) = 0;
  virtual uint64_t evict() = 0;  // one; its size

  const uint64_t capacity_;
  uint64_t used_ = 0, moves_ = 0, evictions_ = 0;
};

inline cache::Hash128 hash_of(uint32_t object) {
  Random random(object);
  const uint64_t low = random.next();
  return {low, random.next()};
}

// tributary's disk tier: the queues are tables of the index, "touched" is the sketch's bit.
class Tributary final : public Policy {
 public:
  explicit Tributary(uint64_t capacity)
      : Policy(capacity), sketch_(cache::AccessSketch::objects_for(capacity)), eviction_(sketch_) {}

 private:
  struct Item {
    uint32_t object;
    uint64_t size, due;
  };
  struct Queues {
    Tributary& policy;
    std::optional<cache::Eviction::Front> front(unsigned queue) {
      if (policy.queues_[queue].empty()) return std::nullopt;
      const Item& item = policy.queues_[queue].front();
      return cache::Eviction::Front{hash_of(item.object), item.size, item.due};
    }
    bool touched(unsigned queue) {
      return policy.sketch_.take_touched(hash_of(policy.queues_[queue].front().object));
    }
    bool requeue(unsigned queue, cache::Eviction::Place to) {
      ++policy.moves_;
      Item item = policy.queues_[queue].front();
      policy.queues_[queue].pop_front();
      item.due = to.due;
      policy.queues_[to.queue].push_back(item);
      return true;
    }
  };

  bool hit(uint32_t object) override {
    if (!stored_.contains(object)) return false;
    sketch_.touch(hash_of(object));
    return true;
  }
  void store(uint32_t object, uint64_t size) override {
    const auto place = eviction_.admit(hash_of(object), size, stored_.size());
    queues_[place.queue].push_back({object, size, place.due});
    stored_.emplace(object, true);
  }
  uint64_t evict() override {
    Queues queues{*this};
    int second_chances = 1024;
    std::deque<Item>& queue = queues_[eviction_.find_victim(queues, second_chances).value()];
    const Item item = queue.front();
    queue.pop_front();
    stored_.erase(item.object);
    ++evictions_;
    return item.size;
  }

  cache::AccessSketch sketch_;
  cache::Eviction eviction_;
  std::deque<Item> queues_[cache::Eviction::kQueues];
  std::unordered_map<uint32_t, bool> stored_;
};

class Lru final : public Policy {
 public:
  using Policy::Policy;

 private:
  bool hit(uint32_t object) override {
    const auto found = stored_.find(object);
    if (found == stored_.end()) return false;
    order_.splice(order_.begin(), order_, found->second);
    return true;
  }
  void store(uint32_t object, uint64_t size) override {
    order_.emplace_front(object, size);
    stored_.emplace(object, order_.begin());
  }
  uint64_t evict() override {
    const auto [object, size] = order_.back();
    order_.pop_back();
    stored_.erase(object);
    ++evictions_;
    return size;
  }
  std::list<std::pair<uint32_t, uint64_t>> order_;
  std::unordered_map<uint32_t, std::list<std::pair<uint32_t, uint64_t>>::iterator> stored_;
};

// Yang et al., SOSP 2023: a small queue (a tenth) for new ones, a main queue for those asked for again, a ghost queue.
class S3Fifo final : public Policy {
 public:
  using Policy::Policy;

 private:
  struct Item {
    uint64_t size = 0;
    unsigned count = 0;
    bool main = false;
  };
  bool hit(uint32_t object) override {
    const auto found = stored_.find(object);
    if (found == stored_.end()) return false;
    if (found->second.count < 3) ++found->second.count;
    return true;
  }
  void store(uint32_t object, uint64_t size) override {
    const bool returns = ghosts_.erase(object) > 0;
    stored_[object] = {size, 0, returns};
    (returns ? main_ : small_).push_back(object);
    if (!returns) small_bytes_ += size;
  }
  uint64_t evict() override {
    for (;;) {
      const bool from_small = !small_.empty() && (small_bytes_ > capacity_ / 10 || main_.empty());
      std::deque<uint32_t>& queue = from_small ? small_ : main_;
      const uint32_t object = queue.front();
      queue.pop_front();
      Item& item = stored_[object];
      if (from_small) small_bytes_ -= item.size;
      if (item.count > (from_small ? 1u : 0u)) {
        from_small ? item.count = 0 : --item.count;
        item.main = true;
        main_.push_back(object);
        ++moves_;
        continue;
      }
      const uint64_t size = item.size;
      stored_.erase(object);
      if (from_small) remember(object);
      ++evictions_;
      return size;
    }
  }
  void remember(uint32_t object) {
    if (ghosts_.insert(object).second) ghost_order_.push_back(object);
    while (ghost_order_.size() > stored_.size() + 1) {
      ghosts_.erase(ghost_order_.front());
      ghost_order_.pop_front();
    }
  }
  std::deque<uint32_t> small_, main_, ghost_order_;
  std::set<uint32_t> ghosts_;
  std::unordered_map<uint32_t, Item> stored_;
  uint64_t small_bytes_ = 0;
};

// Einziger et al., TOS 2017: a window (1 %), a segmented LRU (20 : 80), and a frequency sketch that decides who gets in.
class WTinyLfu final : public Policy {
 public:
  explicit WTinyLfu(uint64_t capacity) : Policy(capacity), sketch_(cache::AccessSketch::objects_for(capacity)) {}

 private:
  enum Segment { Window, Probation, Protected, kSegments };
  struct Item {
    uint32_t object;
    uint64_t size;
    Segment segment;
  };
  using Order = std::list<Item>;

  bool hit(uint32_t object) override {
    const auto found = stored_.find(object);
    sketch_.touch(hash_of(object));
    sketch_.age(stored_.size() * 2);
    if (found == stored_.end()) return false;
    const Order::iterator item = found->second;
    move(item, item->segment == Window ? Window : Protected);
    while (bytes_[Protected] > capacity_ / 100 * 80) move(std::prev(order_[Protected].end()), Probation);
    return true;
  }
  void store(uint32_t object, uint64_t size) override {
    order_[Window].push_front({object, size, Window});
    bytes_[Window] += size;
    stored_.emplace(object, order_[Window].begin());
    while (bytes_[Window] > capacity_ / 100 && order_[Window].size() > 1) {
      move(std::prev(order_[Window].end()), Probation);
      candidates_.push_back(order_[Probation].front().object);
    }
  }
  // Who came from the window last must be asked for more often than who would go for it.
  uint64_t evict() override {
    Order& order = !order_[Probation].empty() ? order_[Probation] : !order_[Window].empty() ? order_[Window] : order_[Protected];
    Order::iterator victim = std::prev(order.end());
    while (!candidates_.empty()) {
      const auto candidate = stored_.find(candidates_.front());
      if (candidate == stored_.end() || candidate->second == victim || candidate->second->segment != Probation) {
        candidates_.pop_front();
        continue;
      }
      if (sketch_.frequency(hash_of(candidate->first)) <= sketch_.frequency(hash_of(victim->object))) {
        victim = candidate->second;
        candidates_.pop_front();
      }
      break;
    }
    const uint64_t size = victim->size;
    bytes_[victim->segment] -= size;
    stored_.erase(victim->object);
    order_[victim->segment].erase(victim);
    ++evictions_;
    return size;
  }
  void move(Order::iterator item, Segment to) {
    bytes_[item->segment] -= item->size;
    bytes_[to] += item->size;
    order_[to].splice(order_[to].begin(), order_[item->segment], item);
    item->segment = to;
  }
  cache::AccessSketch sketch_;
  Order order_[kSegments];
  uint64_t bytes_[kSegments] = {};
  std::deque<uint32_t> candidates_;
  std::unordered_map<uint32_t, Order::iterator> stored_;
};

// Greedy dual, size, frequency, with its heap and its exact counts: GDSF(1) when a miss costs the same for every object, and
// with our cost of a miss (a round trip and the transfer).
class Gdsf final : public Policy {
 public:
  Gdsf(uint64_t capacity, double round_trip) : Policy(capacity), round_trip_(round_trip) {}

 private:
  struct Item {
    uint64_t size = 0;
    double count = 1, priority = 0;
  };
  bool hit(uint32_t object) override {
    const auto found = stored_.find(object);
    if (found == stored_.end()) return false;
    Item& item = found->second;
    heap_.erase({item.priority, object});
    ++item.count;
    enter(object, item);
    ++moves_;
    return true;
  }
  void store(uint32_t object, uint64_t size) override {
    stored_[object].size = size;
    enter(object, stored_[object]);
  }
  void enter(uint32_t object, Item& item) {
    const double bytes = static_cast<double>(item.size);
    const double cost = round_trip_ == 0 ? 1 : round_trip_ + bytes;
    item.priority = clock_ + item.count * cost / bytes;
    heap_.emplace(item.priority, object);
  }
  uint64_t evict() override {
    const auto [priority, object] = *heap_.begin();
    heap_.erase(heap_.begin());
    clock_ = priority;
    const uint64_t size = stored_[object].size;
    stored_.erase(object);
    ++evictions_;
    return size;
  }
  const double round_trip_;  // in bytes; 0: misses cost the same
  double clock_ = 0;
  std::set<std::pair<double, uint32_t>> heap_;
  std::unordered_map<uint32_t, Item> stored_;
};

struct Named {
  std::string name;
  std::function<std::unique_ptr<Policy>(uint64_t capacity)> make;
};

inline const std::vector<Named>& all_policies() {
  static const std::vector<Named> policies = {
      {"LRU", [](uint64_t capacity) { return std::make_unique<Lru>(capacity); }},
      {"tributary", [](uint64_t capacity) { return std::make_unique<Tributary>(capacity); }},
      {"S3-FIFO", [](uint64_t capacity) { return std::make_unique<S3Fifo>(capacity); }},
      {"W-TinyLFU", [](uint64_t capacity) { return std::make_unique<WTinyLfu>(capacity); }},
      {"GDSF(1)", [](uint64_t capacity) { return std::make_unique<Gdsf>(capacity, 0); }},
      {"GDSF(rtt)",
       [](uint64_t capacity) {
         return std::make_unique<Gdsf>(capacity, static_cast<double>(cache::Eviction::kRoundTrip));
       }},
  };
  return policies;
}

struct Ratios {
  double objects = 0, bytes = 0;  // of hits
  double moves = 0;               // for each eviction
};

inline Ratios simulate(const Trace& trace, Policy& policy) {
  uint64_t hits = 0, hit_bytes = 0, bytes = 0;
  for (const uint32_t object : trace.requests) {
    const uint64_t size = trace.sizes[object];
    bytes += size;
    if (!policy.ask(object, size)) continue;
    ++hits;
    hit_bytes += size;
  }
  const auto share = [](uint64_t part, uint64_t whole) {
    return static_cast<double>(part) / static_cast<double>(std::max<uint64_t>(whole, 1));
  };
  return {share(hits, trace.requests.size()), share(hit_bytes, bytes), share(policy.moves(), policy.evictions())};
}

}  // namespace tributary::eviction
