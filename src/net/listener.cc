#include "net/listener.h"

#include <netinet/in.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cerrno>

#include "core/log.h"

namespace tributary::net {
namespace {

core::Error failure(int sys) { return core::error_from_errno(sys, core::Side::Us); }

bool set(int fd, int level, int name, int value) { return ::setsockopt(fd, level, name, &value, sizeof(value)) == 0; }

core::Result<core::Fd> make_bound(const SocketAddress& address, bool dual_stack, bool reuse_port,
                                  const SocketOptions& options) {
  auto made = make_stream_socket(address, options);
  if (!made) return failure(made.error().sys);
  const int fd = made->get();
  if (address.is_ip()) {
    if (!set(fd, SOL_SOCKET, SO_REUSEADDR, 1)) return failure(errno);
    if (reuse_port && !set(fd, SOL_SOCKET, SO_REUSEPORT, 1)) return failure(errno);
    if (address.ip().is_v6() && !set(fd, IPPROTO_IPV6, IPV6_V6ONLY, dual_stack ? 0 : 1)) return failure(errno);
  }
  sockaddr_storage storage;
  const socklen_t length = address.to_sockaddr(storage);
  if (length == 0) return failure(ENAMETOOLONG);
  if (::bind(fd, reinterpret_cast<const sockaddr*>(&storage), length) != 0) return failure(errno);
  return made;
}

// IPv6 may be switched off altogether; then every interface means every IPv4 interface.
core::Result<core::Fd> make_bound(const ListenAddress& address, bool reuse_port, const SocketOptions& options) {
  auto bound = make_bound(address.address, address.every_interface, reuse_port, options);
  if (bound || !address.every_interface) return bound;
  if (bound.error().sys != EAFNOSUPPORT && bound.error().sys != EADDRNOTAVAIL) return bound;
  return make_bound({IpAddress::v4(0), address.address.port()}, false, reuse_port, options);
}

enum class SocketFile : uint8_t { Absent, Stale, Alive, NotSocket };

SocketFile look_at(const SocketAddress& address) {
  struct stat info;
  const std::string path(address.path());
  if (::lstat(path.c_str(), &info) != 0) return SocketFile::Absent;
  if (!S_ISSOCK(info.st_mode)) return SocketFile::NotSocket;
  sockaddr_storage storage;
  const socklen_t length = address.to_sockaddr(storage);
  const core::Fd fd(::socket(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0));
  // EAGAIN: somebody listens and the queue is full. Only a refusal means that nobody is there.
  const int result = ::connect(fd.get(), reinterpret_cast<const sockaddr*>(&storage), length);
  return result != 0 && errno == ECONNREFUSED ? SocketFile::Stale : SocketFile::Alive;
}

}  // namespace

core::Result<core::Fd> Listener::open(const ListenAddress& address, const ListenSettings& settings) {
  if (address.address.is_none()) return failure(EINVAL);
  if (address.address.is_unix()) {
    switch (look_at(address.address)) {
      case SocketFile::Alive:
      case SocketFile::NotSocket:  // somebody's file: bind would refuse it as well
        return failure(EADDRINUSE);
      case SocketFile::Stale:
        if (::unlink(std::string(address.address.path()).c_str()) != 0) return failure(errno);
        break;
      case SocketFile::Absent:
        break;
    }
  }
  auto bound = make_bound(address, settings.reuse_port, settings.socket);
  if (bound && ::listen(bound->get(), settings.backlog) != 0) return failure(errno);
  return bound;
}

core::Result<void> Listener::check_unused(const ListenAddress& address) {
  if (address.address.is_unix() || address.address.port() == 0) return {};
  auto bound = make_bound(address, false, {});
  if (!bound) return bound.error();
  return {};
}

Listener::Listener(core::Loop& loop, core::Fd fd) : fd_(std::move(fd)), pause_(loop), watcher_(loop) {}

Listener::~Listener() {
  if (destroyed_) *destroyed_ = true;
}

void Listener::start(OnAccept on_accept) {
  on_accept_ = on_accept;
  resume();
}

void Listener::stop() {
  pause_.stop();
  watcher_.stop();
}

void Listener::resume() {
  watcher_.start(fd_.get(), core::Interest::Read, core::Callback<void(core::Interest)>::to<&Listener::on_ready>(this));
}

void Listener::on_ready(core::Interest) {
  bool destroyed = false;
  destroyed_ = &destroyed;
  // A stop() from inside the callback ends the burst as well.
  for (int i = 0; i < kBurst && watcher_.interest() != core::Interest::None; ++i) {
    sockaddr_storage storage;
    socklen_t length = sizeof(storage);
    core::Fd fd(::accept4(fd_.get(), reinterpret_cast<sockaddr*>(&storage), &length, SOCK_NONBLOCK | SOCK_CLOEXEC));
    if (!fd) {
      if (errno == EAGAIN || errno == EWOULDBLOCK) break;
      if (errno == EMFILE || errno == ENFILE || errno == ENOBUFS || errno == ENOMEM) {
        // The connection stays in the queue, so the descriptor stays readable: without a pause we would spin.
        if (!exhausted_) core::log::warn("listener", "{}: {}; accepting less", address().to_string(),
                                         core::describe(failure(errno)));
        exhausted_ = true;
        watcher_.stop();
        pause_.start(kExhaustedPause, core::Callback<void()>::to<&Listener::resume>(this));
        break;
      }
      continue;  // ECONNABORTED, EINTR, a network error of this one connection (accept(2)): the next may be well
    }
    exhausted_ = false;
    on_accept_(std::move(fd), SocketAddress::from(storage, length));
    if (destroyed) return;
  }
  destroyed_ = nullptr;
}

}  // namespace tributary::net
