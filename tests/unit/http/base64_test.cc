#include "http/base64.h"

#include <gtest/gtest.h>

namespace tributary::http {
namespace {

TEST(Base64, FollowsTheVectorsOfTheRfc) {  // RFC 4648, 10
  const std::pair<std::string_view, std::string_view> rows[] = {
      {"", ""},       {"f", "Zg=="},       {"fo", "Zm8="},       {"foo", "Zm9v"},
      {"foob", "Zm9vYg=="}, {"fooba", "Zm9vYmE="}, {"foobar", "Zm9vYmFy"}, {"\xff\xef\xbe", "/+++"}};
  for (const auto& [bytes, text] : rows) {
    EXPECT_EQ(base64_encode(bytes), text);
    EXPECT_EQ(base64_decode(text), bytes);
  }
}

TEST(Base64, PaddingMayLackButNotBeWrong) {  // RFC 9651, 4.2.7
  EXPECT_EQ(base64_decode("Zg"), "f");
  EXPECT_EQ(base64_decode("Zm8"), "fo");
  EXPECT_EQ(base64_decode("Zh=="), "f");  // spare bits
  for (const char* bad : {"Z", "Zg=", "Zg===", "=", "==", "====", "Z===", "Zm9vY", "Zm 9", "Zm9-", "Zg==Zg==", "Zm9v\n"}) {
    EXPECT_EQ(base64_decode(bad), std::nullopt) << bad;
  }
}

}  // namespace
}  // namespace tributary::http
