#include "cache/invalidation.h"

#include <algorithm>

#include "cache/key.h"

namespace tributary::cache {

void invalidated_keys(http::Method method, const http::Url& target,
                      const http::ResponseHead& response, std::vector<std::string>& keys) {
  // RFC 9111 4.4: a non-error response is 2xx or 3xx.
  if (http::is_safe(method) || response.status < 200 || response.status > 399) return;
  keys.push_back(make_key(target));
  for (const http::FieldName name : {http::FieldName::Location, http::FieldName::ContentLocation}) {
    const auto reference = response.fields.find(name);
    if (!reference) continue;
    const core::Result<http::Url> url = http::resolve(target, *reference);
    // Only within the origin: otherwise one site could empty another's part of the cache.
    if (!url || url->origin() != target.origin()) continue;
    std::string key = make_key(*url);
    if (std::find(keys.begin(), keys.end(), key) == keys.end()) keys.push_back(std::move(key));
  }
}

}  // namespace tributary::cache
