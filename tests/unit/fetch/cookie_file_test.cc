#include "fetch/cookie_file.h"

#include <gtest/gtest.h>

namespace tributary::fetch {
namespace {

constexpr core::UnixTime kNow = 1795000000;

struct CookieFile : testing::Test {
  CookieFileResult read(std::string_view text) { return read_cookie_file(text, kNow, jar); }
  std::string get(std::string_view at) { return jar.header(*http::Url::parse(at), kNow); }

  const PublicSuffixList suffixes;
  CookieJar jar{suffixes};
};

TEST_F(CookieFile, ReadsWhatOthersWrite) {  // S0-5.5
  const auto result = read(
      "# Netscape HTTP Cookie File\n"
      "# https://curl.se/docs/http-cookies.html\n\n"
      ".example.com\tTRUE\t/\tFALSE\t1895000000\tdotted\t1\n"
      "example.com\ttrue\t/\tFALSE\t1895000000\tundotted\t2\n"
      "www.example.com\tFALSE\t/\tFALSE\t0\thost\t3\r\n"
      "#HttpOnly_.example.com\tTRUE\t/\tTRUE\t1895000000\tonly\t4\n"
      "example.com\tFALSE\t/\tFALSE\t0\tempty\t\n"
      "example.com\tFALSE\t/\tFALSE\t0\tnovalue\n"                    // as curl has written it
      "example.com\tFALSE\t/\tFALSE\t\tpython\t5\n"                   // http.cookiejar's session cookie
      "example.com\tFALSE\t/\tFALSE\t1895000000.75\tfraction\t6\n"    // browser extensions
      "example.com\tFALSE\t/\tFALSE\t1895000000\ttabs\t7\t8\n"
      "example.com\tFALSE\t/\tFALSE\t1\told\tx\n"
      "last.org\tFALSE\t/p\tFALSE\t0\tn\tv");
  EXPECT_EQ(result.cookies, 10u);
  EXPECT_EQ(result.refused, 0u);
  EXPECT_EQ(get("https://example.com/"),
            "dotted=1; undotted=2; only=4; empty=; novalue=; python=5; fraction=6; tabs=7\t8");
  EXPECT_EQ(get("http://www.example.com/"), "dotted=1; undotted=2; host=3");
  EXPECT_EQ(get("http://last.org/p"), "n=v");
}

TEST_F(CookieFile, LinesThatAreNoCookiesAreCountedNotTrusted) {
  const auto result = read(
      "garbage\n"
      "a\tb\tc\td\te\n"
      "example.com\tmaybe\t/\tFALSE\t0\tn\tv\n"
      "example.com\tTRUE\tpath\tFALSE\t0\tn\tv\n"
      "example.com\tTRUE\t/\tFALSE\t-5\tn\tv\n"
      "example.com\tTRUE\t/\tFALSE\t99999999999999999999\tn\tv\n"
      "exa mple.com\tTRUE\t/\tFALSE\t0\tn\tv\n"
      "\tTRUE\t/\tFALSE\t0\tn\tv\n"
      "example.com\tTRUE\t/\tFALSE\t0\tn\tv\x01\n"
      "example.com\tTRUE\t/\tFALSE\t0\t__Secure-n\tv\n"
      "example.com\tTRUE\t/\tTRUE\t0\t__Host-n\tv\n"
      "example.com\tTRUE\t/\tTRUE\t0\tbig\t" + std::string(5000, 'x') + "\n");
  EXPECT_EQ(result.cookies, 0u);
  EXPECT_EQ(result.refused, 12u);
  EXPECT_EQ(jar.size(), 0u);
}

TEST_F(CookieFile, ACookieForAPublicSuffixReachesNobodyElse) {
  EXPECT_EQ(read("co.uk\tTRUE\t/\tFALSE\t0\tsuper\tcookie\n.com\tTRUE\t/\tFALSE\t0\tsuper\tcookie\n").cookies, 2u);
  EXPECT_EQ(get("http://example.co.uk/"), "");
  EXPECT_EQ(get("http://example.com/"), "");
}

TEST_F(CookieFile, WhatIsWrittenIsReadAgain) {
  const http::Url url = *http::Url::parse("https://www.example.com/d/f");
  jar.store(url, "a=1; domain=example.com; max-age=100; path=/; httponly", kNow);
  jar.store(url, "__Host-b=2; secure; path=/", kNow);
  jar.store(url, "nameless", kNow);
  jar.store(url, "gone=1; max-age=5", kNow - 10);
  const std::string text = write_cookie_file(jar, kNow);
  EXPECT_TRUE(text.starts_with("# Netscape HTTP Cookie File\n"));
  EXPECT_NE(text.find("\n#HttpOnly_.example.com\tTRUE\t/\tFALSE\t1795000100\ta\t1\n"
                      "www.example.com\tFALSE\t/\tTRUE\t0\t__Host-b\t2\n"
                      "www.example.com\tFALSE\t/d\tFALSE\t0\t\tnameless\n"),
            std::string::npos)
      << text;
  EXPECT_EQ(text.find("gone"), std::string::npos);
  CookieJar again(suffixes);
  EXPECT_EQ(read_cookie_file(text, kNow, again).cookies, 3u);
  EXPECT_EQ(write_cookie_file(again, kNow), text);
  EXPECT_EQ(again.header(url, kNow), jar.header(url, kNow));
  const std::string lasting = write_cookie_file(jar, kNow, SessionCookies::Drop);
  EXPECT_NE(lasting.find("\ta\t1\n"), std::string::npos);
  EXPECT_EQ(lasting.find("__Host-b"), std::string::npos);
}

}  // namespace
}  // namespace tributary::fetch
