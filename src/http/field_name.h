// Known field names as tokens, so that the data path compares one byte instead of text.
//
// Any thread; no state. A name that is not in the table is FieldName::Unknown and stays text.
#pragma once

#include <cstddef>
#include <cstdint>
#include <string_view>

namespace tributary::http {

// X(enumerator, text as we write it). The one list; strings, look-up and tests are derived from it.
#define TRIBUTARY_HTTP_FIELD_NAMES(X)                        \
  X(Accept, "Accept")                                        \
  X(AcceptCharset, "Accept-Charset")                         \
  X(AcceptDatetime, "Accept-Datetime")                       \
  X(AcceptEncoding, "Accept-Encoding")                       \
  X(AcceptLanguage, "Accept-Language")                       \
  X(AcceptRanges, "Accept-Ranges")                           \
  X(AccessControlAllowOrigin, "Access-Control-Allow-Origin") \
  X(Age, "Age")                                              \
  X(Allow, "Allow")                                          \
  X(AltSvc, "Alt-Svc")                                       \
  X(AuthenticationInfo, "Authentication-Info")               \
  X(Authorization, "Authorization")                          \
  X(CacheControl, "Cache-Control")                           \
  X(CacheStatus, "Cache-Status")                             \
  X(CdnCacheControl, "CDN-Cache-Control")                    \
  X(CdnLoop, "CDN-Loop")                                     \
  X(ClearSiteData, "Clear-Site-Data")                        \
  X(Connection, "Connection")                                \
  X(ContentDigest, "Content-Digest")                         \
  X(ContentDisposition, "Content-Disposition")               \
  X(ContentEncoding, "Content-Encoding")                     \
  X(ContentLanguage, "Content-Language")                     \
  X(ContentLength, "Content-Length")                         \
  X(ContentLocation, "Content-Location")                     \
  X(ContentMd5, "Content-MD5")                               \
  X(ContentRange, "Content-Range")                           \
  X(ContentSecurityPolicy, "Content-Security-Policy")        \
  X(ContentType, "Content-Type")                             \
  X(Cookie, "Cookie")                                        \
  X(Date, "Date")                                            \
  X(Digest, "Digest")                                        \
  X(EarlyData, "Early-Data")                                 \
  X(ETag, "ETag")                                            \
  X(Expect, "Expect")                                        \
  X(Expires, "Expires")                                      \
  X(Forwarded, "Forwarded")                                  \
  X(From, "From")                                            \
  X(Host, "Host")                                            \
  X(IfMatch, "If-Match")                                     \
  X(IfModifiedSince, "If-Modified-Since")                    \
  X(IfNoneMatch, "If-None-Match")                            \
  X(IfRange, "If-Range")                                     \
  X(IfUnmodifiedSince, "If-Unmodified-Since")                \
  X(KeepAlive, "Keep-Alive")                                 \
  X(LastModified, "Last-Modified")                           \
  X(Link, "Link")                                            \
  X(Location, "Location")                                    \
  X(MaxForwards, "Max-Forwards")                             \
  X(Origin, "Origin")                                        \
  X(Pragma, "Pragma")                                        \
  X(Prefer, "Prefer")                                        \
  X(Priority, "Priority")                                    \
  X(ProxyAuthenticate, "Proxy-Authenticate")                 \
  X(ProxyAuthenticationInfo, "Proxy-Authentication-Info")    \
  X(ProxyAuthorization, "Proxy-Authorization")               \
  X(ProxyConnection, "Proxy-Connection")                     \
  X(ProxyStatus, "Proxy-Status")                             \
  X(Range, "Range")                                          \
  X(Referer, "Referer")                                      \
  X(ReprDigest, "Repr-Digest")                               \
  X(RetryAfter, "Retry-After")                               \
  X(SecWebSocketAccept, "Sec-WebSocket-Accept")              \
  X(SecWebSocketKey, "Sec-WebSocket-Key")                    \
  X(SecWebSocketVersion, "Sec-WebSocket-Version")            \
  X(Server, "Server")                                        \
  X(SetCookie, "Set-Cookie")                                 \
  X(StrictTransportSecurity, "Strict-Transport-Security")    \
  X(SurrogateControl, "Surrogate-Control")                   \
  X(SurrogateKey, "Surrogate-Key")                           \
  X(Te, "TE")                                                \
  X(Trailer, "Trailer")                                      \
  X(TransferEncoding, "Transfer-Encoding")                   \
  X(Upgrade, "Upgrade")                                      \
  X(UpgradeInsecureRequests, "Upgrade-Insecure-Requests")    \
  X(UserAgent, "User-Agent")                                 \
  X(Vary, "Vary")                                            \
  X(Via, "Via")                                              \
  X(WantReprDigest, "Want-Repr-Digest")                      \
  X(Warning, "Warning")                                      \
  X(WwwAuthenticate, "WWW-Authenticate")                     \
  X(XCache, "X-Cache")                                       \
  X(XForwardedFor, "X-Forwarded-For")                        \
  X(XForwardedHost, "X-Forwarded-Host")                      \
  X(XForwardedProto, "X-Forwarded-Proto")

enum class FieldName : uint8_t {
  Unknown = 0,
#define TRIBUTARY_X(id, text) id,
  TRIBUTARY_HTTP_FIELD_NAMES(TRIBUTARY_X)
#undef TRIBUTARY_X
};

inline constexpr size_t kFieldNameCount = 0
#define TRIBUTARY_X(id, text) +1
                                          TRIBUTARY_HTTP_FIELD_NAMES(TRIBUTARY_X)
#undef TRIBUTARY_X
                                          + 1;  // with Unknown
static_assert(kFieldNameCount <= 128, "FieldSection keeps a 128-bit set of the names it holds");

// The token of a name in any case, Unknown when it is not in the table. A few nanoseconds.
FieldName field_name(std::string_view text);

// The name as we write it; empty for Unknown.
std::string_view field_text(FieldName name);

// Connection-specific fields that a proxy never forwards, whatever Connection lists (RFC
// 9110, 7.6.1), and the proxy's own credentials are *not* among them: Proxy-Authorization and
// Proxy-Authenticate are the caller's decision.
bool is_hop_by_hop(FieldName name);

// Fields that must not appear in a trailer section: framing, routing, authentication, request
// modifiers and those that say how to read the content (RFC 9110, 6.5.1). h1 drops them from
// trailers.
bool is_forbidden_in_trailers(FieldName name);

}  // namespace tributary::http
