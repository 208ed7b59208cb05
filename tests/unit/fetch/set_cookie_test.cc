#include "fetch/set_cookie.h"

#include <gtest/gtest.h>

#include <string>

namespace tributary::fetch {
namespace {

// What was understood, in one line.
std::string read(std::string_view text) {
  const auto cookie = parse_set_cookie(text);
  if (!cookie) return "nothing";
  std::string out = "[" + std::string(cookie->name) + "][" + std::string(cookie->value) + "]";
  if (!cookie->domain.empty()) out += " domain=" + std::string(cookie->domain);
  if (!cookie->path.empty()) out += " path=" + std::string(cookie->path);
  if (cookie->max_age) out += " age=" + std::to_string(*cookie->max_age);
  if (cookie->expires) out += " expires=" + std::to_string(*cookie->expires);
  if (cookie->secure) out += " secure";
  if (cookie->http_only) out += " httponly";
  if (cookie->same_site != SameSite::Default) out += " samesite=" + std::to_string(static_cast<int>(cookie->same_site));
  return out;
}

TEST(SetCookie, NameAndValueAreWhatIsBeforeTheFirstSemicolon) {  // S0-5.5, RFC 6265bis 5.6
  const std::pair<std::string_view, std::string_view> rows[] = {
      {"a=b", "[a][b]"},
      {" a = b ; x", "[a][b]"},
      {"a=b=c", "[a][b=c]"},
      {"a=", "[a][]"},
      {"a", "[][a]"},
      {"=a", "[][a]"},
      {"=", "nothing"},
      {"", "nothing"},
      {" ; path=/", "nothing"},
      {"a=\"b c, d\"", "[a][\"b c, d\"]"},
      {"a b=c d", "[a b][c d]"},
      {"a=b\tc", "[a][b\tc]"},
      {"a=\xc3\xa4", "[a][\xc3\xa4]"},
      {std::string_view("a=b\0c", 5), "nothing"},
      {"a=b\x01", "nothing"},
      {"a=b\r", "nothing"},
      {"a=b\x7f; path=/", "nothing"},
      {"a=b; domain=x\x1f", "nothing"},
  };
  for (const auto& [text, expected] : rows) EXPECT_EQ(read(text), expected) << text;
}

TEST(SetCookie, AttributesAreReadWithoutCaseAndTheLastCounts) {
  const std::pair<std::string_view, std::string_view> rows[] = {
      {"a=b; SECURE; httponly=x", "[a][b] secure httponly"},
      {"a=b;Path=/x;PATH=/y", "[a][b] path=/y"},
      {"a=b; path=/x; path=y", "[a][b]"},
      {"a=b; path=", "[a][b]"},
      {"a=b; domain=.X.org", "[a][b] domain=X.org"},
      {"a=b; domain=x; domain=y", "[a][b] domain=y"},
      {"a=b; domain=", "[a][b]"},
      {"a=b; max-age=10", "[a][b] age=10"},
      {"a=b; max-age=10; max-age=x", "[a][b] age=10"},
      {"a=b; max-age=-1", "[a][b] age=0"},
      {"a=b; max-age=-", "[a][b]"},
      {"a=b; max-age=+1", "[a][b]"},
      {"a=b; max-age=1.5", "[a][b]"},
      {"a=b; max-age=\"1\"", "[a][b]"},
      {"a=b; max-age=99999999999999999999999", "[a][b] age=1099511627776"},
      {"a=b; expires=Sun, 06 Nov 1994 08:49:37 GMT", "[a][b] expires=784111777"},
      {"a=b; expires=never", "[a][b]"},
      {"a=b; samesite=NONE", "[a][b] samesite=1"},
      {"a=b; samesite=lax; samesite=Strict", "[a][b] samesite=3"},
      {"a=b; samesite=other", "[a][b]"},
      {"a=b; unknown=1; ; =x; ;", "[a][b]"},
      {"a=b; Secure qux", "[a][b]"},
      {"a=b; \"Secure\"", "[a][b]"},
      {"a=b; Secure =x; Path   =  /y", "[a][b] path=/y secure"},
      {"a=b; x=\"c;d\"; Secure", "[a][b] secure"},  // a quotation mark means nothing
      {"a=\"b;c\"", "[a][\"b]"},
  };
  for (const auto& [text, expected] : rows) EXPECT_EQ(read(text), expected) << text;
}

TEST(SetCookie, SizesAreBounded) {
  EXPECT_NE(read("a=" + std::string(4095, 'x')), "nothing");
  EXPECT_EQ(read("a=" + std::string(4096, 'x')), "nothing");
  EXPECT_EQ(read("a=b; path=/" + std::string(1023, 'x')), "[a][b] path=/" + std::string(1023, 'x'));
  EXPECT_EQ(read("a=b; path=/" + std::string(1024, 'x')), "[a][b]");
}

TEST(CookieDate, ReadsTheFormsThatHaveBeenInUse) {  // RFC 6265bis 5.1.1
  const std::pair<std::string_view, int64_t> rows[] = {
      {"Sun, 06 Nov 1994 08:49:37 GMT", 784111777},
      {"Sunday, 06-Nov-94 08:49:37 GMT", 784111777},
      {"Sun Nov  6 08:49:37 1994", 784111777},
      {"06 nov 1994 8:49:37", 784111777},
      {"1994 November 6 08:49:37 +0100", 784111777},  // a zone means nothing
      {"08:49:37 06-Nov-1994", 784111777},
      {"Sun,06-NOV-1994,08:49:37xyz GMT", 784111777},
      {"Fri, 07 Aug 2007 08:04:19 GMT", 1186473859},
      {"Mon, 10-Dec-2007 17:02:24 GMT", 1197306144},
      {"Thu, 01-Jan-1970 00:00:00 GMT", 0},
      {"Thu, 31 Dec 23:55:55 2037 GMT", 2145916555},
      {"Wed Dec 12 2007 08:44:07 GMT-0500 (EST)", 1197449047},
      {"Wednesday, 01-Jan-10 0:0:7 GMT", 1262304007},
      {"Wed, 09 Nov 69 23:12:40", 3151264360},
      {"Wed, 09 Nov 70 23:12:40", 27040360},
      {"01 Jan 1601 00:00:00", -11644473600},
      {"29 Feb 2000 00:00:00", 951782400},
  };
  for (const auto& [text, seconds] : rows) EXPECT_EQ(parse_cookie_date(text), seconds) << text;
  for (const char* bad : {"", "never", "Sun, 06 Nov 1994", "06 Nov 08:49:37", "06 1994 08:49:37", "Nov 1994 08:49:37",
                          "32 Jan 2000 00:00:00", "00 Jan 2000 00:00:00", "30 Feb 2000 00:00:00", "29 Feb 1900 00:00:00",
                          "01 Jan 1600 00:00:00", "01 Jan 2000 24:00:00", "01 Jan 2000 00:60:00", "01 Jan 2000 00:00:60",
                          "01 Jan 20000 00:00:00", "01 Jan 2000 000:00:00", "01 Jan 2000 00:00"}) {
    EXPECT_EQ(parse_cookie_date(bad), std::nullopt) << bad;
  }
}

}  // namespace
}  // namespace tributary::fetch
