#include "http/url.h"

#include <arpa/inet.h>

#include <algorithm>
#include <array>
#include <charconv>
#include <optional>

#include "http/text.h"

namespace tributary::http {
namespace {

using core::Error;
using core::ErrorCode;

constexpr size_t kMaxHost = 255;
constexpr Error kInvalid{ErrorCode::InvalidArgument, core::Side::Client, core::Retry::Never, 0, 0};
constexpr Error kOtherScheme{ErrorCode::UnsupportedProtocol, core::Side::Client, core::Retry::Never,
                             0, 0};

consteval std::array<bool, 256> host_table() {
  std::array<bool, 256> table{};
  for (char c : std::string_view("-._~!$&'()*+,;=")) table[static_cast<uint8_t>(c)] = true;
  for (char c = 0; c < 127; ++c) {
    if (is_digit(c) || is_alpha(c)) table[static_cast<uint8_t>(c)] = true;
  }
  return table;
}
constexpr std::array<bool, 256> kHostTable = host_table();

bool is_reg_name(std::string_view host) {
  return !host.empty() && host.size() <= kMaxHost &&
         std::all_of(host.begin(), host.end(),
                     [](char c) { return kHostTable[static_cast<uint8_t>(c)]; });
}

bool is_ipv6(std::string_view host) {
  char text[INET6_ADDRSTRLEN];
  in6_addr address;
  // inet_pton stops at a NUL, so what it may see is checked here.
  const auto fits = [](char c) { return hex_value(c) >= 0 || c == ':' || c == '.'; };
  if (host.size() >= sizeof text || !std::all_of(host.begin(), host.end(), fits)) return false;
  *std::copy(host.begin(), host.end(), text) = '\0';
  return inet_pton(AF_INET6, text, &address) == 1;
}

// What may stand in path and query: all but controls, space and DEL. '#' is looked for before.
bool is_path_text(std::string_view text) {
  return std::all_of(text.begin(), text.end(), [](char c) {
    const uint8_t byte = static_cast<uint8_t>(c);
    return byte > 0x20 && byte != 0x7f;
  });
}

// The scheme in front of "://", or nothing: RFC 3986, 3.1. `rest` is what follows the colon.
std::string_view split_scheme(std::string_view text, std::string_view& rest) {
  size_t i = 0;
  while (i < text.size() && (is_alpha(text[i]) || (i > 0 && (is_digit(text[i]) || text[i] == '+' ||
                                                             text[i] == '-' || text[i] == '.')))) {
    ++i;
  }
  if (i == 0 || i == text.size() || text[i] != ':') return {};
  rest = text.substr(i + 1);
  return text.substr(0, i);
}

std::optional<Scheme> known_scheme(std::string_view text) {
  if (equal_ignoring_case(text, "http")) return Scheme::Http;
  if (equal_ignoring_case(text, "https")) return Scheme::Https;
  return std::nullopt;
}

void append_lower(std::string_view text, std::string& out) {
  const size_t at = out.size();
  out += text;
  std::transform(text.begin(), text.end(), out.begin() + static_cast<ptrdiff_t>(at), to_lower);
}

void split_query(std::string_view path_query, std::string_view& path, std::string_view& query,
                 bool& has_query) {
  const size_t mark = path_query.find('?');
  has_query = mark != std::string_view::npos;
  path = path_query.substr(0, mark);
  query = has_query ? path_query.substr(mark + 1) : std::string_view();
}

// "//authority path-and-query" after the scheme.
core::Result<UrlView> parse_hierarchy(Scheme scheme, std::string_view rest) {
  if (!rest.starts_with("//")) return kInvalid;
  rest.remove_prefix(2);
  size_t end = 0;
  while (end < rest.size() && rest[end] != '/' && rest[end] != '?') ++end;
  auto authority = parse_authority(rest.substr(0, end));
  if (!authority) return authority.error();
  UrlView view;
  view.scheme = scheme;
  view.authority = *authority;
  view.path_query = rest.substr(end);
  if (!is_path_text(view.path_query)) return kInvalid;
  split_query(view.path_query, view.path, view.query, view.has_query);
  return view;
}

// RFC 3986, 5.2.4, over a path that starts with "/"; appended to `out`.
void append_without_dots(std::string_view path, std::string& out) {
  const size_t root = out.size();
  while (!path.empty()) {
    // One segment with its leading slash.
    const size_t next = std::min(path.find('/', 1), path.size());
    const std::string_view segment = path.substr(0, next);
    path.remove_prefix(next);
    if (segment == "/.") {
      if (path.empty()) out += '/';
    } else if (segment == "/..") {
      const size_t cut = out.rfind('/');
      out.resize(cut == std::string::npos || cut < root ? root : cut);
      if (path.empty()) out += '/';
    } else {
      out += segment;
    }
  }
  if (out.size() == root) out += '/';
}

}  // namespace

core::Result<Authority> parse_authority(std::string_view text) {
  Authority result;
  std::string_view port;
  bool has_colon = false;
  if (text.starts_with('[')) {
    const size_t close = text.find(']');
    if (close == std::string_view::npos) return kInvalid;
    result.host = text.substr(1, close - 1);
    result.ipv6_literal = true;
    if (!is_ipv6(result.host)) return kInvalid;
    port = text.substr(close + 1);
    if (!port.empty()) {
      if (port.front() != ':') return kInvalid;
      has_colon = true;
      port.remove_prefix(1);
    }
  } else {
    const size_t colon = text.find(':');
    has_colon = colon != std::string_view::npos;
    result.host = text.substr(0, colon);
    if (has_colon) port = text.substr(colon + 1);
    if (!is_reg_name(result.host)) return kInvalid;
  }
  if (has_colon && !port.empty()) {
    const auto number = port.size() <= 5 ? parse_decimal(port) : std::nullopt;
    if (!number || *number == 0 || *number > UINT16_MAX) return kInvalid;
    result.port = static_cast<uint16_t>(*number);
  }
  return result;
}

core::Result<Authority> parse_connect_authority(std::string_view text) {
  auto result = parse_authority(text);
  if (result && result->port == 0) return kInvalid;
  return result;
}

bool is_valid_host(std::string_view host) {
  return is_reg_name(host) || is_ipv6(host);
}

core::Result<PathQuery> parse_origin_form(std::string_view target) {
  if (!target.starts_with('/') || !is_path_text(target) ||
      target.find('#') != std::string_view::npos) {
    return kInvalid;
  }
  PathQuery result;
  split_query(target, result.path, result.query, result.has_query);
  return result;
}

core::Result<UrlView> parse_absolute(std::string_view text, Fragment fragment) {
  std::string_view rest;
  const std::string_view scheme = split_scheme(text, rest);
  if (scheme.empty()) return kInvalid;
  const auto known = known_scheme(scheme);
  if (!known) return kOtherScheme;
  const size_t hash = rest.find('#');
  if (hash != std::string_view::npos) {
    if (fragment == Fragment::Refuse || !is_path_text(rest.substr(hash))) return kInvalid;
    rest = rest.substr(0, hash);
  }
  return parse_hierarchy(*known, rest);
}

void append_origin(Scheme scheme, const Authority& authority, std::string& out) {
  out.append(scheme_text(scheme)).append("://");
  if (authority.ipv6_literal) out += '[';
  append_lower(authority.host, out);
  if (authority.ipv6_literal) out += ']';
  if (authority.port != 0 && authority.port != default_port(scheme)) {
    char digits[5];
    out.append(1, ':').append(digits, std::to_chars(digits, digits + 5, authority.port).ptr);
  }
}

void append_key(const UrlView& view, std::string& out) {
  append_origin(view.scheme, view.authority, out);
  if (view.path.empty()) out += '/';
  out += view.path_query;
}

core::Result<Url> Url::parse(std::string_view text, Fragment fragment) {
  auto view = parse_absolute(text, fragment);
  if (!view) return view.error();
  return from(*view);
}

Url Url::from(const UrlView& view) {
  Url url;
  url.text_.reserve(view.authority.host.size() + view.path_query.size() + 24);
  append_origin(view.scheme, view.authority, url.text_);
  url.path_begin_ = static_cast<uint32_t>(url.text_.size());
  if (view.path.empty()) url.text_ += '/';
  url.text_ += view.path_query;
  const size_t mark = url.text_.find('?', url.path_begin_);
  url.path_end_ = static_cast<uint32_t>(std::min(mark, url.text_.size()));
  url.port_ = view.port();
  url.scheme_ = view.scheme;
  url.ipv6_literal_ = view.authority.ipv6_literal;
  return url;
}

core::Result<Url> Url::from(Scheme scheme, const Authority& authority, std::string_view target) {
  auto parts = parse_origin_form(target);
  if (!parts) return parts.error();
  return from(UrlView{scheme, authority, parts->path, parts->query, parts->has_query, target});
}

std::string_view Url::authority() const {
  const size_t begin = scheme_text(scheme_).size() + 3;
  return text_.empty() ? std::string_view() : origin().substr(begin);
}

std::string_view Url::host() const {
  const std::string_view whole = authority();
  if (ipv6_literal_) return whole.substr(1, whole.find(']') - 1);
  return whole.substr(0, whole.find(':'));
}

std::string_view Url::query() const {
  return has_query() ? std::string_view(text_).substr(path_end_ + 1) : std::string_view();
}

core::Result<Url> resolve(const Url& base, std::string_view reference) {
  if (base.empty() || !is_path_text(reference)) return kInvalid;
  reference = reference.substr(0, reference.find('#'));
  std::string_view rest;
  const std::string_view scheme = split_scheme(reference, rest);
  std::string text;
  UrlView view;
  if (!scheme.empty() || reference.starts_with("//")) {
    const auto known = scheme.empty() ? std::optional(base.scheme()) : known_scheme(scheme);
    if (!known) return kOtherScheme;
    auto whole = parse_hierarchy(*known, scheme.empty() ? reference : rest);
    if (!whole) return whole.error();
    view = *whole;
    append_without_dots(view.path, text);
    if (view.has_query) text.append(1, '?').append(view.query);
  } else {
    auto whole = parse_absolute(base.text());
    if (!whole) return whole.error();
    view = *whole;
    std::string_view path, query;
    bool has_query = false;
    split_query(reference, path, query, has_query);
    if (path.empty()) {
      text = base.path();
      if (!has_query && base.has_query()) text.append(1, '?').append(base.query());
    } else if (path.front() == '/') {
      append_without_dots(path, text);
    } else {
      // RFC 3986, 5.2.3: the base up to its last slash.
      std::string merged(base.path().substr(0, base.path().rfind('/') + 1));
      merged += path;
      append_without_dots(merged, text);
    }
    if (has_query) text.append(1, '?').append(query);
  }
  view.path_query = text;
  split_query(view.path_query, view.path, view.query, view.has_query);
  return Url::from(view);
}

}  // namespace tributary::http
