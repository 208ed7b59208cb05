#include "cache/explain.h"

#include <algorithm>
#include <cstdlib>
#include <ctime>

#include <fmt/format.h>

#include "cache/vary.h"
#include "http/cache_control.h"

namespace tributary::cache {
namespace {

using http::CacheControl;
using http::FieldName;

// Where the lifetime comes from (RFC 9111 4.2.1), in words.
std::string source_of_lifetime(const StoredMeta& meta, const http::FieldSection& fields, const CacheControl& cc) {
  if (!meta.has(kExplicitLifetime)) {
    if (meta.lifetime == 0) return "the response gives no lifetime, and none may be guessed (RFC 9111 4.2.2)";
    if (meta.status >= 400) return "a guess for errors: cache.negative_ttl, or at most a minute by Last-Modified (RFC 9111 4.2.2)";
    return "a guess: a tenth of the time since Last-Modified (RFC 9111 4.2.2)";
  }
  if (cc.is_targeted) return "a field that is meant for shared caches like this one (RFC 9213)";
  if (cc.s_maxage == meta.lifetime) return "s-maxage (RFC 9111 5.2.2.10)";
  if (cc.max_age == meta.lifetime) return "max-age (RFC 9111 5.2.2.1)";
  if (fields.has(FieldName::Expires) && !cc.max_age && !cc.s_maxage) return "Expires minus Date (RFC 9111 5.3)";
  return "what the response says (RFC 9111 4.2.1)";
}

std::string why_stored(const StoredMeta& meta, const CacheControl& cc) {
  if (cc.is_public) return "it says public (RFC 9111 5.2.2.9)";
  if (meta.has(kExplicitLifetime)) return "it says how long it is fresh (RFC 9111 3)";
  if (is_heuristically_cacheable(meta.status)) {
    return fmt::format("status {} may be stored without being told so (RFC 9111 3, RFC 9110 15.1)", meta.status);
  }
  return "nothing forbids it (RFC 9111 3)";
}

std::string how_to_validate(const Object& object) {
  if (!object.etag().empty()) return "If-None-Match: " + object.etag();
  return object.meta().last_modified != kNoTime ? "If-Modified-Since" : "";
}

std::string what_is_there(const Object& object) {
  const BodyView& body = object.body();
  const std::optional<uint64_t> length = body.length();
  if (object.memory_body()) return fmt::format("{} bytes, whole, in memory", *length);
  if (body.is_whole()) return fmt::format("{} bytes, whole", *length);
  std::vector<http::ByteRange> ranges;
  body.present(ranges);
  uint64_t here = 0;
  for (const http::ByteRange& range : ranges) here += range.size();
  const std::string of = length ? fmt::format("{} of {} bytes", here, *length) : fmt::format("{} bytes so far", here);
  if (body.is_filling()) return of + ", being fetched";
  if (here == length) return of + ", whole, to be held against its checksums when it is first read";
  return of + ", the rest is fetched when it is asked for (RFC 9111 3.3)";
}

std::string freshness(const StoredMeta& meta, const http::FieldSection& fields, const CacheControl& cc, const Decision& plain) {
  std::string line = plain.ttl > 0 ? fmt::format("fresh for another {}", format_span(plain.ttl))
                                   : fmt::format("expired {} ago", format_span(-plain.ttl));
  return line + fmt::format(": its age is {} (RFC 9111 4.2.3), its lifetime {}, from {}", format_span(plain.age),
                            format_span(meta.lifetime), source_of_lifetime(meta, fields, cc));
}

std::string what_would_happen(const Object& object, const Decision& decision) {
  const std::string condition = how_to_validate(object);
  const std::string ask = condition.empty()
                              ? "it has no validator, so it is fetched anew (RFC 9111 4.3.1)"
                              : fmt::format("the origin is asked first, with {} (RFC 9111 4.3.1)", condition);
  switch (decision.use) {
    case Use::Fresh:
      return object.body().is_filling() ? "it is served while it arrives, with nothing more asked of the origin"
                                        : "it is served from the cache (RFC 9111 4)";
    case Use::StaleRevalidate:
      return "it is served stale, and validated behind the client's back (RFC 5861 3)";
    case Use::StaleAccepted:
      return "it is served stale, since the request accepts that with max-stale, or the proxy is offline (RFC 9111 5.2.1.2)";
    case Use::GatewayTimeout:
      return "504, since the request says only-if-cached, or the proxy is offline (RFC 9111 5.2.1.7)";
    case Use::Validate:
      break;
  }
  switch (decision.because) {
    case Because::MustValidate:
      return "it says no-cache (RFC 9111 5.2.2.4): " + ask;
    case Because::RequestDirective:
      return "the request wants it (RFC 9111 5.2.1): " + ask;
    case Because::OtherLocation:
      return object.meta().has(kStrongEtag)
                 ? "it came from a location with another signature: " + fmt::format("the origin is asked first, with If-None-Match: {} (RFC 9110 8.8.1)", object.etag())
                 : "it came from a location with another signature and has no strong validator, so it is fetched anew (RFC 9110 8.8.1)";
    case Because::Stale:
    case Because::Nothing:
      break;
  }
  return (object.meta().has(kMustRevalidate) ? "it must not be served stale (RFC 9111 5.2.2.2): " : "") + ask;
}

}  // namespace

std::string explain(NotStorable reason) {
  switch (reason) {
    case NotStorable::None:
      return "nothing forbids it";
    case NotStorable::Method:
      return "only what a GET brings is stored, or a POST that says it is the same (RFC 9111 3, RFC 9110 9.3.3)";
    case NotStorable::RequestContent:
      return "the request had content, whose meaning for a GET nobody defines (RFC 9110 9.3.1)";
    case NotStorable::RequestNoStore:
      return "the request said no-store (RFC 9111 5.2.1.5)";
    case NotStorable::SignedStatus:
      return "its location is signed, and what is not 200 may be about the signature alone (RFC 9111 3 leaves that to the cache)";
    case NotStorable::Status:
      return "its status may not be stored unless the response says so (RFC 9111 3)";
    case NotStorable::NoStore:
      return "the response said no-store (RFC 9111 5.2.2.5)";
    case NotStorable::NotUnderstood:
      return "it said must-understand, and its status is not known here (RFC 9111 5.2.2.3)";
    case NotStorable::Private:
      return "the response said private (RFC 9111 5.2.2.7)";
    case NotStorable::Authorization:
      return "the request had Authorization, and the response did not allow to share it (RFC 9111 3.5)";
    case NotStorable::SetCookie:
      return "it sets a cookie, and did not say that it is for everybody (RFC 9111 7.3)";
    case NotStorable::VaryStar:
      return "it said Vary: *, so no other request can select it (RFC 9111 4.1)";
    case NotStorable::NoFreshness:
      return "it has no lifetime, none may be guessed, and it has no validator: it could never be used (RFC 9111 3, 4.2.2)";
    case NotStorable::PartialUnusable:
      return "it is a part that could not be completed: no strong validator, or no complete length (RFC 9111 3.3, 3.4)";
    case NotStorable::Trailer:
      return "it announced trailers, which are not stored (RFC 9110 6.5.1)";
    case NotStorable::TooLarge:
      return "it is too large: larger than cache.max_object (RFC 9111 3 leaves that to the cache)";
  }
  return "it is not known why";
}

Lines explain_absent(const std::optional<Refusal>& refusal, core::UnixTime now) {
  Lines lines;
  if (!refusal) {
    lines.push_back("not stored: nothing is known of it; it was not asked for, or that was long ago");
  } else {
    const std::string ago = format_span(now - refusal->when) + " ago";
    const auto say = [&](std::string_view what) { lines.push_back(fmt::format("not stored: {}, {}", what, ago)); };
    switch (refusal->gone) {
      case Gone::NotStorable:
        lines.push_back("not stored: " + explain(refusal->reason));
        lines.push_back(fmt::format("that was a response with status {}, {}", refusal->status, ago));
        break;
      case Gone::NoRoom:
        say("the store had no room for it, or its disk refused");
        break;
      case Gone::Purged:
        say("it was purged");
        break;
      case Gone::Invalidated:
        say("it was invalidated by a request that changes things (RFC 9111 4.4)");
        break;
      case Gone::Evicted:
        say("it had to make room for others");
        break;
      case Gone::Corrupt:
        say("it was found damaged and dropped");
        break;
    }
  }
  lines.push_back("now: a GET is fetched from the origin");
  return lines;
}

Lines explain_stored(const PolicySettings& settings, const Object& object, const http::FieldSection& request,
                     core::UnixTime now, uint64_t signature) {
  const StoredMeta& meta = object.meta();
  http::FieldSection fields;
  object.parse_fields(fields);
  const CacheControl cc = response_directives(settings, fields);
  CacheControl request_cc = CacheControl::of_request(request);
  if (settings.offline) go_offline(request_cc);
  Lines lines;
  lines.push_back(fmt::format("stored: status {}, {}; it came {} ago", meta.status, what_is_there(object),
                              format_span(now - meta.response_time)));
  lines.push_back("why: " + why_stored(meta, cc));
  lines.push_back("freshness: " + freshness(meta, fields, cc, decide(settings, CacheControl{}, meta, now, meta.signature)));
  if (const std::string variant = explain_variant(object.variant()); !variant.empty()) {
    lines.push_back("for requests with: " + variant);
  }
  if (!selects(object, request)) {
    lines.push_back("now: this GET does not select it, its fields differ in what Vary names (RFC 9111 4.1)");
  } else {
    lines.push_back("now: on a GET " + what_would_happen(object, decide(settings, request_cc, meta, now, signature)));
  }
  return lines;
}

bool selects(const Object& object, const http::FieldSection& request) {
  if (!object.meta().has(kHasVary)) return true;
  const std::string_view variant = object.variant();
  const size_t end = variant.find('\n');
  return end != std::string_view::npos && vary_matches(variant.substr(0, end), variant.substr(end + 1), request);
}

// The names, "\n", then for each "name=value\r\n" or "name-\r\n" (cache/vary.h).
std::string explain_variant(std::string_view variant) {
  const size_t end = variant.find('\n');
  if (end == std::string_view::npos) return {};
  std::string_view names = variant.substr(0, end), rest = variant.substr(end + 1);
  std::string text;
  while (!names.empty()) {
    const size_t comma = std::min(names.find(','), names.size());
    const std::string_view name = names.substr(0, comma);
    names.remove_prefix(std::min(comma + 1, names.size()));
    if (!rest.starts_with(name) || rest.size() <= name.size()) break;
    rest.remove_prefix(name.size());
    const bool is_absent = rest.front() == '-';
    const size_t stop = std::min(rest.find("\r\n"), rest.size());
    std::string value(rest.substr(1, stop - 1));
    rest.remove_prefix(std::min(stop + 2, rest.size()));
    std::replace(value.begin(), value.end(), '\n', ',');
    if (!text.empty()) text += "; ";
    text += is_absent ? fmt::format("no {}", name) : fmt::format("{}: {}", name, value);
  }
  return text;
}

std::string format_time(core::UnixTime time) {
  const std::time_t seconds = static_cast<std::time_t>(time);
  std::tm parts{};
  char text[32];
  if (!::gmtime_r(&seconds, &parts) || std::strftime(text, sizeof text, "%Y-%m-%dT%H:%M:%SZ", &parts) == 0) return "?";
  return text;
}

std::string format_span(int64_t seconds) {
  seconds = std::max<int64_t>(seconds, 0);
  constexpr int64_t kMinute = 60, kHour = 60 * kMinute, kDay = 24 * kHour;
  const auto two = [](int64_t large, std::string_view unit, int64_t small, std::string_view small_unit) {
    return small ? fmt::format("{} {} {} {}", large, unit, small, small_unit) : fmt::format("{} {}", large, unit);
  };
  if (seconds < 2 * kMinute) return fmt::format("{} s", seconds);
  if (seconds < 2 * kHour) return two(seconds / kMinute, "min", seconds % kMinute, "s");
  if (seconds < 2 * kDay) return two(seconds / kHour, "h", seconds % kHour / kMinute, "min");
  return two(seconds / kDay, "d", seconds % kDay / kHour, "h");
}

}  // namespace tributary::cache
