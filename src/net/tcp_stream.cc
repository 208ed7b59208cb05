#include <limits.h>
#include <sys/sendfile.h>
#include <sys/socket.h>

#include <algorithm>
#include <cerrno>

#include "net/socket.h"
#include "net/stream.h"

namespace tributary::net {

TcpStream::TcpStream(core::Loop& loop, core::Fd fd, SocketAddress peer, core::Side side)
    : fd_(std::move(fd)), side_(side), peer_(std::move(peer)), watcher_(loop) {}

TcpStream::~TcpStream() { close(); }

IoResult TcpStream::failed(int sys) const {
  if (sys == EAGAIN || sys == EWOULDBLOCK) return IoResult::would_block();
  return IoResult::failed(core::error_from_errno(sys, side_, core::Retry::IfIdempotent));
}

IoResult TcpStream::read(char* buffer, size_t size) {
  for (;;) {
    const ssize_t n = ::recv(fd_.get(), buffer, size, 0);
    if (n > 0) return IoResult::bytes(static_cast<size_t>(n));
    if (n == 0) return IoResult::end();
    if (errno != EINTR) return failed(errno);
  }
}

IoResult TcpStream::write(const iovec* parts, int count, More more) {
  msghdr message{};
  message.msg_iov = const_cast<iovec*>(parts);
  message.msg_iovlen = static_cast<size_t>(std::min(count, IOV_MAX));
  const int flags = MSG_NOSIGNAL | (more == More::Yes ? MSG_MORE : 0);
  for (;;) {
    // A single part needs no message header, which the kernel would have to copy in.
    const ssize_t n = count == 1 ? ::send(fd_.get(), parts->iov_base, parts->iov_len, flags)
                                 : ::sendmsg(fd_.get(), &message, flags);
    if (n >= 0) return IoResult::bytes(static_cast<size_t>(n));
    if (errno != EINTR) return failed(errno);
  }
}

IoResult TcpStream::send_file(int file, uint64_t offset, size_t length, More /*more*/) {
  // sendfile has no MSG_MORE, and needs none: the kernel joins the pages of one call itself, and a caller that sends
  // a trailer after it loses at most one segment's fill.
  auto at = static_cast<off_t>(offset);
  for (;;) {
    const ssize_t n = ::sendfile(fd_.get(), file, &at, length);
    if (n > 0) return IoResult::bytes(static_cast<size_t>(n));
    if (n == 0) return IoResult::end();
    if (errno != EINTR) return failed(errno);
  }
}

IoResult TcpStream::shutdown_write() {
  if (write_ended_) return IoResult::bytes(0);
  write_ended_ = true;
  // ENOTCONN: the peer reset the connection; reading tells.
  if (::shutdown(fd_.get(), SHUT_WR) != 0 && errno != ENOTCONN) return failed(errno);
  return IoResult::bytes(0);
}

void TcpStream::close() {
  watcher_.stop();
  fd_.reset();
}

void TcpStream::abort() {
  if (fd_) set_abort_on_close(fd_.get());
  close();
}

void TcpStream::watch(core::Interest interest, core::Callback<void(core::Interest)> callback) {
  watcher_.start(fd_.get(), interest, callback);
}

IoResult TcpStream::probe() {
  char byte;
  for (;;) {
    const ssize_t n = ::recv(fd_.get(), &byte, 1, MSG_PEEK);
    if (n > 0) return IoResult::bytes(1);
    if (n == 0) return IoResult::end();
    if (errno != EINTR) return failed(errno);
  }
}

}  // namespace tributary::net
