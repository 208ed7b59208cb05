#include "upstream/route.h"

#include <algorithm>
#include <iterator>

#include "http/base64.h"
#include "http/percent.h"
#include "http/text.h"
#include "http/url.h"
#include "net/address.h"
#include "socks/client_handshake.h"
#include "upstream/origin.h"

namespace tributary::upstream {
namespace {

struct Scheme {
  std::string_view name;
  Route::Kind kind;
  uint16_t port;
};
constexpr Scheme kSchemes[] = {
    {"http", Route::Kind::Http, 80},        {"https", Route::Kind::Https, 443},   {"socks5", Route::Kind::Socks5, 1080},
    {"socks5h", Route::Kind::Socks5, 1080}, {"socks", Route::Kind::Socks5, 1080},
};

constexpr uint16_t kFirstRefusal = 400;

}  // namespace

std::string Route::to_string() const {
  const std::string_view scheme = kind == Kind::Http ? "http://" : kind == Kind::Https ? "https://" : "socks5://";
  return std::string(scheme) + net::HostPort{host, port}.to_string();
}

core::Secret Route::authorization() const {
  if (!has_credentials) return {};
  core::Secret plain(user);
  plain.append(":");
  plain.append(password.view());
  std::string encoded = http::base64_encode(plain.view());
  core::Secret value("Basic ");
  value.append(encoded);
  explicit_bzero(encoded.data(), encoded.size());
  return value;
}

bool Route::forwards_to(const Origin& origin) const { return kind != Kind::Socks5 && !origin.is_tls(); }

http::RequestHead Route::forwarded(const http::RequestHead& head, const Origin& origin) const {
  http::RequestHead sent = head;
  sent.target = origin.to_string();
  if (origin.port == 80) sent.target.erase(sent.target.rfind(':'));
  if (head.target != "*") sent.target += head.target;  // RFC 9112, 3.2.4: OPTIONS for all of a server has no path here
  const core::Secret credentials = authorization();
  if (!credentials.empty()) sent.fields.set(http::FieldName::ProxyAuthorization, credentials.view());
  return sent;
}

RoutePtr parse_route(std::string_view text, std::string& why) {
  text = http::trim_ows(text);
  auto route = std::make_shared<Route>();
  route->port = 80;
  const size_t colons = text.find("://");
  if (colons != std::string_view::npos) {
    const auto known = std::find_if(std::begin(kSchemes), std::end(kSchemes), [&](const Scheme& scheme) {
      return http::equal_ignoring_case(scheme.name, text.substr(0, colons));
    });
    if (known == std::end(kSchemes)) {
      why = "the proxy's scheme is none of http, https, socks5 and socks5h";
      return nullptr;
    }
    route->kind = known->kind;
    route->port = known->port;
    text.remove_prefix(colons + 3);
  }
  // The last "@" before the path: passwords have been written with a bare one in them.
  std::string_view authority = text.substr(0, text.find_first_of("/?#"));
  const size_t at = authority.rfind('@');
  if (at != std::string_view::npos) {
    const std::string_view credentials = authority.substr(0, at);
    const size_t colon = std::min(credentials.find(':'), credentials.size());
    std::string password;
    http::append_percent_decoded(credentials.substr(0, colon), route->user);
    http::append_percent_decoded(credentials.substr(std::min(colon + 1, credentials.size())), password);
    route->password = core::Secret(password);
    explicit_bzero(password.data(), password.size());
    route->has_credentials = true;
    authority.remove_prefix(at + 1);
    // RFC 7617, 2: what is behind the first colon is the password. RFC 1929: lengths are bytes, and a user has one.
    if (route->kind != Route::Kind::Socks5 && route->user.find(':') != std::string::npos) {
      why = "the name of a proxy's user cannot have a colon";
      return nullptr;
    }
    if (route->kind == Route::Kind::Socks5 &&
        (route->user.empty() || route->user.size() > socks::kMaxLogin || route->password.view().size() > socks::kMaxLogin)) {
      why = "for SOCKS5 a user has 1 to 255 bytes, and a password at most 255";
      return nullptr;
    }
  }
  const auto parsed = http::parse_authority(authority);
  if (!parsed) {
    why = "a proxy is to be written [scheme://][user:password@]host[:port]";
    return nullptr;
  }
  route->host = parsed->host;
  std::transform(route->host.begin(), route->host.end(), route->host.begin(), http::to_lower);
  if (parsed->port != 0) route->port = parsed->port;
  return route;
}

core::Error parent_refusal(uint16_t status) {
  const bool fits = status >= kFirstRefusal && status < kFirstRefusal + 200;
  return {.code = core::ErrorCode::ParentRefused, .side = core::Side::Parent, .retry = core::Retry::Safe,
          .detail = static_cast<uint8_t>(fits ? status - kFirstRefusal + 1 : 0)};
}

std::optional<uint16_t> parent_status(const core::Error& error) {
  if (error.code != core::ErrorCode::ParentRefused || error.detail == 0) return {};
  return static_cast<uint16_t>(kFirstRefusal + error.detail - 1);
}

}  // namespace tributary::upstream
