// RFC 9111 3: which responses a shared cache may store. One row a rule.
#include <gtest/gtest.h>

#include "cache/policy.h"
#include "unit/cache/policy_fixture.h"

namespace tributary::cache {
namespace {

struct Row {
  const char* section;
  const char* what;
  uint16_t status;
  std::string response;  // lines
  NotStorable expected = NotStorable::None;
  std::string request = "";
  http::Method method = http::Method::Get;
  bool has_query = false;
  bool has_content = false;
};

const std::string kCc = "Cache-Control: ";
const std::string kModified = "Last-Modified: " + date_text(kNow - 1000000) + "\n";
const std::string kFresh = kCc + "max-age=60\n";

const Row kRows[] = {
    {"3", "explicit max-age", 200, kFresh},
    {"3", "explicit s-maxage", 200, kCc + "s-maxage=60\n"},
    {"3", "explicit Expires", 200, "Expires: " + date_text(kNow + 60) + "\n"},
    {"3", "HEAD only updates", 200, kFresh, NotStorable::Method, "", http::Method::Head},
    {"3", "POST", 200, kFresh, NotStorable::Method, "", http::Method::Post},
    {"3", "unknown method", 200, kFresh, NotStorable::Method, "", http::Method::Other},
    {"3", "GET with content (V-3, fat GET)", 200, kFresh, NotStorable::RequestContent, "",
     http::Method::Get, false, true},

    {"3", "100 is not final", 100, kFresh, NotStorable::Status},
    {"3", "101 never", 101, kFresh, NotStorable::Status},
    {"3", "304 speaks of another response", 304, kFresh, NotStorable::Status},
    {"3", "416 speaks of another response", 416, kFresh, NotStorable::Status},
    {"3", "a status above 599 is invalid", 600, kFresh, NotStorable::Status},
    {"3", "302 with explicit freshness", 302, kFresh},
    {"3", "302 without", 302, kModified, NotStorable::Status},
    {"3", "unknown final status with explicit freshness", 299, kFresh},
    {"3", "500 without freshness", 500, "ETag: \"a\"\n", NotStorable::Status},
    {"3", "503 with explicit freshness", 503, kFresh},

    {"4.2.2", "heuristic from Last-Modified", 200, kModified},
    {"4.2.2", "heuristic 301", 301, kModified},
    {"4.2.2", "heuristic 308", 308, kModified},
    {"4.2.2", "public allows the heuristic for any status", 302, kCc + "public\n" + kModified},
    {"4.2.2", "neither lifetime nor validator", 200, "", NotStorable::NoFreshness},
    {"4.2.2", "no lifetime but an ETag: to be validated each time", 200, "ETag: \"a\"\n"},
    {"4.2.2", "a query, Last-Modified only: to be validated each time", 200, kModified,
     NotStorable::None, "", http::Method::Get, true},
    {"4.2.2", "a query and nothing said", 200, "", NotStorable::NoFreshness, "", http::Method::Get,
     true},
    {"4.2.2", "a query with explicit freshness", 200, kFresh, NotStorable::None, "",
     http::Method::Get, true},
    {"4.2.2", "404 that says nothing, negative_ttl 0", 404, "ETag: \"a\"\n", NotStorable::NoFreshness},
    {"4.2.2", "404 with Last-Modified", 404, kModified},
    {"4.2.2", "403 with Last-Modified", 403, kModified, NotStorable::Status},
    {"4.2.1", "max-age=0 without validator", 200, kCc + "max-age=0\n", NotStorable::NoFreshness},
    {"4.2.1", "max-age=0 with ETag", 200, kCc + "max-age=0\nETag: \"a\"\n"},
    {"4.2.3", "older than its lifetime already, no validator: for who accepts stale", 200, kFresh + "Age: 60\n"},
    {"5.3", "Expires 0, no validator", 200, "Expires: 0\n", NotStorable::NoFreshness},

    {"5.2.1.5", "request no-store", 200, kFresh, NotStorable::RequestNoStore, kCc + "no-store\n"},
    {"5.2.2.5", "no-store", 200, kCc + "no-store, max-age=60\n", NotStorable::NoStore},
    {"5.2.2.5", "no-store in another line and case", 200, kFresh + kCc + "No-Store\n",
     NotStorable::NoStore},
    {"5.2.2.3", "must-understand sets no-store aside for a known status", 200,
     kCc + "must-understand, no-store, max-age=60\n"},
    {"5.2.2.3", "must-understand and an unknown status", 299,
     kCc + "must-understand, no-store, max-age=60\n", NotStorable::NotUnderstood},
    {"5.2.2.4", "no-cache without validator", 200, kCc + "no-cache, max-age=60\n",
     NotStorable::NoFreshness},
    {"5.2.2.4", "no-cache with ETag", 200, kCc + "no-cache\nETag: \"a\"\n"},
    {"5.2.2.7", "private", 200, kCc + "private, max-age=60\n", NotStorable::Private},
    {"5.2.2.7", "private with field names", 200, kCc + "private=\"Set-Cookie\", max-age=60\nSet-Cookie: a=b\n"},
    {"5.2.2.7", "private with the name of a field that the content needs", 200,
     kCc + "private=\"Content-Type\", max-age=60\n", NotStorable::Private},
    {"5.2.2.4", "no-cache with field names", 200, kCc + "no-cache=\"Set-Cookie\", max-age=60\nSet-Cookie: a=b\n"},
    {"5.2.2.4", "no-cache with the name of a field that the content needs", 200,
     kCc + "no-cache=\"Vary\", max-age=60\n", NotStorable::NoFreshness},
    {"5.2.2.7", "private wins over public", 200, kCc + "public, private, max-age=60\n",
     NotStorable::Private},

    {"3.5", "Authorization", 200, kFresh, NotStorable::Authorization,
     "Authorization: Basic eA==\n"},
    {"3.5", "Authorization and public", 200, kCc + "public, max-age=60\n", NotStorable::None,
     "Authorization: Basic eA==\n"},
    {"3.5", "Authorization and s-maxage", 200, kCc + "s-maxage=60\n", NotStorable::None,
     "Authorization: Basic eA==\n"},
    {"3.5", "Authorization and must-revalidate", 200, kCc + "must-revalidate, max-age=60\n",
     NotStorable::None, "Authorization: Basic eA==\n"},
    {"3.5", "Authorization and proxy-revalidate is not enough", 200,
     kCc + "proxy-revalidate, max-age=60\n", NotStorable::Authorization,
     "Authorization: Basic eA==\n"},

    {"V-3", "Set-Cookie and max-age, to a client without a cookie", 200, kFresh + "Set-Cookie: a=b\n"},
    {"V-3", "Set-Cookie and max-age, to a client with one", 200, kFresh + "Set-Cookie: a=b\n",
     NotStorable::SetCookie, "Cookie: a=a\n"},
    {"V-3", "Set-Cookie and max-age=0", 200, kCc + "max-age=0\nETag: \"a\"\nSet-Cookie: a=b\n", NotStorable::SetCookie},
    {"V-3", "Set-Cookie and Expires", 200, "Expires: " + date_text(kNow + 60) + "\nSet-Cookie: a=b\n",
     NotStorable::SetCookie},
    {"V-3", "Set-Cookie and a heuristic lifetime", 200, kModified + "Set-Cookie: a=b\n", NotStorable::SetCookie},
    {"V-3", "Set-Cookie and public", 200, kCc + "public, max-age=60\nSet-Cookie: a=b\n"},
    {"V-3", "Set-Cookie and s-maxage", 200, kCc + "s-maxage=60\nSet-Cookie: a=b\n"},
    {"4.1", "Vary: *", 200, kFresh + "Vary: *\n", NotStorable::VaryStar},
    {"4.1", "Vary: * among names", 200, kFresh + "Vary: Accept, *\n", NotStorable::VaryStar},
    {"4.1", "Vary: name", 200, kFresh + "Vary: Accept\n"},

    {"3", "trailers are announced", 200, kFresh + "Trailer: X\n", NotStorable::Trailer},

    {"3.4", "206 with strong ETag", 206, kFresh + "ETag: \"a\"\nContent-Range: bytes 0-9/100\n"},
    {"3.4", "206 with weak ETag", 206, kFresh + "ETag: W/\"a\"\nContent-Range: bytes 0-9/100\n",
     NotStorable::PartialUnusable},
    {"3.4", "206 of unknown length", 206, kFresh + "ETag: \"a\"\nContent-Range: bytes 0-9/*\n",
     NotStorable::PartialUnusable},
    {"3.4", "206 of several ranges", 206,
     kFresh + "ETag: \"a\"\nContent-Type: multipart/byteranges; boundary=x\n",
     NotStorable::PartialUnusable},
    {"3.4", "206 with a wrong range", 206, kFresh + "ETag: \"a\"\nContent-Range: bytes 9-0/100\n",
     NotStorable::PartialUnusable},
    {"config", "longer than max_object", 200, kFresh + "Content-Length: 1001\n",
     NotStorable::TooLarge},
    {"config", "as long as max_object", 200, kFresh + "Content-Length: 1000\n"},
    {"config", "206 of something longer than max_object", 206,
     kFresh + "ETag: \"a\"\nContent-Length: 10\nContent-Range: bytes 0-9/1001\n",
     NotStorable::TooLarge},
};

TEST(Storable, FollowsEveryRuleOfSection3) {  // P-8
  PolicySettings settings;
  settings.max_object = 1000;
  for (const Row& row : kRows) {
    const http::RequestHead request = make_request(row.request, row.method);
    const http::ResponseHead response = make_response(row.status, row.response);
    const Verdict verdict =
        storable(settings, RequestFacts::of(request, row.has_query, row.has_content), response,
                 http::CacheControl::of(response.fields), kNow);
    EXPECT_EQ(not_storable_name(verdict.reason), not_storable_name(row.expected))
        << row.section << " " << row.what;
  }
}

TEST(Storable, KeepsErrorsForNegativeTtlWhenConfigured) {
  PolicySettings settings;
  settings.negative_ttl = 5;
  const http::ResponseHead response = make_response(404, "");
  const http::CacheControl cc = http::CacheControl::of(response.fields);
  EXPECT_TRUE(storable(settings, RequestFacts{}, response, cc, kNow));
  EXPECT_EQ(describe(settings, response, cc, false, kNow, kNow).lifetime, 5u);
  const http::ResponseHead error = make_response(503, "");
  EXPECT_EQ(
      storable(settings, RequestFacts{}, error, http::CacheControl::of(error.fields), kNow).reason,
      NotStorable::Status);
}

TEST(Storable, TakesAPostThatBringsWhatAGetWouldForAStatedTime) {  // RFC 9110 9.3.3
  const auto verdict = [](uint16_t status, const std::string& lines, bool is_of_target) {
    RequestFacts facts = RequestFacts::of(make_request("", http::Method::Post), false, true);
    facts.response_is_of_target = is_of_target;
    const http::ResponseHead response = make_response(status, lines);
    return storable({}, facts, response, http::CacheControl::of(response.fields), kNow).reason;
  };
  EXPECT_EQ(verdict(200, kFresh, true), NotStorable::None);
  EXPECT_EQ(verdict(200, kFresh, false), NotStorable::Method);
  EXPECT_EQ(verdict(201, kFresh, true), NotStorable::Method);
  EXPECT_EQ(verdict(200, kModified, true), NotStorable::Method);  // only explicit freshness
  EXPECT_EQ(verdict(200, kCc + "no-store, max-age=60\n", true), NotStorable::NoStore);
}

struct TargetedRow {
  const char* what;
  std::string lines;
  NotStorable expected;
  uint32_t lifetime = 0;
};

TEST(Storable, ListensToTargetedFieldsFirst) {  // RFC 9213
  const std::string cdn = "CDN-Cache-Control: ";
  const std::string expires = "Expires: " + date_text(kNow + 500) + "\n";
  const TargetedRow rows[] = {
      {"instead of no-store", kCc + "no-store\n" + cdn + "max-age=5\n", NotStorable::None, 5},
      {"no-store instead of max-age", kFresh + cdn + "no-store\n", NotStorable::NoStore},
      {"private instead of max-age", kFresh + cdn + "private\n", NotStorable::Private},
      {"Expires counts for nothing beside it", kFresh + expires + "ETag: \"a\"\n" + cdn + "foo\n", NotStorable::None, 0},
      {"the shorter of both does not win", kFresh + cdn + "max-age=600\n", NotStorable::None, 600},
      {"empty: as if absent", kFresh + cdn + "\n", NotStorable::None, 60},
      {"not a dictionary: as if absent", kFresh + cdn + "max-age=5, &&&\n", NotStorable::None, 60},
      {"a wrong type is no directive", kFresh + cdn + "max-age=\"5\"\n", NotStorable::NoFreshness},
      {"parameters say nothing", kFresh + cdn + "max-age=5;a=b\n", NotStorable::None, 5},
      {"negative", kFresh + "ETag: \"a\"\n" + cdn + "max-age=-5\n", NotStorable::None, 0},
      {"several lines are one field", kFresh + cdn + "max-age=5\n" + cdn + "max-age=6\n", NotStorable::None, 6},
      {"a field that is not ours", kFresh + "Other-Cache-Control: no-store\n", NotStorable::None, 60},
  };
  for (const TargetedRow& row : rows) {
    const PolicySettings settings;
    const http::ResponseHead response = make_response(200, row.lines);
    const http::CacheControl cc = response_directives(settings, response.fields);
    EXPECT_EQ(not_storable_name(storable(settings, RequestFacts{}, response, cc, kNow).reason),
              not_storable_name(row.expected))
        << row.what;
    if (row.expected == NotStorable::None) {
      EXPECT_EQ(describe(settings, response, cc, false, kNow, kNow).lifetime, row.lifetime) << row.what;
    }
  }
}

TEST(Storable, TakesTheFirstConfiguredTargetedFieldThatIsValid) {  // RFC 9213 2.2
  PolicySettings settings;
  settings.targeted = {"tributary-cache-control", "CDN-Cache-Control"};
  const auto lifetime = [&](const std::string& lines) {
    const http::FieldSection fields = make_fields(lines);
    return response_directives(settings, fields).max_age;
  };
  const std::string all = "Cache-Control: max-age=1\nCDN-Cache-Control: max-age=2\n";
  EXPECT_EQ(lifetime(all), 2u);
  EXPECT_EQ(lifetime(all + "Tributary-Cache-Control: max-age=3\n"), 3u);
  EXPECT_EQ(lifetime(all + "Tributary-Cache-Control: Max-Age=3\n"), 2u);  // keys are lower case
  settings.targeted.clear();
  EXPECT_EQ(lifetime(all), 1u);
}

TEST(MayUseCache, OnlyForGetAndHeadThatACacheCanJudge) {
  const auto may = [](const std::string& lines, http::Method method, bool has_content = false) {
    return may_use_cache(RequestFacts::of(make_request(lines, method), false, has_content));
  };
  EXPECT_TRUE(may("", http::Method::Get));
  EXPECT_TRUE(may("", http::Method::Head));
  EXPECT_TRUE(may("If-None-Match: \"a\"\nRange: bytes=0-1\n", http::Method::Get));
  EXPECT_FALSE(may("", http::Method::Post));
  EXPECT_FALSE(may("", http::Method::Get, true));
  EXPECT_FALSE(may("If-Match: \"a\"\n", http::Method::Get));  // 4.3.2
  EXPECT_FALSE(may("Connection: x-a\nX-A: 1\n", http::Method::Get));  // V-3
  EXPECT_FALSE(may("If-Unmodified-Since: " + date_text(kNow) + "\n", http::Method::Get));
}

}  // namespace
}  // namespace tributary::cache
