#include "fetch/proxy_choice.h"

#include <algorithm>

#include "http/text.h"
#include "net/address.h"

namespace tributary::fetch {
namespace {

std::string_view without_final_dots(std::string_view host) {
  while (host.ends_with('.')) host.remove_suffix(1);
  return host;
}

// "name", "name:port", "address", "[address]", "[address]:port", "v4:port"; false when the port is none or another one.
bool take_port(std::string_view& element, uint16_t port) {
  std::string_view text;
  if (element.starts_with('[')) {
    const size_t close = element.find(']');
    if (close == std::string_view::npos) return false;
    text = element.substr(close + 1);
    element = element.substr(1, close - 1);
    if (text.empty()) return true;
    if (!text.starts_with(':')) return false;
    text.remove_prefix(1);
  } else {
    const size_t colon = element.find(':');
    if (colon == std::string_view::npos || element.find(':', colon + 1) != std::string_view::npos) return true;  // or IPv6
    text = element.substr(colon + 1);
    element = element.substr(0, colon);
  }
  return net::parse_port(text) == port;
}

// Bits of `network` below the prefix are overlooked.
bool is_in_network(const net::IpAddress& ip, std::string_view element) {
  const size_t slash = element.find('/');
  const auto network = net::IpAddress::parse(element.substr(0, slash));
  if (!network || network->is_v4() != ip.is_v4()) return false;
  const unsigned width = ip.is_v4() ? 32 : 128;
  unsigned prefix = width;
  if (slash != std::string_view::npos) {
    const auto number = net::parse_port(element.substr(slash + 1));
    if (!number || *number > width) return false;
    prefix = *number;
  }
  for (unsigned bit = 0; bit < prefix; ++bit) {
    const unsigned mask = 0x80u >> bit % 8;
    if (((ip.bytes()[bit / 8] ^ network->bytes()[bit / 8]) & mask) != 0) return false;
  }
  return true;
}

bool is_name_under(std::string_view host, std::string_view element) {
  if (element.starts_with("*.")) element.remove_prefix(1);
  while (element.starts_with('.')) element.remove_prefix(1);
  element = without_final_dots(element);
  if (element.empty() || host.size() < element.size()) return false;
  if (!http::equal_ignoring_case(host.substr(host.size() - element.size()), element)) return false;
  return host.size() == element.size() || host[host.size() - element.size() - 1] == '.';
}

}  // namespace

ProxyEnvironment proxy_environment(const std::function<const char*(const char*)>& get) {
  const auto first = [&get](const char* lower, const char* upper) {
    for (const char* name : {lower, upper}) {
      const char* value = name ? get(name) : nullptr;
      if (value && *value) return std::string(value);
    }
    return std::string();
  };
  return {first("http_proxy", nullptr), first("https_proxy", "HTTPS_PROXY"), first("all_proxy", "ALL_PROXY"),
          first("no_proxy", "NO_PROXY")};
}

std::string_view proxy_for(const http::Url& url, const ProxyEnvironment& environment) {
  const std::string& own = url.scheme() == http::Scheme::Https ? environment.https_proxy : environment.http_proxy;
  const std::string& chosen = own.empty() ? environment.all_proxy : own;
  if (chosen.empty() || bypasses_proxy(environment.no_proxy, url.host(), url.port())) return {};
  return chosen;
}

bool bypasses_proxy(std::string_view no_proxy, std::string_view host, uint16_t port) {
  host = without_final_dots(host);
  const auto literal = net::IpAddress::parse(host);
  constexpr std::string_view kSeparators = ", \t\r\n";
  for (;;) {
    no_proxy.remove_prefix(std::min(no_proxy.find_first_not_of(kSeparators), no_proxy.size()));
    if (no_proxy.empty()) return false;
    std::string_view element = no_proxy.substr(0, no_proxy.find_first_of(kSeparators));
    no_proxy.remove_prefix(element.size());
    if (element == "*") return true;
    if (!take_port(element, port)) continue;
    if (literal ? is_in_network(literal->unmapped(), element) || is_in_network(*literal, element) : is_name_under(host, element)) {
      return true;
    }
  }
}

std::optional<upstream::RoutePtr> ProxyChoice::route(const http::Url& url, std::string& why) {
  const std::string_view text = proxy_for(url, environment_);
  if (text.empty()) return upstream::RoutePtr();
  const auto known = routes_.find(text);
  if (known != routes_.end()) return known->second;
  upstream::RoutePtr route = upstream::parse_route(text, why);
  if (!route) return {};
  routes_.emplace(text, route);
  return route;
}

}  // namespace tributary::fetch
