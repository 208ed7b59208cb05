// Which proxy a URL goes through by the environment: http_proxy, https_proxy, all_proxy and no_proxy, as curl and wget agree on
// them, and where they do not, as noted. Pure: the environment comes in as text. Any thread.
#pragma once

#include <cstdint>
#include <functional>
#include <optional>
#include <string>
#include <string_view>

#include "core/secret.h"
#include "http/url.h"

namespace tributary::fetch {

// The variables' values; an empty one is one that is not set.
struct ProxyEnvironment {
  std::string http_proxy, https_proxy, all_proxy, no_proxy;
};

// Asks `get` for each (getenv, as a rule; nullptr: not set), in lower case and then in upper case. HTTP_PROXY is not asked for:
// CGI has it from a client's Proxy field (CVE-2016-5385), and curl and wget do not look at it either.
ProxyEnvironment proxy_environment(const std::function<const char*(const char*)>& get);

// The value of the variable that applies to `url`, empty for a direct connection. A variable of the scheme counts before all_proxy.
std::string_view proxy_for(const http::Url& url, const ProxyEnvironment& environment);

// Whether an element of the list says that `host` is reached directly. Elements are separated by commas or white space:
//   *                    every host
//   example.com          it and every name below it; ".example.com" and "*.example.com" mean the same (in curl; in wget the
//                        name itself is not meant by the form with the dot)
//   192.0.2.1, ::1       the address; brackets are allowed
//   192.0.2.0/24         the addresses of a network, whatever the bits below (curl from 7.86)
//   any of them:port     at that port alone
// Addresses match addresses only: "2.1" is no suffix of 192.0.2.1. Final dots mean nothing.
bool bypasses_proxy(std::string_view no_proxy, std::string_view host, uint16_t port);

enum class ProxyKind : uint8_t { Http, Https, Socks4, Socks4a, Socks5, Socks5h };  // a, h: the proxy resolves names

struct ProxyAddress {
  ProxyKind kind = ProxyKind::Http;
  std::string host;  // lower case, without brackets
  uint16_t port = 0;
  std::string user;  // percent-decoded
  core::Secret password;
  bool has_credentials = false;
};

// [scheme://][user[:password]@]host[:port][/]. Without a scheme: http, as everywhere. Without a port: 80, 443 or 1080 by the
// scheme (curl has 1080 for each, wget 80). On failure `why` says what is wrong; it never holds the password.
std::optional<ProxyAddress> parse_proxy(std::string_view text, std::string& why);

}  // namespace tributary::fetch
