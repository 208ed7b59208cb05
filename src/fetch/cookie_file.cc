#include "fetch/cookie_file.h"

#include <algorithm>
#include <array>
#include <optional>

#include "http/text.h"

namespace tributary::fetch {
namespace {

constexpr std::string_view kHttpOnly = "#HttpOnly_";
constexpr size_t kColumns = 7;

std::string_view take_line(std::string_view& text) {
  std::string_view line = text.substr(0, text.find('\n'));
  text.remove_prefix(std::min(line.size() + 1, text.size()));
  if (line.ends_with('\r')) line.remove_suffix(1);
  return line;
}

// The columns of a line; the last has what is left, tabs included. Their number.
size_t split(std::string_view line, std::array<std::string_view, kColumns>& columns) {
  size_t count = 0;
  while (count < kColumns) {
    const size_t tab = count + 1 < kColumns ? line.find('\t') : std::string_view::npos;
    columns[count++] = line.substr(0, tab);
    if (tab == std::string_view::npos) break;
    line.remove_prefix(tab + 1);
  }
  return count;
}

std::optional<bool> parse_flag(std::string_view text) {
  if (http::equal_ignoring_case(text, "TRUE")) return true;
  if (http::equal_ignoring_case(text, "FALSE")) return false;
  return std::nullopt;
}

enum class Line { Cookie, Expired, Malformed };

Line parse_line(std::string_view line, core::UnixTime now, Cookie& cookie) {
  const auto is_control = [](char c) { return (static_cast<uint8_t>(c) < 0x20 && c != '\t') || c == 0x7f; };
  if (std::any_of(line.begin(), line.end(), is_control)) return Line::Malformed;
  std::array<std::string_view, kColumns> columns;
  if (split(line, columns) < kColumns - 1) return Line::Malformed;
  auto [domain, below, path, secure, expires, name, value] = columns;
  const auto is_for_below = parse_flag(below), is_secure = parse_flag(secure);
  if (domain.starts_with('.')) domain.remove_prefix(1);
  if (!http::is_valid_host(domain)) {  // wget has "host:port"; a port tells no cookies apart
    const auto authority = http::parse_authority(domain);
    if (!authority) return Line::Malformed;
    domain = authority->host;
  }
  if (!is_for_below || !is_secure || !path.starts_with('/')) return Line::Malformed;
  const std::string_view whole = expires.substr(0, expires.find('.'));
  const auto seconds = whole.empty() ? std::optional<uint64_t>(0) : http::parse_decimal(whole);
  if (!seconds || *seconds > INT64_MAX) return Line::Malformed;
  cookie.name = name;
  cookie.value = value;
  cookie.domain = domain;
  std::transform(cookie.domain.begin(), cookie.domain.end(), cookie.domain.begin(), http::to_lower);
  cookie.path = path;
  cookie.host_only = !*is_for_below;
  cookie.secure = *is_secure;
  if (*seconds != 0) cookie.expires = static_cast<core::UnixTime>(*seconds);
  return cookie.expires && *cookie.expires <= now ? Line::Expired : Line::Cookie;
}

}  // namespace

CookieFileResult read_cookie_file(std::string_view text, core::UnixTime now, CookieJar& jar) {
  CookieFileResult result;
  while (!text.empty()) {
    std::string_view line = take_line(text);
    Cookie cookie;
    cookie.http_only = line.starts_with(kHttpOnly);
    if (cookie.http_only) line.remove_prefix(kHttpOnly.size());
    if (line.empty() || (!cookie.http_only && line.starts_with('#'))) continue;
    const Line kind = parse_line(line, now, cookie);
    if (kind == Line::Expired) continue;
    ++(kind == Line::Cookie && jar.add(std::move(cookie), now) ? result.cookies : result.refused);
  }
  return result;
}

std::string write_cookie_file(const CookieJar& jar, core::UnixTime now, SessionCookies sessions) {
  // Python's reader insists on the first line.
  std::string out = "# Netscape HTTP Cookie File\n# Written by tributary. Edit at your own risk.\n\n";
  for (const Cookie& cookie : jar.cookies(now)) {
    if (!cookie.expires && sessions == SessionCookies::Drop) continue;
    if (cookie.http_only) out += kHttpOnly;
    if (!cookie.host_only) out += '.';
    out.append(cookie.domain).append(cookie.host_only ? "\tFALSE\t" : "\tTRUE\t");
    out.append(cookie.path).append(cookie.secure ? "\tTRUE\t" : "\tFALSE\t");
    out.append(std::to_string(cookie.expires.value_or(0))).append("\t");
    out.append(cookie.name).append("\t").append(cookie.value).append("\n");
  }
  return out;
}

}  // namespace tributary::fetch
