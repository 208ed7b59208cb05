#include "net/address_order.h"

#include <netinet/in.h>
#include <sys/socket.h>

#include <algorithm>

#include "core/fd.h"

namespace tributary::net {
namespace {

// RFC 6724 2.1: the default policy table, precedence column.
int precedence(const IpAddress& ip) {
  if (ip.is_v4() || ip.unmapped().is_v4()) return 35;
  const auto& b = ip.bytes();
  if (classify(ip) == AddressClass::Loopback) return 50;
  if (b[0] == 0x20 && b[1] == 0x02) return 30;                            // 6to4
  if (b[0] == 0x20 && b[1] == 0x01 && b[2] == 0 && b[3] == 0) return 5;   // Teredo
  if ((b[0] & 0xfe) == 0xfc) return 3;                                    // unique local
  if (b[0] == 0xfe && (b[1] & 0xc0) == 0xc0) return 1;                    // site-local
  if (b[0] == 0x3f && b[1] == 0xfe) return 1;                             // 6bone
  return 40;
}

int rank(const IpAddress& ip, Prefer prefer, bool ipv6_usable) {
  int value = precedence(ip);
  if (ip.is_v6() && !ipv6_usable) value -= 100;
  if (prefer == (ip.is_v4() ? Prefer::Ipv4 : Prefer::Ipv6)) value += 1000;
  return value;
}

}  // namespace

std::vector<IpAddress> order_addresses(std::vector<IpAddress> addresses, Prefer prefer, bool ipv6_usable) {
  std::vector<IpAddress> unique;
  unique.reserve(addresses.size());
  for (const IpAddress& ip : addresses) {
    if (std::find(unique.begin(), unique.end(), ip) == unique.end()) unique.push_back(ip);
  }
  std::stable_sort(unique.begin(), unique.end(), [&](const IpAddress& a, const IpAddress& b) {
    return rank(a, prefer, ipv6_usable) > rank(b, prefer, ipv6_usable);
  });
  if (unique.size() < 3) return unique;
  // RFC 8305 4: alternate between the families, beginning with the family of the best address. Not where IPv6 cannot work.
  if (!ipv6_usable && prefer != Prefer::Ipv6) return unique;
  std::vector<IpAddress> first, second, mixed;
  for (const IpAddress& ip : unique) (ip.family() == unique.front().family() ? first : second).push_back(ip);
  mixed.reserve(unique.size());
  for (size_t i = 0; i < std::max(first.size(), second.size()); ++i) {
    if (i < first.size()) mixed.push_back(first[i]);
    if (i < second.size()) mixed.push_back(second[i]);
  }
  return mixed;
}

bool has_ipv6_route() {
  const core::Fd fd(::socket(AF_INET6, SOCK_DGRAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0));
  if (!fd) return false;
  sockaddr_in6 to{};
  to.sin6_family = AF_INET6;
  to.sin6_port = htons(53);
  to.sin6_addr.s6_addr[0] = 0x20;  // 2000::1: any address of the Internet will do, connect only asks the routing table
  to.sin6_addr.s6_addr[15] = 1;
  return ::connect(fd.get(), reinterpret_cast<const sockaddr*>(&to), sizeof(to)) == 0;
}

}  // namespace tributary::net
