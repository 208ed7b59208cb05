#include "http/structured_fields.h"

#include <gtest/gtest.h>

#include <string>

namespace tributary::http {
namespace {

using Type = StructuredItem::Type;

std::string text_of(const StructuredItem& item) {
  switch (item.type) {
    case Type::Boolean:
      return item.boolean ? "?1" : "?0";
    case Type::Integer:
      return std::to_string(item.integer);
    case Type::Date:
      return "@" + std::to_string(item.integer);
    case Type::String:
      return "\"" + std::string(item.text) + "\"";
    case Type::Bytes:
      return ":" + std::string(item.text) + ":";
    case Type::DisplayString:
      return "%\"" + std::string(item.text) + "\"";
    default:
      return std::string(item.text);
  }
}

// "key=value …", or "error".
std::string parsed(std::string_view text) {
  std::vector<StructuredMember> members;
  if (!append_dictionary(text, members)) return "error";
  std::string out;
  for (const StructuredMember& member : members) {
    if (!out.empty()) out += ' ';
    out += std::string(member.key) + "=";
    if (!member.is_inner_list) {
      out += text_of(member.item);
      continue;
    }
    out += '(';
    for (const StructuredItem& item : member.list) out += text_of(item) + ";";
    out += ')';
  }
  return out;
}

TEST(StructuredFields, DictionariesHoldEveryType) {  // RFC 9651 4.2.2
  EXPECT_EQ(parsed(""), "");
  EXPECT_EQ(parsed("  "), "");
  EXPECT_EQ(parsed("a"), "a=?1");
  EXPECT_EQ(parsed("max-age=60, no-store,\tprivate"), "max-age=60 no-store=?1 private=?1");
  EXPECT_EQ(parsed(" a=1 ,b=-15 "), "a=1 b=-15");
  EXPECT_EQ(parsed("a=1.5, b=tok/en:x, *c=?0, d=?1"), "a=1.5 b=tok/en:x *c=?0 d=?1");
  EXPECT_EQ(parsed("a=\"x, \\\"y\\\\\", b=:YWJj:, c=::"), "a=\"x, \\\"y\\\\\" b=:YWJj: c=::");
  EXPECT_EQ(parsed("a=@1659578233, b=%\"f%c3%bc\""), "a=@1659578233 b=%\"f%c3%bc\"");
  EXPECT_EQ(parsed("a=(b \"c\"  1);p;q=2, d=()"), "a=(b;\"c\";1;) d=()");
  EXPECT_EQ(parsed("a;x=1; y;z=\"2\", b=3;q"), "a=?1 b=3");
  EXPECT_EQ(parsed("a=999999999999999"), "a=999999999999999");
}

TEST(StructuredFields, TheLastOfRepeatedKeysCountsInThePlaceOfTheFirst) {
  EXPECT_EQ(parsed("a=1, b=2, a=3"), "a=3 b=2");
  std::vector<StructuredMember> members;
  EXPECT_TRUE(append_dictionary("a=1, b", members));
  EXPECT_TRUE(append_dictionary("a=2", members));
  ASSERT_EQ(members.size(), 2u);
  EXPECT_EQ(members[0].item.integer, 2);
}

TEST(StructuredFields, AnyErrorMakesTheWholeFieldNothing) {  // 4.2
  for (const char* text :
       {"A=1", "a=1,", "a=1,,b", "a=", "a= 1", "a =1", "=1", "a=1 b", "a=\"x", "a=\"x\\y\"", "a=\"\xc3\"", "a=&&", "a=1.",
        "a=1.2345", "a=-", "a=1234567890123456", "a=1234567890123.1", "a=(b", "a=(b,c)", "a=(b\"c\")", "a=?2", "a=?",
        "a=:x", "a=:!:", "a=@1.5", "a=%x", "a=%\"%C3\"", "a=%\"%c\"", "a;=1", "a;B", "\ta", "max-age=5, &&&"}) {
    EXPECT_EQ(parsed(text), "error") << text;
  }
}

TEST(StructuredFields, TheNumberOfMembersIsBounded) {  // V-10
  std::string text = "k0";
  for (size_t i = 1; i < kMaxMembers; ++i) text += ",k" + std::to_string(i);
  std::vector<StructuredMember> members;
  EXPECT_TRUE(append_dictionary(text, members));
  members.clear();
  EXPECT_FALSE(append_dictionary(text + ",more", members));
}

}  // namespace
}  // namespace tributary::http
