// Session: one client connection in one of its roles. A connection starts as Detection, and becomes an HttpSession, a
// SocksSession or a Tunnel; each role is an object of its own, so that an idle tunnel does not carry what HTTP needs.
//
//   Detection ──0x05, 0x04──> SocksSession ──> Tunnel
//        └──────else────────> HttpSession ──CONNECT, 101──> Tunnel
//
// Sessions are owned by their Worker (proxy/worker.h). None destroys itself: it says `worker.finished(*this)` or hands its
// stream to a successor with `worker.replace(*this, …)`; the worker destroys it once the callback has returned.
// Loop-affine.
#pragma once

#include <cstdint>

namespace tributary::proxy {

class Worker;

enum class Protocol : uint8_t { Unknown, Http, Connect, Socks4, Socks5 };

class Session {
 public:
  explicit Session(Worker& worker, Protocol protocol = Protocol::Unknown)
      : worker_(worker), protocol_(protocol) {}
  virtual ~Session() = default;
  Session(const Session&) = delete;
  Session& operator=(const Session&) = delete;

  // The proxy ends: finish what runs, take no further request, close when idle (at once if idle now).
  virtual void drain() = 0;

  // For the metrics: a session is counted under it from adopt() to finished().
  Protocol protocol() const { return protocol_; }

 protected:
  Worker& worker_;

 private:
  friend class Worker;
  Session* next_ = nullptr;
  Session* previous_ = nullptr;
  const Protocol protocol_;
  bool finished_ = false;
};

}  // namespace tributary::proxy
