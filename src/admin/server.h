// The admin listener: /metrics, /healthz, /readyz, /api/v1/stats and the cache's API over HTTP/1.1.
//
// It runs on a loop of its own choice, in tributary the main thread's: a scrape walks all metrics
// and reads /proc, and neither may ever delay a worker. That is also why the handlers may read
// /proc in place: procfs answers from memory and no client connection lives on this loop.
//
// Bounds: kMaxConnections at a time (more are closed at once), a request head of kMaxHead bytes,
// content of kMaxContent for the few requests that take any (others with content are refused),
// `timeout` for a request to arrive and for an answer to be taken; an idle connection counts as one
// whose head has not come. What the cache takes to answer has deadlines of its own, and is given up
// when the client goes. Who is not among `clients` is not listened to. The Host field must name an IP
// address, localhost or one of `host_names`, so that a web page cannot reach it by rebinding its
// own name to this address (V-13). Loop-affine.
#pragma once

#include <cstddef>
#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "core/loop.h"
#include "core/metrics.h"
#include "core/result.h"
#include "net/address.h"
#include "net/listener.h"

namespace tributary::admin {

inline constexpr size_t kMaxConnections = 64;
inline constexpr size_t kMaxHead = 32 * 1024;  // an object's URL may be the target, percent-encoded
inline constexpr size_t kMaxContent = 1024 * 1024;

struct Settings {
  std::string version;
  std::vector<std::string> host_names;  // besides IP addresses and localhost
  core::Duration timeout = std::chrono::seconds(10);
  std::optional<net::CidrSet> clients{};  // none: everybody who can connect. Unix sockets are not asked
};

// What the server shows. Called on the server's loop; must outlive it.
struct Sources {
  const core::Registry& registry;
  // Why the proxy is not ready to serve ("starting", "draining"); empty when it is.
  std::function<std::string()> not_ready;
  class CacheService* cache = nullptr;  // null: there is no API of the cache
};

class Connection;
struct Context;

class Server {
 public:
  Server(core::Loop& loop, Settings settings, Sources sources);
  ~Server();  // closes everything at once
  Server(const Server&) = delete;
  Server& operator=(const Server&) = delete;

  // Listens; the error has the errno of the call that failed. Once.
  core::Result<void> start(const net::ListenAddress& address);
  // Where it listens, with the port the kernel chose for port 0.
  net::SocketAddress address() const { return listener_->address(); }
  size_t connections() const { return connections_.size(); }

 private:
  void on_accept(core::Fd fd, const net::SocketAddress& peer);
  void finished();  // a connection has ended: reap it once we are off its stack
  void reap();

  core::Loop& loop_;
  Settings settings_;
  Sources sources_;
  std::unique_ptr<const Context> context_;
  std::unique_ptr<net::Listener> listener_;
  std::vector<std::unique_ptr<Connection>> connections_;
  core::Deferred reap_{loop_};
};

}  // namespace tributary::admin
