// Route: the proxy through which an origin is reached, a parent in the words of the configuration. Made once from what the user
// wrote and then shared; any thread.
//
//   http://, https://   http origins by requests in absolute-form, https origins through CONNECT; https: TLS to the proxy
//   socks5://           every origin through CONNECT of SOCKS5
//
// The proxy looks names up, for each kind: nothing is asked of our own resolver but the proxy's name.
#pragma once

#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <string_view>

#include "core/error.h"
#include "core/secret.h"
#include "http/message.h"

namespace tributary::upstream {

struct Origin;

struct Route {
  enum class Kind : uint8_t { Http, Https, Socks5 };

  Kind kind = Kind::Http;
  std::string host;  // lower case, without brackets
  uint16_t port = 0;
  std::string user;  // percent-decoded
  core::Secret password;
  bool has_credentials = false;

  // "socks5://host:port"; never with credentials.
  std::string to_string() const;
  // The value of Proxy-Authorization (Basic, RFC 7617); empty without credentials.
  core::Secret authorization() const;

  // A connection to the proxy is one to the origin: requests are sent in absolute-form.
  bool forwards_to(const Origin& origin) const;
  // A request for `origin`, in the form for forwards_to().
  http::RequestHead forwarded(const http::RequestHead& head, const Origin& origin) const;
};

// Shared: thousands of Origins on several threads name the same proxy, and none of them is the last. Null: no proxy. Routes
// are the same when they are the same object; connections through different ones are never mixed.
using RoutePtr = std::shared_ptr<const Route>;

// [scheme://][user[:password]@]host[:port][/]. Without a scheme: http, as everywhere. Without a port: 80, 443 or 1080 by the
// scheme (curl has 1080 for each, wget 80). On failure null, and `why` says what is wrong; it never holds the password.
RoutePtr parse_route(std::string_view text, std::string& why);

// The status with which an HTTP proxy refused to connect (400 to 599), kept in Error::detail of ParentRefused.
core::Error parent_refusal(uint16_t status);
std::optional<uint16_t> parent_status(const core::Error& error);

}  // namespace tributary::upstream
