// Listener: accepts connections on one loop. Each worker has its own socket on the same address (SO_REUSEPORT), so the
// kernel spreads connections and workers share no accept queue. Loop-affine; open() on any thread.
#pragma once

#include <cstdint>

#include "core/fd.h"
#include "core/loop.h"
#include "core/result.h"
#include "net/address.h"
#include "net/socket.h"

namespace tributary::net {

struct ListenSettings {
  int backlog = 4096;  // the kernel cuts it to net.core.somaxconn
  bool reuse_port = true;
  SocketOptions socket;  // accepted sockets inherit these
};

class Listener {
 public:
  // Called for every connection: non-blocking, close-on-exec, options inherited. Unix peers have an empty path. The listener
  // may be destroyed from inside.
  using OnAccept = core::Callback<void(core::Fd, const SocketAddress&)>;

  // A bound, listening socket; blocks no longer than a bind does. A Unix socket's file is replaced only when nobody
  // listens on it; one such descriptor is dup'ed for further workers. Error: NetworkIo with `sys` set (EADDRINUSE, …).
  static core::Result<core::Fd> open(const ListenAddress& address, const ListenSettings& settings = {});

  // SO_REUSEPORT lets a second program of the same user share the port unnoticed. Start-up asks this first: NetworkIo with
  // EADDRINUSE when somebody listens there already.
  static core::Result<void> check_unused(const ListenAddress& address);

  Listener(core::Loop& loop, core::Fd fd);

  void start(OnAccept on_accept);
  // Stops accepting (drain); connections wait in the kernel's queue. start() goes on.
  void stop();
  SocketAddress address() const { return local_address(fd_.get()); }
  int fd() const { return fd_.get(); }

  static constexpr int kBurst = 64;  // accepts per readiness event; then other events have their turn
  static constexpr core::Duration kExhaustedPause = std::chrono::milliseconds(100);

 private:
  void on_ready(core::Interest ready);
  void resume();

  core::Fd fd_;
  OnAccept on_accept_;
  bool* destroyed_ = nullptr;  // set while a burst runs
  bool exhausted_ = false;     // logged already
  core::Timer pause_;
  core::IoWatcher watcher_;

 public:
  ~Listener();
};

}  // namespace tributary::net
