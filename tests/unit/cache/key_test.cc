#include "cache/key.h"

#include <gtest/gtest.h>

namespace tributary::cache {
namespace {

std::string key_of(std::string_view text) {
  const auto url = http::parse_absolute(text);
  if (!url) return "invalid";
  std::string key;
  append_cache_key(*url, key);
  EXPECT_EQ(key, make_key(http::Url::from(*url)).key);
  return key;
}

TEST(Key, FoldsOnlyWhatIsTheSameResource) {  // V-3
  EXPECT_EQ(key_of("HTTP://Example.ORG"), "http://example.org/");
  EXPECT_EQ(key_of("http://example.org:80/a"), "http://example.org/a");
  EXPECT_EQ(key_of("https://example.org:443/a?b"), "https://example.org/a?b");
  EXPECT_EQ(key_of("http://example.org:8080/"), "http://example.org:8080/");
}

TEST(Key, KeepsApartWhatOriginsMayTellApart) {
  EXPECT_NE(key_of("http://h/a"), key_of("https://h/a"));
  EXPECT_NE(key_of("http://h/a"), key_of("http://h/A"));
  EXPECT_NE(key_of("http://h/a"), key_of("http://h/a?"));
  EXPECT_NE(key_of("http://h/a/b"), key_of("http://h/a%2fb"));
  EXPECT_NE(key_of("http://h/a/../b"), key_of("http://h/b"));
  EXPECT_NE(key_of("http://h/a;x"), key_of("http://h/a"));
  EXPECT_NE(key_of("http://h:80/"), key_of("http://h:443/"));
}

TEST(Key, LeavesOutParametersThatTheOperatorNames) {
  const std::vector<std::string> ignored = {"utm_*", "fbclid"};
  const auto key = [&](std::string_view text) {
    std::string result;
    append_cache_key(http::parse_absolute(text).value(), result, ignored);
    EXPECT_EQ(result, make_key(http::Url::parse(text).value(), ignored).key);
    return result;
  };
  EXPECT_EQ(key("http://h/a?b=1&utm_source=x&c"), "http://h/a?b=1&c");
  EXPECT_EQ(key("http://h/a?utm_source=x&b"), "http://h/a?b");
  EXPECT_EQ(key("http://h?fbclid=1"), "http://h/");
  EXPECT_EQ(key("http://h/a?fbclid2=1"), "http://h/a?fbclid2=1");
  EXPECT_EQ(key("http://h/a?x=fbclid&FBCLID=1"), "http://h/a?x=fbclid&FBCLID=1");
  EXPECT_EQ(key("http://h/a?"), "http://h/a?");
  EXPECT_EQ(key("http://h/a?&&b"), "http://h/a?&&b");
  EXPECT_EQ(key("http://h/utm_a=1"), "http://h/utm_a=1");
}

TEST(Key, AppendsToWhatIsThere) {
  std::string key = "prefix ";
  append_cache_key(http::parse_absolute("http://h/x").value(), key);
  EXPECT_EQ(key, "prefix http://h/x");
}

}  // namespace
}  // namespace tributary::cache
