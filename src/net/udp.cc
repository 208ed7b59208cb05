#include "net/udp.h"

#include <sys/socket.h>

#include <algorithm>
#include <array>
#include <cerrno>

#include "net/socket.h"

namespace tributary::net {
namespace {

core::Error failure(int sys) { return core::error_from_errno(sys, core::Side::Us, core::Retry::Safe); }

bool would_block(int sys) { return sys == EAGAIN || sys == EWOULDBLOCK; }

struct Batch {
  std::array<mmsghdr, UdpSocket::kBatch> headers{};
  std::array<iovec, UdpSocket::kBatch> parts{};
  std::array<sockaddr_storage, UdpSocket::kBatch> peers{};

  void set(size_t i, void* bytes, size_t size, socklen_t peer_length) {
    parts[i] = {bytes, size};
    headers[i].msg_hdr = {.msg_name = &peers[i], .msg_namelen = peer_length, .msg_iov = &parts[i], .msg_iovlen = 1};
  }
};

}  // namespace

core::Result<core::Fd> UdpSocket::open(const SocketAddress& address) {
  core::Fd fd(::socket(address.ip().family(), SOCK_DGRAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0));
  if (!fd) return failure(errno);
  sockaddr_storage storage;
  const socklen_t length = address.to_sockaddr(storage);
  if (::bind(fd.get(), reinterpret_cast<const sockaddr*>(&storage), length) != 0) return failure(errno);
  return fd;
}

UdpSocket::UdpSocket(core::Loop& loop, core::Fd fd) : loop_(loop), fd_(std::move(fd)), watcher_(loop) {}

core::Result<size_t> UdpSocket::receive(core::Callback<void(const SocketAddress&, std::string_view)> each) {
  // Room for a datagram of any size when the scratch space allows for a whole batch of them, else a smaller batch.
  const size_t share = std::min(kLargest, loop_.scratch_size());
  const size_t count = std::clamp<size_t>(loop_.scratch_size() / share, 1, kBatch);
  Batch batch;
  for (size_t i = 0; i < count; ++i) batch.set(i, loop_.scratch() + i * share, share, sizeof(sockaddr_storage));
  const int got = ::recvmmsg(fd_.get(), batch.headers.data(), static_cast<unsigned>(count), MSG_DONTWAIT, nullptr);
  if (got < 0) {
    if (would_block(errno) || errno == EINTR) return size_t{0};
    return failure(errno);
  }
  for (size_t i = 0; i < static_cast<size_t>(got); ++i) {
    const msghdr& header = batch.headers[i].msg_hdr;
    if (header.msg_flags & MSG_TRUNC) continue;
    each(SocketAddress::from(batch.peers[i], header.msg_namelen),
         {static_cast<const char*>(batch.parts[i].iov_base), batch.headers[i].msg_len});
  }
  return static_cast<size_t>(got);
}

core::Result<size_t> UdpSocket::send(std::span<const Datagram> datagrams) {
  size_t sent = 0;
  while (sent < datagrams.size()) {
    Batch batch;
    const size_t count = std::min(kBatch, datagrams.size() - sent);
    for (size_t i = 0; i < count; ++i) {
      const Datagram& datagram = datagrams[sent + i];
      batch.set(i, const_cast<char*>(datagram.bytes.data()), datagram.bytes.size(), datagram.peer.to_sockaddr(batch.peers[i]));
    }
    const int took = ::sendmmsg(fd_.get(), batch.headers.data(), static_cast<unsigned>(count), MSG_DONTWAIT | MSG_NOSIGNAL);
    if (took < 0) {
      if (errno == EINTR) continue;
      if (would_block(errno) || sent > 0) break;
      return failure(errno);
    }
    sent += static_cast<size_t>(took);
    if (static_cast<size_t>(took) < count) break;
  }
  return sent;
}

void UdpSocket::watch(core::Interest interest, core::Callback<void(core::Interest)> callback) {
  watcher_.start(fd_.get(), interest, callback);
}

SocketAddress UdpSocket::address() const { return local_address(fd_.get()); }

}  // namespace tributary::net
