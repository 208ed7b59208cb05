// The cookies of one run: the storage model of RFC 6265bis, 5.7 and 5.8.
//
//   site (registrable domain, by the Public Suffix List) -> the cookies of its hosts
//
// A request is answered from its own site's drawer alone, so that no cookie for a public suffix can reach another site,
// however it got in (a hand-written file included). Bounded: kMaxPerSite, kMaxCookies, set_cookie.h's sizes, and per
// response and request the numbers below; what goes first is expired, then insecure, then least recently sent.
//
// SameSite is read for what it forbids (None without Secure) and otherwise changes nothing: every request of a command
// line is one that the user asked for, which is what a browser calls a top-level navigation.
//
// Secure means https, also for localhost. Loop-affine (plain data: may be moved). `suffixes` must outlive it.
#pragma once

#include <cstddef>
#include <cstdint>
#include <map>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "core/time.h"
#include "fetch/public_suffix.h"
#include "fetch/set_cookie.h"
#include "http/fields.h"
#include "http/url.h"

namespace tributary::fetch {

struct Cookie {
  std::string name;    // may be empty
  std::string value;
  std::string domain;  // lower case, no leading dot
  std::string path = "/";
  std::optional<core::UnixTime> expires;  // none: a session cookie
  bool host_only = true;  // for exactly `domain`, not for names below it
  bool secure = false;
  bool http_only = false;
  SameSite same_site = SameSite::Default;
};

class CookieJar {
 public:
  static constexpr size_t kMaxCookies = 3000;
  static constexpr size_t kMaxPerSite = 180;
  static constexpr size_t kMaxPerResponse = 50;          // Set-Cookie fields that are looked at, as in curl
  static constexpr size_t kMaxPerRequest = 150;          // as in curl
  static constexpr size_t kMaxHeader = 8190;             // bytes of a Cookie value, as in curl
  static constexpr int64_t kMaxAge = 400 * 86400;        // 5.6.1, 5.6.2: seconds

  explicit CookieJar(const PublicSuffixList& suffixes) : suffixes_(&suffixes) {}

  // What one Set-Cookie field of a response to `url` asks for. False: refused, and nothing changed.
  bool store(const http::Url& url, std::string_view set_cookie, core::UnixTime now);
  // Every Set-Cookie of `response`, up to kMaxPerResponse.
  void store_all(const http::Url& url, const http::FieldSection& response, core::UnixTime now);

  // The value of Cookie for a request to `url`; empty when there is none to send.
  std::string header(const http::Url& url, core::UnixTime now);

  // A cookie from elsewhere (a file). False when it is expired, over a limit, or its name's prefix says that it cannot be.
  bool add(Cookie cookie, core::UnixTime now);

  // Every cookie that has not expired, oldest first.
  std::vector<Cookie> cookies(core::UnixTime now) const;

  size_t size() const { return size_; }

 private:
  struct Stored {
    Cookie cookie;
    uint64_t created = 0;  // order, not time: what is replaced keeps its place
    uint64_t used = 0;
  };
  using Drawer = std::vector<Stored>;

  Drawer* find_drawer(std::string_view host);
  bool overlays_secure(const Cookie& cookie, Drawer& drawer) const;
  void put(Cookie cookie, core::UnixTime now);
  void remove(Drawer& drawer, size_t index);
  void make_room(core::UnixTime now);

  const PublicSuffixList* suffixes_;
  std::map<std::string, Drawer, std::less<>> sites_;
  size_t size_ = 0;
  uint64_t tick_ = 0;
};

// 5.1.3 for canonical hosts; an IP address matches itself only.
bool domain_matches(std::string_view host, std::string_view domain);
// 5.1.4.
bool path_matches(std::string_view request_path, std::string_view cookie_path);

}  // namespace tributary::fetch
