// An echo server, the smallest program on core and net: what arrives goes back, for any number of connections at once, on one
// thread. It shows how the layers are used: a Listener hands out descriptors, a Stream says what goes without waiting, the
// owner of a connection holds its handle and reaps it, and who cannot write does not read.
//
//   build/release/examples/echo 127.0.0.1:7007
#include <cstdio>
#include <csignal>
#include <list>
#include <string>

#include "core/loop.h"
#include "net/listener.h"
#include "net/socket.h"
#include "net/stream.h"

using namespace tributary;
using core::Interest;

namespace {

constexpr core::Duration kIdle = std::chrono::minutes(5);

class Server;

class Connection {
 public:
  Connection(core::Loop& loop, Server& server, core::Fd fd, const net::SocketAddress& peer)
      : loop_(loop), server_(server), stream_(loop, std::move(fd), peer, core::Side::Client), idle_(loop) {
    stream_.watch(Interest::Read, core::Callback<void(Interest)>::to<&Connection::on_ready>(this));
    wait();
  }
  std::list<Connection>::iterator self;

 private:
  void wait() { idle_.start(kIdle, core::Callback<void()>::to<&Connection::finish>(this)); }

  // One turn: either what was left over goes out, or something is read and sent back. Level-triggered: we are called again.
  void on_ready(Interest) {
    wait();
    if (unsent_.empty()) {
      const net::IoResult got = stream_.read(loop_.scratch(), loop_.scratch_size());
      if (got.is_would_block()) return;
      if (got.is_failed()) return finish();
      if (got.is_end()) has_ended_ = true;
      if (got.is_bytes()) unsent_.assign(loop_.scratch(), got.n);
    }
    if (!unsent_.empty()) {
      const net::IoResult sent = stream_.write(unsent_);
      if (sent.is_failed()) return finish();
      if (sent.is_bytes()) unsent_.erase(0, sent.n);
    }
    if (unsent_.empty() && has_ended_ && !stream_.shutdown_write().is_would_block()) return finish();
    stream_.set_interest(unsent_.empty() && !has_ended_ ? Interest::Read : Interest::Write);
  }
  void finish();

  core::Loop& loop_;
  Server& server_;
  net::TcpStream stream_;
  std::string unsent_;  // nothing is read while something waits here
  bool has_ended_ = false;
  core::Timer idle_;
};

class Server {
 public:
  Server(core::Loop& loop, core::Fd fd) : loop_(loop), listener_(loop, std::move(fd)), reap_(loop) {
    listener_.start(net::Listener::OnAccept::to<&Server::on_accept>(this));
  }
  net::SocketAddress address() const { return listener_.address(); }

  // Nobody destroys itself: the connection is inside its callback still.
  void retire(Connection& connection) {
    retired_.splice(retired_.end(), connections_, connection.self);
    reap_.schedule(core::Callback<void()>::to<&Server::reap>(this));
  }

 private:
  void on_accept(core::Fd fd, const net::SocketAddress& peer) {
    connections_.emplace_back(loop_, *this, std::move(fd), peer);
    connections_.back().self = std::prev(connections_.end());
  }
  void reap() { retired_.clear(); }

  core::Loop& loop_;
  net::Listener listener_;
  core::Deferred reap_;
  std::list<Connection> connections_, retired_;
};

void Connection::finish() {
  idle_.stop();
  stream_.set_interest(Interest::None);
  server_.retire(*this);
}

}  // namespace

int main(int argc, char** argv) {
  const auto address = net::ListenAddress::parse(argc == 2 ? argv[1] : "");
  if (!address) {
    std::fprintf(stderr, "usage: echo ADDRESS:PORT\n");
    return 2;
  }
  net::ignore_sigpipe();
  core::Result<core::Fd> fd = net::Listener::open(*address);
  if (!fd) {
    std::fprintf(stderr, "echo: cannot listen on %s\n", argv[1]);
    return 1;
  }
  core::Loop loop;
  Server server(loop, std::move(*fd));
  core::SignalWatcher terminate(loop);
  auto on_terminate = [&](int) { loop.stop(); };
  terminate.start(SIGTERM, core::Callback<void(int)>::ref(on_terminate));
  std::printf("%s\n", server.address().to_string().c_str());
  std::fflush(stdout);
  loop.run();
  return 0;
}
