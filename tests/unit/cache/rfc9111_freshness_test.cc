// RFC 9111 4.2: lifetime, age, and what decide() makes of them.
#include <gtest/gtest.h>

#include "cache/policy.h"
#include "unit/cache/policy_fixture.h"

namespace tributary::cache {
namespace {

StoredMeta meta_of(const std::string& lines, bool has_query = false, core::UnixTime delay = 0,
                   uint16_t status = 200, const PolicySettings& settings = {}) {
  const http::ResponseHead response = make_response(status, lines);
  return describe(settings, response, http::CacheControl::of(response.fields), has_query,
                  kNow - delay, kNow);
}

struct LifetimeRow {
  const char* section;
  const char* what;
  std::string lines;
  uint32_t lifetime;
  bool has_query = false;
};

TEST(Freshness, LifetimeIsTheFirstThatIsSaid) {
  const std::string expires = "Expires: " + date_text(kNow + 300) + "\n";
  const LifetimeRow rows[] = {
      {"4.2.1", "s-maxage before max-age", "Cache-Control: max-age=10, s-maxage=20\n" + expires,
       20},
      {"4.2.1", "max-age before Expires", "Cache-Control: max-age=10\n" + expires, 10},
      {"4.2.1", "Expires minus Date", expires, 300},
      {"4.2.1", "Expires minus a Date that is behind",
       expires + "Date: " + date_text(kNow - 100) + "\n", 400},
      {"5.3", "Expires in the past", "Expires: " + date_text(kNow - 1) + "\n", 0},
      {"5.3", "Expires: 0", "Expires: 0\n", 0},
      {"5.3", "Expires: -1", "Expires: -1\n", 0},
      {"5.3", "two Expires that contradict", expires + "Expires: " + date_text(kNow + 900) + "\n",
       0},
      {"4.2.1", "quoted argument", "Cache-Control: max-age=\"10\"\n", 10},
      {"4.2.1", "invalid argument is stale", "Cache-Control: max-age=abc\n" + expires, 0},
      {"1.2.2", "too large is 2^31", "Cache-Control: max-age=99999999999999999999\n", 1u << 31},
      {"4.2.2", "tenth of the time unchanged", "Last-Modified: " + date_text(kNow - 1000) + "\n",
       100},
      {"4.2.2", "at most a day", "Last-Modified: " + date_text(kNow - 100 * 86400) + "\n", 86400},
      {"4.2.2", "Last-Modified in the future", "Last-Modified: " + date_text(kNow + 1000) + "\n",
       0},
      {"4.2.2", "no heuristic with a query (V-3)",
       "Last-Modified: " + date_text(kNow - 1000) + "\n", 0, true},
      {"4.2.1", "explicit with a query", "Cache-Control: max-age=10\n", 10, true},
      {"4.2", "nothing said", "", 0},
  };
  for (const LifetimeRow& row : rows) {
    EXPECT_EQ(meta_of(row.lines, row.has_query).lifetime, row.lifetime)
        << row.section << " " << row.what;
  }
}

TEST(Freshness, DigestHoldsWhatDecidingNeeds) {
  const StoredMeta meta = meta_of(
      "Cache-Control: max-age=10, must-revalidate, stale-if-error=7, stale-while-revalidate=8\n"
      "ETag: W/\"a\"\nVary: Accept\nAccept-Ranges: bytes\nAge: 3\n"
      "Last-Modified: " +
      date_text(kNow - 60) + "\n");
  EXPECT_EQ(meta.flags, kExplicitLifetime | kMustRevalidate | kHasEtag | kStrongLastModified |
                            kHasVary | kAcceptRanges);
  EXPECT_EQ(meta.age, 3u);
  EXPECT_EQ(meta.stale_if_error, 7u);
  EXPECT_EQ(meta.stale_while_revalidate, 8u);
  EXPECT_EQ(meta.last_modified, kNow - 60);
  EXPECT_TRUE(meta_of("ETag: \"a\"\n").has(kStrongEtag));
  EXPECT_TRUE(meta_of("Cache-Control: s-maxage=1\n").has(kMustRevalidate));  // 5.2.2.10
  EXPECT_TRUE(meta_of("Cache-Control: proxy-revalidate\n").has(kMustRevalidate));
  EXPECT_FALSE(meta_of("Cache-Control: no-cache=\"Set-Cookie\"\n").has(kNoCache));
  EXPECT_TRUE(meta_of("Cache-Control: no-cache=\"Content-Encoding\"\n").has(kNoCache));
  EXPECT_TRUE(meta_of("Cache-Control: immutable\n").has(kImmutable));
  EXPECT_EQ(meta_of("", false, 0, 206).status, 200);
}

struct AgeRow {
  const char* what;
  std::string lines;
  core::UnixTime delay, later;
  uint32_t age;
};

TEST(Age, AddsWhatWasSpentBeforeUsToWhatIsSpentHere) {  // 4.2.3
  const std::string old_date = "Date: " + date_text(kNow - 50) + "\n";
  const AgeRow rows[] = {
      {"new", "", 0, 0, 0},
      {"resident time", "", 0, 30, 30},
      {"Age field", "Age: 100\n", 0, 30, 130},
      {"Age field and the delay of the response", "Age: 100\n", 5, 30, 135},
      {"the delay alone", "", 5, 0, 5},
      {"apparent age", old_date, 0, 30, 80},
      {"the larger of apparent and corrected age", old_date + "Age: 70\n", 0, 0, 70},
      {"Date in the future", "Date: " + date_text(kNow + 500) + "\n", 0, 30, 30},
      {"Date that is none", "Date: yesterday\n", 0, 30, 30},
      {"negative Age is none", "Age: -1\n", 0, 0, 0},
      {"Age with a fraction is none", "Age: 1.5\n", 0, 0, 0},
      {"first of a list of Ages", "Age: 7, 100\n", 0, 0, 7},
      {"huge Age", "Age: 99999999999999999999\n", 5, 5, 1u << 31},
      {"the clock went back", "", 0, -1000, 0},
  };
  for (const AgeRow& row : rows) {
    EXPECT_EQ(current_age(meta_of(row.lines, false, row.delay), kNow + row.later), row.age)
        << row.what;
  }
}

TEST(Age, SurvivesAbsurdTimes) {
  StoredMeta meta;
  meta.date = INT64_MIN;
  meta.response_time = INT64_MAX;
  meta.request_time = INT64_MIN;
  meta.age = UINT32_MAX;
  EXPECT_EQ(current_age(meta, INT64_MAX), 1u << 31);
  EXPECT_EQ(current_age(meta, INT64_MIN), 1u << 31);
}

struct DecisionRow {
  const char* section;
  const char* what;
  std::string request;
  std::string response;  // arrived kNow
  core::UnixTime later;
  Use use;
  Because because = Because::Nothing;
};

std::ostream& operator<<(std::ostream& out, const DecisionRow& row) {
  return out << row.section << " " << row.what;
}

TEST(Decide, FollowsEveryDirective) {  // P-8
  const std::string r60 = "max-age=60";
  const DecisionRow rows[] = {
      {"4.2", "fresh", "", r60, 59, Use::Fresh},
      {"4.2", "stale when the age reaches the lifetime", "", r60, 60, Use::Validate,
       Because::Stale},
      {"5.2.2.4", "no-cache", "", "no-cache, max-age=60", 0, Use::Validate, Because::MustValidate},
      {"5.2.1.1", "request max-age met", "max-age=10", r60, 10, Use::Fresh},
      {"5.2.1.1", "request max-age exceeded", "max-age=10", r60, 11, Use::Validate,
       Because::RequestDirective},
      {"5.2.1.1", "max-age=0 at once", "max-age=0", r60, 0, Use::Fresh},
      {"5.2.1.1", "max-age=0 a second later", "max-age=0", r60, 1, Use::Validate,
       Because::RequestDirective},
      {"5.2.1.1", "request max-age and max-stale that covers", "max-age=10, max-stale=5", r60, 15,
       Use::StaleAccepted, Because::Stale},
      {"5.2.1.1", "request max-age and max-stale that does not", "max-age=10, max-stale=5", r60, 16,
       Use::Validate, Because::RequestDirective},
      {"5.2.1.2", "max-stale=20 within", "max-stale=20", r60, 80, Use::StaleAccepted,
       Because::Stale},
      {"5.2.1.2", "max-stale=20 beyond", "max-stale=20", r60, 81, Use::Validate, Because::Stale},
      {"5.2.1.2", "max-stale without limit", "max-stale", r60, 1000000, Use::StaleAccepted,
       Because::Stale},
      {"5.2.1.3", "min-fresh met", "min-fresh=20", r60, 40, Use::Fresh},
      {"5.2.1.3", "min-fresh not met", "min-fresh=20", r60, 41, Use::Validate,
       Because::RequestDirective},
      {"5.2.1.4", "no-cache of the request", "no-cache", r60, 0, Use::Validate,
       Because::RequestDirective},
      {"5.2.1.5", "no-store of the request does not forbid reading", "no-store", r60, 0,
       Use::Fresh},
      {"5.2.1.7", "only-if-cached, fresh", "only-if-cached", r60, 0, Use::Fresh},
      {"5.2.1.7", "only-if-cached, stale", "only-if-cached", r60, 60, Use::GatewayTimeout,
       Because::Stale},
      {"5.2.1.7", "only-if-cached, stale and accepted", "only-if-cached, max-stale", r60, 60,
       Use::StaleAccepted, Because::Stale},
      {"5.2.2.2", "must-revalidate overrules max-stale", "max-stale", "max-age=60, must-revalidate",
       60, Use::Validate, Because::Stale},
      {"5.2.2.8", "proxy-revalidate overrules max-stale", "max-stale",
       "max-age=60, proxy-revalidate", 60, Use::Validate, Because::Stale},
      {"5.2.2.10", "s-maxage overrules max-stale", "max-stale", "s-maxage=60", 60, Use::Validate,
       Because::Stale},
      {"5.2.2.2", "must-revalidate while fresh", "", "max-age=60, must-revalidate", 59, Use::Fresh},
      {"RFC 8246 2", "immutable and a reload", "max-age=0", "max-age=60, immutable", 30, Use::Fresh},
      {"RFC 8246 2", "immutable and no-cache", "no-cache", "max-age=60, immutable", 30, Use::Validate,
       Because::RequestDirective},
      {"RFC 8246 2", "immutable says nothing once it is stale", "max-age=0", "max-age=60, immutable", 60, Use::Validate,
       Because::Stale},
      {"RFC 5861 3", "stale-while-revalidate within", "", "max-age=60, stale-while-revalidate=30",
       89, Use::StaleRevalidate, Because::Stale},
      {"RFC 5861 3", "stale-while-revalidate beyond", "", "max-age=60, stale-while-revalidate=30",
       90, Use::Validate, Because::Stale},
      {"RFC 5861 3", "not against must-revalidate", "",
       "max-age=60, must-revalidate, stale-while-revalidate=30", 61, Use::Validate, Because::Stale},
      {"RFC 5861 3", "not for a client that asked for a newer one", "max-age=10",
       "max-age=60, stale-while-revalidate=30", 61, Use::Validate, Because::Stale},
  };
  for (const DecisionRow& row : rows) {
    const http::RequestHead request =
        make_request(row.request.empty() ? "" : "Cache-Control: " + row.request + "\n");
    const StoredMeta meta = meta_of("Cache-Control: " + row.response + "\n");
    const Decision decision =
        decide({}, http::CacheControl::of_request(request.fields), meta, kNow + row.later);
    EXPECT_EQ(decision.use, row.use) << row;
    EXPECT_EQ(decision.because, row.because) << row;
    EXPECT_EQ(decision.age, row.later) << row;
    EXPECT_EQ(decision.ttl, int64_t{meta.lifetime} - row.later) << row;
  }
}

TEST(Decide, OfflineServesStaleAndNeverValidates) {
  const auto use = [](const std::string& request, const std::string& response, core::UnixTime later) {
    http::CacheControl cc = http::CacheControl::of_request(make_request(request).fields);
    go_offline(cc);
    return decide({}, cc, meta_of("Cache-Control: " + response + "\n"), kNow + later).use;
  };
  EXPECT_EQ(use("", "max-age=60", 30), Use::Fresh);
  EXPECT_EQ(use("", "max-age=60", 1000000), Use::StaleAccepted);
  EXPECT_EQ(use("Cache-Control: max-stale=5\n", "max-age=60", 66), Use::GatewayTimeout);
  EXPECT_EQ(use("Cache-Control: no-cache\n", "max-age=60", 30), Use::GatewayTimeout);
  EXPECT_EQ(use("", "max-age=60, must-revalidate", 61), Use::GatewayTimeout);  // 4.2.4
  EXPECT_EQ(use("", "no-cache", 0), Use::GatewayTimeout);
}

TEST(Decide, TakesPragmaNoCacheOnlyWithoutCacheControl) {  // 5.4
  const StoredMeta meta = meta_of("Cache-Control: max-age=60\n");
  const auto use = [&](const std::string& lines) {
    return decide({}, http::CacheControl::of_request(make_request(lines).fields), meta, kNow + 5)
        .use;
  };
  EXPECT_EQ(use("Pragma: no-cache\n"), Use::Validate);
  EXPECT_EQ(use("Pragma: no-cache\nCache-Control: max-age=60\n"), Use::Fresh);
}

TEST(Decide, ServesStaleWhileRevalidatingByConfigurationWhereTheResponseIsSilent) {
  PolicySettings settings;
  settings.stale_while_revalidate = 30;
  EXPECT_EQ(decide(settings, {}, meta_of("Cache-Control: max-age=60\n"), kNow + 70).use,
            Use::StaleRevalidate);
  EXPECT_EQ(decide(settings, {}, meta_of("Cache-Control: max-age=60, stale-while-revalidate=0\n"),
                   kNow + 70)
                .use,
            Use::Validate);
}

TEST(StaleIfError, AsTheResponseTheRequestOrTheConfigurationAllow) {  // RFC 5861 4
  PolicySettings configured;
  configured.stale_if_error = 100;
  const auto may = [](const PolicySettings& settings, const std::string& request,
                      const std::string& response, core::UnixTime later) {
    const http::RequestHead head =
        make_request(request.empty() ? "" : "Cache-Control: " + request + "\n");
    return may_serve_stale_on_error(settings, http::CacheControl::of_request(head.fields),
                                    meta_of("Cache-Control: " + response + "\n"), kNow + later);
  };
  EXPECT_FALSE(may({}, "", "max-age=60", 60));
  EXPECT_TRUE(may(configured, "", "max-age=60", 159));
  EXPECT_FALSE(may(configured, "", "max-age=60", 160));
  EXPECT_TRUE(may({}, "", "max-age=60, stale-if-error=10", 69));
  EXPECT_FALSE(may(configured, "", "max-age=60, stale-if-error=10", 70));
  EXPECT_TRUE(may({}, "stale-if-error=10", "max-age=60", 69));
  EXPECT_FALSE(may(configured, "", "max-age=60, must-revalidate", 61));
  EXPECT_FALSE(may(configured, "no-cache", "max-age=60", 61));
  EXPECT_FALSE(may(configured, "", "s-maxage=60", 61));
  EXPECT_TRUE(may({}, "max-age=1", "max-age=60",
                  30));  // fresh still; the client asked for newer, nobody could give it
  EXPECT_TRUE(is_stale_if_error_status(503));
  EXPECT_FALSE(is_stale_if_error_status(404));
}

}  // namespace
}  // namespace tributary::cache
