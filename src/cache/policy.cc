#include "cache/policy.h"

#include <algorithm>
#include <limits>

#include "cache/vary.h"
#include "http/conditional.h"
#include "http/date.h"
#include "http/range.h"

namespace tributary::cache {

using http::CacheControl;
using http::FieldName;
using http::FieldSection;
using http::Method;

namespace {

constexpr int64_t kMaxSpan = CacheControl::kMaxSeconds;

uint32_t clamp_span(int64_t seconds) {
  return static_cast<uint32_t>(std::clamp<int64_t>(seconds, 0, kMaxSpan));
}

// a - b without overflow, for times that peers make up.
int64_t difference(int64_t a, int64_t b) {
  int64_t result;
  if (__builtin_sub_overflow(a, b, &result)) return a < b ? INT64_MIN : INT64_MAX;
  return result;
}

std::optional<int64_t> date_field(const FieldSection& fields, FieldName name, int64_t now) {
  const auto value = fields.find(name);
  return value ? http::parse_date(*value, now) : std::nullopt;
}

// RFC 9111 5.1: one non-negative number; of a list the first member counts, what is no number
// counts as absent.
uint32_t age_field(const FieldSection& fields) {
  const auto value = fields.find(FieldName::Age);
  if (!value) return 0;
  http::ListCursor cursor(*value);
  std::string_view first;
  if (!cursor.next(first)) return 0;
  return http::parse_delta_seconds(first).value_or(0);
}

bool is_private(const CacheControl& cc) {
  return cc.is_private || !can_do_without(cc.private_fields);
}
bool is_no_cache(const CacheControl& cc) {
  return cc.no_cache || !can_do_without(cc.no_cache_fields);
}

bool names(const std::vector<std::string_view>& list, std::string_view name) {
  return std::any_of(list.begin(), list.end(),
                     [&](std::string_view other) { return http::equal_ignoring_case(other, name); });
}

// V-3: a cookie is given to others only where Cache-Control says that all may have the response: public, s-maxage, or a
// max-age above zero for a client that sent no cookie itself. Expires, which servers add to everything, says less.
bool may_share_cookie(const RequestFacts& request, const CacheControl& cc) {
  if (names(cc.private_fields, "Set-Cookie") || names(cc.no_cache_fields, "Set-Cookie")) return true;  // not stored
  if (cc.is_public || cc.s_maxage) return true;
  return cc.max_age.value_or(0) > 0 && !is_no_cache(cc) && !request.has_cookie;
}

// RFC 9111 4.2.1: the first of s-maxage, max-age and Expires that is there decides.
std::optional<uint32_t> explicit_lifetime(const FieldSection& fields, const CacheControl& cc,
                                          int64_t date, int64_t now) {
  if (cc.s_maxage) return *cc.s_maxage;
  if (cc.max_age) return *cc.max_age;
  if (cc.is_targeted) return std::nullopt;  // RFC 9213 2.2
  const auto value = fields.find(FieldName::Expires);
  if (!value) return std::nullopt;
  // RFC 9111 5.3: an invalid date, "0" above all, is in the past; so is one of several that
  // contradict.
  if (fields.count(FieldName::Expires) > 1) return 0;
  const auto expires = http::parse_date(*value, now);
  return expires ? clamp_span(difference(*expires, date)) : 0;
}

bool has_explicit_lifetime(const FieldSection& fields, const CacheControl& cc) {
  return cc.s_maxage || cc.max_age || (!cc.is_targeted && fields.has(FieldName::Expires));
}

// What Last-Modified of an error answer dates is the page that says so, not what is missing: a guess by it is kept short.
constexpr uint32_t kErrorHeuristicLimit = 60;

// RFC 9111 4.2.2: a tenth of the time since the last change, where the status or `public` allows to
// guess at all.
uint32_t heuristic_lifetime(const PolicySettings& settings, const http::ResponseHead& response,
                            const CacheControl& cc, int64_t date,
                            std::optional<int64_t> last_modified) {
  if (!is_heuristically_cacheable(response.status) && !cc.is_public) return 0;
  const bool is_error = response.status >= 400;
  if (is_error && settings.negative_ttl > 0) return settings.negative_ttl;
  if (!last_modified) return 0;
  const int64_t unchanged = difference(date, *last_modified);
  const uint32_t limit = is_error ? kErrorHeuristicLimit : settings.heuristic_limit;
  return unchanged <= 0 ? 0 : clamp_span(std::min<int64_t>(unchanged / 10, limit));
}

bool has_validator(const http::Validators& validators) {
  return validators.etag || validators.last_modified;
}

bool is_usable_part(const http::ResponseHead& response, const http::Validators& validators) {
  if (!validators.has_strong()) return false;
  const auto value = response.fields.find_only(FieldName::ContentRange);
  if (!value) return false;  // multipart/byteranges has none
  const auto range = http::parse_content_range(*value);
  return range && range->range && range->length;
}

bool exceeds_limit(const PolicySettings& settings, const http::ResponseHead& response) {
  if (response.status == 206) {
    const auto value = response.fields.find(FieldName::ContentRange);
    const auto range = value ? http::parse_content_range(*value) : std::nullopt;
    return range && range->length && *range->length > settings.max_object;
  }
  const auto value = response.fields.find(FieldName::ContentLength);
  const auto length = value ? http::parse_decimal(*value) : std::nullopt;
  return length && *length > settings.max_object;
}

}  // namespace

RequestFacts RequestFacts::of(const http::RequestHead& head, bool has_query, bool has_content) {
  RequestFacts facts;
  facts.method = head.method;
  facts.cc = CacheControl::of_request(head.fields);
  facts.has_authorization = head.fields.has(FieldName::Authorization);
  facts.has_range = head.fields.has(FieldName::Range);
  facts.has_content = has_content;
  facts.has_query = has_query;
  facts.has_cookie = head.fields.has(FieldName::Cookie);
  facts.has_origin_condition =
      head.fields.has(FieldName::IfMatch) || head.fields.has(FieldName::IfUnmodifiedSince);
  facts.hides_fields = head.fields.connection_hides_fields();
  return facts;
}

bool may_use_cache(const RequestFacts& request) {
  return (request.method == Method::Get || request.method == Method::Head) &&
         !request.has_content && !request.has_origin_condition && !request.hides_fields;
}

std::string_view not_storable_name(NotStorable reason) {
  switch (reason) {
    case NotStorable::None:
      return "none";
    case NotStorable::Method:
      return "method";
    case NotStorable::RequestContent:
      return "request_content";
    case NotStorable::RequestNoStore:
      return "request_no_store";
    case NotStorable::SignedStatus:
      return "signed_status";
    case NotStorable::Status:
      return "status";
    case NotStorable::NoStore:
      return "no_store";
    case NotStorable::NotUnderstood:
      return "not_understood";
    case NotStorable::Private:
      return "private";
    case NotStorable::Authorization:
      return "authorization";
    case NotStorable::SetCookie:
      return "set_cookie";
    case NotStorable::VaryStar:
      return "vary_star";
    case NotStorable::NoFreshness:
      return "no_freshness";
    case NotStorable::PartialUnusable:
      return "partial_unusable";
    case NotStorable::Trailer:
      return "trailer";
    case NotStorable::TooLarge:
      return "too_large";
  }
  return "none";
}

bool is_heuristically_cacheable(uint16_t status) {
  switch (status) {
    case 200:
    case 203:
    case 204:
    case 206:
    case 300:
    case 301:
    case 308:
    case 404:
    case 405:
    case 410:
    case 414:
    case 501:
      return true;
    default:
      return false;
  }
}

bool can_do_without(const std::vector<std::string_view>& list) {
  return std::none_of(list.begin(), list.end(), [](std::string_view name) {
    switch (http::field_name(name)) {
      case FieldName::CacheControl:
      case FieldName::ContentEncoding:
      case FieldName::ContentLanguage:
      case FieldName::ContentLength:
      case FieldName::ContentLocation:
      case FieldName::ContentRange:
      case FieldName::ContentType:
      case FieldName::Date:
      case FieldName::ETag:
      case FieldName::Expires:
      case FieldName::LastModified:
      case FieldName::Location:
      case FieldName::Vary:
        return true;
      default:
        return false;
    }
  });
}

Verdict storable(const PolicySettings& settings, const RequestFacts& request,
                 const http::ResponseHead& response, const CacheControl& cc, core::UnixTime now) {
  const FieldSection& fields = response.fields;
  // RFC 9110 9.3.3: a POST's response may answer later GETs when it says that it is what they would get, and how long.
  const bool is_post = request.method == Method::Post && request.response_is_of_target && !request.hides_fields &&
                       response.status == 200 && has_explicit_lifetime(fields, cc);
  if (request.method != Method::Get && !is_post) return {NotStorable::Method};
  if (request.has_content && !is_post) return {NotStorable::RequestContent};
  if (request.cc.no_store) return {NotStorable::RequestNoStore};
  // Interim answers are no responses to store, 304 and 416 speak about another one.
  const uint16_t status = response.status;
  if (status < 200 || status > 599 || status == 304 || status == 416) return {NotStorable::Status};
  if (request.signature != 0 && status != 200 && status != 206) return {NotStorable::SignedStatus};
  // RFC 9111 5.2.2.3: who understands the status code, and what it asks of caches, ignores no-store
  // beside must-understand.
  const bool is_understood = !http::reason_phrase(status).empty();
  if (cc.must_understand && !is_understood) return {NotStorable::NotUnderstood};
  if (cc.no_store && !cc.must_understand) return {NotStorable::NoStore};
  // private="field" lets us keep the rest (5.2.2.7); stored_fields() leaves it out.
  if (is_private(cc)) return {NotStorable::Private};
  // RFC 9111 3.5.
  if (request.has_authorization && !cc.is_public && !cc.must_revalidate && !cc.s_maxage) {
    return {NotStorable::Authorization};
  }
  if (fields.has(FieldName::SetCookie) && !may_share_cookie(request, cc))
    return {NotStorable::SetCookie};
  if (VaryNames::of(fields).is_star) return {NotStorable::VaryStar};
  if (fields.has(FieldName::Trailer)) return {NotStorable::Trailer};

  const bool is_explicit = has_explicit_lifetime(fields, cc);
  if (!is_explicit && !cc.is_public && !is_heuristically_cacheable(status))
    return {NotStorable::Status};
  const http::Validators validators = http::Validators::of(fields, now);
  if (status == 206 && !is_usable_part(response, validators)) return {NotStorable::PartialUnusable};
  if (!has_validator(validators)) {
    // Without a validator the lifetime is all there is. What was too old on arrival may still answer who accepts stale.
    const StoredMeta meta = describe(settings, response, cc, request.has_query, now, now);
    const bool may_be_stale = cc.stale_if_error || cc.stale_while_revalidate;
    if (meta.has(kNoCache) || (meta.lifetime == 0 && !may_be_stale)) return {NotStorable::NoFreshness};
  } else if (!is_explicit && status >= 400 &&
             describe(settings, response, cc, request.has_query, now, now).lifetime == 0) {
    return {NotStorable::NoFreshness};  // validating an error is not worth a record
  }
  if (exceeds_limit(settings, response)) return {NotStorable::TooLarge};
  return {};
}

StoredMeta describe(const PolicySettings& settings, const http::ResponseHead& response,
                    const CacheControl& cc, bool has_query, core::UnixTime request_time,
                    core::UnixTime response_time) {
  const FieldSection& fields = response.fields;
  const http::Validators validators = http::Validators::of(fields, response_time);
  StoredMeta meta;
  meta.status = response.status == 206 ? uint16_t{200} : response.status;
  meta.request_time = std::min(request_time, response_time);
  meta.response_time = response_time;
  meta.date = date_field(fields, FieldName::Date, response_time).value_or(response_time);
  meta.last_modified = validators.last_modified.value_or(kNoTime);
  meta.age = age_field(fields);
  if (const auto lifetime = explicit_lifetime(fields, cc, meta.date, response_time)) {
    meta.lifetime = *lifetime;
    meta.flags |= kExplicitLifetime;
  } else if (!has_query) {
    meta.lifetime = heuristic_lifetime(settings, response, cc, meta.date, validators.last_modified);
  }
  meta.stale_while_revalidate = cc.stale_while_revalidate.value_or(kNoSpan);
  meta.stale_if_error = cc.stale_if_error.value_or(kNoSpan);

  const auto flag = [&meta](MetaFlag bit, bool on) { meta.flags |= on ? bit : 0u; };
  // RFC 9111 5.2.2.10: s-maxage brings the meaning of proxy-revalidate with it.
  flag(kMustRevalidate, cc.must_revalidate || cc.proxy_revalidate || cc.s_maxage);
  // no-cache="field" forbids only that field without validation: it is not stored (5.2.2.4). Pragma means nothing in
  // responses (5.4).
  flag(kNoCache, is_no_cache(cc));
  flag(kImmutable, cc.immutable);
  flag(kHasEtag, validators.etag.has_value());
  flag(kStrongEtag, validators.etag && !validators.etag->weak);
  flag(kStrongLastModified, validators.last_modified_is_strong());
  flag(kHasVary, fields.has(FieldName::Vary));
  flag(kAcceptRanges, fields.has_element(FieldName::AcceptRanges, "bytes"));
  return meta;
}

uint32_t current_age(const StoredMeta& meta, core::UnixTime now) {
  // RFC 9111 4.2.3. A clock that was set back makes no negative spans.
  const int64_t apparent_age = std::max<int64_t>(0, difference(meta.response_time, meta.date));
  const int64_t response_delay =
      std::max<int64_t>(0, difference(meta.response_time, meta.request_time));
  const int64_t corrected_age = std::min(meta.age + std::min(response_delay, kMaxSpan), kMaxSpan);
  const int64_t resident_time = std::max<int64_t>(0, difference(now, meta.response_time));
  const int64_t initial_age = std::min(std::max(apparent_age, corrected_age), kMaxSpan);
  return clamp_span(initial_age + std::min(resident_time, kMaxSpan));
}

int64_t time_to_live(const StoredMeta& meta, core::UnixTime now) {
  return int64_t{meta.lifetime} - current_age(meta, now);
}

Decision decide(const PolicySettings& settings, const CacheControl& request_cc,
                const StoredMeta& meta, core::UnixTime now, uint64_t signature) {
  Decision decision;
  decision.age = current_age(meta, now);
  decision.ttl = int64_t{meta.lifetime} - decision.age;
  const auto validate = [&](Because because) {
    decision.use = request_cc.only_if_cached ? Use::GatewayTimeout : Use::Validate;
    decision.because = because;
    return decision;
  };
  // The origin has not said that this location is good, and for this content.
  if (meta.signature != signature) return validate(Because::OtherLocation);
  // What the client asks for (5.2.1) can only make us stricter, but for max-stale.
  if (request_cc.no_cache) return validate(Because::RequestDirective);
  if (meta.has(kNoCache)) return validate(Because::MustValidate);
  const Because because = decision.ttl > 0 ? Because::RequestDirective : Because::Stale;
  if (request_cc.min_fresh && decision.ttl < *request_cc.min_fresh) return validate(because);

  // RFC 9111 4.2: fresh while the lifetime is greater than the age. The client's max-age is a
  // lifetime of its own.
  int64_t excess = -decision.ttl;
  // RFC 8246 2: while it is fresh an immutable response is not validated for a client that merely reloads; no-cache is
  // the way to ask for that.
  const bool is_immutable = meta.has(kImmutable) && decision.ttl > 0;
  const bool is_too_old_for_client =
      request_cc.max_age && decision.age > *request_cc.max_age && !is_immutable;
  if (is_too_old_for_client) excess = std::max(excess, int64_t{decision.age} - *request_cc.max_age);
  if (decision.ttl > 0 && !is_too_old_for_client) {
    decision.use = Use::Fresh;
    return decision;
  }
  if (meta.has(kMustRevalidate)) return validate(because);
  const bool takes_any_age = request_cc.max_stale == CacheControl::kMaxSeconds;
  if (request_cc.max_stale && (takes_any_age || excess <= int64_t{*request_cc.max_stale})) {
    decision.use = Use::StaleAccepted;
    decision.because = Because::Stale;
    return decision;
  }
  if (is_too_old_for_client) return validate(because);
  const uint32_t window = meta.stale_while_revalidate != kNoSpan ? meta.stale_while_revalidate
                                                                 : settings.stale_while_revalidate;
  if (-decision.ttl < int64_t{window}) {
    decision.use = Use::StaleRevalidate;
    decision.because = Because::Stale;
    return decision;
  }
  return validate(Because::Stale);
}

void go_offline(CacheControl& request_cc) {
  request_cc.only_if_cached = true;
  if (!request_cc.max_stale) request_cc.max_stale = CacheControl::kMaxSeconds;
}

bool may_serve_stale_on_error(const PolicySettings& settings, const CacheControl& request_cc,
                              const StoredMeta& meta, core::UnixTime now, uint64_t signature) {
  if (meta.signature != signature) return false;
  // RFC 9111 4.2.4: these forbid it whatever else is said.
  if (meta.has(kMustRevalidate) || meta.has(kNoCache) || request_cc.no_cache) return false;
  const int64_t staleness = -time_to_live(meta, now);
  if (staleness < 0) return true;
  // RFC 5861 4: of the response; of the request; else what the configuration allows.
  uint32_t window = meta.stale_if_error != kNoSpan ? meta.stale_if_error : settings.stale_if_error;
  if (request_cc.stale_if_error) window = *request_cc.stale_if_error;
  return staleness < int64_t{window};
}

}  // namespace tributary::cache
