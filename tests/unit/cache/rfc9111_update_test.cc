// RFC 9111 4.3 and 4.4: conditional requests, 304, HEAD, invalidation.
#include <gtest/gtest.h>

#include "cache/invalidation.h"
#include "cache/revalidation.h"
#include "unit/cache/policy_fixture.h"

namespace tributary::cache {
namespace {

using http::FieldName;

std::string wire(const http::FieldSection& fields) {
  std::string out;
  fields.append_to(out);
  return out;
}

TEST(StoredFields, KeepNothingOfTheConnectionAndOfWhoAsked) {  // 3.1
  const http::ResponseHead response = make_response(
      206,
      "Connection: close, X-Hop\nX-Hop: 1\nKeep-Alive: 5\nTransfer-Encoding: chunked\nProxy-Authenticate: Basic\n"
      "Proxy-Authentication-Info: a\nProxy-Status: a\nAge: 5\nContent-Length: 2\nContent-Range: bytes 0-1/2\n"
      "ETag: \"a\"\nX-End: 2\nDate: d\n");
  EXPECT_EQ(stored_fields(response, {}), "ETag: \"a\"\r\nX-End: 2\r\nDate: d\r\n");
}

TEST(StoredFields, LeaveOutWhatPrivateAndNoCacheName) {  // 5.2.2.4, 5.2.2.7
  const http::ResponseHead response = make_response(
      200,
      "Cache-Control: max-age=60, private=\"Set-Cookie\", no-cache=\"x-a, X-B\"\nSet-Cookie: a=b\nSet-Cookie: c=d\n"
      "X-A: 1\nX-C: 2\nDate: d\n");
  const http::CacheControl cc = http::CacheControl::of(response.fields);
  EXPECT_EQ(stored_fields(response, cc),
            "Cache-Control: max-age=60, private=\"Set-Cookie\", no-cache=\"x-a, X-B\"\r\nX-C: 2\r\nDate: d\r\n");
  EXPECT_EQ(left_out_fields(response.fields, cc), "Set-Cookie: a=b\r\nSet-Cookie: c=d\r\nx-a: 1\r\n");
  EXPECT_EQ(left_out_fields(response.fields, {}), "");
}

TEST(MakeConditional, SendsTheStoredValidatorsAndNotTheClients) {  // 4.3.1
  http::FieldSection request =
      make_fields("Host: h\nIf-None-Match: \"client\"\nIf-Modified-Since: " + date_text(kNow) +
                  "\nIf-Range: \"x\"\nRange: bytes=0-1\nIf-Match: \"x\"\nIf-Unmodified-Since: " +
                  date_text(kNow) + "\n");
  const std::string modified = date_text(kNow - 100);
  EXPECT_TRUE(make_conditional(make_fields("ETag: W/\"stored\"\nLast-Modified: " + modified + "\n"),
                               request));
  EXPECT_EQ(wire(request),
            "Host: h\r\nIf-None-Match: W/\"stored\"\r\nIf-Modified-Since: " + modified + "\r\n");
}

TEST(MakeConditional, SaysWhenThereIsNothingToValidateBy) {
  http::FieldSection request = make_fields("Host: h\nIf-None-Match: \"client\"\n");
  EXPECT_FALSE(make_conditional(make_fields("Content-Type: a/b\nETag: not-quoted\n"), request));
  EXPECT_EQ(wire(request), "Host: h\r\n");
}

TEST(NotModified, IsTakenOnlyForTheResponseItSpeaksOf) {  // 4.3.4
  const std::string date = "Last-Modified: " + date_text(kNow - 100) + "\n";
  const std::string other = "Last-Modified: " + date_text(kNow - 99) + "\n";
  const struct {
    const char* what;
    std::string stored, answer;
    bool selects;
  } rows[] = {
      {"same strong tag", "ETag: \"a\"\n", "ETag: \"a\"\n", true},
      {"other strong tag", "ETag: \"a\"\n", "ETag: \"b\"\n", false},
      {"strong tag against a weak one", "ETag: W/\"a\"\n", "ETag: \"a\"\n", false},
      {"weak tag against a strong one", "ETag: \"a\"\n", "ETag: W/\"a\"\n", true},
      {"tag against none", date, "ETag: \"a\"\n", false},
      {"same date", date, date, true},
      {"other date", date, other, false},
      {"no validator in the answer", "ETag: \"a\"\n", "", true},
      {"the same Vary", "ETag: \"a\"\nVary: A, b\n", "ETag: \"a\"\nVary: B,a\n", true},
      {"another Vary (4.1)", "ETag: \"a\"\n", "ETag: \"a\"\nVary: Cookie\n", false},
  };
  for (const auto& row : rows) {
    EXPECT_EQ(not_modified_selects(make_fields(row.stored), make_fields(row.answer)), row.selects)
        << row.what;
  }
}

TEST(NotModified, UpdatesFieldsButNotThoseOfTheStoredContent) {  // 3.2
  http::FieldSection stored = make_fields(
      "Content-Length: 10\nContent-Encoding: gzip\nContent-Type: a/b\nETag: \"a\"\nVia: 1.1 us\nX-Old: "
      "1\nX-Two: a\nX-Two: b\n"
      "Set-Cookie: a=a\nCache-Control: max-age=1\n");
  update_fields(
      stored,
      make_fields(
          "Content-Length: 0\nContent-Encoding: br\nContent-Type: c/d\nETag: W/\"a\"\n"
          "Content-Range: bytes 0-1/2\nTransfer-Encoding: chunked\nConnection: X-Hop\nX-Hop: 1\nVia: 1.1 other\n"
          "Set-Cookie: a=b\nX-Two: c\nX-Two: d\nX-New: 2\nCache-Control: max-age=9\n"));
  EXPECT_EQ(wire(stored),
            "Content-Length: 10\r\nContent-Encoding: gzip\r\nETag: \"a\"\r\nVia: 1.1 us\r\nX-Old: 1\r\n"
            "Content-Type: c/d\r\nSet-Cookie: a=b\r\nX-Two: c\r\nX-Two: d\r\nX-New: 2\r\n"
            "Cache-Control: max-age=9\r\n");
}

TEST(NotModified, FreshensAsIfTheResponseCameNow) {
  http::ResponseHead stored = make_response(200, "Cache-Control: max-age=60\nETag: \"a\"\n");
  const StoredMeta old =
      describe({}, stored, http::CacheControl::of(stored.fields), false, kNow, kNow);
  const StoredMeta fresh =
      freshen({}, stored, make_fields("Age: 5\n"), old, false, kNow + 99, kNow + 100);
  EXPECT_EQ(fresh.lifetime, 60u);
  EXPECT_EQ(fresh.status, 200);
  EXPECT_EQ(current_age(fresh, kNow + 110), 16u);  // Age 5 + delay 1 + 10 here
  EXPECT_EQ(stored.fields.find(FieldName::Date), date_text(kNow + 100));
  EXPECT_FALSE(stored.fields.has(FieldName::Age));
  const StoredMeta shorter = freshen({}, stored, make_fields("Cache-Control: max-age=7\n"), fresh,
                                     false, kNow + 200, kNow + 200);
  EXPECT_EQ(shorter.lifetime, 7u);
}

TEST(Head, FreshensOrOutdatesTheStoredResponse) {  // 4.3.5
  const http::FieldSection stored = make_fields("ETag: \"a\"\n");
  const auto says = [&](const std::string& lines) { return judge_head(stored, 10, make_fields(lines)); };
  EXPECT_EQ(says("ETag: \"a\"\nContent-Length: 10\n"), HeadSays::Freshen);
  EXPECT_EQ(says("X: 1\n"), HeadSays::Freshen);
  EXPECT_EQ(says("ETag: \"b\"\n"), HeadSays::Outdated);
  EXPECT_EQ(says("ETag: \"a\"\nContent-Length: 11\n"), HeadSays::Outdated);
  EXPECT_EQ(says("Last-Modified: " + date_text(kNow) + "\n"), HeadSays::Outdated);
  EXPECT_EQ(judge_head(stored, std::nullopt, make_fields("Content-Length: 10\n")), HeadSays::Outdated);
}

TEST(Invalidation, ReachesTargetAndSameOriginReferences) {  // 4.4
  const struct {
    const char* what;
    http::Method method;
    uint16_t status;
    std::string lines;
    std::vector<std::string> keys;
  } rows[] = {
      {"POST", http::Method::Post, 200, "", {"http://h/a/b?c"}},
      {"redirect counts as success", http::Method::Put, 303, "", {"http://h/a/b?c"}},
      {"unknown method is unsafe", http::Method::Other, 200, "", {"http://h/a/b?c"}},
      {"Location", http::Method::Post, 201, "Location: /x\n", {"http://h/a/b?c", "http://h/x"}},
      {"Content-Location, relative",
       http::Method::Post,
       200,
       "Content-Location: d\n",
       {"http://h/a/b?c", "http://h/a/d"}},
      {"the same thing twice",
       http::Method::Post,
       200,
       "Location: b?c\nContent-Location: //H:80/a/b?c\n",
       {"http://h/a/b?c"}},
      {"another host", http::Method::Post, 200, "Location: http://victim/\n", {"http://h/a/b?c"}},
      {"another port", http::Method::Post, 200, "Location: http://h:81/\n", {"http://h/a/b?c"}},
      {"another scheme", http::Method::Post, 200, "Location: https://h/\n", {"http://h/a/b?c"}},
      {"error", http::Method::Post, 404, "Location: /x\n", {}},
      {"safe method", http::Method::Get, 200, "Location: /x\n", {}},
      {"safe method", http::Method::Options, 200, "", {}},
  };
  const http::Url target = http::Url::parse("http://h/a/b?c").value();
  for (const auto& row : rows) {
    std::vector<std::string> keys;
    invalidated_keys(row.method, target, make_response(row.status, row.lines), keys);
    EXPECT_EQ(keys, row.keys) << row.what;
  }
}

TEST(Invalidation, LeavesOutWhatTheKeyLeavesOut) {
  const std::vector<std::string> ignored = {"utm_*"};
  std::vector<std::string> keys;
  invalidated_keys(http::Method::Post, http::Url::parse("http://h/a?utm_x=1&b").value(),
                   make_response(200, "Location: /c?utm_y\n"), keys, ignored);
  EXPECT_EQ(keys, (std::vector<std::string>{"http://h/a?b", "http://h/c"}));
}

TEST(ContentLocation, SaysWhetherAPostBroughtWhatAGetWould) {  // RFC 9110 9.3.3
  const http::Url target = http::Url::parse("http://h/a/b?c").value();
  const auto is = [&](const std::string& lines) { return is_of_target(target, make_fields(lines)); };
  EXPECT_TRUE(is("Content-Location: b?c\n"));
  EXPECT_TRUE(is("Content-Location: HTTP://H:80/a/b?c\n"));
  EXPECT_FALSE(is("Content-Location: b\n"));
  EXPECT_FALSE(is("Content-Location: //other/a/b?c\n"));
  EXPECT_FALSE(is("Content-Location: b?c\nContent-Location: b?c\n"));
  EXPECT_FALSE(is(""));
}

}  // namespace
}  // namespace tributary::cache
