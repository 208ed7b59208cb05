// RFC 9111 as a shared cache meets it: each row is a requirement of the section it names, played through with the functions
// that the proxy plays it through with. A response comes, may be stored, and a second request arrives later.
//
// What becomes of the second: "hit"; "stale" (served so); "stale, refresh"; "validate" with the condition that is sent;
// "miss" (nothing stored fits); "forward" (not for the cache); "504".
#include <gtest/gtest.h>

#include <string>

#include "cache/key.h"
#include "cache/policy.h"
#include "cache/revalidation.h"
#include "cache/vary.h"
#include "unit/cache/policy_fixture.h"

namespace tributary::cache {
namespace {

using http::Method;

struct Exchange {
  std::string response;          // lines
  std::string later = "";        // lines of the second request
  core::UnixTime seconds = 0;    // between them
  uint16_t status = 200;
  std::string request = "";      // lines of the first request
  Method first_method = Method::Get;
  Method later_method = Method::Get;
  const char* url = "http://h/a";
  const char* later_url = "http://h/a";
  bool later_has_content = false;
};

struct Row {
  const char* section;
  const char* requirement;
  Exchange exchange;
  const char* outcome;
};

std::string key_of(const char* url) { return make_key(http::Url::parse(url).value()).key; }

std::string play(const Exchange& e) {
  const PolicySettings settings;
  const bool has_query = http::Url::parse(e.url)->has_query();
  const http::RequestHead first = make_request(e.request, e.first_method);
  const http::ResponseHead response = make_response(e.status, e.response);
  const http::CacheControl cc = response_directives(settings, response.fields);
  RequestFacts facts = RequestFacts::of(first, has_query, false);

  const http::RequestHead later = make_request(e.later, e.later_method);
  const RequestFacts now = RequestFacts::of(later, has_query, e.later_has_content);
  if (!may_use_cache(now)) return "forward";
  const VaryNames vary = VaryNames::of(response.fields);
  const bool fits = storable(settings, facts, response, cc, kNow) && key_of(e.url) == key_of(e.later_url) &&
                    vary_matches(vary.names, secondary_key(vary.names, first.fields), later.fields);
  if (!fits) return now.cc.only_if_cached ? "504" : "miss";
  const StoredMeta meta = describe(settings, response, cc, has_query, kNow, kNow);
  switch (decide(settings, now.cc, meta, kNow + e.seconds).use) {
    case Use::Fresh:
      return "hit";
    case Use::StaleAccepted:
      return "stale";
    case Use::StaleRevalidate:
      return "stale, refresh";
    case Use::GatewayTimeout:
      return "504";
    case Use::Validate:
      break;
  }
  http::FieldSection condition = later.fields;
  std::string outcome = "validate";
  if (!make_conditional(response.fields, condition)) return outcome;
  if (const auto tag = condition.find(http::FieldName::IfNoneMatch)) outcome += " " + std::string(*tag);
  if (condition.has(http::FieldName::IfModifiedSince)) outcome += " since";
  return outcome;
}

const std::string kCc = "Cache-Control: ";
const std::string kMinute = kCc + "max-age=60\n";
const std::string kTag = "ETag: \"a\"\n";
const std::string kOld = "Last-Modified: " + date_text(kNow - 100'000) + "\n";
std::string expires(core::UnixTime seconds) { return "Expires: " + date_text(kNow + seconds) + "\n"; }
std::string asks(const std::string& directives) { return kCc + directives + "\n"; }
const std::string kAuthorization = "Authorization: Basic eA==\n";

// clang-format off
const Row kRows[] = {
    // 1.2.2 delta-seconds
    {"1.2.2", "a value that overflows MUST be taken as 2^31 or the greatest that fits", {kCc + "max-age=99999999999\n", "", 2'000'000'000}, "hit"},
    {"1.2.2", "2147483648", {kCc + "max-age=2147483648\n", "", 2'000'000'000}, "hit"},
    // 2 cache keys
    {"2", "the target URI is part of the key", {kMinute, "", 0, 200, "", Method::Get, Method::Get, "http://h/a", "http://h/b"}, "miss"},
    {"2", "the scheme is part of the target URI", {kMinute, "", 0, 200, "", Method::Get, Method::Get, "http://h/a", "https://h/a"}, "miss"},
    {"2", "the query is part of the target URI", {kMinute, "", 0, 200, "", Method::Get, Method::Get, "http://h/a?x", "http://h/a"}, "miss"},
    {"2", "the method is part of the key: POST does not reuse a GET", {kMinute, "", 0, 200, "", Method::Get, Method::Post}, "forward"},
    // 3 storing
    {"3", "MUST NOT store unless the method is understood", {kMinute, "", 0, 200, "", Method::Other}, "miss"},
    {"3", "MUST NOT store what a PUT brings", {kMinute, "", 0, 200, "", Method::Put}, "miss"},
    {"3", "MUST NOT store unless the status is final", {kMinute, "", 0, 103}, "miss"},
    {"3", "a 304 is not understood as something to store", {kMinute, "", 0, 304}, "miss"},
    {"3", "max-age allows to store any final status", {kMinute, "", 0, 299}, "hit"},
    {"3", "s-maxage too", {kCc + "s-maxage=60\n", "", 0, 418}, "hit"},
    {"3", "Expires too", {expires(60), "", 0, 503}, "hit"},
    {"3", "public too, where it can be validated", {kCc + "public\n" + kTag, "", 0, 302}, "validate \"a\""},
    {"3", "without any of them MUST NOT store a status that is not heuristically cacheable", {kTag + kOld, "", 0, 403}, "miss"},
    {"3", "a heuristically cacheable status may be stored", {kTag, "", 0, 203}, "validate \"a\""},
    {"3", "no-store MUST NOT be stored", {kCc + "no-store, max-age=60\n"}, "miss"},
    {"3", "private MUST NOT be stored by a shared cache", {kCc + "private, max-age=60\n"}, "miss"},
    // 3.5 authenticated requests
    {"3.5", "MUST NOT reuse for others what came for Authorization", {kMinute, "", 0, 200, kAuthorization}, "miss"},
    {"3.5", "unless must-revalidate", {kCc + "max-age=60, must-revalidate\n", "", 0, 200, kAuthorization}, "hit"},
    {"3.5", "unless public", {kCc + "max-age=60, public\n", "", 0, 200, kAuthorization}, "hit"},
    {"3.5", "unless s-maxage", {kCc + "s-maxage=60\n", "", 0, 200, kAuthorization}, "hit"},
    {"3.5", "no-cache is no permission", {kCc + "no-cache, max-age=60\n" + kTag, "", 0, 200, kAuthorization}, "miss"},
    {"3.5", "what came without Authorization may answer requests with it", {kMinute, kAuthorization}, "hit"},
    // 4 constructing responses
    {"4", "a fresh response is reused", {kMinute, "", 59}, "hit"},
    {"4", "for HEAD too", {kMinute, "", 0, 200, "", Method::Get, Method::Head}, "hit"},
    {"4", "MUST NOT reuse against no-cache of the request unless validated", {kMinute + kTag, asks("no-cache")}, "validate \"a\""},
    {"4", "MUST NOT reuse a response with no-cache unless validated", {kCc + "no-cache, max-age=60\n" + kTag}, "validate \"a\""},
    {"4", "MUST NOT reuse stale unless validated", {kMinute + kTag, "", 60}, "validate \"a\""},
    {"4", "unsafe methods MUST be written through", {kMinute, "", 0, 200, "", Method::Get, Method::Delete}, "forward"},
    {"4", "methods of unknown safety too", {kMinute, "", 0, 200, "", Method::Get, Method::Other}, "forward"},
    {"4", "a GET with content has no meaning to us (RFC 9110 9.3.1)", {kMinute, "", 0, 200, "", Method::Get, Method::Get, "http://h/a", "http://h/a", true}, "forward"},
    // 4.1 Vary
    {"4.1", "MUST NOT use it unless the fields named in Vary match", {kMinute + "Vary: X-A\n", "X-A: 2\n", 0, 200, "X-A: 1\n"}, "miss"},
    {"4.1", "they match", {kMinute + "Vary: X-A\n", "X-A: 1\n", 0, 200, "X-A: 1\n"}, "hit"},
    {"4.1", "a field absent from one must be absent from the other", {kMinute + "Vary: X-A\n", "", 0, 200, "X-A: 1\n"}, "miss"},
    {"4.1", "absent from both", {kMinute + "Vary: X-A\n"}, "hit"},
    {"4.1", "every name counts", {kMinute + "Vary: X-A, X-B\n", "X-A: 1\nX-B: 2\n", 0, 200, "X-A: 1\nX-B: 1\n"}, "miss"},
    {"4.1", "of every line", {kMinute + "Vary: X-A\nVary: X-B\n", "X-A: 1\nX-B: 2\n", 0, 200, "X-A: 1\nX-B: 1\n"}, "miss"},
    {"4.1", "\"*\" always fails to match", {kMinute + "Vary: *\n"}, "miss"},
    {"4.1", "\"*\" as a member too", {kMinute + "Vary: X-A, *\n"}, "miss"},
    {"4.1", "white space may be added or removed", {kMinute + "Vary: X-A\n", "X-A: 1,2\n", 0, 200, "X-A: 1 ,  2\n"}, "hit"},
    {"4.1", "lines may be combined", {kMinute + "Vary: X-A\n", "X-A: 1\nX-A: 2\n", 0, 200, "X-A: 1, 2\n"}, "hit"},
    {"4.1", "order may change where it means nothing", {kMinute + "Vary: Accept-Encoding\n", "Accept-Encoding: br, gzip\n", 0, 200, "Accept-Encoding: gzip, br\n"}, "hit"},
    {"4.1", "and not where it may", {kMinute + "Vary: X-A\n", "X-A: 2, 1\n", 0, 200, "X-A: 1, 2\n"}, "miss"},
    // 4.2.1 lifetime
    {"4.2.1", "s-maxage first", {kCc + "max-age=10, s-maxage=60\n", "", 59}, "hit"},
    {"4.2.1", "s-maxage first when it is shorter", {kCc + "max-age=60, s-maxage=10\n" + kTag, "", 11}, "validate \"a\""},
    {"4.2.1", "then max-age", {kMinute + expires(10), "", 59}, "hit"},
    {"4.2.1", "then Expires minus Date", {expires(60), "", 59}, "hit"},
    {"4.2.1", "of directives that occur twice the stricter may count", {kCc + "max-age=60, max-age=10\n" + kTag, "", 11}, "validate \"a\""},
    {"4.2.1", "invalid freshness counts as stale", {kCc + "max-age=1.5\n" + kTag}, "validate \"a\""},
    {"4.2.1", "negative freshness counts as stale", {kCc + "max-age=-1\n" + kTag}, "validate \"a\""},
    // 4.2.2 heuristics
    {"4.2.2", "MUST NOT be used where there is an explicit time", {kCc + "max-age=0\n" + kOld}, "validate since"},
    {"4.2.2", "nor where Expires is there and invalid", {"Expires: 0\n" + kOld}, "validate since"},
    {"4.2.2", "a tenth of the time since the change", {kOld, "", 9'999}, "hit"},
    {"4.2.2", "and no longer", {kOld, "", 10'000}, "validate since"},
    {"4.2.2", "only for statuses that are heuristically cacheable", {kOld, "", 0, 302}, "miss"},
    {"4.2.2", "or with public", {kCc + "public\n" + kOld, "", 9'999, 302}, "hit"},
    {"4.2.2", "not for a URI with a query (V-3)", {kOld, "", 1, 200, "", Method::Get, Method::Get, "http://h/a?x", "http://h/a?x"}, "validate since"},
    // 4.2.3 age
    {"4.2.3", "Age counts", {kMinute + kTag + "Age: 30\n", "", 31}, "validate \"a\""},
    {"4.2.3", "an old Date counts", {kMinute + kTag + "Date: " + date_text(kNow - 30) + "\n", "", 31}, "validate \"a\""},
    {"4.2.3", "the larger of both, not the sum", {kMinute + "Age: 30\nDate: " + date_text(kNow - 30) + "\n", "", 29}, "hit"},
    // 4.2.4 serving stale
    {"4.2.4", "MUST NOT be stale where no-cache forbids it", {kCc + "no-cache\n" + kTag, asks("max-stale"), 60}, "validate \"a\""},
    {"4.2.4", "where must-revalidate forbids it", {kCc + "max-age=1, must-revalidate\n" + kTag, asks("max-stale"), 60}, "validate \"a\""},
    {"4.2.4", "where proxy-revalidate forbids it", {kCc + "max-age=1, proxy-revalidate\n" + kTag, asks("max-stale"), 60}, "validate \"a\""},
    {"4.2.4", "where s-maxage forbids it", {kCc + "s-maxage=1\n" + kTag, asks("max-stale"), 60}, "validate \"a\""},
    {"4.2.4", "MUST NOT be stale unless permitted", {kMinute + kTag, "", 61}, "validate \"a\""},
    {"4.2.4", "the client permits it", {kMinute, asks("max-stale"), 61}, "stale"},
    {"4.2.4", "the origin permits it (RFC 5861 3)", {kCc + "max-age=60, stale-while-revalidate=10\n", "", 61}, "stale, refresh"},
    // 4.3.1 validation requests
    {"4.3.1", "MUST send the entity tag", {kTag + kCc + "no-cache\n"}, "validate \"a\""},
    {"4.3.1", "SHOULD send Last-Modified", {kOld + kCc + "no-cache\n"}, "validate since"},
    {"4.3.1", "both, where there are both", {kOld + kTag + kCc + "no-cache\n"}, "validate \"a\" since"},
    {"4.3.1", "a weak entity tag too", {"ETag: W/\"a\"\n" + kCc + "no-cache\n"}, "validate W/\"a\""},
    {"4.3.1", "the stored one, not the client's", {kTag + kCc + "no-cache\n", "If-None-Match: \"b\"\n"}, "validate \"a\""},
    // 4.3.2 received conditions
    {"4.3.2", "MUST NOT evaluate If-Match", {kMinute + kTag, "If-Match: \"a\"\n"}, "forward"},
    {"4.3.2", "MUST NOT evaluate If-Unmodified-Since", {kMinute + kTag, "If-Unmodified-Since: " + date_text(kNow) + "\n"}, "forward"},
    {"4.3.2", "If-None-Match is the cache's to answer", {kMinute + kTag, "If-None-Match: \"a\"\n"}, "hit"},
    // 5.1 Age
    {"5.1", "SHOULD use the first of a list", {kMinute + "Age: 0, 100\n", "", 30}, "hit"},
    {"5.1", "of several lines too", {kMinute + "Age: 0\nAge: 100\n", "", 30}, "hit"},
    {"5.1", "the first even if it is larger", {kMinute + kTag + "Age: 100, 0\n"}, "validate \"a\""},
    {"5.1", "SHOULD ignore what is no non-negative number", {kMinute + "Age: -100\n", "", 30}, "hit"},
    {"5.1", "a fraction is none", {kMinute + "Age: 100.0\n", "", 30}, "hit"},
    {"5.1", "a parameter makes it none", {kMinute + "Age: 100;a=b\n", "", 30}, "hit"},
    {"5.1", "text is none", {kMinute + "Age: abc\n", "", 30}, "hit"},
    {"5.1", "an Age that overflows is very old", {kMinute + kTag + "Age: 99999999999\n"}, "validate \"a\""},
    // 5.2 Cache-Control
    {"5.2", "directives are case-insensitive", {kCc + "MAX-age=60, No-Transform\n"}, "hit"},
    {"5.2", "both forms of an argument are accepted", {kCc + "max-age=\"60\"\n"}, "hit"},
    {"5.2", "MUST obey those of every line", {kMinute + kCc + "no-store\n"}, "miss"},
    {"5.2.3", "MUST ignore unknown directives", {kCc + "max-age=60, foo, bar=\"no-store, private\"\n"}, "hit"},
    // 5.2.1 request directives
    {"5.2.1.1", "max-age: not older than that", {kMinute + kTag, asks("max-age=5"), 6}, "validate \"a\""},
    {"5.2.1.2", "max-stale: stale by no more than that", {kMinute, asks("max-stale=5"), 65}, "stale"},
    {"5.2.1.2", "max-stale: and not beyond", {kMinute + kTag, asks("max-stale=5"), 66}, "validate \"a\""},
    {"5.2.1.2", "max-stale without a value: any", {kMinute, asks("max-stale"), 1'000'000}, "stale"},
    {"5.2.1.3", "min-fresh: fresh for that long yet", {kMinute, asks("min-fresh=10"), 50}, "hit"},
    {"5.2.1.3", "min-fresh: else not", {kMinute + kTag, asks("min-fresh=10"), 51}, "validate \"a\""},
    {"5.2.1.4", "no-cache: not without validation", {kMinute + kTag, asks("no-cache")}, "validate \"a\""},
    {"5.2.1.5", "no-store: MUST NOT store the response", {kMinute, "", 0, 200, asks("no-store")}, "miss"},
    {"5.2.1.5", "no-store: what is stored may be used", {kMinute, asks("no-store")}, "hit"},
    {"5.2.1.7", "only-if-cached: what is stored", {kMinute, asks("only-if-cached")}, "hit"},
    {"5.2.1.7", "only-if-cached: SHOULD answer 504 else", {kCc + "no-store\n", asks("only-if-cached")}, "504"},
    {"5.2.1.7", "only-if-cached: also where validation would be needed", {kMinute + kTag, asks("only-if-cached"), 61}, "504"},
    // 5.2.2 response directives
    {"5.2.2.1", "max-age: stale after that", {kMinute + kTag, "", 60}, "validate \"a\""},
    {"5.2.2.2", "must-revalidate: MUST NOT be reused stale", {kCc + "max-age=60, must-revalidate\n" + kTag, "", 60}, "validate \"a\""},
    {"5.2.2.2", "must-revalidate: fresh as ever", {kCc + "max-age=60, must-revalidate\n", "", 59}, "hit"},
    {"5.2.2.2", "must-revalidate: 504 when the origin cannot be asked", {kCc + "max-age=60, must-revalidate\n", asks("only-if-cached, max-stale"), 60}, "504"},
    {"5.2.2.3", "must-understand: MUST NOT store a status that is not understood", {kCc + "must-understand, max-age=60\n", "", 0, 299}, "miss"},
    {"5.2.2.3", "must-understand: no-store is ignored for one that is", {kCc + "must-understand, no-store, max-age=60\n"}, "hit"},
    {"5.2.2.4", "no-cache: MUST NOT be used without validation", {kCc + "no-cache\n" + kTag, asks("max-stale")}, "validate \"a\""},
    {"5.2.2.4", "no-cache with names: the rest may be used", {kCc + "no-cache=\"X-A\", max-age=60\nX-A: 1\n"}, "hit"},
    {"5.2.2.4", "no-cache with names that are none counts as the bare one", {kCc + "no-cache=\"\", max-age=60\n" + kTag}, "validate \"a\""},
    {"5.2.2.5", "no-store: MUST NOT be stored", {kCc + "no-store\n" + kTag}, "miss"},
    {"5.2.2.7", "private: a shared cache MUST NOT store it", {kCc + "private\n" + kTag}, "miss"},
    {"5.2.2.7", "private with names: MUST NOT store those fields only", {kCc + "private=\"X-A\", max-age=60\nX-A: 1\n"}, "hit"},
    {"5.2.2.8", "proxy-revalidate: as must-revalidate for shared caches", {kCc + "max-age=60, proxy-revalidate\n" + kTag, asks("max-stale"), 60}, "validate \"a\""},
    {"5.2.2.9", "public: may be stored though the status would forbid it", {kCc + "public\n" + kOld, "", 0, 302}, "hit"},
    {"5.2.2.10", "s-maxage: overrides max-age and Expires", {kCc + "max-age=0, s-maxage=60\n" + expires(0), "", 59}, "hit"},
    // 5.3 Expires
    {"5.3", "MUST take an invalid date, \"0\" above all, as past", {"Expires: 0\n" + kTag}, "validate \"a\""},
    {"5.3", "a number is no date", {"Expires: 3600\n" + kTag}, "validate \"a\""},
    {"5.3", "another zone is none", {"Expires: Sun, 06 Nov 2094 08:49:37 EST\n" + kTag}, "validate \"a\""},
    {"5.3", "the form of RFC 850 is one", {"Expires: Sunday, 06-Nov-44 08:49:37 GMT\n"}, "hit"},
    {"5.3", "the form of asctime is one", {"Expires: Sun Nov  6 08:49:37 2094\n"}, "hit"},
    {"5.3", "MUST be ignored beside max-age", {kMinute + expires(-100), "", 59}, "hit"},
    {"5.3", "MUST be ignored beside s-maxage", {kCc + "s-maxage=60\n" + expires(-100), "", 59}, "hit"},
    // 5.4 Pragma
    {"5.4", "Pragma in a response means nothing", {kMinute + "Pragma: no-cache\n"}, "hit"},
    // 7.3, V-3
    {"7.3", "Set-Cookie does not inhibit caching where the response says how long", {kMinute + "Set-Cookie: a=b\n"}, "hit"},
};
// clang-format on

class Requirement : public testing::TestWithParam<Row> {};

TEST_P(Requirement, IsMet) {
  const Row& row = GetParam();
  EXPECT_EQ(play(row.exchange), row.outcome) << "RFC 9111 " << row.section << ": " << row.requirement;
}

std::string name_of(const testing::TestParamInfo<Row>& info) {
  std::string name = "Section_";
  for (const char c : std::string_view(info.param.section)) name += c == '.' ? '_' : c;
  return name + "_row_" + std::to_string(info.index);
}

INSTANTIATE_TEST_SUITE_P(Rfc9111, Requirement, testing::ValuesIn(kRows), name_of);  // P-8

void PrintTo(const Row& row, std::ostream* out) { *out << row.section << " " << row.requirement; }

}  // namespace
}  // namespace tributary::cache
