// Quota: how many connections may be open to one origin and in total, across all workers, and a fair queue for
// those who find it exhausted.
//
// A Place is the right to one open connection, held from before connect() until after close(). Places are handed on at
// once, in the order of asking: when there is room nobody waits, so a newcomer never overtakes. A *Member* is one
// worker: it may hold idle connections, which occupy places that somebody else waits for. Therefore
//   - who is about to keep a connection idle asks settle_idle() first, which may tell it to hand the connection to a
//     waiter of its own, or to close it;
//   - who starts to wait has the members with idle connections look at them again (`on_demand`).
//
// Any thread. One mutex, held for a few instructions and taken when a connection is opened or closed or the queue is not
// empty, never for a request on a kept connection. A shard per origin was considered: the total and its queue would need
// a second, global lock anyway.
#pragma once

#include <atomic>
#include <cstdint>
#include <deque>
#include <memory>
#include <mutex>
#include <set>
#include <unordered_map>
#include <utility>
#include <vector>

#include "core/callback.h"
#include "core/loop.h"
#include "upstream/origin.h"

namespace tributary::upstream {

struct QuotaLimits {
  unsigned total = 4096;
  unsigned per_host = 64;
};

class Quota {
  struct Host;

 public:
  // How long waiters of the worker that has a connection are preferred to older ones of other workers: handing a live
  // connection over costs nothing, closing it for another worker costs a connect.
  static constexpr core::Duration kPatience = std::chrono::milliseconds(20);

  class Place {
   public:
    Place() = default;
    Place(Place&& other) noexcept : quota_(std::exchange(other.quota_, nullptr)), host_(other.host_) {}
    Place& operator=(Place&& other) noexcept {
      std::swap(quota_, other.quota_);
      std::swap(host_, other.host_);
      return *this;
    }
    Place(const Place&) = delete;
    ~Place() { reset(); }
    explicit operator bool() const { return quota_ != nullptr; }
    void reset();  // gives the place back; the first waiter gets it

   private:
    friend class Quota;
    Place(Quota* quota, Host* host) : quota_(quota), host_(host) {}
    Quota* quota_ = nullptr;
    Host* host_ = nullptr;
  };

  // One worker's end. Made and destroyed on the worker's loop; outlives its tickets. The loop outlives every other user
  // of the quota.
  class Ticket;
  class Member {
   public:
    // `on_demand`: somebody waits; please ask settle_idle() again about idle connections. Comes on the member's loop.
    Member(core::Loop& loop, Quota& quota, core::Callback<void()> on_demand);
    ~Member();
    Member(const Member&) = delete;
    Member& operator=(const Member&) = delete;
    // How many connections are idle, before settle_idle() is asked about a new one: whoever starts to wait then sees
    // either them, or that settle_idle() saw it.
    void set_idle(size_t count) { idle_.store(count); }

   private:
    friend class Quota;
    void on_wake();
    core::Loop& loop_;
    Quota& quota_;
    core::Callback<void()> on_demand_;
    size_t number_ = 0;
    std::atomic<size_t> idle_{0};
    std::atomic<bool> demand_{false};
    std::deque<Ticket*> granted_;  // guarded by the quota's mutex
    core::RemoteWaker waker_;
    core::RemoteWaker::Handle handle_;
  };

  // A place in the queue; a pinned member of whoever waits. Destroying it leaves the queue, or gives a place back that
  // was granted and not taken.
  class Ticket {
   public:
    explicit Ticket(Member& member) : member_(member) {}
    ~Ticket() { cancel(); }
    Ticket(const Ticket&) = delete;
    Ticket& operator=(const Ticket&) = delete;

    // Joins the queue for `origin`. `granted` runs once on the member's loop, never from inside this call.
    void wait(const Origin& origin, core::Callback<void()> granted);
    // In or after `granted`: the place.
    Place take();
    void cancel();

   private:
    friend class Quota;
    enum class State : uint8_t { Out, Queued, Granted };
    Member& member_;
    core::Callback<void()> granted_;
    // Guarded by the quota's mutex.
    State state_ = State::Out;
    Host* host_ = nullptr;
    uint64_t number_ = 0;  // in the order of asking
    core::TimePoint since_{};
    Place place_;
  };

  explicit Quota(QuotaLimits limits) : limits_(limits) {}
  ~Quota();
  Quota(const Quota&) = delete;
  Quota& operator=(const Quota&) = delete;

  // A place when there is room, else an empty one.
  Place try_acquire(const Origin& origin);

  // What to do with a connection that has just become idle.
  enum class Idle : uint8_t { Keep, HandOver, Close };
  // HandOver: `*to`, a ticket of `member` waiting for the same origin, has left the queue; its owner takes the
  // connection instead of a place. Takes no lock while nobody waits anywhere.
  Idle settle_idle(Member& member, const Place& place, Ticket** to);

  // For metrics and tests.
  unsigned in_use() const;
  unsigned in_use(const Origin& origin) const;
  size_t waiting() const { return waiting_.load(); }

 private:
  using Woken = std::vector<core::RemoteWaker::Handle>;  // whom to wake once the mutex is free
  using Queue = std::deque<Ticket*>;

  struct Host {
    Origin origin;
    unsigned in_use = 0;
    std::vector<Queue> queues;  // by member: who waits, in order
    uint64_t listed = 0;        // the number under which it stands in ready_, 0: it does not
    size_t waiting = 0;         // in all queues
  };

  Host& host(const Origin& origin);
  Ticket* first(const Host& host) const;
  void unqueue(Ticket& ticket);
  void relist(Host& host);
  void grant(Woken& woken);
  void give_back(Host& host, Woken& woken);
  void release(Host& host);
  void forget_if_unused(Host& host);
  void ask_for_idle(Woken& woken);

  const QuotaLimits limits_;
  mutable std::mutex mutex_;
  unsigned total_ = 0;
  uint64_t last_number_ = 0;
  std::unordered_map<Origin, std::unique_ptr<Host>, OriginHash> hosts_;
  std::set<std::pair<uint64_t, Host*>> ready_;  // hosts with room and a waiter: only the total keeps them waiting
  std::vector<Member*> members_;                // by number; null: gone
  std::atomic<size_t> waiting_{0};
};

// The limits that split downloads keep among themselves: how many are split at a time, and how many fetches they have to
// one origin. Any thread; one mutex, taken when a fetch starts or ends.
class DownloadLimits {
 public:
  class Slot {
   public:
    Slot() = default;
    Slot(Slot&& other) noexcept : limits_(std::exchange(other.limits_, nullptr)), count_(other.count_) {}
    Slot& operator=(Slot&& other) noexcept {
      std::swap(limits_, other.limits_);
      std::swap(count_, other.count_);
      return *this;
    }
    ~Slot() { reset(); }
    explicit operator bool() const { return limits_ != nullptr; }
    void reset();

   private:
    friend class DownloadLimits;
    using Count = std::pair<const Origin, unsigned>;
    Slot(DownloadLimits* limits, Count* count) : limits_(limits), count_(count) {}
    DownloadLimits* limits_ = nullptr;
    Count* count_ = nullptr;  // null: a download, else a fetch to that origin
  };

  DownloadLimits(unsigned max_downloads, unsigned max_fetches_per_host)
      : max_downloads_(max_downloads), max_fetches_per_host_(max_fetches_per_host) {}

  Slot try_download();                      // empty: that many are split already
  Slot try_fetch(const Origin& origin);     // empty: the origin has its share

 private:
  const unsigned max_downloads_, max_fetches_per_host_;
  std::mutex mutex_;
  unsigned downloads_ = 0;
  std::unordered_map<Origin, unsigned, OriginHash> fetches_;
};

}  // namespace tributary::upstream
