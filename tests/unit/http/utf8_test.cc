#include "http/utf8.h"

#include <gtest/gtest.h>

namespace tributary::http {
namespace {

TEST(Utf8, LengthKnowsWellFormedSequencesOnly) {  // RFC 3629, 4
  EXPECT_EQ(utf8_length("\xc3\xa4"), 2u);
  EXPECT_EQ(utf8_length("\xe2\x82\xac"), 3u);
  EXPECT_EQ(utf8_length("\xf0\x9f\x98\x80"), 4u);
  for (const std::string_view bad :
       {std::string_view(""), std::string_view("a"), std::string_view("\x80"), std::string_view("\xc3"),
        std::string_view("\xc0\xaf"), std::string_view("\xc1\xbf"), std::string_view("\xe0\x80\xaf"),
        std::string_view("\xed\xa0\x80"), std::string_view("\xf0\x8f\xbf\xbf"), std::string_view("\xf4\x90\x80\x80"),
        std::string_view("\xf5\x80\x80\x80"), std::string_view("\xe2\x82"), std::string_view("\xff")}) {
    EXPECT_EQ(utf8_length(bad), 0u);
  }
  EXPECT_TRUE(is_utf8("a\xc3\xa4z"));
  EXPECT_FALSE(is_utf8("a\xe4z"));
}

TEST(Utf8, DecodingAndAppendingAreInverse) {
  for (const char32_t code_point : {U'\0', U'a', U'\x7f', U'\x80', U'\x7ff', U'\x800', U'\xd7ff', U'\xffff', U'\x10000',
                                    U'\x10ffff'}) {
    std::string text;
    append_utf8(code_point, text);
    size_t size = 0;
    EXPECT_EQ(utf8_decode(text, size), code_point);
    EXPECT_EQ(size, text.size());
  }
  size_t size = 0;
  EXPECT_EQ(utf8_decode("\xe4", size), U'\xfffd');
  EXPECT_EQ(size, 1u);
}

TEST(Utf8, PrefixCutsNoCharacter) {
  EXPECT_EQ(utf8_prefix("abc", 3), "abc");
  EXPECT_EQ(utf8_prefix("a\xe2\x82\xac", 3), "a");
  EXPECT_EQ(utf8_prefix("a\xe2\x82\xac" "b", 4), "a\xe2\x82\xac");
  EXPECT_EQ(utf8_prefix("\xf0\x9f\x98\x80", 3), "");
  EXPECT_EQ(utf8_prefix("\x80\x80\x80\x80\x80\x80", 4).size(), 4u);
}

}  // namespace
}  // namespace tributary::http
