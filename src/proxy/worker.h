// Worker: one event loop with all that its client connections need; shares nothing mutable with the others but what is
// built for it (cache store, connection quota, metrics).
//
// Made on the main thread, run on its own: start() and everything after it happen on the loop's thread. Destroyed on the
// loop's thread or after it ended: sessions first, then what they use.
#pragma once

#include <atomic>
#include <cstddef>
#include <cstdint>
#include <memory>
#include <vector>

#include "cache/policy.h"
#include "cache/store.h"
#include "core/fd.h"
#include "core/loop.h"
#include "core/offload.h"
#include "http/date.h"
#include "net/listener.h"
#include "net/pipe_pool.h"
#include "net/resolver.h"
#include "net/tls.h"
#include "proxy/access.h"
#include "proxy/access_log.h"
#include "proxy/metrics.h"
#include "proxy/session.h"
#include "proxy/settings.h"
#include "upstream/client.h"

namespace tributary::proxy {

// Client connections of all workers: server.max_connections holds for the process. Any thread.
class ClientCount {
 public:
  explicit ClientCount(uint64_t limit) : limit_(limit) {}
  // One more, if that is still within the limit.
  bool try_add() {
    if (open_.fetch_add(1, std::memory_order_relaxed) < limit_) return true;
    remove();
    return false;
  }
  void add() { open_.fetch_add(1, std::memory_order_relaxed); }
  void remove() { open_.fetch_sub(1, std::memory_order_relaxed); }
  uint64_t open() const { return open_.load(std::memory_order_relaxed); }

 private:
  const uint64_t limit_;
  std::atomic<uint64_t> open_{0};
};

// What the workers share. Everything outlives them.
struct Shared {
  const Settings& settings;
  const Access& access;
  cache::Store& store;
  const cache::PolicySettings& policy;
  upstream::Shared& upstream;
  const upstream::UpstreamSettings& upstream_settings;
  const upstream::AccelerateSettings& accelerate;
  const net::ResolverSettings& resolver;
  const net::TlsClientContext& tls;
  core::OffloadPool& offload;
  core::Registry& registry;
  Metrics& metrics;
  AccessLog& access_log;
  ClientCount& clients;
};

// A bound, listening socket and what is spoken on it.
struct ListenSocket {
  core::Fd fd;
  Protocols protocols;
};

class FetchTable;
class RefreshTable;

class Worker {
 public:
  Worker(core::Loop& loop, const Shared& shared);
  ~Worker();
  Worker(const Worker&) = delete;
  Worker& operator=(const Worker&) = delete;

  // Takes over bound, listening sockets and accepts on them.
  void start(std::vector<ListenSocket> listeners);
  // Serves HTTP on a connected socket that did not come through a listener: our own, from inside the process.
  void serve(core::Fd fd);
  // Stops accepting and lets every session finish; `active()` falls to 0.
  // `drained` runs once, later, when it has.
  void drain(core::Callback<void()> drained = {});
  size_t active() const { return active_; }

  // Adopts a session; it lives until it says finished() or the worker ends.
  template <class T>
  T& adopt(std::unique_ptr<T> session) {
    T& reference = *session;
    link(std::move(session));
    return reference;
  }
  // From inside any callback of `session`: it is destroyed soon after the callback has returned.
  void finished(Session& session);
  template <class T>
  T& replace(Session& session, std::unique_ptr<T> next) {
    T& reference = adopt(std::move(next));
    finished(session);
    return reference;
  }

  core::Loop& loop() { return loop_; }
  const Settings& settings() const { return shared_.settings; }
  const cache::PolicySettings& policy() const { return shared_.policy; }
  const upstream::AccelerateSettings& accelerate() const { return shared_.accelerate; }
  const Access& access() const { return shared_.access; }
  Metrics& metrics() { return shared_.metrics; }
  AccessLog& access_log() { return shared_.access_log; }
  core::OffloadPool& offload() { return shared_.offload; }
  cache::WorkerCache& cache() { return cache_; }
  upstream::Client& upstream() { return upstream_; }
  net::Resolver& resolver() { return resolver_; }
  net::PipePool& pipes() { return pipes_; }
  FetchTable& fetches() { return *fetches_; }
  RefreshTable& refreshes() { return *refreshes_; }
  bool is_draining() const { return draining_; }
  // The Date field's value for now.
  std::string_view date() { return date_.at(loop_.unix_now()); }

 private:
  void link(std::unique_ptr<Session> session);
  void unlink(Session& session);
  void reap();

  core::Loop& loop_;
  const Shared shared_;
  net::Resolver resolver_;
  net::PipePool pipes_;
  cache::WorkerCache cache_;
  upstream::Client upstream_;
  std::unique_ptr<FetchTable> fetches_;
  std::unique_ptr<RefreshTable> refreshes_;
  http::DateText date_;
  struct Entrance;  // a listener with its protocols
  Session* sessions_ = nullptr;
  size_t active_ = 0;            // sessions that are not finished
  std::vector<Session*> dead_;   // finished, still linked; destroyed by reap()
  core::Deferred reaper_;
  std::vector<std::unique_ptr<Entrance>> entrances_;
  core::Callback<void()> drained_;
  bool draining_ = false;
};

}  // namespace tributary::proxy
