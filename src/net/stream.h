// Stream: bytes both ways over TCP, a Unix socket or TLS, behind one interface. Readiness model, loop-affine.
//
//   stream.watch(Interest::Read, Callback<void(Interest)>::to<&Session::on_ready>(this));
//   IoResult got = stream.read(loop.scratch(), loop.scratch_size());
//
// read, write and send_file do as much as goes without waiting and say what happened; on WouldBlock the owner adds the
// interest and tries again when called. The callback says what is worth trying, not that it will succeed. It is
// level-triggered: it comes again as long as the interest stands and there is something to do, so an owner
// that has no room drops Read from the interest. A stream may be destroyed from inside its callback.
//
// After a write that did not take everything (or nothing: WouldBlock), the next write must begin with the same bytes and
// offer at least as many as were offered then: TLS may have sealed them into a record already.
//
// A program that uses streams ignores SIGPIPE (net/socket.h).
#pragma once

#include <sys/uio.h>

#include <cstdint>
#include <string_view>

#include "core/error.h"
#include "core/fd.h"
#include "core/loop.h"
#include "net/address.h"

namespace tributary::net {

struct IoResult {
  enum class Kind : uint8_t {
    Bytes,       // n > 0 were moved
    WouldBlock,  // nothing moved; wait for readiness
    End,         // read: the peer ended its direction cleanly (FIN, or close_notify for TLS). send_file: the file ended
    Cold,        // send_file over TLS: not in the page cache. Have it read by the offload pool, then call again
    Failed,      // `error` says why; the stream is only good for close()
  };
  Kind kind = Kind::Failed;
  size_t n = 0;
  core::Error error;

  static IoResult bytes(size_t n) { return {Kind::Bytes, n, {}}; }
  static IoResult would_block() { return {Kind::WouldBlock, 0, {}}; }
  static IoResult end() { return {Kind::End, 0, {}}; }
  static IoResult cold() { return {Kind::Cold, 0, {}}; }
  static IoResult failed(core::Error error) { return {Kind::Failed, 0, error}; }
  bool is_bytes() const { return kind == Kind::Bytes; }
  bool is_would_block() const { return kind == Kind::WouldBlock; }
  bool is_end() const { return kind == Kind::End; }
  bool is_failed() const { return kind == Kind::Failed; }
};

// Does more follow at once? Then the kernel keeps a partial segment back (MSG_MORE), so that a head and the body that is
// sent after it leave together. What is kept back leaves with the next write without it, at the latest after 200 ms.
enum class More : uint8_t { No, Yes };

class Stream {
 public:
  Stream() = default;
  virtual ~Stream() = default;  // closes; for TLS without close_notify, see shutdown_write
  Stream(const Stream&) = delete;
  Stream& operator=(const Stream&) = delete;

  virtual IoResult read(char* buffer, size_t size) = 0;
  // Gathers `count` parts (at most IOV_MAX are looked at). Bytes(n): the first n bytes are on their way.
  virtual IoResult write(const iovec* parts, int count, More more = More::No) = 0;
  IoResult write(std::string_view bytes, More more = More::No) {
    const iovec part{const_cast<char*>(bytes.data()), bytes.size()};
    return write(&part, 1, more);
  }
  // Sends from a file, without a copy where the kernel can. Over TCP the kernel reads pages that are not cached itself, on
  // this thread: a caller whose file may be cold looks first (preadv2 with RWF_NOWAIT). Over TLS the answer is Cold.
  virtual IoResult send_file(int file, uint64_t offset, size_t length, More more = More::No) = 0;

  // Ends our direction: FIN; for TLS close_notify first. Bytes with n = 0 when done, WouldBlock: call again when writable.
  // Idempotent. Reading goes on.
  virtual IoResult shutdown_write() = 0;
  // Closes at once; idempotent. Afterwards only destruction is allowed.
  virtual void close() = 0;
  // Closes so that the peer cannot take what it got for the whole: RST, and no close_notify.
  virtual void abort() = 0;

  // Sets interest and callback. The callback never runs from inside any call on the stream.
  virtual void watch(core::Interest interest, core::Callback<void(core::Interest)> callback) = 0;
  virtual void set_interest(core::Interest interest) = 0;
  virtual core::Interest interest() const = 0;

  // Looks without taking anything: WouldBlock: open and silent, what an idle connection should be; Bytes (n = 1): something
  // waits to be read; End; Failed.
  virtual IoResult probe() = 0;

  virtual int fd() const = 0;
  virtual const SocketAddress& peer() const = 0;
  // The descriptor whose bytes are this stream's bytes, fit for splice; -1 where they differ (TLS).
  virtual int plain_fd() const { return -1; }
  virtual bool is_tls() const { return false; }
};

// TCP or a Unix socket. Owns the descriptor, which must be non-blocking. Errors bear `side`.
class TcpStream final : public Stream {
 public:
  TcpStream(core::Loop& loop, core::Fd fd, SocketAddress peer, core::Side side);
  ~TcpStream() override;

  using Stream::write;
  IoResult read(char* buffer, size_t size) override;
  IoResult write(const iovec* parts, int count, More more = More::No) override;
  IoResult send_file(int file, uint64_t offset, size_t length, More more = More::No) override;
  IoResult shutdown_write() override;
  void close() override;
  void abort() override;
  void watch(core::Interest interest, core::Callback<void(core::Interest)> callback) override;
  void set_interest(core::Interest interest) override { watcher_.set(interest); }
  core::Interest interest() const override { return watcher_.interest(); }
  IoResult probe() override;
  int fd() const override { return fd_.get(); }
  const SocketAddress& peer() const override { return peer_; }
  int plain_fd() const override { return fd_.get(); }

 private:
  IoResult failed(int sys) const;

  core::Fd fd_;
  core::Side side_;
  bool write_ended_ = false;
  SocketAddress peer_;
  core::IoWatcher watcher_;  // last: stopped before the descriptor is closed
};
static_assert(sizeof(TcpStream) <= 200, "an idle tunnel holds two of these");

}  // namespace tributary::net
