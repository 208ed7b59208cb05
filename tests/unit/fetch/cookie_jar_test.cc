#include "fetch/cookie_jar.h"

#include <gtest/gtest.h>

#include <algorithm>

namespace tributary::fetch {
namespace {

constexpr core::UnixTime kNow = 1795000000;

const PublicSuffixList& suffixes() {
  static const PublicSuffixList list;
  return list;
}

http::Url url(std::string_view text) { return *http::Url::parse(text); }

struct Jar : CookieJar {
  Jar() : CookieJar(suffixes()) {}
  bool set(std::string_view at, std::string_view cookie, core::UnixTime now = kNow) { return store(url(at), cookie, now); }
  std::string get(std::string_view at, core::UnixTime now = kNow) { return header(url(at), now); }
};

TEST(CookieJar, ACookieGoesBackToItsHostAndPath) {  // S0-5.5, RFC 6265bis 5.8
  Jar jar;
  EXPECT_TRUE(jar.set("http://h.example.com/a/b?x=/y/z", "n=v"));
  EXPECT_EQ(jar.get("http://h.example.com/a"), "n=v");
  EXPECT_EQ(jar.get("http://h.example.com/a/"), "n=v");
  EXPECT_EQ(jar.get("https://h.example.com:8443/a/c/d"), "n=v");
  EXPECT_EQ(jar.get("http://h.example.com/"), "");
  EXPECT_EQ(jar.get("http://h.example.com/ab"), "");
  EXPECT_EQ(jar.get("http://x.h.example.com/a"), "");
  EXPECT_EQ(jar.get("http://example.com/a"), "");
  EXPECT_TRUE(jar.set("http://h.example.com", "root=1"));
  EXPECT_EQ(jar.get("http://h.example.com/"), "root=1");
  EXPECT_EQ(jar.get("http://h.example.com./"), "root=1");  // the same host
}

TEST(CookieJar, WhoMaySetForWhichDomain) {  // 5.7, steps 8 to 10
  struct Row {
    std::string_view host, domain;
    bool stored;
    std::string_view also = {};  // another host that gets it
  };
  const Row rows[] = {
      {"a.example.com", "example.com", true, "b.c.example.com"},
      {"a.example.com", ".EXAMPLE.com", true, "example.com"},
      {"example.com", "example.com", true, "x.example.com"},
      {"example.com", "", true},
      {"example.com", "a.example.com", false},
      {"a.example.com", "b.example.com", false},
      {"badexample.com", "example.com", false},
      {"example.com", "com", false},
      {"example.com", "COM", false},               // CVE-2023-46218
      {"example.com", "com.", false},              // CVE-2022-27779
      {"example.com", "example.com.", false},
      {"curl.co.uk", "co.UK", false},
      {"user.github.io", "github.io", false},
      {"www.city.kobe.jp", "city.kobe.jp", true, "city.kobe.jp"},
      {"localhost", "localhost", true},
      {"a.local", "local", false},
      {"127.0.0.1", "127.0.0.1", true},
      {"127.0.0.1", "0.0.1", false},
      {"1.2.3.4", "3.4", false},
      {"[::1]", "::1", true},
      {"example.com", "..example.com", false},
      {"example.com", "\xc3\xa4.example.com", false},
  };
  for (const Row& row : rows) {
    Jar jar;
    const std::string at = "http://" + std::string(row.host) + "/";
    EXPECT_EQ(jar.set(at, "n=v; domain=" + std::string(row.domain)), row.stored) << row.host << " " << row.domain;
    EXPECT_EQ(jar.get(at), row.stored ? "n=v" : "") << row.host << " " << row.domain;
    if (row.also.empty()) continue;
    EXPECT_EQ(jar.get("http://" + std::string(row.also) + "/"), "n=v") << row.also;
  }
}

TEST(CookieJar, APublicSuffixSetsForItselfAlone) {  // 5.7, step 9
  Jar jar;
  EXPECT_TRUE(jar.set("https://github.io/", "n=v; domain=github.io"));
  EXPECT_EQ(jar.get("https://github.io/"), "n=v");
  EXPECT_EQ(jar.get("https://user.github.io/"), "");
}

TEST(CookieJar, SecureCookiesStayOnHttps) {  // 5.7, steps 13 to 15
  Jar jar;
  EXPECT_FALSE(jar.set("http://example.com/", "s=http; secure"));
  EXPECT_TRUE(jar.set("https://example.com/a/", "s=https; secure; path=/a; domain=example.com"));
  EXPECT_EQ(jar.get("http://example.com/a"), "");
  EXPECT_EQ(jar.get("https://example.com/a"), "s=https");
  // Nothing from http takes its place, neither on the same path nor below, nor from a host below.
  EXPECT_FALSE(jar.set("http://example.com/", "s=evil; path=/a"));
  EXPECT_FALSE(jar.set("http://example.com/", "s=evil; path=/a/b"));
  EXPECT_FALSE(jar.set("http://x.example.com/", "s=evil; path=/a"));
  EXPECT_FALSE(jar.set("http://x.example.com/", "s=evil; path=/a; max-age=0; domain=example.com"));
  EXPECT_EQ(jar.get("https://example.com/a"), "s=https");
  EXPECT_TRUE(jar.set("http://example.com/", "s=plain; path=/"));
  EXPECT_EQ(jar.get("https://example.com/a"), "s=https; s=plain");
  EXPECT_TRUE(jar.set("https://example.com/", "s=new; path=/a; domain=example.com"));
  EXPECT_EQ(jar.get("http://example.com/a"), "s=new; s=plain");
}

TEST(CookieJar, PrefixesPromiseWhatIsThen) {  // 5.7, steps 16 and 19 to 21
  const std::pair<std::string_view, bool> rows[] = {
      {"__Secure-a=1; secure", true},
      {"__Secure-a=1", false},
      {"__SECURE-a=1", false},
      {"__Host-a=1; secure; path=/", true},
      {"__Host-a=1; secure; path=/; domain=example.com", false},
      {"__Host-a=1; secure; path=/x", false},
      {"__Host-a=1; secure", false},  // the default path is /d
      {"__Host-a=1; path=/", false},
      {"__host-a=1; path=/", false},
      {"=__Secure-a=1", false},
      {"__Host-a", false},
      {"a=1; samesite=none", false},
      {"a=1; samesite=none; secure", true},
      {"a=1; samesite=strict", true},
  };
  for (const auto& [text, stored] : rows) {
    Jar jar;
    EXPECT_EQ(jar.set("https://example.com/d/", text), stored) << text;
    EXPECT_EQ(jar.size(), stored ? 1u : 0u) << text;
  }
}

TEST(CookieJar, ExpiryFollowsMaxAgeThenExpiresAndHasALimit) {  // 5.6.1, 5.6.2
  Jar jar;
  EXPECT_TRUE(jar.set("http://example.com/", "a=1; max-age=10; expires=Thu, 01 Jan 1970 00:00:00 GMT"));
  EXPECT_EQ(jar.get("http://example.com/", kNow + 9), "a=1");
  EXPECT_EQ(jar.get("http://example.com/", kNow + 10), "");
  EXPECT_TRUE(jar.set("http://example.com/", "b=1; expires=Fri, 31 Dec 9999 23:59:59 GMT"));
  EXPECT_TRUE(jar.set("http://example.com/", "c=1; max-age=999999999999"));
  EXPECT_EQ(jar.get("http://example.com/", kNow + CookieJar::kMaxAge - 1), "b=1; c=1");
  EXPECT_EQ(jar.get("http://example.com/", kNow + CookieJar::kMaxAge), "");
  EXPECT_TRUE(jar.set("http://example.com/", "b=2; max-age=0"));  // removes it
  EXPECT_EQ(jar.get("http://example.com/"), "a=1; c=1");
  EXPECT_TRUE(jar.set("http://example.com/", "c=; expires=Thu, 01 Jan 1970 00:00:00 GMT"));
  EXPECT_EQ(jar.get("http://example.com/"), "a=1");
  EXPECT_TRUE(jar.set("http://example.com/", "session=1"));
  EXPECT_EQ(jar.get("http://example.com/", INT64_MAX), "session=1");
}

TEST(CookieJar, LongerPathsComeFirstThenOlderCookies) {  // 5.8.3, step 2
  Jar jar;
  jar.set("http://example.com/", "a=1; path=/");
  jar.set("http://example.com/", "b=1; path=/x/y");
  jar.set("http://example.com/", "c=1; path=/x");
  jar.set("http://example.com/", "d=1; path=/");
  jar.set("http://example.com/", "a=2; path=/");  // keeps the place of what it replaces
  jar.set("http://example.com/", "nameless; path=/");
  EXPECT_EQ(jar.get("http://example.com/x/y"), "b=1; c=1; a=2; d=1; nameless");
}

TEST(CookieJar, HostOnlyAndDomainCookiesOfOneNameAreTwo) {
  Jar jar;
  jar.set("http://example.com/", "a=host");
  jar.set("http://example.com/", "a=domain; domain=example.com");
  EXPECT_EQ(jar.get("http://example.com/"), "a=host; a=domain");
  EXPECT_EQ(jar.get("http://x.example.com/"), "a=domain");
}

TEST(CookieJar, IsBoundedHoweverManyCome) {  // V-10
  Jar jar;
  jar.set("https://example.com/", "keep=1; secure");
  for (int i = 0; i < 1000; ++i) jar.set("https://s" + std::to_string(i) + ".example.com/", "n" + std::to_string(i) + "=v; domain=example.com");
  EXPECT_EQ(jar.size(), CookieJar::kMaxPerSite);
  const std::string header = jar.get("https://example.com/");
  EXPECT_TRUE(header.starts_with("keep=1; ")) << "a secure cookie goes after the others";
  EXPECT_EQ(std::count(header.begin(), header.end(), ';') + 1, static_cast<long>(CookieJar::kMaxPerRequest));
  // Hosts of sites of their own share the whole.
  for (int i = 0; i < 10000; ++i) {
    jar.set("http://x" + std::to_string(i) + ".com/", "a=1");
    if (i % 100 == 0) {
      EXPECT_EQ(jar.get("https://example.com/").substr(0, 6), "keep=1") << i;
    }
    if (i % 100 == 0) {
      EXPECT_EQ(jar.get("https://example.com/").substr(0, 6), "keep=1") << i;
    }
    ASSERT_LE(jar.size(), CookieJar::kMaxCookies);
  }
  EXPECT_EQ(jar.get("http://x9999.com/"), "a=1");
  EXPECT_EQ(jar.get("http://x0.com/"), "");

  http::FieldSection response;
  for (int i = 0; i < 200; ++i) response.add("Set-Cookie", "c" + std::to_string(i) + "=" + std::string(200, 'x'));
  Jar other;
  other.store_all(url("http://example.com/"), response, kNow);
  EXPECT_EQ(other.size(), CookieJar::kMaxPerResponse);
  EXPECT_LE(other.get("http://example.com/").size(), CookieJar::kMaxHeader);
}

TEST(CookieJar, ExpiredCookiesMakeRoomFirst) {
  Jar jar;
  for (size_t i = 0; i < CookieJar::kMaxPerSite; ++i) {
    jar.set("http://example.com/", "n" + std::to_string(i) + "=v; max-age=" + (i == 7 ? "1" : "100"));
  }
  jar.set("http://example.com/", "new=v", kNow + 2);
  EXPECT_EQ(jar.size(), CookieJar::kMaxPerSite);
  const auto cookies = jar.cookies(kNow + 2);
  EXPECT_EQ(cookies.size(), CookieJar::kMaxPerSite);
  EXPECT_EQ(cookies.front().name, "n0");
  EXPECT_EQ(cookies.back().name, "new");
}

TEST(CookieJar, TabsInNamesAndPathsAreRefused) {
  Jar jar;
  EXPECT_FALSE(jar.set("http://example.com/", "a\tb=c"));
  EXPECT_FALSE(jar.set("http://example.com/", "a=c; path=/x\ty"));
  EXPECT_TRUE(jar.set("http://example.com/", "a=b\tc"));
}

}  // namespace
}  // namespace tributary::fetch
