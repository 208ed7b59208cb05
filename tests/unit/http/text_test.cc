#include "http/text.h"

#include <gtest/gtest.h>

#include <string>
#include <vector>

namespace tributary::http {
namespace {

std::vector<std::string> elements(std::string_view value) {
  std::vector<std::string> result;
  ListCursor cursor(value);
  for (std::string_view element; cursor.next(element);) result.emplace_back(element);
  return result;
}

TEST(ListCursor, SplitsAtCommasAndTrims) {
  EXPECT_EQ(elements(" a ,b,\tc\t"), (std::vector<std::string>{"a", "b", "c"}));
}

TEST(ListCursor, SkipsEmptyElements) {  // RFC 9110, 5.6.1.2
  EXPECT_EQ(elements(",, a,, ,b,"), (std::vector<std::string>{"a", "b"}));
  EXPECT_TRUE(elements("").empty());
  EXPECT_TRUE(elements(" , ,").empty());
}

TEST(ListCursor, KeepsCommasInsideQuotedStrings) {
  EXPECT_EQ(elements(R"(a="x,y", b="\",", c)"),
            (std::vector<std::string>{R"(a="x,y")", R"(b="\",")", "c"}));
}

TEST(ListCursor, TakesAnOpenQuoteToTheEnd) {
  EXPECT_EQ(elements(R"(a, "b, c)"), (std::vector<std::string>{"a", R"("b, c)"}));
  EXPECT_EQ(elements("\"a\\"), (std::vector<std::string>{"\"a\\"}));
}

TEST(FieldValue, TakesExactlyVisibleTextSpaceTabAndObsText) {
  for (int c = 0; c < 256; ++c) {
    const bool valid = (c >= 0x20 && c != 0x7f) || c == '\t';
    // At every place of a word and after it.
    for (size_t at = 0; at < 20; ++at) {
      std::string text(20, 'x');
      text[at] = static_cast<char>(c);
      EXPECT_EQ(is_field_value(text), valid) << c << " at " << at;
    }
  }
  EXPECT_TRUE(is_field_value(""));
}

TEST(Token, TakesExactlyTheTokenCharacters) {
  const std::string_view symbols = "!#$%&'*+-.^_`|~";
  for (int c = 0; c < 256; ++c) {
    const char byte = static_cast<char>(c);
    const bool valid = is_alpha(byte) || is_digit(byte) ||
                       (c != 0 && symbols.find(byte) != std::string_view::npos);
    EXPECT_EQ(is_token(std::string_view(&byte, 1)), valid) << c;
  }
  EXPECT_FALSE(is_token(""));
}

TEST(Decimal, RefusesWhatIsNoPlainNumberOrDoesNotFit) {
  EXPECT_EQ(parse_decimal("0"), 0u);
  EXPECT_EQ(parse_decimal("007"), 7u);
  EXPECT_EQ(parse_decimal("18446744073709551615"), UINT64_MAX);
  for (const char* bad : {"", "18446744073709551616", "99999999999999999999", "-1", "+1", " 1",
                          "1 ", "0x1", "1,1", "1.0"}) {
    EXPECT_EQ(parse_decimal(bad), std::nullopt) << bad;
  }
}

TEST(Glob, StarTakesAnyRunAndQuestionMarkOne) {
  EXPECT_TRUE(glob_matches("*", ""));
  EXPECT_TRUE(glob_matches("*.example.*", "a.b.example.org"));
  EXPECT_TRUE(glob_matches("cdn?.example.org", "cdn7.example.org"));
  EXPECT_FALSE(glob_matches("cdn?.example.org", "cdn.example.org"));
  EXPECT_TRUE(glob_matches("a*b*c", "aXbXbXc"));
  EXPECT_FALSE(glob_matches("a*b*c", "aXbXbX"));
  EXPECT_FALSE(glob_matches("", "a"));
}

TEST(Glob, ManyStarsDoNotMakeItSlow) {
  std::string pattern, text(4000, 'a');
  for (int i = 0; i < 100; ++i) pattern += "*a";
  EXPECT_FALSE(glob_matches(pattern + "b", text));
}

}  // namespace
}  // namespace tributary::http
