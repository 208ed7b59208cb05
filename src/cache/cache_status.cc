#include "cache/cache_status.h"

namespace tributary::cache {

namespace {

std::string_view forward_text(Forward forward) {
  switch (forward) {
    case Forward::None:
      return {};
    case Forward::Bypass:
      return "bypass";
    case Forward::Method:
      return "method";
    case Forward::UriMiss:
      return "uri-miss";
    case Forward::VaryMiss:
      return "vary-miss";
    case Forward::Miss:
      return "miss";
    case Forward::Request:
      return "request";
    case Forward::Stale:
      return "stale";
    case Forward::Partial:
      return "partial";
  }
  return {};
}

}  // namespace

void CacheStatus::append_to(std::string& out) const {
  out += "tributary";
  // RFC 9211 2.1, 2.2: hit and fwd exclude each other.
  if (hit) out += "; hit";
  if (!hit && forward != Forward::None) out.append("; fwd=").append(forward_text(forward));
  if (!hit && forward_status != 0)
    out.append("; fwd-status=").append(std::to_string(forward_status));
  if (ttl) out.append("; ttl=").append(std::to_string(*ttl));
  if (!hit && stored) out += "; stored";
  if (!hit && collapsed) out += "; collapsed";
  if (!detail.empty()) out.append("; detail=").append(detail);
}

std::string CacheStatus::text() const {
  std::string out;
  append_to(out);
  return out;
}

Forward forward_reason(const Decision& decision) {
  // RFC 9211 2.2: "request" is a response that would do but for what the request says, and its target says it too.
  const bool is_fresh_elsewhere = decision.because == Because::OtherLocation && decision.ttl > 0;
  return decision.because == Because::RequestDirective || is_fresh_elsewhere ? Forward::Request : Forward::Stale;
}

}  // namespace tributary::cache
