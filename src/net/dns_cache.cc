#include "net/dns_cache.h"

#include <algorithm>

namespace tributary::net {

DnsCache::Hit DnsCache::find(std::string_view name, core::TimePoint now) {
  const auto at = entries_.find(name);
  if (at == entries_.end()) return {nullptr, false};
  Entry& entry = *at->second;
  if (now >= entry.expires) {
    const auto position = at->second;
    entries_.erase(at);
    lru_.erase(position);
    return {nullptr, false};
  }
  if (at->second != lru_.begin()) lru_.splice(lru_.begin(), lru_, at->second);
  const bool refresh = now >= entry.refresh_at;
  if (refresh) entry.refresh_at = core::TimePoint::max();
  return {&entry.answer, refresh};
}

void DnsCache::put(std::string_view name, DnsAnswer answer, std::chrono::seconds ttl, core::TimePoint now) {
  if (settings_.capacity == 0) return;
  const bool is_failure = !answer && answer.error().code != core::ErrorCode::NameNotFound;
  if (is_failure) {
    ttl = kFailureTtl;
  } else if (!answer) {
    ttl = settings_.negative_ttl;
  } else {
    ttl = std::clamp(ttl, std::min(settings_.min_ttl, settings_.max_ttl), settings_.max_ttl);
  }
  if (ttl <= std::chrono::seconds::zero()) ttl = std::chrono::seconds::zero();

  const auto at = entries_.find(name);
  if (at != entries_.end()) {
    Entry& entry = *at->second;
    if (is_failure && entry.answer && now < entry.expires) return;
    const auto position = at->second;
    entries_.erase(at);
    lru_.erase(position);
  }
  if (ttl == std::chrono::seconds::zero()) return;  // RFC 1035 3.2.1: for the transaction in progress only
  if (entries_.size() >= settings_.capacity) {
    entries_.erase(lru_.back().name);
    lru_.pop_back();
  }
  const bool can_refresh = answer.ok() && ttl >= std::chrono::seconds(10);
  lru_.push_front({std::string(name), std::move(answer), now + ttl,
                   can_refresh ? now + ttl - core::Duration(ttl) / 10 : core::TimePoint::max()});
  entries_.emplace(lru_.front().name, lru_.begin());
}

}  // namespace tributary::net
