#include "proxy/access.h"

#include <ifaddrs.h>
#include <netinet/in.h>

#include <algorithm>
#include <cstring>

#include "http/text.h"

namespace tributary::proxy {
namespace {

core::Error refusal(core::ErrorCode code) {
  return {.code = code, .side = core::Side::Client, .retry = core::Retry::Never};
}

bool contains(const std::vector<PortRange>& ranges, uint16_t port) {
  return std::any_of(ranges.begin(), ranges.end(), [port](const PortRange& range) {
    return range.first <= port && port <= range.last;
  });
}

std::string lower_case(std::string_view text) {
  std::string lower(text);
  for (char& c : lower) c = http::to_lower(c);
  return lower;
}

// At start-up: answers from the kernel's tables, without waiting for anybody.
std::vector<net::IpAddress> interface_addresses() {
  std::vector<net::IpAddress> addresses;
  ifaddrs* list = nullptr;
  if (::getifaddrs(&list) != 0) return addresses;
  for (const ifaddrs* entry = list; entry; entry = entry->ifa_next) {
    if (!entry->ifa_addr) continue;
    const int family = entry->ifa_addr->sa_family;
    if (family != AF_INET && family != AF_INET6) continue;
    const socklen_t length = family == AF_INET ? sizeof(sockaddr_in) : sizeof(sockaddr_in6);
    sockaddr_storage storage{};
    std::memcpy(&storage, entry->ifa_addr, length);
    addresses.push_back(net::SocketAddress::from(storage, length).ip());
  }
  ::freeifaddrs(list);
  return addresses;
}

bool is_unspecified(const net::IpAddress& ip) {
  return net::classify(ip) == net::AddressClass::Unspecified;
}

bool is_loopback(const net::IpAddress& ip) {
  return net::classify(ip) == net::AddressClass::Loopback;
}

}  // namespace

HostRules::HostRules(const std::vector<std::string>& rules) {
  for (const std::string& rule : rules) {
    std::string text = lower_case(rule);
    if (text.ends_with('.') && text.size() > 1) text.pop_back();
    if (text.find_first_of("*?") != std::string::npos) {
      globs_.push_back(std::move(text));
    } else if (text.starts_with('.')) {
      suffixes_.insert(text.substr(1));
    } else {
      exact_.insert(std::move(text));
    }
  }
}

bool HostRules::matches(std::string_view host) const {
  if (exact_.contains(host)) return true;
  if (!suffixes_.empty()) {
    for (std::string_view tail = host;;) {
      if (suffixes_.contains(tail)) return true;
      const size_t dot = tail.find('.');
      if (dot == std::string_view::npos) break;
      tail.remove_prefix(dot + 1);
    }
  }
  return std::any_of(globs_.begin(), globs_.end(),
                     [host](const std::string& glob) { return http::glob_matches(glob, host); });
}

Access::Access(const AccessSettings& settings, std::vector<net::SocketAddress> own)
    : allow_hosts_(settings.allow_hosts),
      deny_hosts_(settings.deny_hosts),
      allow_ports_(settings.allow_ports),
      connect_ports_(settings.connect_ports),
      allow_private_(settings.allow_private) {
  for (const net::Cidr& cidr : settings.allow_clients) allow_clients_.add(cidr);
  for (const net::Cidr& cidr : settings.deny_clients) deny_clients_.add(cidr);
  for (const net::Cidr& cidr : settings.purge_clients) purge_clients_.add(cidr);
  for (net::SocketAddress& address : own) {
    if (!address.is_ip()) continue;
    if (is_unspecified(address.ip())) {
      own_everywhere_.push_back(address.port());
    } else {
      own_.push_back(std::move(address));
    }
  }
  if (!own_everywhere_.empty()) interfaces_ = interface_addresses();
}

bool Access::allows_purge(const net::SocketAddress& peer) const {
  return allows_client(peer) && (!peer.is_ip() || purge_clients_.contains(peer.ip()));
}

bool Access::allows_client(const net::SocketAddress& peer) const {
  if (!peer.is_ip()) return true;
  return !deny_clients_.contains(peer.ip()) && allow_clients_.contains(peer.ip());
}

core::Result<void> Access::check_target(std::string_view host, uint16_t port, TargetKind kind,
                                        std::string_view* reason) const {
  const auto refuse = [reason](core::ErrorCode code, std::string_view why) {
    if (reason) *reason = why;
    return refusal(code);
  };
  if (!contains(allow_ports_, port)) {
    return refuse(core::ErrorCode::Forbidden, "port not allowed");
  }
  if (kind == TargetKind::Connect && !contains(connect_ports_, port)) {
    return refuse(core::ErrorCode::Forbidden, "port not allowed for CONNECT");
  }
  if (host.size() > 1 && host.ends_with('.')) host.remove_suffix(1);
  if (const std::optional<net::IpAddress> ip = net::IpAddress::parse(host)) {
    if (!allows_address(net::SocketAddress(*ip, port))) {
      return refuse(core::ErrorCode::DestinationProhibited, "address not allowed");
    }
  }
  if (allow_hosts_.empty() && deny_hosts_.empty()) return {};

  // An IPv6 literal has many spellings; the rules know one.
  std::string name = lower_case(host);
  if (const std::optional<net::IpAddress> ip = net::IpAddress::parse(name)) {
    name = ip->unmapped().to_string();
  }
  if (deny_hosts_.matches(name) || (!allow_hosts_.empty() && !allow_hosts_.matches(name))) {
    return refuse(core::ErrorCode::Forbidden, "host not allowed");
  }
  return {};
}

bool Access::is_own(const net::IpAddress& ip, uint16_t port) const {
  // The kernel takes a connection to 0.0.0.0 or :: as one to loopback.
  const bool unspecified = is_unspecified(ip);
  for (const net::SocketAddress& address : own_) {
    if (address.port() != port) continue;
    if (address.ip().unmapped() == ip || (unspecified && is_loopback(address.ip()))) return true;
  }
  if (std::find(own_everywhere_.begin(), own_everywhere_.end(), port) == own_everywhere_.end()) {
    return false;
  }
  return unspecified || is_loopback(ip) ||
         std::find(interfaces_.begin(), interfaces_.end(), ip) != interfaces_.end();
}

bool Access::allows_address(const net::SocketAddress& address) const {
  if (!address.is_ip()) return false;  // no client's request leads to a Unix socket
  const net::IpAddress ip = address.ip().unmapped();
  return (allow_private_ || net::is_public(ip)) && !is_own(ip, address.port());
}

net::AddressFilter Access::address_filter() const {
  return net::AddressFilter::from(
      [](void* self, const net::SocketAddress& address) {
        return static_cast<const Access*>(self)->allows_address(address);
      },
      const_cast<Access*>(this));
}

}  // namespace tributary::proxy
