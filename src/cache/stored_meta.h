// StoredMeta: what the policy must know of a stored response, digested once when it is stored, so
// that deciding about a hit reads no field. Plain bytes: the index writes them as they are (bump
// kStoredMetaVersion when the layout changes).
//
// policy.h makes it (describe), freshens it after a 304 (freshen) and judges by it (decide); the
// store only keeps it. Variable parts (the fields with ETag and Last-Modified as text, the
// secondary key of vary.h) are kept beside it. All times are seconds of wall time, all spans
// seconds.
#pragma once

#include <cstdint>
#include <type_traits>

#include "core/time.h"

namespace tributary::cache {

inline constexpr uint16_t kStoredMetaVersion = 2;
inline constexpr core::UnixTime kNoTime = INT64_MIN;
inline constexpr uint32_t kNoSpan = UINT32_MAX;  // "the response does not say"

// Bits of StoredMeta::flags.
enum MetaFlag : uint32_t {
  // s-maxage, max-age or Expires said the lifetime; otherwise it is heuristic or zero.
  kExplicitLifetime = 1u << 0,
  // must-revalidate, proxy-revalidate or s-maxage: never stale (RFC
  // 9111 5.2.2.2, 5.2.2.8, 5.2.2.10).
  kMustRevalidate = 1u << 1,
  // Validate before every use (5.2.2.4).
  kNoCache = 1u << 2,
  // There is an ETag, strong or weak.
  kHasEtag = 1u << 3,
  kStrongEtag = 1u << 4,
  // Last-Modified old enough beside Date to be strong (http/conditional.h).
  kStrongLastModified = 1u << 5,
  // The secondary key must match.
  kHasVary = 1u << 6,
  // Accept-Ranges: bytes.
  kAcceptRanges = 1u << 7,
  // Does not change while it is fresh (RFC 8246).
  kImmutable = 1u << 8,
};

struct StoredMeta {
  core::UnixTime request_time = 0;   // when the request that got or last validated it was sent
  core::UnixTime response_time = 0;  // when its response arrived
  core::UnixTime date = 0;           // Date, or response_time where it lacks or is not a date
  core::UnixTime last_modified = kNoTime;
  uint64_t signature = 0;  // of the signed location that it came from or was last confirmed at (key.h); 0: none
  uint32_t age = 0;       // the Age field it arrived with
  uint32_t lifetime = 0;  // freshness lifetime, counted from `date` on as RFC 9111 4.2 does
  uint32_t stale_while_revalidate = kNoSpan;  // RFC 5861 3
  uint32_t stale_if_error = kNoSpan;          // RFC 5861 4
  uint32_t flags = 0;                         // MetaFlag bits
  uint16_t status = 0;  // 200 also for a partly present object whose part came as 206
  uint16_t version = kStoredMetaVersion;

  bool has(MetaFlag flag) const { return (flags & flag) != 0; }
  // Whether a missing part can be asked for without mixing two versions: under If-Range (RFC 9110 13.1.5).
  bool can_be_completed() const { return status == 200 && (has(kStrongEtag) || has(kStrongLastModified)); }
  friend bool operator==(const StoredMeta&, const StoredMeta&) = default;
};
static_assert(sizeof(StoredMeta) == 64 && std::is_trivially_copyable_v<StoredMeta>);

}  // namespace tributary::cache
