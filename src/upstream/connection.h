// Connection: one HTTP/1.1 connection to an origin. Loop-affine; owned by exactly one of: its Opening, an exchange
// (Busy), the pool (Idle).
//
//   Opening ─► Securing ─► Busy ◄─► Idle
//      │           │         │        │
//      └───────────┴────►  Closed ◄───┘
//
// The stream is watched once, with Read, and stays so from one request to the next: using a kept connection costs no
// epoll_ctl. Who owns the connection sets where events go. While idle it holds no buffer, and anything that it says then
// (EOF, an error, bytes nobody asked for) makes it useless: the pool removes it (S3-2.7).
#pragma once

#include <memory>

#include "core/fsm.h"
#include "http/h1.h"
#include "net/stream.h"
#include "upstream/metrics.h"
#include "upstream/quota.h"

namespace tributary::upstream {

enum class ConnectionState : uint8_t { Opening, Securing, Busy, Idle, Closed };
inline constexpr core::Edge<ConnectionState> kConnectionEdges[] = {
    {ConnectionState::Opening, ConnectionState::Securing},  // https
    {ConnectionState::Opening, ConnectionState::Busy},      // http
    {ConnectionState::Opening, ConnectionState::Closed},
    {ConnectionState::Securing, ConnectionState::Busy},
    {ConnectionState::Securing, ConnectionState::Closed},
    {ConnectionState::Busy, ConnectionState::Idle},
    {ConnectionState::Busy, ConnectionState::Closed},
    {ConnectionState::Idle, ConnectionState::Busy},
    {ConnectionState::Idle, ConnectionState::Closed},
};

class Pool;
struct PoolHost;

class Connection {
 public:
  using OnReady = core::Callback<void(core::Interest)>;

  Connection(UpstreamMetrics& metrics, const http::H1Limits& limits, Quota::Place held);
  ~Connection();  // closes, then gives the place back
  Connection(const Connection&) = delete;
  Connection& operator=(const Connection&) = delete;

  // Opening: the stream there is from now on; then securing() while TLS is agreed on, and secured() when requests can go.
  void set_stream(std::unique_ptr<net::Stream> stream, core::TimePoint now);
  void securing();
  void secured();
  // Busy to Idle, where readiness is reported to `pool`, and back.
  void rest(Pool& pool, PoolHost& host, core::TimePoint now);
  void use();

  // Where readiness is reported while Busy; unset: nowhere. The owner may destroy the connection from there.
  void set_owner(OnReady on_ready) { on_ready_ = on_ready; }

  // Count the bytes on their way through.
  net::IoResult read(char* buffer, size_t size);
  net::IoResult write(const iovec* parts, int count);

  // Open, with nothing to read. What comes before a request was sent is no answer to it (RFC 9112, 9.2), and it may have
  // come since the loop last looked; asking costs one system call.
  bool is_silent() { return stream_->probe().is_would_block(); }

  net::Stream& stream() { return *stream_; }
  http::H1Parser& parser() { return parser_; }
  const Quota::Place& place() const { return place_; }
  ConnectionState state() const { return state_.get(); }
  core::TimePoint opened() const { return opened_; }
  core::TimePoint idle_since() const { return idle_since_; }

  // Taking it apart; only destruction is left after these.
  std::unique_ptr<net::Stream> take_stream();  // nothing is watched
  Quota::Place take_place();                   // closes

 private:
  void become(ConnectionState next);
  void close();
  void on_stream(core::Interest ready);
  core::Gauge* gauge() const;

  UpstreamMetrics& metrics_;
  core::Machine<ConnectionState> state_{ConnectionState::Opening, kConnectionEdges};
  core::TimePoint opened_{};
  core::TimePoint idle_since_{};
  OnReady on_ready_;
  Pool* pool_ = nullptr;  // while Idle
  PoolHost* host_ = nullptr;
  Quota::Place place_;
  http::H1Parser parser_;
  std::unique_ptr<net::Stream> stream_;
};

using ConnectionPtr = std::unique_ptr<Connection>;

}  // namespace tributary::upstream
