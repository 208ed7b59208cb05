// In which order to try the addresses of a name: RFC 6724 (destination selection) and RFC 8305 section 4 (interleaving).
// Pure functions.
#pragma once

#include <cstdint>
#include <vector>

#include "net/address.h"

namespace tributary::net {

enum class Prefer : uint8_t { Auto, Ipv4, Ipv6 };

// Sorts, drops duplicates and interleaves the families. `ipv6_usable`: is there a route to IPv6 addresses? Where there is
// none they come last (RFC 6724 rule 1). Within a precedence the order of the answer is kept (rule 10; rule 9 is not
// applied to it, because it would undo the balancing that the name's owner does by rotating answers).
std::vector<IpAddress> order_addresses(std::vector<IpAddress> addresses, Prefer prefer, bool ipv6_usable);

// Asks the kernel for a route to an IPv6 address of the Internet; sends nothing, does not block.
bool has_ipv6_route();

}  // namespace tributary::net
