// The Cache-Status member of this cache (RFC 9211): "tributary; hit; ttl=3580", "tributary;
// fwd=stale; fwd-status=304". Plain data; any thread.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

#include "cache/policy.h"

namespace tributary::cache {

// Why the request went forward (RFC 9211 2.2).
enum class Forward : uint8_t {
  None,
  Bypass,
  Method,
  UriMiss,
  VaryMiss,
  Miss,
  Request,
  Stale,
  Partial
};

struct CacheStatus {
  bool hit = false;
  Forward forward = Forward::None;
  std::optional<int64_t> ttl{};  // seconds; negative when stale
  uint16_t forward_status = 0;   // fwd-status; 0: not said
  bool stored = false;
  bool collapsed = false;
  std::string_view detail{};     // a token; empty: not said

  // The value of a Cache-Status field, appended.
  void append_to(std::string& out) const;
  std::string text() const;
};

// The forward reason for a decision that was not to serve.
Forward forward_reason(const Decision& decision);

}  // namespace tributary::cache
