// Pool: a worker's idle connections, by origin, and who waits for one. Loop-affine.
//
// The most recently used connection goes first, so that the others grow old and are closed (S0-1.14). A connection stays
// at most idle_timeout, dead ones go when their socket becomes readable, is looked at once more before it is used, and the limits that hold across workers are the
// Quota's, which may ask for idle connections that others need.
#pragma once

#include <cstddef>
#include <unordered_map>
#include <vector>

#include "core/loop.h"
#include "upstream/connection.h"
#include "upstream/origin.h"
#include "upstream/quota.h"
#include "upstream/retry_budget.h"
#include "upstream/settings.h"

namespace tributary::upstream {

// An origin as this worker knows it; stays while an exchange uses it or a connection to it is idle.
struct PoolHost {
  Origin origin;
  std::vector<ConnectionPtr> idle;  // most recently used last
  size_t users = 0;                 // exchanges
  RetryBudget retries;              // of attempts to connect
};

class Pool {
 public:
  using Host = PoolHost;

  // Waits for a connection to be handed over, or for a place to open one. Destroying it leaves the queue.
  class Waiter : private Quota::Ticket {
   public:
    Waiter(Pool& pool, Host& host) : Ticket(pool.member_), pool_(pool), host_(host), handed_over_(pool.loop_) {}
    ~Waiter();
    // `ready` runs once, later; then exactly one of these gives something.
    void wait(core::Callback<void()> ready);
    ConnectionPtr take_connection() { return std::move(connection_); }
    Quota::Place take_place() { return take(); }

   private:
    friend class Pool;
    Pool& pool_;
    Host& host_;
    core::Callback<void()> ready_;
    ConnectionPtr connection_;
    core::Deferred handed_over_;
  };

  Pool(core::Loop& loop, Quota& quota, const UpstreamSettings& settings);
  ~Pool();

  Host& host(const Origin& origin);

  // The most recently used idle connection, Busy now; null: there is none.
  ConnectionPtr take(Host& host);
  // A Busy connection whose message is over. Kept, handed to a waiter, or closed.
  void put(Host& host, ConnectionPtr connection);
  // Closes the idle ones, and keeps none from now on.
  void close();

  size_t idle() const { return idle_count_; }
  const std::unordered_map<Origin, Host, OriginHash>& hosts() const { return hosts_; }

 private:
  friend class Connection;

  void keep_or_pass_on(Host& host, ConnectionPtr connection, bool at_front);
  bool is_expired(const Connection& connection) const;
  ConnectionPtr remove(Host& host, size_t index);
  void count_idle(ptrdiff_t change);
  void on_idle_ready(Host& host, Connection& connection);
  void on_demand();
  void on_sweep();

  core::Loop& loop_;
  Quota& quota_;
  const UpstreamSettings& settings_;
  Quota::Member member_;
  std::unordered_map<Origin, Host, OriginHash> hosts_;
  size_t idle_count_ = 0;
  bool closed_ = false;
  core::Timer sweep_;
};

}  // namespace tributary::upstream
