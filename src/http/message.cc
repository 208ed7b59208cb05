#include "http/message.h"

#include <array>
#include <charconv>

namespace tributary::http {
namespace {

using core::Error;
using core::ErrorCode;
using core::Side;

struct MethodRow {
  std::string_view text;
  bool safe;
  bool idempotent;
};

constexpr MethodRow kMethods[] = {{"", false, false},
#define TRIBUTARY_X(id, text, safe, idempotent) {text, safe, idempotent},
                                  TRIBUTARY_HTTP_METHODS(TRIBUTARY_X)
#undef TRIBUTARY_X
};

Error fault(Side side, ErrorCode code, MessageFault why) {
  return {code, side, core::Retry::Never, static_cast<uint8_t>(why)};
}

// What both directions share: how Transfer-Encoding and Content-Length read, Kind::None when
// neither is there.
core::Result<BodyFraming> declared_framing(const FieldSection& fields, uint8_t minor, Side side) {
  const bool has_length = fields.has(FieldName::ContentLength);
  if (fields.has(FieldName::TransferEncoding)) {
    // RFC 9112, 6.1: both together is an attack or a mistake, and HTTP/1.0 has no transfer codings.
    if (has_length || minor == 0)
      return fault(side, ErrorCode::MalformedMessage, MessageFault::Framing);
    const auto value = fields.find_only(FieldName::TransferEncoding);
    if (!value) return fault(side, ErrorCode::MalformedMessage, MessageFault::Framing);
    if (equal_ignoring_case(*value, "chunked")) return BodyFraming{BodyKind::Chunked, 0};
    // Another coding that is at least named properly is unsupported, anything else malformed.
    ListCursor cursor(*value);
    size_t elements = 0;
    size_t chunked = 0;
    bool proper = true;
    bool last_is_chunked = false;
    for (std::string_view element; cursor.next(element); ++elements) {
      proper = proper && is_token(element.substr(0, element.find_first_of("; \t")));
      last_is_chunked = equal_ignoring_case(element, "chunked");
      chunked += last_is_chunked;
    }
    if (proper && elements > 0 &&
        (chunked == 0 || (chunked == 1 && last_is_chunked && elements > 1))) {
      return fault(side, ErrorCode::UnsupportedProtocol, MessageFault::UnsupportedCoding);
    }
    return fault(side, ErrorCode::MalformedMessage, MessageFault::Framing);
  }
  if (has_length) {
    const auto value = fields.find_only(FieldName::ContentLength);
    const auto length = value ? parse_decimal(*value) : std::nullopt;
    // Above 2^63 nothing real is declared, and signed arithmetic elsewhere stays safe.
    if (!length || *length > INT64_MAX)
      return fault(side, ErrorCode::MalformedMessage, MessageFault::Framing);
    return BodyFraming{BodyKind::Length, *length};
  }
  return BodyFraming{};
}

}  // namespace

Method method_from(std::string_view text) {
  switch (text.size()) {  // the common ones without the walk
    case 3:
      if (text == "GET") return Method::Get;
      break;
    case 4:
      if (text == "HEAD") return Method::Head;
      if (text == "POST") return Method::Post;
      break;
    case 7:
      if (text == "CONNECT") return Method::Connect;
      break;
    default:
      break;
  }
  for (size_t i = 1; i < std::size(kMethods); ++i) {
    if (kMethods[i].text == text) return static_cast<Method>(i);
  }
  return Method::Other;
}

std::string_view method_text(Method method) {
  return kMethods[static_cast<size_t>(method)].text;
}
bool is_safe(Method method) {
  return kMethods[static_cast<size_t>(method)].safe;
}
bool is_idempotent(Method method) {
  return kMethods[static_cast<size_t>(method)].idempotent;
}

void RequestHead::clear() {
  method = Method::Get;
  minor = 1;
  other_method.clear();
  target.clear();
  fields.clear();
}

void RequestHead::release() {
  *this = RequestHead();
}

void ResponseHead::clear() {
  status = 0;
  minor = 1;
  reason.clear();
  fields.clear();
}

void ResponseHead::release() {
  *this = ResponseHead();
}

std::string_view reason_phrase(uint16_t status) {
  switch (status) {
    case 100:
      return "Continue";
    case 101:
      return "Switching Protocols";
    case 102:
      return "Processing";
    case 103:
      return "Early Hints";
    case 200:
      return "OK";
    case 201:
      return "Created";
    case 202:
      return "Accepted";
    case 203:
      return "Non-Authoritative Information";
    case 204:
      return "No Content";
    case 205:
      return "Reset Content";
    case 206:
      return "Partial Content";
    case 207:
      return "Multi-Status";
    case 208:
      return "Already Reported";
    case 226:
      return "IM Used";
    case 300:
      return "Multiple Choices";
    case 301:
      return "Moved Permanently";
    case 302:
      return "Found";
    case 303:
      return "See Other";
    case 304:
      return "Not Modified";
    case 305:
      return "Use Proxy";
    case 307:
      return "Temporary Redirect";
    case 308:
      return "Permanent Redirect";
    case 400:
      return "Bad Request";
    case 401:
      return "Unauthorized";
    case 402:
      return "Payment Required";
    case 403:
      return "Forbidden";
    case 404:
      return "Not Found";
    case 405:
      return "Method Not Allowed";
    case 406:
      return "Not Acceptable";
    case 407:
      return "Proxy Authentication Required";
    case 408:
      return "Request Timeout";
    case 409:
      return "Conflict";
    case 410:
      return "Gone";
    case 411:
      return "Length Required";
    case 412:
      return "Precondition Failed";
    case 413:
      return "Content Too Large";
    case 414:
      return "URI Too Long";
    case 415:
      return "Unsupported Media Type";
    case 416:
      return "Range Not Satisfiable";
    case 417:
      return "Expectation Failed";
    case 421:
      return "Misdirected Request";
    case 422:
      return "Unprocessable Content";
    case 423:
      return "Locked";
    case 424:
      return "Failed Dependency";
    case 425:
      return "Too Early";
    case 426:
      return "Upgrade Required";
    case 428:
      return "Precondition Required";
    case 429:
      return "Too Many Requests";
    case 431:
      return "Request Header Fields Too Large";
    case 451:
      return "Unavailable For Legal Reasons";
    case 500:
      return "Internal Server Error";
    case 501:
      return "Not Implemented";
    case 502:
      return "Bad Gateway";
    case 503:
      return "Service Unavailable";
    case 504:
      return "Gateway Timeout";
    case 505:
      return "HTTP Version Not Supported";
    case 506:
      return "Variant Also Negotiates";
    case 507:
      return "Insufficient Storage";
    case 508:
      return "Loop Detected";
    case 511:
      return "Network Authentication Required";
    default:
      return {};
  }
}

void append_request_line(std::string_view method, std::string_view target, std::string& out) {
  out.append(method).append(1, ' ').append(target).append(" HTTP/1.1\r\n");
}

void append_status_line(uint16_t status, std::string_view reason, std::string& out) {
  char digits[8];
  const auto end = std::to_chars(digits, digits + sizeof digits, status).ptr;
  if (reason.empty()) reason = reason_phrase(status);
  out.append("HTTP/1.1 ").append(digits, end).append(1, ' ').append(reason).append("\r\n");
}

void append_head(const RequestHead& head, std::string& out) {
  out.reserve(out.size() + head.target.size() + head.fields.size_bytes() + 48);
  append_request_line(head.method_name(), head.target, out);
  head.fields.append_to(out);
  out += "\r\n";
}

void append_head(const ResponseHead& head, std::string& out) {
  out.reserve(out.size() + head.reason.size() + head.fields.size_bytes() + 64);
  append_status_line(head.status, head.reason, out);
  head.fields.append_to(out);
  out += "\r\n";
}

uint16_t suggested_status(const core::Error& error) {
  switch (static_cast<MessageFault>(error.detail)) {
    case MessageFault::TargetTooLong:
      return 414;
    case MessageFault::HeadTooLarge:
      return 431;
    case MessageFault::UnsupportedCoding:
      return 501;
    case MessageFault::UnsupportedVersion:
      return 505;
    default:
      return 400;
  }
}

core::Result<BodyFraming> request_framing(const RequestHead& head) {
  auto framing = declared_framing(head.fields, head.minor, Side::Client);
  // RFC 9110, 9.3.6: content in CONNECT has no meaning, and what follows is the tunnel's.
  if (framing && head.method == Method::Connect) {
    if (framing->has_content())
      return fault(Side::Client, ErrorCode::MalformedMessage, MessageFault::Framing);
    return BodyFraming{};
  }
  return framing;
}

core::Result<BodyFraming> response_framing(Method method, const ResponseHead& head) {
  const uint16_t status = head.status;
  if (status == 101) return BodyFraming{BodyKind::Tunnel, 0};
  // RFC 9112, 6.3, rule 2: a 2xx to CONNECT ignores both fields.
  if (method == Method::Connect && status >= 200 && status < 300)
    return BodyFraming{BodyKind::Tunnel, 0};
  // Doubtful fields are refused even where no content can follow: somebody downstream may read
  // them.
  auto framing = declared_framing(head.fields, head.minor, Side::Origin);
  if (!framing) return framing;
  if (method == Method::Head || status < 200 || status == 204 || status == 304)
    return BodyFraming{};
  if (framing->kind == BodyKind::None) return BodyFraming{BodyKind::UntilClose, 0};
  return framing;
}

bool keeps_alive(const RequestHead& head) {
  // RFC 9112, 9.3 and C.2.2: a proxy must not keep a connection with an HTTP/1.0 client, although that asks for it (as
  // `ab -k` does): it may be an old proxy itself that only passes the field on, and then waits for us to close.
  return head.minor >= 1 && !head.fields.has_element(FieldName::Connection, "close");
}

bool keeps_alive(const ResponseHead& head, const BodyFraming& framing) {
  if (framing.kind == BodyKind::UntilClose || framing.kind == BodyKind::Tunnel) return false;
  if (head.fields.has_element(FieldName::Connection, "close")) return false;
  if (head.status < 200 || head.status == 204) {
    const auto length = head.fields.find(FieldName::ContentLength);
    if (head.fields.has(FieldName::TransferEncoding) || (length && *length != "0")) return false;
  }
  return head.minor >= 1 || head.fields.has_element(FieldName::Connection, "keep-alive");
}

}  // namespace tributary::http
