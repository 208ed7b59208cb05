#include "conf/value.h"

#include <fmt/core.h>

#include <algorithm>
#include <charconv>
#include <span>

#include "net/address.h"

namespace tributary::conf {
namespace {

struct Unit {
  std::string_view name;
  uint64_t factor;
};

// From the largest, so that formatting finds the shortest exact form; binary before decimal.
constexpr Unit kSizeUnits[] = {{"TiB", 1ull << 40},
                               {"GiB", 1ull << 30},
                               {"MiB", 1ull << 20},
                               {"KiB", 1ull << 10},
                               {"TB", 1'000'000'000'000ull},
                               {"GB", 1'000'000'000ull},
                               {"MB", 1'000'000ull},
                               {"kB", 1'000ull},
                               {"KB", 1'000ull},
                               {"B", 1}};
constexpr Unit kDurationUnits[] = {{"d", 86'400'000},
                                   {"h", 3'600'000},
                                   {"m", 60'000},
                                   {"s", 1'000},
                                   {"ms", 1}};  // in milliseconds

template <class Int>
std::optional<Int> parse_int(std::string_view text) {
  Int value = 0;
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), value);
  if (error != std::errc() || end != text.data() + text.size()) return std::nullopt;
  return value;
}

// Digits, then a unit of the table; nothing when it overflows `limit`.
std::optional<uint64_t> parse_with_unit(std::string_view text, std::span<const Unit> units,
                                        uint64_t limit) {
  const size_t digits = std::min(text.find_first_not_of("0123456789"), text.size());
  const std::optional<uint64_t> number = parse_int<uint64_t>(text.substr(0, digits));
  if (!number) return std::nullopt;
  std::string_view name = text.substr(digits);
  if (name.starts_with(' ')) name.remove_prefix(1);
  for (const Unit& unit : units) {
    if (unit.name != name) continue;
    if (*number > limit / unit.factor) return std::nullopt;
    return *number * unit.factor;
  }
  return std::nullopt;
}

std::string format_with_unit(uint64_t number, std::span<const Unit> units) {
  for (const Unit& unit : units) {
    if (number >= unit.factor && number % unit.factor == 0)
      return fmt::format("{}{}", number / unit.factor, unit.name);
  }
  return fmt::format("{}", number);
}

}  // namespace

std::optional<uint64_t> parse_size(std::string_view text) {
  if (const auto bytes = parse_int<uint64_t>(text)) return bytes;
  return parse_with_unit(text, kSizeUnits, UINT64_MAX);
}

std::string format_size(uint64_t bytes) {
  return bytes == 0 ? "0" : format_with_unit(bytes, std::span(kSizeUnits).first(9));
}

std::optional<Duration> parse_duration(std::string_view text) {
  if (text == "0") return Duration::zero();
  const uint64_t limit =
      static_cast<uint64_t>(std::chrono::floor<std::chrono::milliseconds>(Duration::max()).count());
  const std::optional<uint64_t> milliseconds = parse_with_unit(text, kDurationUnits, limit);
  if (!milliseconds) return std::nullopt;
  return std::chrono::milliseconds(static_cast<int64_t>(*milliseconds));
}

std::string format_duration(Duration duration) {
  const int64_t milliseconds = std::chrono::floor<std::chrono::milliseconds>(duration).count();
  return milliseconds == 0 ? "0s"
                           : format_with_unit(static_cast<uint64_t>(milliseconds), kDurationUnits);
}

std::optional<PortRange> parse_ports(std::string_view text) {
  if (text == "*") return PortRange{};
  const size_t dash = text.find('-');
  const auto first = parse_int<uint16_t>(text.substr(0, dash));
  const auto last =
      dash == std::string_view::npos ? first : parse_int<uint16_t>(text.substr(dash + 1));
  if (!first || !last || *first == 0 || *last < *first) return std::nullopt;
  return PortRange{*first, *last};
}

std::string format_ports(PortRange range) {
  if (range == PortRange{}) return "*";
  return range.first == range.last ? fmt::format("{}", range.first)
                                   : fmt::format("{}-{}", range.first, range.last);
}

bool is_network(std::string_view text) {
  return net::Cidr::parse(text).has_value();
}

bool is_listen_address(std::string_view text) {
  return net::ListenAddress::parse(text).has_value();
}

bool is_local_address(std::string_view text) {
  const std::optional<net::ListenAddress> listen = net::ListenAddress::parse(text);
  if (!listen || listen->every_interface) return false;
  return listen->address.is_unix() ||
         net::classify(listen->address.ip()) == net::AddressClass::Loopback;
}

bool is_dns_server(std::string_view text) {
  if (net::IpAddress::parse(text)) return true;
  const std::optional<net::SocketAddress> server = net::SocketAddress::parse(text);
  return server && server->is_ip() && server->port() != 0;
}

bool is_host_pattern(std::string_view text) {
  if (text.empty() || text == "." || text.size() > 255) return false;
  return std::all_of(text.begin(), text.end(), [](char c) {
    return (c >= 'a' && c <= 'z') || (c >= '0' && c <= '9') ||
           std::string_view("-_.*?:").find(c) != std::string_view::npos;
  });
}

}  // namespace tributary::conf
