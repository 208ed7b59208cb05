// UdpSocket: datagrams, many in a system call (recvmmsg(2), sendmmsg(2)). Readiness model as in net/stream.h, loop-affine.
//
//   UdpSocket socket(loop, *UdpSocket::open(address));
//   socket.watch(Interest::Read, Callback<void(Interest)>::to<&Association::on_ready>(this));
//   … socket.receive([&](const SocketAddress& peer, std::string_view bytes) { … });
#pragma once

#include <cstddef>
#include <cstdint>
#include <span>
#include <string_view>

#include "core/fd.h"
#include "core/loop.h"
#include "core/result.h"
#include "net/address.h"

namespace tributary::net {

struct Datagram {
  SocketAddress peer;
  std::string_view bytes;
};

class UdpSocket {
 public:
  static constexpr size_t kBatch = 16;              // datagrams a system call
  static constexpr size_t kLargest = 64 * 1024 - 1;  // bytes that IPv4 or IPv6 can carry in one (RFC 768, RFC 8200)

  // Bound to `address`; port 0: any. Non-blocking, close-on-exec. Errors: DescriptorsExhausted, NetworkIo with `sys`.
  static core::Result<core::Fd> open(const SocketAddress& address);

  UdpSocket(core::Loop& loop, core::Fd fd);
  UdpSocket(const UdpSocket&) = delete;
  UdpSocket& operator=(const UdpSocket&) = delete;

  // Takes what waits, at most kBatch, into the loop's scratch space; `each` sees every one, its bytes for the time of the call.
  // A datagram longer than its share of the scratch space is dropped: what is left of it means nothing. How many were taken,
  // the dropped ones included; 0: wait for Interest::Read. An error that an earlier datagram met on its way (ICMP) is
  // NetworkIo, once; receiving goes on after it.
  core::Result<size_t> receive(core::Callback<void(const SocketAddress&, std::string_view)> each);

  // Gives datagrams to the kernel, in order. How many it took: fewer means wait for Interest::Write, or drop, as the
  // network would. An error (a datagram that is too long, an unreachable peer) is of the first one and only when none left.
  core::Result<size_t> send(std::span<const Datagram> datagrams);

  void watch(core::Interest interest, core::Callback<void(core::Interest)> callback);
  void set_interest(core::Interest interest) { watcher_.set(interest); }
  SocketAddress address() const;

 private:
  core::Loop& loop_;
  core::Fd fd_;
  core::IoWatcher watcher_;  // last: stopped before the descriptor is closed
};

}  // namespace tributary::net
