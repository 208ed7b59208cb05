#include "cache/key.h"

#include <algorithm>

#include "cache/hash.h"
#include "cache/signed_location.h"
#include "http/text.h"

namespace tributary::cache {

namespace {

// "?" and the parameters that count, as they came but for a signature; nothing when none is left. Returns the hash of what
// is hidden.
uint64_t append_query(std::string_view query, std::span<const std::string> ignored, std::string& out) {
  const Signature signature(query);
  if (ignored.empty() && !signature) {
    out.append("?").append(query);
    return 0;
  }
  std::string hidden;
  char separator = '?';
  for (size_t begin = 0; begin <= query.size();) {
    const size_t end = std::min(query.find('&', begin), query.size());
    const std::string_view parameter = query.substr(begin, end - begin);
    const std::string_view name = parameter.substr(0, parameter.find('='));
    begin = end + 1;
    const auto matches = [&](const std::string& pattern) { return http::glob_matches(pattern, name); };
    if (std::any_of(ignored.begin(), ignored.end(), matches)) continue;
    out += separator;
    separator = '&';
    if (name.size() < parameter.size() && signature.has(name)) {
      out.append(name).append("=").append(kHidden);
      hidden.append(parameter.substr(name.size())).append("&");
    } else {
      out += parameter;
    }
  }
  return hidden.empty() ? 0 : std::max<uint64_t>(checksum(hidden), 1);
}

}  // namespace

uint64_t append_cache_key(const http::UrlView& url, std::string& out, std::span<const std::string> ignored) {
  // Scheme, brackets, port and "/" take less than 32 bytes.
  out.reserve(out.size() + url.authority.host.size() + url.path_query.size() + 32);
  if (!url.has_query) {
    http::append_key(url, out);
    return 0;
  }
  http::append_origin(url.scheme, url.authority, out);
  out += url.path.empty() ? "/" : url.path;
  return append_query(url.query, ignored, out);
}

KeyedUrl make_key(const http::Url& url, std::span<const std::string> ignored) {
  KeyedUrl made{std::string(url.origin())};
  made.key += url.path();
  if (url.has_query()) made.signature = append_query(url.query(), ignored, made.key);
  return made;
}

}  // namespace tributary::cache
