#include "fetch/proxy_choice.h"

#include <algorithm>

#include "http/percent.h"
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

struct Scheme {
  std::string_view name;
  ProxyKind kind;
  uint16_t port;
};
constexpr Scheme kSchemes[] = {
    {"http", ProxyKind::Http, 80},        {"https", ProxyKind::Https, 443},    {"socks4", ProxyKind::Socks4, 1080},
    {"socks4a", ProxyKind::Socks4a, 1080}, {"socks5", ProxyKind::Socks5, 1080}, {"socks5h", ProxyKind::Socks5h, 1080},
    {"socks", ProxyKind::Socks5h, 1080},
};

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

std::optional<ProxyAddress> parse_proxy(std::string_view text, std::string& why) {
  text = http::trim_ows(text);
  ProxyAddress proxy;
  proxy.port = 80;
  const size_t colons = text.find("://");
  if (colons != std::string_view::npos) {
    const auto known = std::find_if(std::begin(kSchemes), std::end(kSchemes), [&](const Scheme& scheme) {
      return http::equal_ignoring_case(scheme.name, text.substr(0, colons));
    });
    if (known == std::end(kSchemes)) {
      why = "the proxy's scheme is none of http, https, socks4, socks4a, socks5 and socks5h";
      return std::nullopt;
    }
    proxy.kind = known->kind;
    proxy.port = known->port;
    text.remove_prefix(colons + 3);
  }
  // The last "@" before the path: passwords have been written with a bare one in them.
  std::string_view authority = text.substr(0, text.find_first_of("/?#"));
  const size_t at = authority.rfind('@');
  if (at != std::string_view::npos) {
    const std::string_view credentials = authority.substr(0, at);
    const size_t colon = std::min(credentials.find(':'), credentials.size());
    std::string password;
    http::append_percent_decoded(credentials.substr(0, colon), proxy.user);
    http::append_percent_decoded(credentials.substr(std::min(colon + 1, credentials.size())), password);
    proxy.password = core::Secret(password);
    explicit_bzero(password.data(), password.size());
    proxy.has_credentials = true;
    authority.remove_prefix(at + 1);
  }
  const auto parsed = http::parse_authority(authority);
  if (!parsed) {
    why = "the proxy is to be written [scheme://][user:password@]host[:port]";
    return std::nullopt;
  }
  proxy.host = parsed->host;
  std::transform(proxy.host.begin(), proxy.host.end(), proxy.host.begin(), http::to_lower);
  if (parsed->port != 0) proxy.port = parsed->port;
  return proxy;
}

}  // namespace tributary::fetch
