#include "fetch/public_suffix.h"

#include <gtest/gtest.h>

namespace tributary::fetch {
namespace {

// The list's own test vectors (publicsuffix.org, test_psl.txt), those of rules that do not come and go.
TEST(PublicSuffix, SitesFollowTheTestVectorsOfTheList) {  // S0-5.7
  const PublicSuffixList list;
  const std::pair<std::string_view, std::string_view> rows[] = {
      {"com", "com"},
      {"example.com", "example.com"},
      {"a.b.example.com", "example.com"},
      {"uk.com", "uk.com"},
      {"b.example.uk.com", "example.uk.com"},
      {"test.ac", "test.ac"},
      {"c.kobe.jp", "c.kobe.jp"},                      // wildcard
      {"a.b.c.kobe.jp", "b.c.kobe.jp"},
      {"www.city.kobe.jp", "city.kobe.jp"},            // exception
      {"test.ck", "test.ck"},
      {"a.b.test.ck", "b.test.ck"},
      {"www.www.ck", "www.ck"},
      {"a.test.k12.ak.us", "test.k12.ak.us"},
      {"example", "example"},                          // unlisted
      {"a.b.example.example", "example.example"},
      {"www.xn--85x722f.com.cn", "xn--85x722f.com.cn"},
      {"www.xn--85x722f.xn--55qx5d.cn", "xn--85x722f.xn--55qx5d.cn"},  // IDN
      {"shishi.xn--fiqs8s", "shishi.xn--fiqs8s"},
      {"user.github.io", "user.github.io"},
      {"127.0.0.1", "127.0.0.1"},
      {"::1", "::1"},
      {"localhost", "localhost"},
      {"", ""},
      {".", "."},
  };
  for (const auto& [host, site] : rows) EXPECT_EQ(list.site_of(host), site) << host;
  for (const char* suffix : {"com", "co.uk", "github.io", "c.kobe.jp", "kobe.jp", "xn--55qx5d.cn", "local", ""}) {
    EXPECT_TRUE(list.is_public_suffix(suffix)) << suffix;
  }
  for (const char* own : {"example.com", "city.kobe.jp", "www.ck", "example.local"}) {
    EXPECT_FALSE(list.is_public_suffix(own)) << own;
  }
  EXPECT_NE(list.describe().find("built in, "), std::string::npos);
}

TEST(PublicSuffix, AListCanBeGiven) {
  const PublicSuffixList list("// comment\n\ncom\n*.wild\n!free.wild\nprivate.example.com\n");
  EXPECT_TRUE(list.is_public_suffix("private.example.com"));
  EXPECT_TRUE(list.is_public_suffix("any.wild"));
  EXPECT_EQ(list.site_of("a.free.wild"), "free.wild");
  EXPECT_EQ(list.site_of("x.co.uk"), "co.uk");
  EXPECT_NE(list.describe().find("given, "), std::string::npos);
}

TEST(PublicSuffix, AnEmptyListSharesNothing) {
  const PublicSuffixList list(std::string{});
  EXPECT_EQ(list.site_of("a.example.com"), "a.example.com");
  EXPECT_TRUE(list.is_public_suffix("example.com"));
  EXPECT_FALSE(list.describe().empty());
}

}  // namespace
}  // namespace tributary::fetch
