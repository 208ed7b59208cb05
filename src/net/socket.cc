#include "net/socket.h"

#include <netinet/in.h>
#include <netinet/tcp.h>
#include <signal.h>
#include <sys/socket.h>

#include <cerrno>

namespace tributary::net {
namespace {

core::Error failure(int sys) { return core::error_from_errno(sys, core::Side::Us, core::Retry::Safe); }

bool set(int fd, int level, int name, int value) { return ::setsockopt(fd, level, name, &value, sizeof(value)) == 0; }

SocketAddress address_of(int fd, int (*ask)(int, sockaddr*, socklen_t*)) {
  sockaddr_storage storage{};
  socklen_t length = sizeof(storage);
  if (ask(fd, reinterpret_cast<sockaddr*>(&storage), &length) != 0) return {};
  return SocketAddress::from(storage, length);
}

bool is_loopback(const SocketAddress& address) {
  return address.is_ip() && classify(address.ip()) == AddressClass::Loopback;
}

// Between two sockets of one machine there is no path to probe and none to be fair to. Where the system's default is BBR, its
// pacing arms a timer for every burst, which more than doubled the CPU time of a tunnel's byte (docs/performance.md). Reno paces
// nothing, is in every kernel, and needs no privilege. Should it be refused, nothing is lost.
void skip_congestion_control(int fd) {
  static constexpr char kReno[] = "reno";
  ::setsockopt(fd, IPPROTO_TCP, TCP_CONGESTION, kReno, sizeof(kReno) - 1);
}

}  // namespace

core::Result<core::Fd> make_stream_socket(const SocketAddress& address, const SocketOptions& options) {
  const int family = address.is_unix() ? AF_UNIX : address.ip().family();
  core::Fd fd(::socket(family, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0));
  if (!fd) return failure(errno);
  if (address.is_ip()) {
    if (const auto applied = apply(fd.get(), options); !applied) return applied.error();
    if (is_loopback(address)) skip_congestion_control(fd.get());
  }
  return fd;
}

core::Result<std::pair<core::Fd, core::Fd>> make_socket_pair() {
  int ends[2];
  if (::socketpair(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0, ends) != 0) return failure(errno);
  return std::pair(core::Fd(ends[0]), core::Fd(ends[1]));
}

core::Result<void> apply(int fd, const SocketOptions& options) {
  if (options.no_delay && !set(fd, IPPROTO_TCP, TCP_NODELAY, 1)) return failure(errno);
  if (options.send_buffer > 0 && !set(fd, SOL_SOCKET, SO_SNDBUF, options.send_buffer)) return failure(errno);
  if (options.receive_buffer > 0 && !set(fd, SOL_SOCKET, SO_RCVBUF, options.receive_buffer)) return failure(errno);
  return {};
}

SocketAddress local_address(int fd) { return address_of(fd, ::getsockname); }
SocketAddress peer_address(int fd) { return address_of(fd, ::getpeername); }

int take_socket_error(int fd) {
  int error = 0;
  socklen_t length = sizeof(error);
  return ::getsockopt(fd, SOL_SOCKET, SO_ERROR, &error, &length) == 0 ? error : errno;
}

void set_abort_on_close(int fd) {
  const linger now{.l_onoff = 1, .l_linger = 0};
  ::setsockopt(fd, SOL_SOCKET, SO_LINGER, &now, sizeof(now));
}

void ignore_sigpipe() { ::signal(SIGPIPE, SIG_IGN); }

}  // namespace tributary::net
