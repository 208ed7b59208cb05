// Values of the configuration as people write them: sizes, durations, addresses, networks, host
// patterns, ports. Each parse_ takes the text of one value and gives nothing when it is not of that
// form; each format_ writes what its parse_ reads back. Pure.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

#include "conf/config.h"

namespace tributary::conf {

// "4096", "64KiB", "10GiB" (powers of 1024), "1GB" (powers of 1000); a space before the unit is
// allowed.
std::optional<uint64_t> parse_size(std::string_view text);
std::string format_size(uint64_t bytes);

// "250ms", "30s", "5m", "2h", "7d"; "0" needs no unit.
std::optional<Duration> parse_duration(std::string_view text);
std::string format_duration(Duration duration);

// "443", "1024-65535", "*".
std::optional<PortRange> parse_ports(std::string_view text);
std::string format_ports(PortRange range);

// "10.0.0.0/8", "fc00::/7", "192.0.2.7"; bits below the prefix length must be zero.
bool is_network(std::string_view text);

// "127.0.0.1:3128", "[::1]:3128", ":3128" or "unix:/path".
bool is_listen_address(std::string_view text);
// Only this machine can connect to it; of an address that is_listen_address() takes.
bool is_local_address(std::string_view text);

// "192.0.2.53", "192.0.2.53:5353", "2001:db8::53", "[2001:db8::53]:5353".
bool is_dns_server(std::string_view text);

// A host name, ".suffix", an IP address, or a glob of these with * and ?. Lower case.
bool is_host_pattern(std::string_view text);

}  // namespace tributary::conf
