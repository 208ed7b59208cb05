// Opening: a new connection to an origin: resolve, connect to an address that the filter allows, TLS handshake; where a proxy is
// on the way the first two are for the proxy, and what it wants to hear comes between (ParentLink). Loop-affine.
// A handle: destroying it cancels, and gives the place back.
//
// A connection attempt that certainly did not reach the origin is made again, `tries_left` times while the host's budget lasts,
// after a doubling delay; the delay is spread by half of itself, so that those who failed together do not come back together.
#pragma once

#include <memory>
#include <optional>

#include "core/result.h"
#include "net/connector.h"
#include "net/tls.h"
#include "upstream/connection.h"
#include "upstream/origin.h"
#include "upstream/parent_link.h"
#include "upstream/settings.h"

namespace tributary::upstream {

struct ClientCore;
struct PoolHost;

class Opening {
 public:
  using Outcome = core::Result<ConnectionPtr>;
  using Done = core::Callback<void(Outcome)>;

  // `host` outlives it.
  Opening(ClientCore& core, PoolHost& host, net::AddressFilter filter, unsigned tries_left);
  ~Opening();
  Opening(const Opening&) = delete;
  Opening& operator=(const Opening&) = delete;

  // The outcome when it is known at once; else `done` runs once, later, and may destroy this.
  std::optional<Outcome> start(Quota::Place place, Done done);

 private:
  std::optional<Outcome> connect();
  std::optional<Outcome> connected(net::ConnectResult result);
  void on_connected(net::ConnectResult result);
  void on_linked(ParentLink::Outcome linked);
  std::optional<Outcome> reached(std::unique_ptr<net::Stream> stream);
  void on_handshake(core::Result<void> result);
  void on_tls_timeout();
  void on_retry();
  core::Duration spread(core::Duration delay) const;
  void report(std::optional<Outcome> outcome);
  Outcome fail(core::Error error);

  ClientCore& core_;
  PoolHost& host_;
  const Origin& origin_;
  net::AddressFilter filter_;
  unsigned tries_left_;
  core::Duration delay_;
  Done done_;
  net::Connector connector_;
  std::unique_ptr<ParentLink> link_;
  ConnectionPtr connection_;
  core::Timer timer_;
};

}  // namespace tributary::upstream
