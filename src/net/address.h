// Addresses: IP (v4, v6), socket (IP and port, or a Unix path), host and port, the sets of access lists, and what the
// IANA special-purpose registries say of an address. Plain values, any thread.
//
// The parsers are strict: "127.1", "0x7f.0.0.1", "0177.0.0.1", "2130706433" and zone ids are not IP literals here. They
// are names then, and the resolver answers such names without asking anybody (net/resolver.h): no form slips past
// the classification by being read differently by another parser.
#pragma once

#include <sys/socket.h>

#include <array>
#include <compare>
#include <cstdint>
#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

namespace tributary::net {

// One class per group of entries of the IANA IPv4 and IPv6 special-purpose address registries.
enum class AddressClass : uint8_t {
  Public,
  Unspecified,    // 0.0.0.0/8, ::
  Loopback,       // 127.0.0.0/8, ::1
  Private,        // RFC 1918
  LinkLocal,      // 169.254.0.0/16, fe80::/10
  CarrierNat,     // 100.64.0.0/10, RFC 6598
  UniqueLocal,    // fc00::/7
  SiteLocal,      // fec0::/10, deprecated
  Documentation,  // 192.0.2.0/24, …, 2001:db8::/32, 3fff::/20
  Benchmarking,   // 198.18.0.0/15, 2001:2::/48
  Multicast,      // 224.0.0.0/4, ff00::/8
  Broadcast,      // 255.255.255.255
  Discard,        // 100::/64, 100:0:0:1::/64
  Teredo,         // 2001::/32
  Nat64Local,     // 64:ff9b:1::/48, RFC 8215
  Special,        // protocol assignments: 192.0.0.0/24, 192.88.99.0/24, 2001::/23, 5f00::/16
  Reserved,       // 240.0.0.0/4, IPv6 outside 2000::/3, IPv4-compatible
};
std::string_view address_class_name(AddressClass kind);  // "link_local"

// An IPv4 or IPv6 address, 17 bytes. Default: 0.0.0.0. Ordered and hashable; 127.0.0.1 and ::ffff:127.0.0.1 differ.
class IpAddress {
 public:
  constexpr IpAddress() = default;
  static IpAddress v4(uint32_t host_order);
  static IpAddress v4(std::array<uint8_t, 4> bytes);
  static IpAddress v6(const std::array<uint8_t, 16>& bytes);

  // Dotted quad of four decimal numbers without leading zeros, or RFC 4291 2.2 text (no brackets, no zone id).
  static std::optional<IpAddress> parse(std::string_view text);

  bool is_v4() const { return is_v4_; }
  bool is_v6() const { return !is_v4_; }
  int family() const { return is_v4_ ? AF_INET : AF_INET6; }
  uint32_t v4_value() const;                                       // host order; is_v4() only
  const std::array<uint8_t, 16>& bytes() const { return bytes_; }  // v4: the first four, the others are zero
  // ::ffff:a.b.c.d becomes a.b.c.d, everything else stays. What a dual-stack socket's peer is known as.
  IpAddress unmapped() const;

  std::string to_string() const;  // RFC 5952
  friend auto operator<=>(const IpAddress&, const IpAddress&) = default;

 private:
  bool is_v4_ = true;  // first: the families do not mix in the order
  std::array<uint8_t, 16> bytes_{};
};

// The class of an address. One that embeds an IPv4 address (v4-mapped, NAT64 64:ff9b::/96, 6to4) has the class of
// the embedded one, because that is where the packets end.
AddressClass classify(const IpAddress& ip);
inline bool is_public(const IpAddress& ip) { return classify(ip) == AddressClass::Public; }

// Where a socket is bound or connected: IP and port, or a Unix path. 40 bytes.
class SocketAddress {
 public:
  SocketAddress() = default;  // is_none()
  SocketAddress(const IpAddress& ip, uint16_t port) : kind_(Kind::Ip), port_(port), ip_(ip) {}
  static SocketAddress unix_path(std::string path);  // may be empty: an unnamed peer
  // v4-mapped addresses are unmapped: a client of a dual-stack listener is known by its IPv4 address.
  static SocketAddress from(const sockaddr_storage& storage, socklen_t length);
  // "1.2.3.4:80", "[::1]:80", "unix:/path". Port 0 is allowed.
  static std::optional<SocketAddress> parse(std::string_view text);

  bool is_none() const { return kind_ == Kind::None; }
  bool is_ip() const { return kind_ == Kind::Ip; }
  bool is_unix() const { return kind_ == Kind::Unix; }
  const IpAddress& ip() const { return ip_; }  // is_ip() only
  uint16_t port() const { return port_; }      // 0 unless is_ip()
  std::string_view path() const { return path_ ? std::string_view(*path_) : std::string_view(); }

  // Fills `storage`; returns the length for bind and connect, 0 when it does not fit (a Unix path over 107 bytes).
  socklen_t to_sockaddr(sockaddr_storage& storage) const;
  std::string to_string() const;  // the forms that parse() takes; "-" when none
  friend bool operator==(const SocketAddress& a, const SocketAddress& b);

 private:
  enum class Kind : uint8_t { None, Ip, Unix };
  Kind kind_ = Kind::None;
  uint16_t port_ = 0;
  IpAddress ip_;
  // Shared, immutable: paths are rare, and an address with an inline string would double every stream.
  std::shared_ptr<const std::string> path_;
};

// A host as somebody named it (lower-case name without trailing dot, or the text of an IP without brackets) and a port.
struct HostPort {
  std::string host;
  uint16_t port = 0;

  // "example.com:443", "1.2.3.4:80", "[::1]:443". The port is required unless `default_port` is given.
  static std::optional<HostPort> parse(std::string_view text, std::optional<uint16_t> default_port = {});
  std::string to_string() const;  // with brackets around IPv6
  friend auto operator<=>(const HostPort&, const HostPort&) = default;
};

// An address to listen on: "127.0.0.1:3128", "[::1]:3128", ":3128" (every interface, IPv4 and IPv6), "unix:/path".
struct ListenAddress {
  SocketAddress address;
  bool every_interface = false;  // ":port": a dual-stack socket on [::], or 0.0.0.0 where there is no IPv6

  static std::optional<ListenAddress> parse(std::string_view text);
  std::string to_string() const;
  friend bool operator==(const ListenAddress&, const ListenAddress&) = default;
};

// "10.0.0.0/8", "fd00::/8", or a single address. Bits set below the prefix length are refused: they are a mistake.
struct Cidr {
  IpAddress network;
  uint8_t prefix = 32;

  static std::optional<Cidr> parse(std::string_view text);
  bool contains(const IpAddress& ip) const;
  std::string to_string() const;
};

// A set of networks for access lists. IPv4-mapped addresses match as their IPv4 address. contains() is O(log n).
class CidrSet {
 public:
  void add(const Cidr& cidr);
  bool contains(const IpAddress& ip) const;
  bool empty() const { return ranges_.empty(); }
  size_t size() const { return ranges_.size(); }  // disjoint ranges, at most one per add

 private:
  struct Range {
    IpAddress first, last;
  };
  std::vector<Range> ranges_;  // ordered, disjoint
};

std::optional<uint16_t> parse_port(std::string_view text);  // 0–65535, digits only, no sign, no leading zeros

}  // namespace tributary::net

template <>
struct std::hash<tributary::net::IpAddress> {
  size_t operator()(const tributary::net::IpAddress& ip) const noexcept;
};
template <>
struct std::hash<tributary::net::SocketAddress> {
  size_t operator()(const tributary::net::SocketAddress& address) const noexcept;
};
