// Tunnel: a client's bytes passed on to one destination and back, for CONNECT, SOCKS and (after a 101) Upgrade.
//
//   worker.replace(*this, std::make_unique<Tunnel>(worker, std::move(stream), std::move(request))).connect(early);
//
//   Idle ──connect()──> Connecting ──connected──────────────> Relaying ──both directions ended, idle, failed──┐
//    │                      ├──the client went away───────────────────────────────────────────────────────────┤
//    ├──refused─────────────┴──failed──> answered through a Farewell, which takes its place ──────────────────┤
//    └──relay() (the origin is connected already) ──────────> Relaying ───────────────────────────────────────┴> Ended
//
// While connecting only the client's going away is watched for: what it sends stays in the kernel, but for what came
// right behind its request. What exists only until the tunnel stands is one allocation that is given back then; an
// idle tunnel is this object and its two streams. Loop-affine.
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
  std::string host{};            // lower case or as written; without brackets
  uint16_t port = 0;
  socks::Handshake handshake{};  // in state Asked; Socks4 and Socks5 only
  uint8_t minor = 1;           // HTTP version of a CONNECT
  std::string accept{};          // Accept of a CONNECT: how an error is told
  std::string user_agent{};      // for the access log
};

enum class TunnelState : uint8_t { Idle, Connecting, Relaying, Ended };
inline constexpr core::Edge<TunnelState> kTunnelEdges[] = {
    {TunnelState::Idle, TunnelState::Connecting}, {TunnelState::Idle, TunnelState::Relaying},
    {TunnelState::Idle, TunnelState::Ended},      {TunnelState::Connecting, TunnelState::Relaying},
    {TunnelState::Connecting, TunnelState::Ended}, {TunnelState::Relaying, TunnelState::Ended},
};

class Tunnel final : public Session {
 public:
  Tunnel(Worker& worker, std::unique_ptr<net::Stream> client, TunnelRequest request);
  ~Tunnel() override;

  // Checks the target, connects, answers, relays. `early`: bytes read behind the request; copied where they must wait.
  void connect(std::string_view early);
  // Relays at once, without an answer: a connection that was switched to another protocol (101). Both leftovers are what was
  // read too much on that side. `place` is the connection's in the upstream limits; given back with the tunnel.
  void relay(std::unique_ptr<net::Stream> origin, std::string_view from_client, std::string_view from_origin,
             upstream::Quota::Place place);

  void drain() override {}  // a tunnel goes on until its ends close it or the worker ends
  TunnelState state() const { return state_.get(); }

 private:
  struct Opening;  // what exists only until the tunnel stands

  void on_connected(net::ConnectResult result);
  void on_client_while_connecting(core::Interest ready);
  void settle(net::ConnectResult result, std::string_view early);
  void establish(std::string_view early);
  void fail(const core::Error& error, std::string_view reason);
  void begin_relay(std::string_view from_client, std::string_view from_origin);
  void on_relay_end(const net::RelayEnd& end);
  void count_end(const net::RelayEnd& end);
  void end();
  void log(uint16_t status, std::string_view error, uint64_t received, uint64_t sent);

  core::Machine<TunnelState> state_{TunnelState::Idle, kTunnelEdges};
  uint8_t minor_;
  uint16_t kept_answer_ = 0;  // bytes of our answer that the relay sends, and counts as the origin's
  uint32_t early_ = 0;        // bytes of the client that went ahead of the relay
  std::unique_ptr<net::Stream> client_;
  std::unique_ptr<net::Stream> origin_;
  std::unique_ptr<Opening> opening_;
  upstream::Quota::Place place_;
  std::string target_;                             // "host:port", for the access log
  std::unique_ptr<const std::string> user_agent_;  // only where it will be logged
  core::TimePoint began_;
  std::optional<net::Relay> relay_;
};

}  // namespace tributary::proxy
