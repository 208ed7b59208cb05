#include "cache/key.h"

namespace tributary::cache {

void append_cache_key(const http::UrlView& url, std::string& out) {
  // Scheme, brackets, port and "/" take less than 32 bytes.
  out.reserve(out.size() + url.authority.host.size() + url.path_query.size() + 32);
  http::append_key(url, out);
}

std::string make_key(const http::Url& url) {
  return url.text();
}

}  // namespace tributary::cache
