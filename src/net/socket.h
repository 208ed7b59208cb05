// Sockets: creation and options. Every socket is SOCK_NONBLOCK and SOCK_CLOEXEC from birth. Any thread.
#pragma once

#include <utility>

#include "core/fd.h"
#include "core/result.h"
#include "net/address.h"

namespace tributary::net {

// Options of a TCP socket. Buffers are bytes per direction; 0 leaves the kernel's autotuning alone, which is what to do
// unless somebody asks. An accepted socket inherits them from its listener.
struct SocketOptions {
  bool no_delay = true;
  int send_buffer = 0;
  int receive_buffer = 0;
};

// A stream socket for the address' family, options applied; `address` is where it will be bound or connected. Errors: DescriptorsExhausted, NetworkIo.
core::Result<core::Fd> make_stream_socket(const SocketAddress& address, const SocketOptions& options = {});
// A connected pair of Unix stream sockets.
core::Result<std::pair<core::Fd, core::Fd>> make_socket_pair();

core::Result<void> apply(int fd, const SocketOptions& options);
SocketAddress local_address(int fd);  // is_none() when the kernel knows none
SocketAddress peer_address(int fd);
int take_socket_error(int fd);  // SO_ERROR, which reading clears; 0: none
// Makes the coming close() send RST: the peer sees an abort instead of a clean end.
void set_abort_on_close(int fd);

// sendfile and splice have no MSG_NOSIGNAL. Every program calls this once before it opens a stream.
void ignore_sigpipe();

}  // namespace tributary::net
