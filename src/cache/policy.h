// RFC 9111 for a shared cache, as functions of fields and a time. Nothing here reads a clock,
// stores or allocates per hit.
//
//   response arrives   storable(request, response)  ->  Verdict, with the reason when it may not be
//   stored
//                      describe(response, times)    ->  StoredMeta, kept beside it
//   request arrives    decide(request cc, meta, now) -> Decision: serve, serve and refresh,
//   validate, 504 stale              revalidation.h                   conditional request, 304,
//   HEAD error upstream     may_serve_stale_on_error(…) unsafe method      invalidation.h
//
// Any thread; pure.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "cache/stored_meta.h"
#include "http/cache_control.h"
#include "http/message.h"

namespace tributary::cache {

// The part of the configuration that policy depends on. Spans in seconds.
struct PolicySettings {
  uint64_t max_object = UINT64_MAX;  // bytes
  uint32_t heuristic_limit = 86400;  // longest heuristic lifetime
  uint32_t negative_ttl =
      0;  // of errors that are cacheable by default (404, 410, …) and say nothing themselves
  uint32_t stale_if_error = 0;          // where the response says nothing (RFC 5861 4)
  uint32_t stale_while_revalidate = 0;  // where the response says nothing (RFC 5861 3)
  bool offline = false;                 // no origin is asked: stale will do, and 504 else
  // The fields that replace Cache-Control, most wanted first (RFC 9213).
  std::vector<std::string> targeted = {"CDN-Cache-Control"};
  std::vector<std::string> ignore_query;  // names of parameters that make no other key (key.h)
};

// What the response says to us, by a targeted field or by Cache-Control. Views into `fields`.
inline http::CacheControl response_directives(const PolicySettings& settings,
                                              const http::FieldSection& fields) {
  return http::CacheControl::of_response(fields, settings.targeted);
}

// What the policy looks at of a request. `cc` holds views into the request's fields.
struct RequestFacts {
  http::Method method = http::Method::Get;
  http::CacheControl cc;
  bool has_authorization = false;
  bool has_range = false;
  bool has_content = false;  // "fat GET": neither stored nor answered from the store
  bool has_query = false;
  bool has_cookie = false;
  bool has_origin_condition =
      false;  // If-Match or If-Unmodified-Since: the origin's to judge (RFC 9111 4.3.2)
  uint64_t signature = 0;  // of the signed location that is asked for (key.h); 0: none
  // Connection names an end-to-end field, which goes no further: to the origin this is another request than it says, and
  // what Vary selects by could not be told (V-3).
  bool hides_fields = false;
  // Of a POST, known with its response: that one is also what a GET of the target would bring
  // (is_of_target in invalidation.h).
  bool response_is_of_target = false;

  // `has_content` is the caller's to say, by the framing.
  static RequestFacts of(const http::RequestHead& head, bool has_query, bool has_content);
};

// May this request be answered from the store at all (RFC 9111 4: the method, and what we cannot
// judge)? With false: Cache-Status fwd=method for another method, fwd=request otherwise.
bool may_use_cache(const RequestFacts& request);

// Why a response is not stored. Named in logs, counted in metrics.
enum class NotStorable : uint8_t {
  None,            // it may be stored
  Method,          // 3: not GET; HEAD only updates (4.3.5); POST where RFC 9110 9.3.3 allows
  RequestContent,  // a GET with content
  RequestNoStore,  // 5.2.1.5
  SignedStatus,     // not 200, and perhaps about the signature of the location alone (signed_location.h)
  Status,   // 3: not final, 304, 416, or not cacheable by default and without explicit freshness
  NoStore,  // 5.2.2.5
  NotUnderstood,    // 5.2.2.3 must-understand
  Private,          // 5.2.2.7
  Authorization,    // 3.5
  SetCookie,        // V-3: only where Cache-Control says that all may have it
  VaryStar,         // 4.1
  NoFreshness,      // no lifetime and no validator: it could never be used
  PartialUnusable,  // 3.4: a 206 without a strong validator, complete length or single range
  Trailer,          // it announces trailers, which are not stored: who does wants them to arrive
  TooLarge,         // cache.max_object
};
std::string_view not_storable_name(NotStorable reason);

struct Verdict {
  NotStorable reason = NotStorable::None;
  explicit operator bool() const { return reason == NotStorable::None; }
};

// RFC 9111 3. `now` only to read dates. A 206 is judged as the part of an object that it is.
Verdict storable(const PolicySettings& settings, const RequestFacts& request,
                 const http::ResponseHead& response, const http::CacheControl& response_cc,
                 core::UnixTime now);

// The digest to store. `request_time` when the request was sent, `response_time` when its head
// arrived. `has_query` makes a heuristic lifetime zero (V-3). For a 206 the status becomes 200: the
// object is one, its part is the store's affair.
StoredMeta describe(const PolicySettings& settings, const http::ResponseHead& response,
                    const http::CacheControl& response_cc, bool has_query,
                    core::UnixTime request_time, core::UnixTime response_time);

// RFC 9111 4.2.3, in seconds, never negative.
uint32_t current_age(const StoredMeta& meta, core::UnixTime now);
// Lifetime minus age: negative when stale. The `ttl` of Cache-Status.
int64_t time_to_live(const StoredMeta& meta, core::UnixTime now);

enum class Use : uint8_t {
  Fresh,            // serve
  StaleRevalidate,  // serve, and validate behind the client's back (RFC 5861 3)
  StaleAccepted,    // serve: the client takes it stale (max-stale)
  Validate,         // ask the origin first
  GatewayTimeout,   // only-if-cached and not servable: 504 (5.2.1.7)
};

// Why it is not simply Fresh; chooses fwd= of Cache-Status.
enum class Because : uint8_t {
  Nothing,
  Stale,             // fwd=stale
  MustValidate,      // no-cache in the stored response: fwd=stale
  RequestDirective,  // no-cache, max-age or min-fresh of the request: fwd=request
  OtherLocation,     // it came from another signed location (signed_location.h): fwd=request, or stale when it is
};

struct Decision {
  Use use = Use::Validate;
  Because because = Because::Nothing;
  uint32_t age = 0;  // for the Age field
  int64_t ttl = 0;
};

// RFC 9111 4 for a response that matches by key and Vary. Costs no allocation and no field look-up. `signature`: of the
// request (RequestFacts::signature).
Decision decide(const PolicySettings& settings, const http::CacheControl& request_cc,
                const StoredMeta& meta, core::UnixTime now, uint64_t signature = 0);

// What the operator's offline switch makes of a request: as if the client had said only-if-cached and, unless it said
// otherwise, max-stale. What must be validated is not served even so (4.2.4).
void go_offline(http::CacheControl& request_cc);

// When nothing that matches is stored: 504 rather than a fetch (5.2.1.7)?
inline bool forbids_fetch(const http::CacheControl& request_cc) {
  return request_cc.only_if_cached;
}

// The origin could not be reached or answered 500, 502, 503 or 504 (RFC 5861 4, RFC 9111 4.2.4):
// may the stored response, which decide() wanted validated, be served instead?
bool may_serve_stale_on_error(const PolicySettings& settings, const http::CacheControl& request_cc,
                              const StoredMeta& meta, core::UnixTime now, uint64_t signature = 0);
// Does this status count as such an error?
constexpr bool is_stale_if_error_status(uint16_t status) {
  return status == 500 || status == 502 || status == 503 || status == 504;
}

// Whether no-cache="…" or private="…" with these names leaves a response that can be used without them (5.2.2.4,
// 5.2.2.7): names that say what the content is, or how long it lasts, make the directive count as the bare one.
bool can_do_without(const std::vector<std::string_view>& names);

// Statuses that may be stored without explicit freshness (RFC 9110 15.1).
bool is_heuristically_cacheable(uint16_t status);

}  // namespace tributary::cache
