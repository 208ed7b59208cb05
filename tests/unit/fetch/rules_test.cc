// The small rules of a download: redirects, retries, request heads, lists, exit statuses, progress.
#include <gtest/gtest.h>

#include "fetch/exit_status.h"
#include "fetch/list_file.h"
#include "fetch/progress.h"
#include "fetch/rate_limit.h"
#include "fetch/redirects.h"
#include "fetch/request_head.h"
#include "fetch/retry.h"

namespace tributary::fetch {
namespace {

using core::ErrorCode;
using http::FieldName;

http::Url url(std::string_view text) { return *http::Url::parse(text); }

http::ResponseHead to(std::string_view location, uint16_t status = 302) {
  http::ResponseHead head;
  head.status = status;
  head.fields.add(FieldName::Location, location);
  return head;
}

const HstsStore kNone;

TEST(Redirects, FollowsRelativeReferences) {
  Redirects redirects(url("http://a/b/c?d"), 5, kNone, 0);
  EXPECT_EQ(redirects.follow(to("../e"), 0).url->text(), "http://a/e");
  EXPECT_EQ(redirects.follow(to("?f"), 0).url->text(), "http://a/e?f");
  EXPECT_EQ(redirects.follow(to("//B/g#part"), 0).url->text(), "http://b/g");
  EXPECT_EQ(redirects.count(), 3u);
}

TEST(Redirects, RefusesCirclesLimitsAndDowngrades) {
  Redirects circle(url("http://a/1"), 5, kNone, 0);
  EXPECT_TRUE(circle.follow(to("/2"), 0).url);
  EXPECT_FALSE(circle.follow(to("http://A:80/1"), 0).url);
  EXPECT_FALSE(circle.follow(to("/2"), 0).url);  // itself
  Redirects limited(url("http://a/1"), 1, kNone, 0);
  EXPECT_TRUE(limited.follow(to("/2"), 0).url);
  EXPECT_FALSE(limited.follow(to("/3"), 0).url);
  Redirects secure(url("https://a/1"), 5, kNone, 0);
  EXPECT_TRUE(secure.follow(to("https://b/2"), 0).url);
  EXPECT_FALSE(secure.follow(to("http://b/2"), 0).url);
  for (const char* location : {"ftp://a/", "javascript:0", "http://u:p@a/", "http://", ""}) {
    EXPECT_FALSE(Redirects(url("http://a/"), 5, kNone, 0).follow(to(location), 0).url) << location;
  }
}

TEST(Redirects, KnowWhenTheyLeftTheirOrigin) {
  Redirects redirects(url("http://a/1"), 5, kNone, 0);
  EXPECT_TRUE(redirects.is_at_origin());
  redirects.follow(to("/2"), 0);
  EXPECT_TRUE(redirects.is_at_origin());
  redirects.follow(to("http://a:8080/3"), 0);
  EXPECT_FALSE(redirects.is_at_origin());
  redirects.follow(to("http://a/4"), 0);  // back, but by the word of another
  EXPECT_FALSE(redirects.is_at_origin());
}

// RFC 6797, 8.3: neither the start nor a redirect asks a known host in the clear, and no downgrade is seen in it.
TEST(Redirects, GoByHttpsToHostsThatWantIt) {
  HstsStore hsts;
  hsts.read("known 0 0 0 1000\n", 1);
  EXPECT_EQ(Redirects(url("http://known/x"), 5, hsts, 1).current().text(), "https://known/x");
  Redirects redirects(url("https://a/"), 5, hsts, 1);
  EXPECT_EQ(redirects.follow(to("http://known:80/y"), 1).url->text(), "https://known/y");
}

TEST(RequestHead, SendsSecretsToTheirOriginAlone) {
  Settings settings;
  settings.user_agent = "agent";
  settings.fields = {{"Authorization", "x"}, {"cookie", "y"}, {"X-Own", "z"}, {"User-Agent", "mine"}, {"Host", "other"},
                     {"Range", "bytes=0-1"}};
  const http::RequestHead here = request_head(url("http://a/b?c"), settings, true, {});
  EXPECT_EQ(here.target, "/b?c");
  EXPECT_EQ(here.fields.find_only(FieldName::Authorization), "x");
  EXPECT_EQ(here.fields.find_only(FieldName::Cookie), "y");
  EXPECT_EQ(here.fields.find_only(FieldName::UserAgent), "mine");
  EXPECT_EQ(here.fields.find_only(FieldName::Host), "other");
  EXPECT_FALSE(here.fields.has(FieldName::Range));
  const http::RequestHead away = request_head(url("http://b/"), settings, false, {});
  EXPECT_FALSE(away.fields.has(FieldName::Authorization));
  EXPECT_FALSE(away.fields.has(FieldName::Cookie));
  EXPECT_EQ(away.fields.find_only(FieldName::Host), "b");
  EXPECT_EQ(away.fields.find("X-Own"), "z");
}

TEST(RequestHead, ContinuesUnderIfRange) {
  const http::RequestHead head = request_head(url("http://a/"), {}, true, Continuation{{10, 20}, "\"v\""});
  EXPECT_EQ(head.fields.find_only(FieldName::Range), "bytes=10-19");
  EXPECT_EQ(head.fields.find_only(FieldName::IfRange), "\"v\"");
}

TEST(Retry, DelaysDoubleUpToALimitAndSpread) {
  const RetrySettings settings;
  using namespace std::chrono_literals;
  EXPECT_EQ(retry_delay(settings, 1, 0), 500ms);
  EXPECT_EQ(retry_delay(settings, 2, 0), 1s);
  EXPECT_EQ(retry_delay(settings, 3, 0), 2s);
  EXPECT_EQ(retry_delay(settings, 60, 0), 15s);
  EXPECT_LT(retry_delay(settings, 1, 0.999), 1s);
  EXPECT_GT(retry_delay(settings, 1, 0.999), 990ms);
}

TEST(Retry, WhatIsFinalIsNotTriedAgain) {
  const auto worth = [](ErrorCode code, bool answered) { return is_worth_retrying(core::Error{.code = code}, answered); };
  EXPECT_FALSE(worth(ErrorCode::ConnectionRefused, false));
  EXPECT_TRUE(worth(ErrorCode::ConnectionRefused, true));
  EXPECT_FALSE(worth(ErrorCode::NameNotFound, false));
  EXPECT_TRUE(worth(ErrorCode::ReadTimeout, false));
  EXPECT_FALSE(worth(ErrorCode::TlsCertificate, true));
  EXPECT_FALSE(worth(ErrorCode::StorageFull, true));
  for (const int status : {408, 429, 500, 502, 503, 504}) EXPECT_TRUE(is_worth_retrying(static_cast<uint16_t>(status))) << status;
  for (const int status : {400, 401, 403, 404, 410, 501, 505}) EXPECT_FALSE(is_worth_retrying(static_cast<uint16_t>(status))) << status;
}

TEST(Retry, RetryAfterInBothForms) {
  const auto wait = [](std::string_view value) {
    http::FieldSection fields;
    fields.add(FieldName::RetryAfter, value);
    return retry_after(fields, 784111777);  // Sun, 06 Nov 1994 08:49:37 GMT
  };
  using namespace std::chrono_literals;
  EXPECT_EQ(wait("7"), 7s);
  EXPECT_EQ(wait("Sun, 06 Nov 1994 08:50:37 GMT"), 60s);
  EXPECT_EQ(wait("Sun, 06 Nov 1994 08:48:37 GMT"), 0s);
  EXPECT_EQ(wait("soon"), 0s);
  EXPECT_EQ(wait("99999999999999999999"), 0s);
  EXPECT_EQ(retry_after({}, 0), 0s);
}

TEST(List, OneUrlALine) {
  EXPECT_EQ(parse_list("\xEF\xBB\xBFhttp://a/\r\n\n# c\n \thttp://b/ \nhttp://c/"),
            (std::vector<std::string>{"http://a/", "http://b/", "http://c/"}));
  EXPECT_TRUE(parse_list("").empty());
}

TEST(List, UrlsAsPeopleWriteThem) {
  EXPECT_EQ(parse_url("example.com")->text(), "http://example.com/");
  EXPECT_EQ(parse_url("127.0.0.1:8080/a b")->text(), "http://127.0.0.1:8080/a%20b");
  EXPECT_EQ(parse_url(" HTTPS://Example.com/ä#x ")->text(), "https://example.com/%C3%A4");
  EXPECT_EQ(parse_url("a/b?u=http://c")->text(), "http://a/b?u=http://c");
  EXPECT_FALSE(parse_url("ftp://a/"));
  EXPECT_FALSE(parse_url(""));
  EXPECT_FALSE(parse_url("http://a:b/"));
}

TEST(List, LoginsAreTakenOutOfUrls) {
  const auto take = [](std::string url) {
    const std::optional<Login> login = take_login(url);
    return url + (!login ? "" : " " + login->user + (login->has_password ? ":" + std::string(login->password.view()) : ""));
  };
  EXPECT_EQ(take("http://h/a"), "http://h/a");
  EXPECT_EQ(take("http://u:p@h:8/a"), "http://h:8/a u:p");
  EXPECT_EQ(take(" u:p@h/a"), "h/a u:p");
  EXPECT_EQ(take("u@h"), "h u");
  EXPECT_EQ(take("u:@h"), "h u:");
  EXPECT_EQ(take("http://us%65r:a%3Ab%40@h"), "http://h user:a:b@");
  EXPECT_EQ(take("http://u:p@ss@h"), "http://h u:p@ss");
  EXPECT_EQ(take("http://h/a@b?c@d#e@f"), "http://h/a@b?c@d#e@f");
  EXPECT_EQ(take("h/x?u=http://a:b@c/"), "h/x?u=http://a:b@c/");
  // A browser goes to good.org here, and others to evil.org.
  std::string doubtful = "http://good.org:secret\\@evil.org/";
  take_login(doubtful);
  EXPECT_EQ(doubtful.find("secret"), std::string::npos);
  EXPECT_FALSE(parse_url(doubtful));
  const auto drop = [](std::string reference) {
    drop_login(reference);
    return reference;
  };
  EXPECT_EQ(drop("a@b/c"), "a@b/c");
  EXPECT_EQ(drop("/a@b"), "/a@b");
  EXPECT_EQ(drop("//u:p@h/a@b"), "//h/a@b");
  EXPECT_EQ(drop("https://u:p@h/"), "https://h/");
}

TEST(ExitStatuses, EveryErrorHasOneAndWords) {
  for (int code = 0; code <= static_cast<int>(ErrorCode::Internal); ++code) {
    const core::Error error{.code = static_cast<ErrorCode>(code)};
    EXPECT_NE(exit_status(error), ExitStatus::Ok) << core::error_name(error.code);
    EXPECT_NE(explain(error), "an unknown error") << core::error_name(error.code);
  }
  EXPECT_EQ(exit_status({.code = ErrorCode::NameNotFound}), ExitStatus::Network);
  EXPECT_EQ(exit_status({.code = ErrorCode::TlsCertificate}), ExitStatus::Tls);
  EXPECT_EQ(exit_status({.code = ErrorCode::StorageFull}), ExitStatus::File);
  EXPECT_EQ(exit_status_of_response(401), ExitStatus::Credentials);
  EXPECT_EQ(exit_status_of_response(404), ExitStatus::Server);
}

// S0-5.2, issue 4: the mean rate is exact however large the reads are.
TEST(RateLimits, KeepTheMeanWhateverIsTaken) {
  for (const uint64_t part : {1000u, 10'000u, 262'144u}) {
    RateLimit limit(1'000'000);
    core::TimePoint now = core::TimePoint{} + std::chrono::seconds(1);
    const core::TimePoint start = now;
    uint64_t taken = 0;
    while (taken < 20'000'000) {
      if (limit.room(now) == 0) {
        EXPECT_GT(limit.wait(now), core::Duration::zero());
        now += limit.wait(now);
        continue;
      }
      limit.take(part, now);
      taken += part;
    }
    const double rate = static_cast<double>(taken) / std::chrono::duration<double>(now - start).count();
    EXPECT_NEAR(rate, 1e6, 2e4) << part;
  }
}

TEST(RateLimits, APauseIsNotMadeGoodByABurst) {
  RateLimit limit(1'000'000);
  const core::TimePoint start = core::TimePoint{} + std::chrono::seconds(1);
  limit.take(1, start);
  EXPECT_LE(limit.room(start + std::chrono::hours(1)), 50'000u);
  RateLimit none(0);
  none.take(1 << 30, start);
  EXPECT_EQ(none.room(start), UINT64_MAX);
}

TEST(ProgressText, RateOfTheLastSeconds) {
  RateMeter meter;
  const core::TimePoint start{};
  for (int second = 0; second <= 10; ++second) meter.sample(static_cast<uint64_t>(second) * 100, start + std::chrono::seconds(second));
  EXPECT_DOUBLE_EQ(meter.rate(), 100);
  for (int second = 11; second <= 20; ++second) meter.sample(1000, start + std::chrono::seconds(second));
  EXPECT_DOUBLE_EQ(meter.rate(), 0);
  meter.sample(5, start + std::chrono::seconds(21));  // it began anew
  EXPECT_DOUBLE_EQ(meter.rate(), 0);
}

TEST(ProgressText, SaysHowFarAndHowLongStill) {
  const Progress progress{1, "http://a/x", "x", 200 << 20, 50 << 20, 10 << 20, 4};
  EXPECT_EQ(plain_line(progress), "x: 25 %, 50.0 MiB of 200.0 MiB, 10.0 MiB/s, 4 connections, 15 s left");
  const Progress unknown{1, "http://a/x", "", {}, 1023, 0, 1};
  EXPECT_EQ(plain_line(unknown), "http://a/x: 1023 B, 0 B/s, 1 connection");
  EXPECT_EQ(format_bytes(1023.97 * 1024), "1.0 MiB");
  EXPECT_EQ(format_seconds(59.6), "1 min 00 s");
  EXPECT_EQ(format_seconds(7625), "2 h 07 min");
}

TEST(ProgressText, TheMapShowsWhereThePiecesAre) {
  cache::RangeSet present;
  present.add(0, 50);
  present.add(75, 80);
  EXPECT_EQ(piece_map(present, 100, 10), "#####..=..");
  EXPECT_EQ(piece_map(present, 0, 3), "...");
  EXPECT_EQ(piece_map(present, 2, 4), "####");
}

TEST(ProgressText, ABarFitsItsTerminal) {
  cache::RangeSet present;
  present.add(0, 50 << 20);
  const Progress progress{1, "http://a/x", "\xe6\xbc\xa2\xe5\xad\x97 a very long name of a file that goes on and on.iso", 200 << 20, 50 << 20, 10 << 20, 4};
  for (size_t width = 0; width < 250; ++width) {
    EXPECT_LE(columns(bar_line(progress, &present, width)), width == 0 ? 0 : width - 1) << width;
  }
  const std::string line = bar_line(progress, &present, 100);
  EXPECT_NE(line.find("25 % [####"), std::string::npos) << line;
  EXPECT_NE(line.find("10.0 MiB/s  4 conn  15 s"), std::string::npos) << line;
}

TEST(ProgressText, CommandsNoTerminal) {
  EXPECT_EQ(printable("a\x1b[31m\xc2\x9b\x9b\r\n\xe2\x80\xae" "b\xc3\xa4"), "a?[31m?????b\xc3\xa4");
}

}  // namespace
}  // namespace tributary::fetch
