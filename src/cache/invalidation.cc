#include "cache/invalidation.h"

#include <algorithm>

#include "cache/key.h"

namespace tributary::cache {

bool is_of_target(const http::Url& target, const http::FieldSection& response) {
  const auto reference = response.find_only(http::FieldName::ContentLocation);
  if (!reference) return false;
  const core::Result<http::Url> url = http::resolve(target, *reference);
  return url && *url == target;
}

void invalidated_keys(http::Method method, const http::Url& target,
                      const http::ResponseHead& response, std::vector<std::string>& keys,
                      std::span<const std::string> ignored_query) {
  // RFC 9111 4.4: a non-error response is 2xx or 3xx.
  if (http::is_safe(method) || response.status < 200 || response.status > 399) return;
  keys.push_back(make_key(target, ignored_query).key);
  for (const http::FieldName name : {http::FieldName::Location, http::FieldName::ContentLocation}) {
    const auto reference = response.fields.find(name);
    if (!reference) continue;
    const core::Result<http::Url> url = http::resolve(target, *reference);
    // Only within the origin: otherwise one site could empty another's part of the cache.
    if (!url || url->origin() != target.origin()) continue;
    std::string key = make_key(*url, ignored_query).key;
    if (std::find(keys.begin(), keys.end(), key) == keys.end()) keys.push_back(std::move(key));
  }
}

}  // namespace tributary::cache
