// ParentLink: from a TCP connection to a proxy to a stream on which the origin is spoken to: TLS to the proxy, then CONNECT or
// SOCKS5, where the route has them. Loop-affine. A handle: destroying it cancels, and closes the connection.
//
//   Idle ─► Securing ─► Asking ─► Over
//     └─────────┼────────▲ │       ▲      Securing: a proxy by https. An http origin behind it needs no asking.
//               └──────────┴───────┘
#pragma once

#include <cstdint>
#include <memory>
#include <string>

#include "core/fsm.h"
#include "core/loop.h"
#include "core/result.h"
#include "http/h1.h"
#include "net/stream.h"
#include "socks/client_handshake.h"
#include "upstream/origin.h"

namespace tributary::upstream {

struct ClientCore;

enum class ParentLinkState : uint8_t { Idle, Securing, Asking, Over };
inline constexpr core::Edge<ParentLinkState> kParentLinkEdges[] = {
    {ParentLinkState::Idle, ParentLinkState::Securing},   {ParentLinkState::Idle, ParentLinkState::Asking},
    {ParentLinkState::Securing, ParentLinkState::Asking}, {ParentLinkState::Securing, ParentLinkState::Over},
    {ParentLinkState::Asking, ParentLinkState::Over},
};

class ParentLink {
 public:
  using Outcome = core::Result<std::unique_ptr<net::Stream>>;
  using Done = core::Callback<void(Outcome)>;

  // `origin` has a route, and outlives it.
  ParentLink(ClientCore& core, const Origin& origin);

  // `done` runs once, later, and may destroy this. Errors, but for those of TLS and of the connection: ParentCredentials,
  // ParentRefused (parent_status), Forbidden; with Side::Origin what a SOCKS5 proxy says of the origin.
  void start(std::unique_ptr<net::Stream> stream, Done done);

 private:
  void on_handshake(core::Result<void> result);
  void ask();
  void on_ready(core::Interest ready);
  void take_connect(std::string_view input);
  void take_socks(std::string_view input);
  void on_timeout();
  void finish();
  void fail(core::Error error);
  core::Error parent_error(core::ErrorCode code) const;

  static constexpr int kMaxInterim = 32;

  ClientCore& core_;
  const Origin& origin_;
  const Route& route_;
  core::Machine<ParentLinkState> state_{ParentLinkState::Idle, kParentLinkEdges};
  Done done_;
  std::unique_ptr<net::Stream> stream_;
  http::H1Parser parser_;
  socks::ClientHandshake socks_;
  int interim_ = 0;
  std::string out_;  // to be sent; has credentials in it, so it is wiped
  std::string in_;   // of SOCKS: a message that is not complete
  core::Timer timer_;
};

}  // namespace tributary::upstream
