#include "cache/key.h"

#include <algorithm>

#include "http/text.h"

namespace tributary::cache {

namespace {

// "?" and the parameters that count, as they came; nothing when none is left.
void append_query(std::string_view query, std::span<const std::string> ignored, std::string& out) {
  char separator = '?';
  for (size_t begin = 0; begin <= query.size();) {
    const size_t end = std::min(query.find('&', begin), query.size());
    const std::string_view parameter = query.substr(begin, end - begin);
    const std::string_view name = parameter.substr(0, parameter.find('='));
    const auto matches = [&](const std::string& pattern) { return http::glob_matches(pattern, name); };
    if (std::none_of(ignored.begin(), ignored.end(), matches)) {
      out += separator;
      out += parameter;
      separator = '&';
    }
    begin = end + 1;
  }
}

}  // namespace

void append_cache_key(const http::UrlView& url, std::string& out, std::span<const std::string> ignored) {
  // Scheme, brackets, port and "/" take less than 32 bytes.
  out.reserve(out.size() + url.authority.host.size() + url.path_query.size() + 32);
  if (ignored.empty() || !url.has_query) return http::append_key(url, out);
  http::append_origin(url.scheme, url.authority, out);
  out += url.path.empty() ? "/" : url.path;
  append_query(url.query, ignored, out);
}

std::string make_key(const http::Url& url, std::span<const std::string> ignored) {
  if (ignored.empty() || !url.has_query()) return url.text();
  std::string key(url.origin());
  key += url.path();
  append_query(url.query(), ignored, key);
  return key;
}

}  // namespace tributary::cache
