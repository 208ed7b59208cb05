// Heads of messages, and what a head says about the message: its framing and whether the connection
// lasts. Plain data; loop-affine.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>

#include "core/result.h"
#include "http/fields.h"

namespace tributary::http {

// X(enumerator, text, safe, idempotent): RFC 9110, 9.2 and the IANA method registry, with PURGE of
// caches.
#define TRIBUTARY_HTTP_METHODS(X)                     \
  X(Get, "GET", true, true)                           \
  X(Head, "HEAD", true, true)                         \
  X(Post, "POST", false, false)                       \
  X(Put, "PUT", false, true)                          \
  X(Delete, "DELETE", false, true)                    \
  X(Connect, "CONNECT", false, false)                 \
  X(Options, "OPTIONS", true, true)                   \
  X(Trace, "TRACE", true, true)                       \
  X(Patch, "PATCH", false, false)                     \
  X(Query, "QUERY", true, true)                       \
  X(Acl, "ACL", false, true)                          \
  X(BaselineControl, "BASELINE-CONTROL", false, true) \
  X(Bind, "BIND", false, true)                        \
  X(Checkin, "CHECKIN", false, true)                  \
  X(Checkout, "CHECKOUT", false, true)                \
  X(Copy, "COPY", false, true)                        \
  X(Label, "LABEL", false, true)                      \
  X(Link, "LINK", false, true)                        \
  X(Lock, "LOCK", false, false)                       \
  X(Merge, "MERGE", false, true)                      \
  X(Mkactivity, "MKACTIVITY", false, true)            \
  X(Mkcalendar, "MKCALENDAR", false, true)            \
  X(Mkcol, "MKCOL", false, true)                      \
  X(Mkworkspace, "MKWORKSPACE", false, true)          \
  X(Move, "MOVE", false, true)                        \
  X(Orderpatch, "ORDERPATCH", false, true)            \
  X(Pri, "PRI", true, true)                           \
  X(Propfind, "PROPFIND", true, true)                 \
  X(Proppatch, "PROPPATCH", false, true)              \
  X(Purge, "PURGE", false, true)                      \
  X(Rebind, "REBIND", false, true)                    \
  X(Report, "REPORT", true, true)                     \
  X(Search, "SEARCH", true, true)                     \
  X(Unbind, "UNBIND", false, true)                    \
  X(Uncheckout, "UNCHECKOUT", false, true)            \
  X(Unlink, "UNLINK", false, true)                    \
  X(Unlock, "UNLOCK", false, true)                    \
  X(Update, "UPDATE", false, true)                    \
  X(VersionControl, "VERSION-CONTROL", false, true)

enum class Method : uint8_t {
  Other = 0,  // any other token; RequestHead::other_method has its text
#define TRIBUTARY_X(id, text, safe, idempotent) id,
  TRIBUTARY_HTTP_METHODS(TRIBUTARY_X)
#undef TRIBUTARY_X
};

// Methods are case-sensitive (RFC 9110, 9.1): "get" is Other.
Method method_from(std::string_view text);
std::string_view method_text(Method method);  // empty for Other
bool is_safe(Method method);                  // false for Other
bool is_idempotent(Method method);            // false for Other

struct RequestHead {
  Method method = Method::Get;
  uint8_t minor = 1;         // of HTTP/1.x
  std::string other_method;  // when method is Other
  std::string target;        // exactly as it came or is to be sent
  FieldSection fields;

  std::string_view method_name() const {
    return method == Method::Other ? other_method : method_text(method);
  }
  void clear();    // forgets, keeps memory
  void release();  // forgets, gives memory back
};

struct ResponseHead {
  uint16_t status = 0;
  uint8_t minor = 1;
  std::string reason;  // may be empty; only for relaying, never for deciding
  FieldSection fields;

  void clear();
  void release();
};

// The registered reason phrase of a status, empty when unknown.
std::string_view reason_phrase(uint16_t status);

// Append the start line, the fields and the empty line. We always speak HTTP/1.1 whatever `minor`
// came in (RFC 9110, 2.5); an empty reason is filled with the registered one.
void append_head(const RequestHead& head, std::string& out);
void append_head(const ResponseHead& head, std::string& out);
void append_request_line(std::string_view method, std::string_view target, std::string& out);
void append_status_line(uint16_t status, std::string_view reason, std::string& out);

// How the end of a message's content is found (RFC 9112, 6.3).
enum class BodyKind : uint8_t {
  None,    // no content follows the head
  Length,  // exactly `length` bytes, also when 0
  Chunked,
  UntilClose,  // responses only
  Tunnel,      // 2xx to CONNECT, 101: what follows is not HTTP
};

struct BodyFraming {
  BodyKind kind = BodyKind::None;
  uint64_t length = 0;

  bool has_content() const {
    return kind == BodyKind::Chunked || kind == BodyKind::UntilClose || length > 0;
  }
  friend bool operator==(const BodyFraming&, const BodyFraming&) = default;
};

// Why a message was refused: Error::detail of the errors of this header and of h1.h.
// suggested_status() turns it into a code.
enum class MessageFault : uint8_t {
  None = 0,
  Syntax,         // 400 / 502
  Framing,        // 400 / 502: Content-Length and Transfer-Encoding contradict, repeat or are not
                  // understood
  Host,           // 400: missing, repeated or invalid
  TargetTooLong,  // 414
  HeadTooLarge,   // 431 / 502
  UnsupportedCoding,   // 501 / 502: a transfer coding other than chunked
  UnsupportedVersion,  // 505 / 502
  Incomplete,          // 400 / 502: the connection ended inside the message
};

// The status for a client whose request was refused with `error` (400, 414, 431, 501 or 505).
uint16_t suggested_status(const core::Error& error);

// RFC 9112, 6.3, with everything ambiguous refused rather than repaired: Transfer-Encoding together
// with Content-Length, in HTTP/1.0, or other than exactly one "chunked"; repeated, listed or
// non-decimal Content-Length; content on CONNECT.
core::Result<BodyFraming> request_framing(const RequestHead& head);
// `method` is that of the request being answered.
core::Result<BodyFraming> response_framing(Method method, const ResponseHead& head);

// Whether the connection may carry another message after this one (RFC 9112, 9.3). The caller adds
// what it knows itself: content not read to its end, limits, draining.
bool keeps_alive(const RequestHead& head);
// Also false after a response whose end only the close marks, and after 1xx/204 that claim content
// (RFC 9112, 6.3 says there is none; whatever follows must not be taken for the next response).
bool keeps_alive(const ResponseHead& head, const BodyFraming& framing);

}  // namespace tributary::http
