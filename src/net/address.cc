#include "net/address.h"

#include <arpa/inet.h>
#include <netinet/in.h>
#include <sys/un.h>

#include <algorithm>
#include <cstring>

namespace tributary::net {
namespace {

constexpr uint32_t quad(uint32_t a, uint32_t b, uint32_t c, uint32_t d) { return a << 24 | b << 16 | c << 8 | d; }

struct V4Entry {
  uint32_t network;
  uint8_t prefix;
  AddressClass kind;
};

// IANA IPv4 Special-Purpose Address Registry and RFC 5771 (multicast). The globally reachable anycast entries inside
// 192.0.0.0/24 (port control protocol, TURN) are treated like the rest of it: they end in the nearest gateway. AS112 and
// AMT (192.31.196/24, 192.52.193/24, 192.175.48/24) are public services and are not listed.
constexpr V4Entry kV4[] = {
    {quad(0, 0, 0, 0), 8, AddressClass::Unspecified},
    {quad(10, 0, 0, 0), 8, AddressClass::Private},
    {quad(100, 64, 0, 0), 10, AddressClass::CarrierNat},
    {quad(127, 0, 0, 0), 8, AddressClass::Loopback},
    {quad(169, 254, 0, 0), 16, AddressClass::LinkLocal},
    {quad(172, 16, 0, 0), 12, AddressClass::Private},
    {quad(192, 0, 0, 0), 24, AddressClass::Special},
    {quad(192, 0, 2, 0), 24, AddressClass::Documentation},
    {quad(192, 88, 99, 0), 24, AddressClass::Special},  // RFC 7526: deprecated 6to4 relays
    {quad(192, 168, 0, 0), 16, AddressClass::Private},
    {quad(198, 18, 0, 0), 15, AddressClass::Benchmarking},
    {quad(198, 51, 100, 0), 24, AddressClass::Documentation},
    {quad(203, 0, 113, 0), 24, AddressClass::Documentation},
    {quad(224, 0, 0, 0), 4, AddressClass::Multicast},
    {quad(255, 255, 255, 255), 32, AddressClass::Broadcast},
    {quad(240, 0, 0, 0), 4, AddressClass::Reserved},
};

struct V6Entry {
  std::array<uint8_t, 8> network;  // the first 64 bits
  uint8_t prefix;
  AddressClass kind;
};

// IANA IPv6 Special-Purpose Address Registry, RFC 4291, RFC 3879. First match wins; what embeds IPv4 is handled before.
constexpr V6Entry kV6[] = {
    {{0x00, 0x64, 0xff, 0x9b, 0x00, 0x01}, 48, AddressClass::Nat64Local},
    {{0x01, 0x00}, 64, AddressClass::Discard},
    {{0x01, 0x00, 0, 0, 0, 0, 0, 0x01}, 64, AddressClass::Discard},  // RFC 9780
    {{0x20, 0x01, 0x00, 0x00}, 32, AddressClass::Teredo},
    {{0x20, 0x01, 0x00, 0x02, 0x00, 0x00}, 48, AddressClass::Benchmarking},
    {{0x20, 0x01, 0x00, 0x00}, 23, AddressClass::Special},
    {{0x20, 0x01, 0x0d, 0xb8}, 32, AddressClass::Documentation},
    {{0x3f, 0xff, 0x00}, 20, AddressClass::Documentation},
    {{0x5f, 0x00}, 16, AddressClass::Special},  // RFC 9602: segment routing
    {{0xfc}, 7, AddressClass::UniqueLocal},
    {{0xfe, 0x80}, 10, AddressClass::LinkLocal},
    {{0xfe, 0xc0}, 10, AddressClass::SiteLocal},
    {{0xff}, 8, AddressClass::Multicast},
};

bool same_prefix(const uint8_t* a, const uint8_t* b, unsigned bits) {
  if (std::memcmp(a, b, bits / 8) != 0) return false;
  const unsigned rest = bits % 8;
  if (rest == 0) return true;
  const auto mask = static_cast<uint8_t>(0xff << (8 - rest));
  return (a[bits / 8] & mask) == (b[bits / 8] & mask);
}

uint32_t embedded_v4(const std::array<uint8_t, 16>& bytes, size_t at) {
  return quad(bytes[at], bytes[at + 1], bytes[at + 2], bytes[at + 3]);
}

AddressClass classify_v4(uint32_t ip) {
  for (const V4Entry& entry : kV4) {
    const uint32_t mask = ~uint32_t{0} << (32 - entry.prefix);
    if ((ip & mask) == entry.network) return entry.kind;
  }
  return AddressClass::Public;
}

AddressClass classify_v6(const std::array<uint8_t, 16>& bytes) {
  static constexpr uint8_t kZeros[16] = {};
  static constexpr uint8_t kMapped[12] = {0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0xff, 0xff};
  static constexpr uint8_t kNat64[12] = {0x00, 0x64, 0xff, 0x9b};
  static constexpr uint8_t k6to4[2] = {0x20, 0x02};
  if (std::memcmp(bytes.data(), kMapped, 12) == 0) return classify_v4(embedded_v4(bytes, 12));
  if (std::memcmp(bytes.data(), kNat64, 12) == 0) return classify_v4(embedded_v4(bytes, 12));
  if (std::memcmp(bytes.data(), k6to4, 2) == 0) return classify_v4(embedded_v4(bytes, 2));
  if (std::memcmp(bytes.data(), kZeros, 15) == 0) {
    if (bytes[15] == 0) return AddressClass::Unspecified;
    if (bytes[15] == 1) return AddressClass::Loopback;
  }
  for (const V6Entry& entry : kV6) {
    if (same_prefix(bytes.data(), entry.network.data(), entry.prefix)) return entry.kind;
  }
  // Only 2000::/3 is given out for global unicast use; whatever is used elsewhere is nobody's business of ours.
  return (bytes[0] & 0xe0) == 0x20 ? AddressClass::Public : AddressClass::Reserved;
}

std::optional<IpAddress> parse_v4(std::string_view text) {
  std::array<uint8_t, 4> bytes{};
  size_t at = 0;
  for (size_t part = 0; part < 4; ++part) {
    if (part > 0) {
      if (at >= text.size() || text[at] != '.') return {};
      ++at;
    }
    const size_t begin = at;
    unsigned value = 0;
    while (at < text.size() && text[at] >= '0' && text[at] <= '9' && at - begin < 3) {
      value = value * 10 + static_cast<unsigned>(text[at++] - '0');
    }
    const size_t digits = at - begin;
    if (digits == 0 || value > 255 || (digits > 1 && text[begin] == '0')) return {};  // "010" is octal to some
    bytes[part] = static_cast<uint8_t>(value);
  }
  if (at != text.size()) return {};
  return IpAddress::v4(bytes);
}

// "host:port" split at the last colon, with brackets taken off an IPv6 host. False when it is not of that form.
bool split_host_port(std::string_view text, std::string_view& host, std::string_view& port, bool& bracketed) {
  bracketed = !text.empty() && text.front() == '[';
  if (bracketed) {
    const size_t close = text.find(']');
    if (close == std::string_view::npos) return false;
    host = text.substr(1, close - 1);
    text.remove_prefix(close + 1);
    if (text.empty()) {
      port = {};
      return true;
    }
    if (text.front() != ':') return false;
    port = text.substr(1);
    return !port.empty();
  }
  const size_t colon = text.find(':');
  if (colon == std::string_view::npos) {
    host = text;
    port = {};
    return true;
  }
  host = text.substr(0, colon);
  port = text.substr(colon + 1);
  return !port.empty() && port.find(':') == std::string_view::npos;
}

// The network with every bit after the prefix set to `ones`.
IpAddress with_tail(const IpAddress& network, unsigned prefix, bool ones) {
  std::array<uint8_t, 16> bytes = network.bytes();
  const unsigned width = network.is_v4() ? 32 : 128;
  for (unsigned bit = prefix; bit < width; ++bit) {
    const auto mask = static_cast<uint8_t>(0x80 >> (bit % 8));
    if (ones) {
      bytes[bit / 8] = static_cast<uint8_t>(bytes[bit / 8] | mask);
    } else {
      bytes[bit / 8] = static_cast<uint8_t>(bytes[bit / 8] & ~mask);
    }
  }
  return network.is_v4() ? IpAddress::v4({bytes[0], bytes[1], bytes[2], bytes[3]}) : IpAddress::v6(bytes);
}

}  // namespace

std::string_view address_class_name(AddressClass kind) {
  static constexpr std::string_view kNames[] = {
      "public",        "unspecified",  "loopback",  "private",   "link_local", "carrier_nat",
      "unique_local",  "site_local",   "documentation", "benchmarking", "multicast", "broadcast",
      "discard",       "teredo",       "nat64_local", "special", "reserved"};
  return kNames[static_cast<size_t>(kind)];
}

IpAddress IpAddress::v4(uint32_t host_order) {
  return v4({static_cast<uint8_t>(host_order >> 24), static_cast<uint8_t>(host_order >> 16),
             static_cast<uint8_t>(host_order >> 8), static_cast<uint8_t>(host_order)});
}

IpAddress IpAddress::v4(std::array<uint8_t, 4> bytes) {
  IpAddress ip;
  std::copy(bytes.begin(), bytes.end(), ip.bytes_.begin());
  return ip;
}

IpAddress IpAddress::v6(const std::array<uint8_t, 16>& bytes) {
  IpAddress ip;
  ip.bytes_ = bytes;
  ip.is_v4_ = false;
  return ip;
}

std::optional<IpAddress> IpAddress::parse(std::string_view text) {
  if (text.find(':') == std::string_view::npos) return parse_v4(text);
  char buffer[INET6_ADDRSTRLEN];
  if (text.size() >= sizeof(buffer)) return {};
  if (text.find('\0') != std::string_view::npos) return {};
  // inet_pton is strict for IPv6 (no zone, no brackets); its dotted tail is held to our own rule for IPv4.
  if (const size_t dot = text.find('.'); dot != std::string_view::npos) {
    if (!parse_v4(text.substr(text.rfind(':') + 1))) return {};
  }
  std::memcpy(buffer, text.data(), text.size());
  buffer[text.size()] = '\0';
  std::array<uint8_t, 16> bytes;
  if (::inet_pton(AF_INET6, buffer, bytes.data()) != 1) return {};
  return v6(bytes);
}

uint32_t IpAddress::v4_value() const { return quad(bytes_[0], bytes_[1], bytes_[2], bytes_[3]); }

IpAddress IpAddress::unmapped() const {
  static constexpr uint8_t kMapped[12] = {0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0xff, 0xff};
  if (is_v4_ || std::memcmp(bytes_.data(), kMapped, 12) != 0) return *this;
  return v4(embedded_v4(bytes_, 12));
}

std::string IpAddress::to_string() const {
  char buffer[INET6_ADDRSTRLEN];
  // glibc's inet_ntop follows RFC 5952 for what matters: lower case, the longest run of zeros, mapped in dotted form.
  ::inet_ntop(family(), bytes_.data(), buffer, sizeof(buffer));
  return buffer;
}

AddressClass classify(const IpAddress& ip) {
  return ip.is_v4() ? classify_v4(ip.v4_value()) : classify_v6(ip.bytes());
}

SocketAddress SocketAddress::unix_path(std::string path) {
  SocketAddress address;
  address.kind_ = Kind::Unix;
  if (!path.empty()) address.path_ = std::make_shared<const std::string>(std::move(path));
  return address;
}

SocketAddress SocketAddress::from(const sockaddr_storage& storage, socklen_t length) {
  if (storage.ss_family == AF_INET && length >= sizeof(sockaddr_in)) {
    sockaddr_in in;
    std::memcpy(&in, &storage, sizeof(in));
    return {IpAddress::v4(ntohl(in.sin_addr.s_addr)), ntohs(in.sin_port)};
  }
  if (storage.ss_family == AF_INET6 && length >= sizeof(sockaddr_in6)) {
    sockaddr_in6 in6;
    std::memcpy(&in6, &storage, sizeof(in6));
    std::array<uint8_t, 16> bytes;
    std::memcpy(bytes.data(), &in6.sin6_addr, bytes.size());
    return {IpAddress::v6(bytes).unmapped(), ntohs(in6.sin6_port)};
  }
  if (storage.ss_family == AF_UNIX && length >= sizeof(sa_family_t)) {
    sockaddr_un un{};
    std::memcpy(&un, &storage, std::min<size_t>(length, sizeof(un)));
    const size_t size = ::strnlen(un.sun_path, std::min<size_t>(length, sizeof(un)) - sizeof(sa_family_t));
    return unix_path(std::string(un.sun_path, size));
  }
  return {};
}

std::optional<SocketAddress> SocketAddress::parse(std::string_view text) {
  if (text.starts_with("unix:")) {
    const std::string_view path = text.substr(5);
    if (path.empty() || path.size() >= sizeof(sockaddr_un::sun_path) || path.find('\0') != std::string_view::npos) {
      return {};
    }
    return unix_path(std::string(path));
  }
  std::string_view host, port;
  bool bracketed = false;
  if (!split_host_port(text, host, port, bracketed)) return {};
  const auto ip = IpAddress::parse(host);
  const auto number = parse_port(port);
  if (!ip || !number || ip->is_v6() != bracketed) return {};
  return SocketAddress(*ip, *number);
}

socklen_t SocketAddress::to_sockaddr(sockaddr_storage& storage) const {
  if (is_unix()) {
    sockaddr_un un{};
    un.sun_family = AF_UNIX;
    const std::string_view text = path();
    if (text.size() >= sizeof(un.sun_path)) return 0;
    std::memcpy(un.sun_path, text.data(), text.size());
    std::memcpy(&storage, &un, sizeof(un));
    return static_cast<socklen_t>(offsetof(sockaddr_un, sun_path) + text.size() + 1);
  }
  if (!is_ip()) return 0;
  if (ip_.is_v4()) {
    sockaddr_in in{};
    in.sin_family = AF_INET;
    in.sin_port = htons(port_);
    in.sin_addr.s_addr = htonl(ip_.v4_value());
    std::memcpy(&storage, &in, sizeof(in));
    return sizeof(in);
  }
  sockaddr_in6 in6{};
  in6.sin6_family = AF_INET6;
  in6.sin6_port = htons(port_);
  std::memcpy(&in6.sin6_addr, ip_.bytes().data(), 16);
  std::memcpy(&storage, &in6, sizeof(in6));
  return sizeof(in6);
}

std::string SocketAddress::to_string() const {
  if (is_unix()) return "unix:" + std::string(path());
  if (!is_ip()) return "-";
  const std::string ip = ip_.to_string();
  return (ip_.is_v6() ? "[" + ip + "]:" : ip + ":") + std::to_string(port_);
}

bool operator==(const SocketAddress& a, const SocketAddress& b) {
  return a.kind_ == b.kind_ && a.port_ == b.port_ && a.ip_ == b.ip_ && a.path() == b.path();
}

std::optional<uint16_t> parse_port(std::string_view text) {
  if (text.empty() || text.size() > 5 || (text.size() > 1 && text[0] == '0')) return {};
  unsigned value = 0;
  for (const char c : text) {
    if (c < '0' || c > '9') return {};
    value = value * 10 + static_cast<unsigned>(c - '0');
  }
  if (value > 65535) return {};
  return static_cast<uint16_t>(value);
}

std::optional<HostPort> HostPort::parse(std::string_view text, std::optional<uint16_t> default_port) {
  std::string_view host, port;
  bool bracketed = false;
  if (!split_host_port(text, host, port, bracketed) || host.empty()) return {};
  const auto number = port.empty() ? default_port : parse_port(port);
  if (!number) return {};
  HostPort result{.host = {}, .port = *number};
  if (bracketed) {
    const auto ip = IpAddress::parse(host);
    if (!ip || !ip->is_v6()) return {};
    result.host = ip->to_string();
    return result;
  }
  if (host.size() > 1 && host.back() == '.') host.remove_suffix(1);
  result.host.reserve(host.size());
  for (const char c : host) {
    if (c <= ' ' || c == 0x7f) return {};
    result.host.push_back(c >= 'A' && c <= 'Z' ? static_cast<char>(c + 32) : c);
  }
  return result;
}

std::string HostPort::to_string() const {
  const bool v6 = host.find(':') != std::string::npos;
  return (v6 ? "[" + host + "]:" : host + ":") + std::to_string(port);
}

std::optional<ListenAddress> ListenAddress::parse(std::string_view text) {
  if (text.starts_with(':')) {
    const auto port = parse_port(text.substr(1));
    if (!port) return {};
    return ListenAddress{{IpAddress::v6({}), *port}, true};
  }
  const auto address = SocketAddress::parse(text);
  if (!address) return {};
  return ListenAddress{*address, false};
}

std::string ListenAddress::to_string() const {
  return every_interface ? ":" + std::to_string(address.port()) : address.to_string();
}

std::optional<Cidr> Cidr::parse(std::string_view text) {
  const size_t slash = text.find('/');
  const auto ip = IpAddress::parse(text.substr(0, slash));
  if (!ip) return {};
  const unsigned width = ip->is_v4() ? 32 : 128;
  unsigned prefix = width;
  if (slash != std::string_view::npos) {
    const auto number = parse_port(text.substr(slash + 1));
    if (!number || *number > width) return {};
    prefix = *number;
  }
  if (with_tail(*ip, prefix, false) != *ip) return {};
  return Cidr{*ip, static_cast<uint8_t>(prefix)};
}

bool Cidr::contains(const IpAddress& ip) const {
  return ip.family() == network.family() && same_prefix(ip.bytes().data(), network.bytes().data(), prefix);
}

std::string Cidr::to_string() const { return network.to_string() + "/" + std::to_string(prefix); }

void CidrSet::add(const Cidr& cidr) {
  Range range{with_tail(cidr.network, cidr.prefix, false), with_tail(cidr.network, cidr.prefix, true)};
  if (range.first.unmapped() != range.first && range.last.unmapped() != range.last) {
    range = {range.first.unmapped(), range.last.unmapped()};
  }
  // Networks nest or are disjoint: swallow what lies inside, or be swallowed.
  const auto at = std::lower_bound(ranges_.begin(), ranges_.end(), range.first,
                                   [](const Range& have, const IpAddress& ip) { return have.last < ip; });
  if (at != ranges_.end() && at->first <= range.first && range.last <= at->last) return;
  auto end = at;
  while (end != ranges_.end() && end->last <= range.last) ++end;
  ranges_.insert(ranges_.erase(at, end), range);
}

bool CidrSet::contains(const IpAddress& address) const {
  const IpAddress ip = address.unmapped();
  const auto at = std::lower_bound(ranges_.begin(), ranges_.end(), ip,
                                   [](const Range& have, const IpAddress& wanted) { return have.last < wanted; });
  return at != ranges_.end() && at->first <= ip && ip.family() == at->first.family();
}

}  // namespace tributary::net

size_t std::hash<tributary::net::IpAddress>::operator()(const tributary::net::IpAddress& ip) const noexcept {
  uint64_t words[2];
  std::memcpy(words, ip.bytes().data(), sizeof(words));
  uint64_t h = words[0] * 0x9e3779b97f4a7c15u ^ (words[1] + (ip.is_v4() ? 1 : 0));
  h = (h ^ (h >> 32)) * 0xd6e8feb86659fd93u;
  return h ^ (h >> 32);
}

size_t std::hash<tributary::net::SocketAddress>::operator()(
    const tributary::net::SocketAddress& address) const noexcept {
  if (address.is_unix()) return std::hash<std::string_view>()(address.path());
  return std::hash<tributary::net::IpAddress>()(address.ip()) * 31 + address.port();
}
