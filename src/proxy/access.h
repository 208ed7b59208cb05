// Access: who may use the proxy, and where it may lead. Immutable once made, any thread.
//
// A destination is checked twice: by the name and port the client asked for (check_target, before anything is looked up),
// and by every address that the name resolves to (address_filter, inside net::Connector, which connects to exactly the
// address that passed, so that no second answer of the DNS can slip in between: V-5).
//
// Our own listeners and the admin's are never a destination, whatever the rules say: else a client could reach the admin
// API from inside, or tie a request into a knot that no Via field shows (V-6).
#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <unordered_set>
#include <vector>

#include "core/result.h"
#include "net/address.h"
#include "net/connector.h"

namespace tributary::proxy {

// A closed range of ports.
struct PortRange {
  uint16_t first = 0, last = 65535;
};

struct AccessSettings {
  std::vector<net::Cidr> allow_clients;  // empty: nobody but peers on a Unix socket
  std::vector<net::Cidr> deny_clients;   // wins over allow_clients
  std::vector<std::string> allow_hosts;  // "example.com", ".example.com" (it and all below) or a glob; empty: every host
  std::vector<std::string> deny_hosts;   // wins over allow_hosts
  std::vector<PortRange> allow_ports = {{80, 80}, {443, 443}, {563, 563}, {1024, 65535}};  // of every destination
  std::vector<PortRange> connect_ports = {{443, 443}, {563, 563}};  // of CONNECT; SOCKS is bound by allow_ports
  std::vector<net::Cidr> purge_clients;  // who may use PURGE, of those who may use the proxy; empty: nobody over TCP
  bool allow_private = false;  // may a destination resolve to a loopback, private or otherwise special address?
};

// A set of host rules. Exact names and suffixes cost a hash look-up for each label of the name; globs (* any run of
// characters, ? one) are tried one by one.
class HostRules {
 public:
  HostRules() = default;
  explicit HostRules(const std::vector<std::string>& rules);
  // `host` in lower case, without trailing dot or brackets.
  bool matches(std::string_view host) const;
  bool empty() const { return exact_.empty() && suffixes_.empty() && globs_.empty(); }

 private:
  struct Hash {
    using is_transparent = void;
    size_t operator()(std::string_view text) const { return std::hash<std::string_view>()(text); }
  };
  using Set = std::unordered_set<std::string, Hash, std::equal_to<>>;
  Set exact_;
  Set suffixes_;  // without the leading dot
  std::vector<std::string> globs_;
};

// What a destination is asked for by; CONNECT has its own, narrower list of ports.
enum class TargetKind : uint8_t { Forward, Connect, Socks };

class Access {
 public:
  // `own`: the addresses that this process listens on, as bound (a wildcard stands for every address of the machine).
  explicit Access(const AccessSettings& settings, std::vector<net::SocketAddress> own = {});

  // Of a TCP client; peers on a Unix socket were admitted by the file's permissions.
  bool allows_client(const net::SocketAddress& peer) const;
  // May this client take things out of the cache (PURGE)?
  bool allows_purge(const net::SocketAddress& peer) const;

  // `host` as the client wrote it, without brackets: any case, with or without trailing dot. The error is Forbidden, and
  // `reason`, when given, becomes a literal that says which rule ("port not allowed"). Literal addresses are checked here
  // already: DestinationProhibited.
  core::Result<void> check_target(std::string_view host, uint16_t port, TargetKind kind,
                                  std::string_view* reason = nullptr) const;

  // May a connection be made to exactly this address?
  bool allows_address(const net::SocketAddress& address) const;
  // The same for the connector; valid as long as this object.
  net::AddressFilter address_filter() const;

 private:
  bool is_own(const net::IpAddress& ip, uint16_t port) const;

  net::CidrSet allow_clients_, deny_clients_, purge_clients_;
  HostRules allow_hosts_, deny_hosts_;
  std::vector<PortRange> allow_ports_, connect_ports_;
  bool allow_private_;
  std::vector<net::SocketAddress> own_;         // bound to one address
  std::vector<uint16_t> own_everywhere_;        // ports bound on every address
  std::vector<net::IpAddress> interfaces_;      // the machine's addresses at start
};

}  // namespace tributary::proxy
