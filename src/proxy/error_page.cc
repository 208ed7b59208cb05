#include "proxy/error_page.h"

#include <array>
#include <charconv>
#include <cstring>

#include "http/text.h"
#include "http/utf8.h"
#include "proxy/error_table.h"

namespace tributary::proxy {
namespace {

// Who answers. Not the pseudonym of Via, which differs from process to process.
constexpr std::string_view kName = "tributary";

// Longer text is cut: a name has at most 255 bytes, and a detail is a sentence.
constexpr size_t kMaxShown = 300;

std::string_view shown(std::string_view text) { return text.substr(0, kMaxShown); }

void append_number(uint64_t value, std::string& out) {
  char digits[20];
  out.append(digits, std::to_chars(digits, digits + sizeof digits, value).ptr);
}

// Text from anywhere in a plain text body: controls would let a page draw what it likes on a terminal.
void append_plain(std::string_view text, std::string& out) {
  for (const char c : text) out += static_cast<unsigned char>(c) < 0x20 || c == 0x7f ? '?' : c;
}

uint16_t status_of(const ErrorContext& context) {
  return context.status != 0 ? context.status : error_status(context.error);
}

// Why, in words: what the caller says, else what the system said.
std::string detail_of(const ErrorContext& context) {
  if (!context.detail.empty()) return std::string(shown(context.detail));
  return context.error.sys != 0 ? std::strerror(context.error.sys) : std::string();
}

std::string render_text(const ErrorContext& context) {
  const ErrorRow& row = error_row(context.error.code);
  std::string out;
  append_number(status_of(context), out);
  out += ' ';
  out += http::reason_phrase(status_of(context));
  out += "\n\n";
  out += row.title;
  out += ".\n";
  const auto line = [&out](std::string_view label, std::string_view text) {
    if (text.empty()) return;
    out += label;
    append_plain(shown(text), out);
    out += '\n';
  };
  line("Host:   ", context.host);
  line("Step:   ", context.step);
  line("Detail: ", detail_of(context));
  out += '\n';
  out += row.advice;
  out += "\n-- ";
  out += kName;
  out += '\n';
  return out;
}

std::string render_html(const ErrorContext& context) {
  const ErrorRow& row = error_row(context.error.code);
  std::string out = "<!DOCTYPE html>\n<html lang=\"en\">\n<head>\n<meta charset=\"utf-8\">\n<title>";
  append_number(status_of(context), out);
  out += ' ';
  append_html(http::reason_phrase(status_of(context)), out);
  out += "</title>\n</head>\n<body>\n<h1>";
  append_html(row.title, out);
  out += "</h1>\n<dl>\n";
  const auto item = [&out](std::string_view label, std::string_view text) {
    if (text.empty()) return;
    out += "<dt>";
    out += label;
    out += "</dt><dd>";
    append_html(shown(text), out);
    out += "</dd>\n";
  };
  item("Host", context.host);
  item("Step", context.step);
  item("Detail", detail_of(context));
  out += "</dl>\n<p>";
  append_html(row.advice, out);
  out += "</p>\n<hr>\n<p>";
  append_number(status_of(context), out);
  out += ' ';
  append_html(http::reason_phrase(status_of(context)), out);
  out += ", from the proxy ";
  out += kName;
  out += "</p>\n</body>\n</html>\n";
  return out;
}

// RFC 9457. The type stays about:blank, so the title is the status' phrase; ours are extension members.
std::string render_problem(const ErrorContext& context) {
  const ErrorRow& row = error_row(context.error.code);
  std::string out = "{\"type\":\"about:blank\",\"title\":\"";
  append_json(http::reason_phrase(status_of(context)), out);
  out += "\",\"status\":";
  append_number(status_of(context), out);
  out += ",\"detail\":\"";
  append_json(row.title, out);
  if (const std::string detail = detail_of(context); !detail.empty()) {
    out += ": ";
    append_json(detail, out);
  }
  out += '"';
  const auto member = [&out](std::string_view name, std::string_view text) {
    if (text.empty()) return;
    out += ",\"";
    out += name;
    out += "\":\"";
    append_json(shown(text), out);
    out += '"';
  };
  member("error", proxy_status_type(context.error));
  member("host", context.host);
  member("step", context.step);
  member("advice", row.advice);
  out += "}\n";
  return out;
}

// The quality in thousandths of one element of Accept, "text/html;q=0.8"; 1000 without q (RFC 9110, 12.4.2).
int quality(std::string_view element) {
  http::ListCursor parameters(element, ';');
  std::string_view parameter;
  parameters.next(parameter);  // the media range
  while (parameters.next(parameter)) {
    if (parameter.size() < 3 || http::to_lower(parameter[0]) != 'q' || parameter[1] != '=') continue;
    const std::string_view number = parameter.substr(2);
    if (number[0] == '1') return 1000;
    if (number[0] != '0') return 0;
    int thousandths = 0;
    for (size_t i = 2, unit = 100; i < number.size() && i < 5 && http::is_digit(number[i]); ++i, unit /= 10) {
      thousandths += (number[i] - '0') * static_cast<int>(unit);
    }
    return thousandths;
  }
  return 1000;
}

}  // namespace

ErrorFormat preferred_format(std::string_view accept) {
  int html = 0, problem = 0, text = 0;
  http::ListCursor elements(accept);
  for (std::string_view element; elements.next(element);) {
    const std::string_view range = http::trim_ows(element.substr(0, element.find(';')));
    const auto is = [range](std::string_view type) { return http::equal_ignoring_case(range, type); };
    int* best = is("text/html") || is("application/xhtml+xml")                ? &html
                : is("application/problem+json") || is("application/json") ? &problem
                : is("text/plain") || is("text/*")                         ? &text
                                                                           : nullptr;
    if (best) *best = std::max(*best, quality(element));
  }
  if (html > 0 && html >= problem && html >= text) return ErrorFormat::Html;
  if (problem > 0 && problem >= text) return ErrorFormat::Problem;
  return ErrorFormat::Text;
}

ErrorBody render_error(const ErrorContext& context, ErrorFormat format) {
  switch (format) {
    case ErrorFormat::Html:
      return {"text/html; charset=utf-8", render_html(context)};
    case ErrorFormat::Problem:
      return {"application/problem+json", render_problem(context)};
    case ErrorFormat::Text:
      break;
  }
  return {"text/plain; charset=utf-8", render_text(context)};
}

void append_answer(uint16_t status, std::string_view proxy_status, std::string_view content_type,
                   std::string_view content, const AnswerContext& answer, std::string& out) {
  http::append_status_line(status, http::reason_phrase(status), out);
  const auto field = [&out](std::string_view name, std::string_view value) {
    if (value.empty()) return;
    out += name;
    out += ": ";
    out += value;
    out += "\r\n";
  };
  field("Date", answer.date);
  out += "Via: 1.1 ";
  out += answer.pseudonym;
  out += "\r\n";
  field("Proxy-Status", proxy_status);
  field("Content-Type", content_type);
  field("Content-Length", std::to_string(content.size()));
  field("Cache-Control", "no-store");
  field("X-Content-Type-Options", "nosniff");
  if (content_type.starts_with("text/html")) {
    field("Content-Security-Policy", "default-src 'none'; frame-ancestors 'none'; base-uri 'none'; form-action 'none'");
  }
  field("Allow", answer.allow);
  const unsigned retry_after = answer.retry_after != 0 ? answer.retry_after : status == 503 ? 5 : 0;
  if (retry_after != 0) field("Retry-After", std::to_string(retry_after));
  if (answer.close) field("Connection", "close");
  out += "\r\n";
  if (answer.method != http::Method::Head) out += content;
}

std::string error_response(const ErrorContext& context, const AnswerContext& answer) {
  const ErrorBody body = render_error(context, preferred_format(answer.accept));
  std::string proxy_status;
  append_proxy_status(context.error, detail_of(context), proxy_status);
  std::string out;
  out.reserve(512 + body.content.size());
  append_answer(status_of(context), proxy_status, body.content_type, body.content, answer, out);
  return out;
}

void append_proxy_status(const core::Error& error, std::string_view details, std::string& out) {
  out += kName;
  out += "; error=";
  out += proxy_status_type(error);
  if (details.empty()) return;
  out += "; details=\"";
  for (const char c : shown(details)) {
    // RFC 8941, 3.3.3: an sf-string holds printable ASCII only.
    if (c < 0x20 || c >= 0x7f) {
      out += '?';
    } else {
      if (c == '"' || c == '\\') out += '\\';
      out += c;
    }
  }
  out += '"';
}

void append_html(std::string_view text, std::string& out) {
  for (size_t i = 0; i < text.size();) {
    const char c = text[i];
    switch (c) {
      case '&': out += "&amp;"; break;
      case '<': out += "&lt;"; break;
      case '>': out += "&gt;"; break;
      case '"': out += "&quot;"; break;
      case '\'': out += "&#39;"; break;
      default:
        if (static_cast<unsigned char>(c) >= 0x80) {
          const size_t length = http::utf8_length(text.substr(i));
          out += length == 0 ? std::string_view("\xef\xbf\xbd") : text.substr(i, length);
          i += length == 0 ? 1 : length;
          continue;
        }
        out += (c < 0x20 && c != '\n' && c != '\t') || c == 0x7f ? '?' : c;
    }
    ++i;
  }
}

void append_json(std::string_view text, std::string& out) {
  constexpr std::string_view kHex = "0123456789abcdef";
  for (size_t i = 0; i < text.size();) {
    const unsigned char c = static_cast<unsigned char>(text[i]);
    if (c >= 0x80) {
      const size_t length = http::utf8_length(text.substr(i));
      out += length == 0 ? std::string_view("\xef\xbf\xbd") : text.substr(i, length);
      i += length == 0 ? 1 : length;
      continue;
    }
    if (c == '"' || c == '\\') {
      out += '\\';
      out += text[i];
    } else if (c < 0x20 || c == 0x7f) {
      out += "\\u00";
      out += kHex[c >> 4];
      out += kHex[c & 15];
    } else {
      out += text[i];
    }
    ++i;
  }
}

}  // namespace tributary::proxy
