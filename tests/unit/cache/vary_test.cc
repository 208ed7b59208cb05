#include "cache/vary.h"

#include <gtest/gtest.h>

#include "unit/cache/policy_fixture.h"

namespace tributary::cache {
namespace {

std::string names_of(const std::string& lines) {
  const VaryNames vary = VaryNames::of(make_fields(lines));
  return vary.is_star ? "*" : vary.names;
}

TEST(Vary, NamesAreASetWithoutCaseAndOrder) {  // RFC 9111 4.1
  EXPECT_EQ(names_of(""), "");
  EXPECT_EQ(names_of("Vary: Accept-Encoding\n"), "accept-encoding");
  EXPECT_EQ(names_of("Vary: Origin, accept\nVary: ORIGIN,,Cookie\n"), "accept,cookie,origin");
  EXPECT_EQ(names_of("Vary: *\n"), "*");
  EXPECT_EQ(names_of("Vary: Accept, *\n"), "*");
  EXPECT_EQ(names_of("Vary: a b\n"), "*");
}

TEST(Vary, OfTooManyNamesMatchesNothing) {  // V-10
  std::string lines;
  for (int i = 0; i < 17; ++i) lines += "Vary: n" + std::to_string(i) + "\n";
  EXPECT_EQ(names_of(lines), "*");
  EXPECT_EQ(names_of("Vary: " + std::string(600, 'a') + "\n"), "*");
}

TEST(Vary, NeverLeavesOutANameForTheRepeatsBeforeIt) {  // V-3
  std::string lines = "Vary: n0\n";
  for (int i = 0; i < 16; ++i) lines += "Vary: n" + std::to_string(i) + "\n";
  EXPECT_EQ(names_of(lines + "Vary: Cookie\n"), "*");
}

struct MatchRow {
  const char* what;
  const char* names;
  std::string first, second;
  bool matches;
};

TEST(Vary, MatchesRequestsThatMeanTheSame) {
  const MatchRow rows[] = {
      {"both absent", "accept", "", "", true},
      {"absent and present", "accept", "", "Accept: a\n", false},
      {"absent and empty", "x-a", "", "X-A: \n", false},
      {"fields that are not named", "accept", "Cookie: a\n", "Cookie: b\n", true},
      {"case of the name", "x-a", "X-A: 1\n", "x-a: 1\n", true},
      {"case of an unknown value", "x-a", "X-A: a\n", "X-A: A\n", false},
      {"runs of white space", "x-a", "X-A: a  b\n", "X-A: a\tb\n", true},
      {"runs of white space in quotes", "x-a", "X-A: \"a  b\"\n", "X-A: \"a b\"\n", false},
      {"a comma in quotes", "x-a", "X-A: \"a, b\"\n", "X-A: \"a,b\"\n", false},
      {"a quote in quotes", "x-a", "X-A: \"a\\\"  b\"\n", "X-A: \"a\\\" b\"\n", false},
      {"white space of an unknown list", "x-a", "X-A: 1,2\n", "X-A: 1 , 2\n", true},
      {"a comma of what is no list", "user-agent", "User-Agent: a, b\n", "User-Agent: a,b\n", false},
      {"lines of what is no list", "cookie", "Cookie: a\nCookie: b\n", "Cookie: a, b\n", false},
      {"a weight of one", "accept-language", "Accept-Language: de;q=1.0\n", "Accept-Language: de\n", true},
      {"a weight that begins with one", "accept-encoding", "Accept-Encoding: gzip;q=10\n", "Accept-Encoding: gzip\n", false},
      {"other weights", "accept-language", "Accept-Language: de;q=0.5\n", "Accept-Language: de\n", false},
      {"white space of a list", "accept", "Accept: a/b;q=1, c/d\n", "Accept: a/b; q=1 ,c/d\n",
       true},
      {"lines of a list", "accept", "Accept: a/b, c/d\n", "Accept: a/b\nAccept: c/d\n", true},
      {"order of Accept", "accept", "Accept: a/b, c/d\n", "Accept: c/d, a/b\n", false},
      {"order of codings", "accept-encoding", "Accept-Encoding: gzip, br\n",
       "Accept-Encoding: br,GZIP\n", true},
      {"other codings", "accept-encoding", "Accept-Encoding: gzip\n", "Accept-Encoding: br\n",
       false},
      {"case of languages", "accept-language", "Accept-Language: en-US\n",
       "Accept-Language: en-us\n", true},
      {"order of languages", "accept-language", "Accept-Language: de, en\n",
       "Accept-Language: en, de\n", true},
      {"lines of an unknown field are one list", "x-a", "X-A: a, b\n", "X-A: a\nX-A: b\n", true},
      {"order of lines of an unknown field", "x-a", "X-A: a\nX-A: b\n", "X-A: b\nX-A: a\n", false},
      {"the second of two names differs", "accept,x-a", "Accept: a\nX-A: 1\n",
       "Accept: a\nX-A: 2\n", false},
      {"values do not slip into the next name", "x-a,x-b", "X-A: 1x-b=2\n", "X-A: 1\nX-B: 2\n",
       false},
  };
  for (const MatchRow& row : rows) {
    const std::string key = secondary_key(row.names, make_fields(row.first));
    EXPECT_EQ(vary_matches(row.names, key, make_fields(row.second)), row.matches) << row.what;
    EXPECT_TRUE(vary_matches(row.names, key, make_fields(row.first))) << row.what;
  }
}

TEST(Vary, NoNamesGiveAnEmptyKey) {
  EXPECT_EQ(secondary_key("", make_fields("Accept: a\n")), "");
}

}  // namespace
}  // namespace tributary::cache
