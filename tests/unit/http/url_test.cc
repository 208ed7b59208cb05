#include "http/url.h"

#include <gtest/gtest.h>

#include <string>

namespace tributary::http {
namespace {

using core::ErrorCode;

TEST(AbsoluteUrl, IsSplitIntoItsParts) {
  const std::string text = "hTTp://ExAmple.COM:8080/a/b?x=1&y";
  const auto url = parse_absolute(text);
  ASSERT_TRUE(url);
  EXPECT_EQ(url->scheme, Scheme::Http);
  EXPECT_EQ(url->authority.host, "ExAmple.COM");
  EXPECT_EQ(url->port(), 8080);
  EXPECT_EQ(url->path, "/a/b");
  EXPECT_TRUE(url->has_query);
  EXPECT_EQ(url->query, "x=1&y");
  EXPECT_EQ(url->path_query, "/a/b?x=1&y");
}

struct KeyCase {
  const char* text;
  const char* key;
};

TEST(UrlKey, FoldsOnlyWhatCannotChangeTheMeaning) {
  const KeyCase cases[] = {
      {"http://h", "http://h/"},
      {"http://h/", "http://h/"},
      {"HTTPS://H.Example/", "https://h.example/"},
      {"http://h:80/x", "http://h/x"},
      {"http://h:0080/x", "http://h/x"},
      {"http://h:/x", "http://h/x"},
      {"https://h:443/x", "https://h/x"},
      {"https://h:80/x", "https://h:80/x"},
      {"http://h:443/x", "http://h:443/x"},
      {"http://h?q", "http://h/?q"},
      {"http://h/?", "http://h/?"},
      {"http://h/a?b?c", "http://h/a?b?c"},
      {"http://h/A/../b/./c//d", "http://h/A/../b/./c//d"},
      {"http://h/%7Euser%2f%zz%", "http://h/%7Euser%2f%zz%"},
      {"http://h/|[]{}\"^`<>\\?|[]{}\"%zz", "http://h/|[]{}\"^`<>\\?|[]{}\"%zz"},
      {"http://h/\xc3\xa9", "http://h/\xc3\xa9"},
      {"http://[::1]/", "http://[::1]/"},
      {"http://[2001:DB8::A]:8080/x", "http://[2001:db8::a]:8080/x"},
      {"http://[::ffff:1.2.3.4]:80/", "http://[::ffff:1.2.3.4]/"},
      {"http://a_b-c.~x!$&'()*+,;=/", "http://a_b-c.~x!$&'()*+,;=/"},
      {"http://h/@:8080", "http://h/@:8080"},
  };
  for (const KeyCase& c : cases) {
    const auto url = Url::parse(c.text, Fragment::Refuse);
    ASSERT_TRUE(url) << c.text;
    EXPECT_EQ(url->text(), c.key);
    std::string key;
    append_key(*parse_absolute(c.text), key);
    EXPECT_EQ(key, c.key);
    const auto again = Url::parse(key, Fragment::Refuse);  // the key parses to itself
    ASSERT_TRUE(again) << key;
    EXPECT_EQ(again->text(), key);
  }
}

TEST(AbsoluteUrl, RefusesWhatTwoParsersCouldReadDifferently) {  // V-9
  const std::string nul("http://h/\0x", 11);
  const std::string cases[] = {
      "",
      "/",
      "h",
      "http",
      "http:",
      "http:/",
      "http:///",
      "http://",
      "http:///path",
      "http:/h/",
      "http:h/",
      "http:\\\\h/",
      "http:/\\h/",
      "http://?q",
      "http://:80/",
      "http://user@h/",
      "http://user:secret@h/",
      "http://@h/",
      "http://good@evil/",
      "http://good%40evil/",
      "http://good\\@evil/",
      "http://good\\.evil/",
      "http://h\\/",
      "http://h /",
      " http://h/",
      "http://h/ ",
      "http://h/a b",
      "http://h/\t",
      "http://h/\n",
      "http://h/\r\nX: y",
      "http://h/\x7f",
      nul,
      "http://h\t/",
      "http://%68/",
      "http://h%/",
      "http://h%zz/",
      "http://h\xc3\xa9/",
      "http://h\"/",
      "http://h<>/",
      "http://h|/",
      "http://h^/",
      "http://{h}/",
      "http://h`/",
      "http://h:x/",
      "http://h:8x/",
      "http://h:-1/",
      "http://h:+80/",
      "http://h: 80/",
      "http://h:0/",
      "http://h:65536/",
      "http://h:99999999999999999999/",
      "http://h:000080/",
      "http://h:80:80/",
      "http://h::80/",
      "http://::1/",
      "http://[::1/",
      "http://::1]/",
      "http://[]/",
      "http://[::1]x/",
      "http://[::1]x:80/",
      "http://x[::1]/",
      "http://[::1]:x/",
      "http://[::1]:/\x01",
      "http://[::1%25eth0]/",
      "http://[fe80::1%eth0]/",
      "http://[v1.x]/",
      "http://[1.2.3.4]/",
      "http://[::g]/",
      "http://[1:2:3:4:5:6:7:8:9]/",
      "http://[" + std::string(300, ':') + "]/",
      std::string("http://[::1\0x]/", 16),
      "http://" + std::string(256, 'a') + "/",
      "1http://h/",
      "-http://h/",
      "ht tp://h/",
  };
  for (const std::string& text : cases) {
    const auto url = parse_absolute(text, Fragment::Drop);
    EXPECT_FALSE(url) << text;
  }
  EXPECT_TRUE(parse_absolute("http://" + std::string(255, 'a') + "/"));
}

TEST(AbsoluteUrl, NamesAnotherSchemeAsUnsupported) {
  for (const char* text : {"ftp://h/", "file:///etc/passwd", "javascript:alert(1)", "mailto:a@b",
                           "ws://h/", "httpx://h/"}) {
    const auto url = parse_absolute(text);
    ASSERT_FALSE(url) << text;
    EXPECT_EQ(url.error().code, ErrorCode::UnsupportedProtocol) << text;
  }
}

TEST(AbsoluteUrl, RefusesAFragmentInTargetsAndDropsItInReferences) {
  EXPECT_FALSE(parse_absolute("http://h/a#b", Fragment::Refuse));
  EXPECT_FALSE(parse_absolute("http://h/a#", Fragment::Refuse));
  const auto url = Url::parse("http://h/a?q#b#c/?", Fragment::Drop);
  ASSERT_TRUE(url);
  EXPECT_EQ(url->text(), "http://h/a?q");
  EXPECT_EQ(Url::parse("http://h#b", Fragment::Drop)->text(), "http://h/");
  EXPECT_FALSE(parse_absolute("http://h/a#b c", Fragment::Drop));
  // What looks like userinfo is part of the fragment.
  EXPECT_EQ(Url::parse("http://good#@evil/", Fragment::Drop)->host(), "good");
}

TEST(Authority, TakesHostAndPort) {
  const auto name = parse_authority("Example.com:8443");
  ASSERT_TRUE(name);
  EXPECT_EQ(name->host, "Example.com");
  EXPECT_EQ(name->port, 8443);
  const auto literal = parse_authority("[::1]:1");
  ASSERT_TRUE(literal);
  EXPECT_EQ(literal->host, "::1");
  EXPECT_TRUE(literal->ipv6_literal);
  EXPECT_EQ(literal->port, 1);
  EXPECT_EQ(parse_authority("h")->port, 0);
  EXPECT_EQ(parse_authority("h:")->port, 0);
  for (const char* bad : {"", ":", ":80", "h/", "h?", "h#", "u@h", "h:80/", "h h", "h,h:80:1"}) {
    EXPECT_FALSE(parse_authority(bad)) << bad;
  }
}

TEST(ConnectAuthority, NeedsAPort) {
  EXPECT_TRUE(parse_connect_authority("h:443"));
  EXPECT_TRUE(parse_connect_authority("[2001:db8::1]:443"));
  for (const char* bad :
       {"h", "h:", "[::1]", "[::1]:", "http://h:443", "h:443/", "u@h:443", "h:0", "h:65536", "*"}) {
    EXPECT_FALSE(parse_connect_authority(bad)) << bad;
  }
}

TEST(OriginForm, IsSplitAtTheFirstQuestionMark) {
  const auto parts = parse_origin_form("/a//b/../?x?y");
  ASSERT_TRUE(parts);
  EXPECT_EQ(parts->path, "/a//b/../");
  EXPECT_EQ(parts->query, "x?y");
  EXPECT_FALSE(parse_origin_form("/a")->has_query);
  EXPECT_TRUE(parse_origin_form("/a?")->has_query);
  EXPECT_TRUE(parse_origin_form("//host/x"));  // a path all the same
  for (const char* bad : {"", "a", "*", "http://h/", "/a b", "/a#b", "/\x01", "?x"}) {
    EXPECT_FALSE(parse_origin_form(bad)) << bad;
  }
}

TEST(Url, ShowsItsParts) {
  const auto url = Url::parse("HTTPS://[2001:DB8::1]:8443/p/q?r=s");
  ASSERT_TRUE(url);
  EXPECT_EQ(url->scheme(), Scheme::Https);
  EXPECT_EQ(url->host(), "2001:db8::1");
  EXPECT_EQ(url->authority(), "[2001:db8::1]:8443");
  EXPECT_EQ(url->origin(), "https://[2001:db8::1]:8443");
  EXPECT_EQ(url->port(), 8443);
  EXPECT_EQ(url->path(), "/p/q");
  EXPECT_EQ(url->query(), "r=s");
  EXPECT_EQ(url->target(), "/p/q?r=s");
  const auto plain = Url::parse("http://Example.com");
  EXPECT_EQ(plain->host(), "example.com");
  EXPECT_EQ(plain->authority(), "example.com");
  EXPECT_EQ(plain->port(), 80);
  EXPECT_EQ(plain->target(), "/");
  EXPECT_FALSE(plain->has_query());
}

TEST(Url, IsMadeFromAnAuthorityAndATarget) {
  const auto url = Url::from(Scheme::Http, *parse_authority("H:8080"), "/x?y");
  ASSERT_TRUE(url);
  EXPECT_EQ(url->text(), "http://h:8080/x?y");
  EXPECT_FALSE(Url::from(Scheme::Http, *parse_authority("h"), "x"));
}

// RFC 3986, 5.4, with the http scheme in place of "a://b" where the result depends on it.   S0-3.1
TEST(Resolve, FollowsTheExamplesOfTheRfc) {
  const auto base = Url::parse("http://a/b/c/d;p?q");
  ASSERT_TRUE(base);
  const KeyCase cases[] = {
      {"g", "http://a/b/c/g"},
      {"./g", "http://a/b/c/g"},
      {"g/", "http://a/b/c/g/"},
      {"/g", "http://a/g"},
      {"//g", "http://g/"},
      {"?y", "http://a/b/c/d;p?y"},
      {"g?y", "http://a/b/c/g?y"},
      {"#s", "http://a/b/c/d;p?q"},
      {"g#s", "http://a/b/c/g"},
      {"g?y#s", "http://a/b/c/g?y"},
      {";x", "http://a/b/c/;x"},
      {"g;x", "http://a/b/c/g;x"},
      {"g;x?y#s", "http://a/b/c/g;x?y"},
      {"", "http://a/b/c/d;p?q"},
      {".", "http://a/b/c/"},
      {"./", "http://a/b/c/"},
      {"..", "http://a/b/"},
      {"../", "http://a/b/"},
      {"../g", "http://a/b/g"},
      {"../..", "http://a/"},
      {"../../", "http://a/"},
      {"../../g", "http://a/g"},
      // abnormal
      {"../../../g", "http://a/g"},
      {"../../../../g", "http://a/g"},
      {"/./g", "http://a/g"},
      {"/../g", "http://a/g"},
      {"g.", "http://a/b/c/g."},
      {".g", "http://a/b/c/.g"},
      {"g..", "http://a/b/c/g.."},
      {"..g", "http://a/b/c/..g"},
      {"./../g", "http://a/b/g"},
      {"./g/.", "http://a/b/c/g/"},
      {"g/./h", "http://a/b/c/g/h"},
      {"g/../h", "http://a/b/c/h"},
      {"g;x=1/./y", "http://a/b/c/g;x=1/y"},
      {"g;x=1/../y", "http://a/b/c/y"},
      {"g?y/./x", "http://a/b/c/g?y/./x"},
      {"g?y/../x", "http://a/b/c/g?y/../x"},
      {"g#s/../x", "http://a/b/c/g"},
      // ours
      {"HTTPS://Z:443/../x?y", "https://z/x?y"},
      {"//G:80?x", "http://g/?x"},
      {"?", "http://a/b/c/d;p?"},
      {"g//h", "http://a/b/c/g//h"},
      {"/a//../b", "http://a/a/b"},
      {"./g:h", "http://a/b/c/g:h"},
  };
  for (const KeyCase& c : cases) {
    const auto url = resolve(*base, c.text);
    ASSERT_TRUE(url) << c.text;
    EXPECT_EQ(url->text(), c.key) << c.text;
  }
}

TEST(Resolve, KeepsPortAndLiteralOfTheBase) {
  EXPECT_EQ(resolve(*Url::parse("https://[::1]:8443"), "x")->text(), "https://[::1]:8443/x");
  EXPECT_EQ(resolve(*Url::parse("http://h:8080/a?b"), "//other/")->text(), "http://other/");
}

TEST(Resolve, LeadsNowhereElse) {
  const auto base = Url::parse("http://a/b");
  EXPECT_EQ(resolve(*base, "g:h").error().code, ErrorCode::UnsupportedProtocol);
  EXPECT_EQ(resolve(*base, "ftp://h/").error().code, ErrorCode::UnsupportedProtocol);
  for (const char* bad : {"http:g", "//", "///x", "//u@h/", "http://", "a b", "\x01", "//h:0/"}) {
    EXPECT_FALSE(resolve(*base, bad)) << bad;
  }
  EXPECT_FALSE(resolve(Url(), "/x"));
}

}  // namespace
}  // namespace tributary::http
