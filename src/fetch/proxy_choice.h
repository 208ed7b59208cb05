// Which proxy a URL goes through by the environment: http_proxy, https_proxy, all_proxy and no_proxy, as curl and wget agree on
// them, and where they do not, as noted. The environment comes in as text; the functions are pure.
#pragma once

#include <cstdint>
#include <functional>
#include <map>
#include <optional>
#include <string>
#include <string_view>
#include <utility>

#include "http/url.h"
#include "upstream/route.h"

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

// Which way each URL of a run goes. Loop-affine: it makes every route once, so that its connections are found again.
class ProxyChoice {
 public:
  ProxyChoice() = default;  // every URL directly
  explicit ProxyChoice(ProxyEnvironment environment) : environment_(std::move(environment)) {}

  // A null route: directly. Nothing: what the variable holds is no proxy; `why` never has a password in it.
  std::optional<upstream::RoutePtr> route(const http::Url& url, std::string& why);

 private:
  ProxyEnvironment environment_;
  std::map<std::string, upstream::RoutePtr, std::less<>> routes_;  // by their text
};

}  // namespace tributary::fetch
