// Origin: where a request is sent, and the key of everything that is kept per server: connections, quota, memory of what
// splitting helped. Two requests may share a connection only when their Origins are equal. Plain value, any thread.
#pragma once

#include <cstdint>
#include <functional>
#include <string>
#include <string_view>

#include "http/url.h"
#include "net/address.h"
#include "upstream/route.h"

namespace tributary::upstream {

struct Origin {
  http::Scheme scheme = http::Scheme::Http;
  uint16_t port = 80;
  std::string host;           // lower case, an IPv6 literal without brackets
  uint64_t tls_identity = 0;  // which TLS settings vouch for it (net::TlsClientContext::identity); 0: the client's own
  RoutePtr route{};           // the proxy on the way; null: none

  static Origin from(const http::Url& url) {
    return {url.scheme(), url.port(), std::string(url.host()), 0, nullptr};
  }
  bool is_tls() const { return scheme == http::Scheme::Https; }
  // "http://host:port", for logs and the admin page.
  std::string to_string() const {
    return std::string(http::scheme_text(scheme)) + "://" + net::HostPort{host, port}.to_string();
  }
  friend bool operator==(const Origin&, const Origin&) = default;
};

struct OriginHash {
  size_t operator()(const Origin& origin) const noexcept {
    const size_t host = std::hash<std::string_view>{}(origin.host);
    const uint64_t rest = origin.tls_identity * 4 + uint64_t{origin.port} * 2 + (origin.is_tls() ? 1 : 0);
    return host ^ std::hash<RoutePtr>{}(origin.route) ^ static_cast<size_t>(rest * 0x9e3779b97f4a7c15u);
  }
};

}  // namespace tributary::upstream
