#include "proxy/error_page.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <string>

#include "proxy/error_table.h"
#include "proxy/landing_page.h"

namespace tributary::proxy {
namespace {

using core::ErrorCode;
using core::Side;
using testing::HasSubstr;
using testing::Not;
using testing::StartsWith;

constexpr core::Error kRefused{.code = ErrorCode::ConnectionRefused, .side = Side::Origin, .sys = ECONNREFUSED};

ErrorContext context(core::Error error = kRefused) {
  ErrorContext made;
  made.error = error;
  made.host = "example.com:443";
  made.step = "connecting";
  return made;
}

AnswerContext answer(std::string_view accept = "") {
  AnswerContext made;
  made.accept = accept;
  made.date = "Sat, 21 Nov 2026 08:23:22 GMT";
  return made;
}

std::string head_of(const std::string& response) { return response.substr(0, response.find("\r\n\r\n") + 2); }
std::string content_of(const std::string& response) { return response.substr(response.find("\r\n\r\n") + 4); }

TEST(ErrorTable, StatusesAreThoseOfTheInterface) {
  const auto status = [](ErrorCode code, Side side) { return error_status({.code = code, .side = side}); };
  EXPECT_EQ(status(ErrorCode::ConnectionRefused, Side::Origin), 502);
  EXPECT_EQ(status(ErrorCode::NameNotFound, Side::Origin), 502);
  EXPECT_EQ(status(ErrorCode::DnsTimeout, Side::Origin), 504);
  EXPECT_EQ(status(ErrorCode::FirstByteTimeout, Side::Origin), 504);
  EXPECT_EQ(status(ErrorCode::ReadTimeout, Side::Client), 408);
  EXPECT_EQ(status(ErrorCode::AcquireTimeout, Side::Us), 503);
  EXPECT_EQ(status(ErrorCode::Forbidden, Side::Client), 403);
  EXPECT_EQ(status(ErrorCode::DestinationProhibited, Side::Client), 403);
  EXPECT_EQ(status(ErrorCode::LoopDetected, Side::Us), 508);
  EXPECT_EQ(status(ErrorCode::MalformedMessage, Side::Client), 400);
  EXPECT_EQ(status(ErrorCode::MalformedMessage, Side::Origin), 502);
  EXPECT_EQ(status(ErrorCode::MessageTooLarge, Side::Client), 431);
}

TEST(ErrorTable, AClientsFaultIsNeverBlamedOnTheOrigin) {
  for (const ErrorRow& row : error_table()) {
    EXPECT_GE(row.status, 400);
    EXPECT_GE(row.client_status, 400);
    EXPECT_FALSE(row.title.empty());
    EXPECT_FALSE(row.advice.empty());
    EXPECT_NE(row.title.back(), '.') << row.title;
  }
  EXPECT_EQ(proxy_status_type({.code = ErrorCode::MalformedMessage, .side = Side::Client}), "http_request_error");
  EXPECT_EQ(proxy_status_type({.code = ErrorCode::MalformedMessage, .side = Side::Origin}), "http_protocol_error");
}

TEST(ErrorFormats, AreChosenByAccept) {
  EXPECT_EQ(preferred_format(""), ErrorFormat::Text);
  EXPECT_EQ(preferred_format("*/*"), ErrorFormat::Text);
  EXPECT_EQ(preferred_format("text/html,application/xhtml+xml,*/*;q=0.8"), ErrorFormat::Html);
  EXPECT_EQ(preferred_format("application/json"), ErrorFormat::Problem);
  EXPECT_EQ(preferred_format("application/problem+json, text/html;q=0.5"), ErrorFormat::Problem);
  EXPECT_EQ(preferred_format("Text/HTML; Q=0.3, application/json;q=0.2"), ErrorFormat::Html);
  EXPECT_EQ(preferred_format("text/html;q=0"), ErrorFormat::Text);
  EXPECT_EQ(preferred_format("text/html;level=1;q=0.4, text/plain"), ErrorFormat::Text);
  EXPECT_EQ(preferred_format("text/html;q=0.001"), ErrorFormat::Html);
  EXPECT_EQ(preferred_format(";;;,,q=,text/html;q="), ErrorFormat::Html);
}

TEST(ErrorResponse, IsACompleteMessageThatNamesHostStepAndAWayOut) {
  const std::string response = error_response(context(), answer());
  const std::string head = head_of(response), content = content_of(response);
  EXPECT_THAT(head, StartsWith("HTTP/1.1 502 Bad Gateway\r\n"));
  EXPECT_THAT(head, HasSubstr("Date: Sat, 21 Nov 2026 08:23:22 GMT\r\n"));
  EXPECT_THAT(head, HasSubstr("Via: 1.1 tributary\r\n"));
  EXPECT_THAT(head, HasSubstr("Proxy-Status: tributary; error=connection_refused; details=\"Connection refused\"\r\n"));
  EXPECT_THAT(head, HasSubstr("Content-Type: text/plain; charset=utf-8\r\n"));
  EXPECT_THAT(head, HasSubstr("Content-Length: " + std::to_string(content.size()) + "\r\n"));
  EXPECT_THAT(head, HasSubstr("Cache-Control: no-store\r\n"));
  EXPECT_THAT(head, HasSubstr("Connection: close\r\n"));
  EXPECT_THAT(head, Not(HasSubstr("Content-Security-Policy")));
  EXPECT_THAT(content, HasSubstr("example.com:443"));
  EXPECT_THAT(content, HasSubstr("connecting"));
  EXPECT_THAT(content, HasSubstr(std::string(error_row(ErrorCode::ConnectionRefused).advice)));
}

TEST(ErrorResponse, HtmlMayLoadNothing) {
  const std::string response = error_response(context(), answer("text/html"));
  EXPECT_THAT(response, HasSubstr("Content-Type: text/html; charset=utf-8\r\n"));
  EXPECT_THAT(response, HasSubstr("Content-Security-Policy: default-src 'none'"));
  EXPECT_THAT(response, HasSubstr("X-Content-Type-Options: nosniff\r\n"));
}

TEST(ErrorResponse, HostileTextCannotBecomeMarkupOrFields) {  // V-3
  ErrorContext hostile = context();
  hostile.host = "<script>alert('x')</script>\"&\r\nSet-Cookie: a=b";
  hostile.detail = "bad \"quoted\" \\ \r\nX-Evil: 1\x01\xff";
  const std::string html = error_response(hostile, answer("text/html"));
  EXPECT_THAT(html, Not(HasSubstr("<script>")));
  EXPECT_THAT(content_of(html), HasSubstr("&lt;script&gt;alert(&#39;x&#39;)&lt;/script&gt;&quot;&amp;"));
  EXPECT_THAT(head_of(html), Not(HasSubstr("Set-Cookie")));
  EXPECT_THAT(head_of(html), Not(HasSubstr("\r\nX-Evil")));
  EXPECT_THAT(head_of(html), HasSubstr("details=\"bad \\\"quoted\\\" \\\\ ??X-Evil: 1??\"\r\n"));
  const std::string text = content_of(error_response(hostile, answer()));
  EXPECT_THAT(text, Not(HasSubstr("\r")));
  EXPECT_THAT(text, Not(HasSubstr("\x01")));
}

TEST(ErrorResponse, ProblemDetailsAreValidJson) {
  ErrorContext hostile = context();
  hostile.host = "a\"b\\c\n\x7f";
  hostile.detail = "caf\xc3\xa9 \xc0\xaf \xed\xa0\x80 end";
  const std::string response = error_response(hostile, answer("application/json"));
  EXPECT_THAT(response, HasSubstr("Content-Type: application/problem+json\r\n"));
  const std::string content = content_of(response);
  EXPECT_THAT(content, StartsWith("{\"type\":\"about:blank\",\"title\":\"Bad Gateway\",\"status\":502,"));
  EXPECT_THAT(content, HasSubstr("\"error\":\"connection_refused\""));
  EXPECT_THAT(content, HasSubstr("\"host\":\"a\\\"b\\\\c\\u000a\\u007f\""));
  // Overlong forms and surrogates are not UTF-8 (RFC 3629): each byte becomes U+FFFD.
  EXPECT_THAT(content, HasSubstr("caf\xc3\xa9 \xef\xbf\xbd\xef\xbf\xbd \xef\xbf\xbd\xef\xbf\xbd\xef\xbf\xbd end"));
}

TEST(ErrorResponse, LongTextIsCut) {
  const std::string name(100'000, 'a');
  ErrorContext hostile = context();
  hostile.host = hostile.detail = name;
  EXPECT_LT(error_response(hostile, answer("text/html")).size(), 4000u);
}

TEST(ErrorResponse, AHeadRequestGetsNoContent) {
  AnswerContext head = answer();
  const std::string with = error_response(context(), head);
  head.method = http::Method::Head;
  const std::string without = error_response(context(), head);
  EXPECT_EQ(without, with.substr(0, without.size()));
  EXPECT_TRUE(content_of(without).empty());
}

TEST(ErrorResponse, NoCapacitySaysWhenToComeBack) {
  const std::string response = error_response(context({.code = ErrorCode::AcquireTimeout}), answer());
  EXPECT_THAT(response, StartsWith("HTTP/1.1 503 "));
  EXPECT_THAT(response, HasSubstr("Retry-After: 5\r\n"));
  EXPECT_THAT(error_response(context(), answer()), Not(HasSubstr("Retry-After")));
}

TEST(ErrorResponse, TheConnectionGoesOnWhereItMay) {
  AnswerContext kept = answer();
  kept.close = false;
  EXPECT_THAT(error_response(context(), kept), Not(HasSubstr("Connection:")));
}

TEST(LandingPage, TellsHowToUseTheProxyUnderItsOwnName) {
  const std::string html = landing_response("proxy.example:3128", answer("text/html"));
  EXPECT_THAT(html, StartsWith("HTTP/1.1 200 OK\r\n"));
  EXPECT_THAT(html, HasSubstr("http_proxy=http://proxy.example:3128"));
  EXPECT_THAT(landing_response("h:1", answer()), HasSubstr("Content-Type: text/plain"));
}

TEST(LandingPage, AHostileHostFieldIsNotRepeated) {
  for (const char* host : {"<b>", "a\"b", "a b", ""}) {
    EXPECT_THAT(landing_response(host, answer("text/html")), HasSubstr("127.0.0.1:3128")) << host;
  }
}

}  // namespace
}  // namespace tributary::proxy
