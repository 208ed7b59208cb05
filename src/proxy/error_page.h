// Answers that the proxy makes itself when something went wrong: readable for a person, parseable for a program.
// Pure functions; any thread.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>

#include "core/error.h"
#include "http/message.h"

namespace tributary::proxy {

// What failed. Text from peers (host, detail) may hold anything: it is escaped here.
struct ErrorContext {
  core::Error error{};
  uint16_t status = 0;       // 0: error_status(error)
  std::string_view host{};     // "example.com:443"; empty: unknown
  std::string_view step{};     // what we were doing: "resolving the name", "connecting"; empty: not told
  std::string_view detail{};   // more words, a reason ("port not allowed", "certificate has expired"); empty: none
};

enum class ErrorFormat : uint8_t { Text, Html, Problem };
// What an Accept field (all its values joined with commas; empty: none) prefers. Only what it names
// counts: curl's "*/*" gets plain text.
ErrorFormat preferred_format(std::string_view accept);

struct ErrorBody {
  std::string_view content_type;
  std::string content;
};
ErrorBody render_error(const ErrorContext& context, ErrorFormat format);

// About the response as a message.
struct AnswerContext {
  std::string_view pseudonym = "tributary";  // in Via
  std::string_view date{};             // IMF-fixdate (Worker::date())
  std::string_view accept{};           // of the request
  http::Method method = http::Method::Get;  // HEAD: no content
  bool close = true;                 // "Connection: close"
  unsigned retry_after = 0;          // seconds; 0: 5 for a 503, none for others
  std::string_view allow{};            // value of Allow, for 405; empty: none
};

// Head and content, ready to be sent. Bears Date, Via, Proxy-Status, Content-Type, Content-Length, Cache-Control: no-store,
// and for HTML a Content-Security-Policy that allows nothing to load.
std::string error_response(const ErrorContext& context, const AnswerContext& answer);

// The same frame around any content of ours. `proxy_status` may be empty.
void append_answer(uint16_t status, std::string_view proxy_status, std::string_view content_type,
                   std::string_view content, const AnswerContext& answer, std::string& out);

// "tributary; error=dns_error; details=\"…\"", appended: the value of Proxy-Status (RFC 9209).
void append_proxy_status(const core::Error& error, std::string_view details, std::string& out);

// Text for HTML content and attribute values.
void append_html(std::string_view text, std::string& out);
// Text inside a JSON string; bytes that are not UTF-8 become U+FFFD.
void append_json(std::string_view text, std::string& out);

}  // namespace tributary::proxy
