#include "fetch/cookie_jar.h"

#include <algorithm>
#include <iterator>

#include "http/text.h"
#include "net/address.h"

namespace tributary::fetch {
namespace {

// The root's dot is no other host (CVE-2022-27779: "com." passed where "com" did not).
std::string_view canonical_host(const http::Url& url) {
  std::string_view host = url.host();
  while (host.size() > 1 && host.ends_with('.')) host.remove_suffix(1);
  return host;
}

std::string to_lower_text(std::string_view text) {
  std::string out(text);
  std::transform(out.begin(), out.end(), out.begin(), http::to_lower);
  return out;
}

// 5.1.4.
std::string default_path(std::string_view path) {
  const size_t slash = path.rfind('/');
  return slash == 0 || slash == std::string_view::npos ? "/" : std::string(path.substr(0, slash));
}

bool has_prefix(std::string_view text, std::string_view prefix) {
  return http::equal_ignoring_case(text.substr(0, prefix.size()), prefix);
}

// 5.7, steps 19 to 21, and 4.1.3: what a name promises must hold, or it would promise nothing.
bool keeps_promise(const Cookie& cookie) {
  if (cookie.name.empty()) return !has_prefix(cookie.value, "__Secure-") && !has_prefix(cookie.value, "__Host-");
  if (has_prefix(cookie.name, "__Secure-")) return cookie.secure;
  if (has_prefix(cookie.name, "__Host-")) return cookie.secure && cookie.host_only && cookie.path == "/";
  return true;
}

bool is_expired(const Cookie& cookie, core::UnixTime now) {
  return cookie.expires && *cookie.expires <= now;
}

std::optional<core::UnixTime> expiry(const SetCookie& given, core::UnixTime now) {
  if (given.max_age) return *given.max_age <= 0 ? now : now + std::min(*given.max_age, CookieJar::kMaxAge);
  if (given.expires) return std::min(*given.expires, now + CookieJar::kMaxAge);
  return std::nullopt;
}

}  // namespace

bool domain_matches(std::string_view host, std::string_view domain) {
  if (host == domain) return true;
  return host.size() > domain.size() && host.ends_with(domain) && host[host.size() - domain.size() - 1] == '.' &&
         !net::IpAddress::parse(host);
}

bool path_matches(std::string_view request_path, std::string_view cookie_path) {
  return request_path.starts_with(cookie_path) &&
         (request_path.size() == cookie_path.size() || cookie_path.ends_with('/') || request_path[cookie_path.size()] == '/');
}

bool CookieJar::store(const http::Url& url, std::string_view set_cookie, core::UnixTime now) {
  const auto given = parse_set_cookie(set_cookie);
  // The jar file's columns are separated by tabs: a cookie that cannot be written is none.
  if (!given || given->name.find('\t') != std::string_view::npos || given->path.find('\t') != std::string_view::npos) return false;
  const std::string_view host = canonical_host(url);
  const bool is_https = url.scheme() == http::Scheme::Https;
  std::string domain = to_lower_text(given->domain);
  if (!domain.empty() && domain != host && (!domain_matches(host, domain) || suffixes_->is_public_suffix(domain))) return false;
  // 5.7, step 9: a public suffix may set cookies for itself, as a host.
  if (domain == host && (suffixes_->is_public_suffix(domain) || net::IpAddress::parse(host))) domain.clear();

  Cookie cookie;
  cookie.name = given->name;
  cookie.value = given->value;
  cookie.host_only = domain.empty();
  cookie.domain = domain.empty() ? std::string(host) : std::move(domain);
  cookie.path = given->path.empty() ? default_path(url.path()) : std::string(given->path);
  cookie.expires = expiry(*given, now);
  cookie.secure = given->secure;
  cookie.http_only = given->http_only;
  cookie.same_site = given->same_site;
  if (cookie.secure && !is_https) return false;
  if (cookie.same_site == SameSite::None && !cookie.secure) return false;
  if (!keeps_promise(cookie)) return false;
  Drawer* drawer = find_drawer(host);
  if (drawer && !is_https && overlays_secure(cookie, *drawer)) return false;
  put(std::move(cookie), now);
  return true;
}

void CookieJar::store_all(const http::Url& url, const http::FieldSection& response, core::UnixTime now) {
  size_t seen = 0;
  response.for_each(http::FieldName::SetCookie, [&](std::string_view value) {
    if (seen++ < kMaxPerResponse) store(url, value, now);
  });
}

bool CookieJar::add(Cookie cookie, core::UnixTime now) {
  if (cookie.name.size() + cookie.value.size() > kMaxCookiePair || cookie.path.size() > kMaxCookieAttribute ||
      cookie.domain.empty() || cookie.domain.size() > kMaxCookieAttribute || (cookie.name.empty() && cookie.value.empty()) ||
      is_expired(cookie, now) || !keeps_promise(cookie)) {
    return false;
  }
  put(std::move(cookie), now);
  return true;
}

std::string CookieJar::header(const http::Url& url, core::UnixTime now) {
  const std::string_view host = canonical_host(url);
  std::vector<Stored*> chosen;
  if (Drawer* drawer = find_drawer(host)) {
    for (Stored& stored : *drawer) {
      const Cookie& cookie = stored.cookie;
      const bool is_for_host = cookie.host_only ? cookie.domain == host : domain_matches(host, cookie.domain);
      if (is_for_host && path_matches(url.path(), cookie.path) && !is_expired(cookie, now) &&
          (!cookie.secure || url.scheme() == http::Scheme::Https)) {
        chosen.push_back(&stored);
      }
    }
  }
  // 5.8.3, step 2: longer paths first, then older cookies.
  std::sort(chosen.begin(), chosen.end(), [](const Stored* a, const Stored* b) {
    const size_t a_size = a->cookie.path.size(), b_size = b->cookie.path.size();
    return a_size != b_size ? a_size > b_size : a->created < b->created;
  });
  if (chosen.size() > kMaxPerRequest) chosen.resize(kMaxPerRequest);
  std::string header;
  for (Stored* stored : chosen) {
    const Cookie& cookie = stored->cookie;
    if (header.size() + cookie.name.size() + cookie.value.size() + 3 > kMaxHeader) break;
    if (!header.empty()) header += "; ";
    if (!cookie.name.empty()) header.append(cookie.name).append("=");
    header += cookie.value;
    stored->used = ++tick_;
  }
  return header;
}

std::vector<Cookie> CookieJar::cookies(core::UnixTime now) const {
  std::vector<const Stored*> all;
  for (const auto& [site, drawer] : sites_) {
    for (const Stored& stored : drawer) {
      if (!is_expired(stored.cookie, now)) all.push_back(&stored);
    }
  }
  std::sort(all.begin(), all.end(), [](const Stored* a, const Stored* b) { return a->created < b->created; });
  std::vector<Cookie> out;
  out.reserve(all.size());
  for (const Stored* stored : all) out.push_back(stored->cookie);
  return out;
}

CookieJar::Drawer* CookieJar::find_drawer(std::string_view host) {
  const auto found = sites_.find(suffixes_->site_of(host));
  return found == sites_.end() ? nullptr : &found->second;
}

// 5.7, step 15: what came over a connection that others can write to must not take the place of a secure cookie.
bool CookieJar::overlays_secure(const Cookie& cookie, Drawer& drawer) const {
  return std::any_of(drawer.begin(), drawer.end(), [&](const Stored& stored) {
    const Cookie& other = stored.cookie;
    return other.secure && other.name == cookie.name &&
           (domain_matches(cookie.domain, other.domain) || domain_matches(other.domain, cookie.domain)) &&
           path_matches(cookie.path, other.path);
  });
}

// Puts it in the place of the one with the same name, domain and path (5.7, step 22); an expired one leaves the place empty.
void CookieJar::put(Cookie cookie, core::UnixTime now) {
  const std::string site = suffixes_->site_of(cookie.domain);
  Drawer& drawer = sites_[site];
  const auto same = std::find_if(drawer.begin(), drawer.end(), [&](const Stored& stored) {
    const Cookie& other = stored.cookie;
    return other.name == cookie.name && other.domain == cookie.domain && other.host_only == cookie.host_only &&
           other.path == cookie.path;
  });
  if (is_expired(cookie, now)) {
    if (same != drawer.end()) remove(drawer, static_cast<size_t>(same - drawer.begin()));
    if (drawer.empty()) sites_.erase(site);
    return;
  }
  ++tick_;
  if (same != drawer.end()) {
    same->cookie = std::move(cookie);
    same->used = tick_;
    return;
  }
  drawer.push_back({std::move(cookie), tick_, tick_});
  ++size_;
  if (drawer.size() > kMaxPerSite) {
    const auto goes_first = [now](const Stored& a, const Stored& b) {
      const bool a_expired = is_expired(a.cookie, now), b_expired = is_expired(b.cookie, now);
      if (a_expired != b_expired) return a_expired;
      return a.cookie.secure != b.cookie.secure ? b.cookie.secure : a.used < b.used;
    };
    const auto oldest = std::min_element(drawer.begin(), std::prev(drawer.end()), goes_first);
    remove(drawer, static_cast<size_t>(oldest - drawer.begin()));
  }
  if (size_ > kMaxCookies) make_room(now);
}

void CookieJar::remove(Drawer& drawer, size_t index) {
  drawer.erase(drawer.begin() + static_cast<ptrdiff_t>(index));
  --size_;
}

// Everything that has expired, and if that is not enough the tenth that was not used for the longest: a flood of cookies
// then costs a sort every so often, not each time.
void CookieJar::make_room(core::UnixTime now) {
  std::vector<uint64_t> used;
  for (const auto& [site, drawer] : sites_) {
    for (const Stored& stored : drawer) {
      if (!is_expired(stored.cookie, now)) used.push_back(stored.used);
    }
  }
  uint64_t oldest_kept = 0;
  if (used.size() > kMaxCookies) {
    const auto kept = used.begin() + static_cast<ptrdiff_t>(kMaxCookies / 10);
    std::nth_element(used.begin(), kept, used.end());
    oldest_kept = *kept;
  }
  size_ = 0;
  for (auto& [site, drawer] : sites_) {
    std::erase_if(drawer, [&](const Stored& stored) { return stored.used < oldest_kept || is_expired(stored.cookie, now); });
    size_ += drawer.size();
  }
  std::erase_if(sites_, [](const auto& entry) { return entry.second.empty(); });
}

}  // namespace tributary::fetch
