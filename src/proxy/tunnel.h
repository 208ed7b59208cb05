// Tunnel: a client's bytes passed on to one destination and back, for CONNECT, SOCKS and (after a 101) Upgrade.
//
//   worker.replace(*this, std::make_unique<Tunnel>(worker, std::move(stream), std::move(request))).connect(early);
//
//   Idle ──connect()──> Connecting ──connected──────────> Relaying ──> Ended
//    │                      ├────────failed────> Answering ──> Lingering ─┤
//    │                      └────────the client went away ────────────────┤
//    └──relay() (the origin is connected already) ─> Relaying ────────────┘
//
// While connecting only the client's going away is watched for: what it sends stays in the kernel, but for what came
// right behind its request. The success answer travels through the relay in front of the origin's bytes, so it needs no
// buffer and no state of its own. A failure is answered (HTTP error or SOCKS reply), and the connection closed gently: we
// read on for a moment, because closing with unread input would reset what we just sent (RFC 9112, 9.6).
// What exists only until the tunnel stands is one allocation that is given back then. Loop-affine.
#pragma once

#include <memory>
#include <optional>
#include <string>
#include <string_view>

#include "core/fsm.h"
#include "core/loop.h"
#include "net/connector.h"
#include "net/relay.h"
#include "net/stream.h"
#include "proxy/session.h"
#include "socks/handshake.h"
#include "upstream/quota.h"

namespace tributary::proxy {

struct TunnelRequest {
  Protocol protocol = Protocol::Connect;
  std::string host;                // lower case or as written; without brackets
  uint16_t port = 0;
  socks::Handshake handshake;      // in state Asked; Socks4 and Socks5 only
  uint8_t minor = 1;               // HTTP version of a CONNECT
  std::string accept;              // of a CONNECT: how an error is told
  std::string user_agent;          // for the access log; may be left empty
};

enum class TunnelState : uint8_t { Idle, Connecting, Relaying, Answering, Lingering, Ended };
inline constexpr core::Edge<TunnelState> kTunnelEdges[] = {
    {TunnelState::Idle, TunnelState::Connecting},      {TunnelState::Idle, TunnelState::Relaying},
    {TunnelState::Idle, TunnelState::Answering},       {TunnelState::Connecting, TunnelState::Relaying},
    {TunnelState::Connecting, TunnelState::Answering}, {TunnelState::Connecting, TunnelState::Ended},
    {TunnelState::Answering, TunnelState::Lingering},  {TunnelState::Answering, TunnelState::Ended},
    {TunnelState::Lingering, TunnelState::Ended},      {TunnelState::Relaying, TunnelState::Ended},
};

class Tunnel final : public Session {
 public:
  Tunnel(Worker& worker, std::unique_ptr<net::Stream> client, TunnelRequest request);
  ~Tunnel() override;

  // Checks the target, connects, answers, relays. `early`: bytes read behind the request; copied.
  void connect(std::string_view early);
  // Answers `error` instead of connecting (a target that was refused before).
  void refuse(const core::Error& error, std::string_view reason);
  // Relays at once, without an answer: a connection that was switched to another protocol (101). Both leftovers are what was
  // read too much on that side; copied.
  // `place`: the right to the origin's connection, held as long as it is open.
  void relay(std::unique_ptr<net::Stream> origin, std::string_view from_client, std::string_view from_origin,
             upstream::Quota::Place place = {});

  void drain() override;
  TunnelState state() const { return state_.get(); }

 private:
  struct Opening;  // what exists only until the tunnel stands or has failed

  void on_connected(net::ConnectResult result);
  void settle(net::ConnectResult result);
  void on_client_while_connecting(core::Interest ready);
  void fail(const core::Error& error, std::string_view reason);
  void answer();
  void on_client_while_answering(core::Interest ready);
  void on_deadline();
  void begin_relay(std::string_view from_client, std::string_view from_origin);
  void on_relay_end(const net::RelayEnd& end);
  void end();
  void log_end(uint16_t status, const core::Error* error, uint64_t received, uint64_t sent);
  uint64_t answer_size() const { return answered_; }

  core::Machine<TunnelState> state_{TunnelState::Idle, kTunnelEdges};
  Protocol protocol_;
  uint16_t answered_ = 0;                // bytes of our success answer, which the relay counts as the origin's
  std::unique_ptr<net::Stream> client_;
  upstream::Quota::Place place_;         // of origin_, when it came from the pool
  std::unique_ptr<net::Stream> origin_;
  std::unique_ptr<Opening> opening_;
  std::string target_;                   // "host:port", for the access log; empty when there is none
  core::TimePoint began_;
  std::optional<net::Relay> relay_;
};

}  // namespace tributary::proxy
