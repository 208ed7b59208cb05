// Connector: from a name (or addresses) to a connected socket, by happy eyeballs (RFC 8305). Loop-affine.
//
//   Idle ─► Resolving ─► Connecting ─► Connected
//     └──────────┼───────────▲ │
//                └─► Failed ◄──┘          (cancel() and the destructor lead back to Idle from anywhere)
//
// Every *resolved* address goes through the filter, and the connection is made to exactly the address that passed: there
// is no second resolution between check and connect (no DNS rebinding). The next address is tried as soon as
// one fails, or after the connection attempt delay while earlier ones go on; the first that connects wins.
#pragma once

#include <chrono>
#include <memory>
#include <optional>
#include <string_view>
#include <vector>

#include "core/fd.h"
#include "core/fsm.h"
#include "core/loop.h"
#include "core/result.h"
#include "net/address.h"
#include "net/resolver.h"
#include "net/socket.h"

namespace tributary::net {

struct ConnectSettings {
  core::Duration dns_timeout = std::chrono::seconds(5);
  core::Duration connect_timeout = std::chrono::seconds(10);      // from the first attempt on, all attempts together
  core::Duration attempt_delay = std::chrono::milliseconds(250);  // RFC 8305 5: connection attempt delay
  core::Side side = core::Side::Origin;                           // whom errors are blamed on
  SocketOptions socket;
};

// May we connect there? Asked for each resolved address, also for literals. Unset: everywhere.
using AddressFilter = core::Callback<bool(const SocketAddress&)>;

struct Connected {
  core::Fd fd;
  SocketAddress address;
};
using ConnectResult = core::Result<Connected>;

enum class ConnectState : uint8_t { Idle, Resolving, Connecting, Connected, Failed };
inline constexpr core::Edge<ConnectState> kConnectEdges[] = {
    {ConnectState::Idle, ConnectState::Resolving},        // a name that is not known yet
    {ConnectState::Idle, ConnectState::Connecting},       // a literal, a cached name, an address
    {ConnectState::Idle, ConnectState::Failed},           // cached failure, everything prohibited
    {ConnectState::Resolving, ConnectState::Connecting},
    {ConnectState::Resolving, ConnectState::Failed},
    {ConnectState::Resolving, ConnectState::Idle},        // cancelled
    {ConnectState::Connecting, ConnectState::Connected},
    {ConnectState::Connecting, ConnectState::Failed},
    {ConnectState::Connecting, ConnectState::Idle},       // cancelled
    {ConnectState::Connected, ConnectState::Idle},        // used again
    {ConnectState::Failed, ConnectState::Idle},
};

// A handle: destroying it (also from inside its callback) cancels. May be started again after it ended.
// Errors: NameNotFound, DnsFailure, DnsTimeout; DestinationProhibited when the filter let no address pass;
// ConnectionRefused, HostUnreachable, ConnectTimeout, NetworkIo, DescriptorsExhausted. All are Retry::Safe but the policy's.
class Connector {
 public:
  Connector(core::Loop& loop, Resolver& resolver);
  ~Connector();
  Connector(const Connector&) = delete;
  Connector& operator=(const Connector&) = delete;

  using Done = core::Callback<void(ConnectResult)>;

  // Returns the outcome when it is known at once (loopback often connects at once; a cached failure): `done` will not run
  // then. Otherwise nullopt, and `done` runs once, later.
  std::optional<ConnectResult> start(std::string_view host, uint16_t port, const ConnectSettings& settings,
                                     AddressFilter filter, Done done);
  // To one address, which may be a Unix socket; the filter is asked for IP addresses.
  std::optional<ConnectResult> start(const SocketAddress& address, const ConnectSettings& settings,
                                     AddressFilter filter, Done done);
  void cancel();
  ConnectState state() const { return state_.get(); }

 private:
  struct Attempt;

  std::optional<ConnectResult> resolved(const DnsAnswer& answer);
  std::optional<ConnectResult> try_next();
  std::optional<ConnectResult> begin_attempt(const SocketAddress& address);
  void on_resolved(const Resolver::Answer& answer);
  void on_attempt(Attempt& attempt);
  void on_attempt_delay();
  void on_deadline();
  void admit(const std::vector<IpAddress>& addresses);
  void report(std::optional<ConnectResult> result);
  void release();
  void note(core::Error error);
  ConnectResult fail(core::Error error);

  core::Loop& loop_;
  Resolver& resolver_;
  core::Machine<ConnectState> state_{ConnectState::Idle, kConnectEdges};
  ConnectSettings settings_;
  AddressFilter filter_;
  Done done_;
  uint16_t port_ = 0;
  bool more_to_come_ = false;      // the resolver's answer was partial
  bool clock_started_ = false;     // the deadline is that of the connects
  std::string host_;               // while the resolver works on it
  std::vector<SocketAddress> candidates_;  // that passed the filter, in the order to try
  size_t next_candidate_ = 0;
  core::Error last_error_;
  std::vector<std::unique_ptr<Attempt>> attempts_;
  Resolver::Lookup lookup_;
  core::Timer deadline_;
  core::Timer attempt_delay_;
};

}  // namespace tributary::net
