#include "http/fields.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <string>
#include <vector>

namespace tributary::http {
namespace {

std::string wire(const FieldSection& fields) {
  std::string out;
  fields.append_to(out);
  EXPECT_EQ(out.size(), fields.size_bytes());
  return out;
}

TEST(FieldNames, AreFoundInAnyCase) {
  for (size_t i = 1; i < kFieldNameCount; ++i) {
    const auto name = static_cast<FieldName>(i);
    std::string text(field_text(name));
    ASSERT_FALSE(text.empty());
    EXPECT_EQ(field_name(text), name) << text;
    std::transform(text.begin(), text.end(), text.begin(), to_lower);
    EXPECT_EQ(field_name(text), name) << text;
    for (char& c : text) {
      if (is_alpha(c)) c = static_cast<char>(c & ~0x20);
    }
    EXPECT_EQ(field_name(text), name) << text;
    EXPECT_TRUE(is_token(text));
    EXPECT_EQ(field_name(text + "x"), FieldName::Unknown);
    EXPECT_EQ(field_name(text.substr(1)), FieldName::Unknown) << text;
  }
}

TEST(FieldNames, AreUnknownWhenNotInTheTable) {
  for (const char* text :
       {"", "x", "X-Unknown", "Hosts", "Ho\0st", "content-lengtH\r", "Content_Length"}) {
    EXPECT_EQ(field_name(text), FieldName::Unknown) << text;
  }
  // '-' with bit 0x20 set is itself, CR is not '-': no folding beyond letters.
  EXPECT_EQ(field_name("Content\rLength"), FieldName::Unknown);
  EXPECT_EQ(field_name("\x08ost"), FieldName::Unknown);
}

TEST(FieldSection, KeepsOrderDuplicatesAndCase) {
  FieldSection fields;
  EXPECT_TRUE(fields.add("hOsT", "a"));
  EXPECT_TRUE(fields.add("X-One", "1"));
  EXPECT_TRUE(fields.add(FieldName::Accept, "  x/y \t"));
  EXPECT_TRUE(fields.add("x-one", "2"));
  EXPECT_TRUE(fields.add("X-Empty", ""));
  EXPECT_EQ(wire(fields), "hOsT: a\r\nX-One: 1\r\nAccept: x/y\r\nx-one: 2\r\nX-Empty: \r\n");
  EXPECT_EQ(fields.size(), 5u);
  EXPECT_EQ(fields[0].token, FieldName::Host);
  EXPECT_EQ(fields[0].name, "hOsT");
  EXPECT_EQ(fields.find(FieldName::Host), "a");
  EXPECT_EQ(fields.find("X-ONE"), "1");
  EXPECT_EQ(fields.find("x-empty"), "");
  EXPECT_EQ(fields.find("x-none"), std::nullopt);
  EXPECT_EQ(fields.find(FieldName::Age), std::nullopt);
  std::string all;
  EXPECT_TRUE(fields.combined("X-one", all));
  EXPECT_EQ(all, "1, 2");
  EXPECT_FALSE(fields.combined(FieldName::Vary, all));
}

TEST(FieldSection, RefusesWhatCouldSplitAMessage) {  // V-1
  FieldSection fields;
  const std::string nul("a\0b", 3);
  for (const std::string& value :
       {std::string("a\r\nX: y"), std::string("a\rb"), std::string("a\nb"), nul,
        std::string("\x01"), std::string("\x7f")}) {
    EXPECT_FALSE(fields.add("X", value));
    EXPECT_FALSE(fields.add(FieldName::Location, value));
    EXPECT_FALSE(fields.set("X", value));
    EXPECT_FALSE(fields.set(FieldName::Location, value));
  }
  for (const char* name : {"", " ", "a b", "a:", "a\r\n", "a\t", "\xc3\xa9", "(a)"}) {
    EXPECT_FALSE(fields.add(name, "v")) << name;
    EXPECT_FALSE(fields.set(name, "v")) << name;
  }
  EXPECT_FALSE(fields.add(FieldName::Unknown, "v"));
  EXPECT_FALSE(fields.add(std::string(70000, 'a'), "v"));
  EXPECT_TRUE(fields.empty());
  EXPECT_EQ(wire(fields), "");
}

TEST(FieldSection, SetReplacesInPlaceAndDropsDuplicates) {
  FieldSection fields;
  fields.add("A", "1");
  fields.add("B", "2");
  fields.add("a", "3");
  fields.add("C", "4");
  EXPECT_TRUE(fields.set("A", "new and longer"));
  EXPECT_EQ(wire(fields), "A: new and longer\r\nB: 2\r\nC: 4\r\n");
  EXPECT_TRUE(fields.set(FieldName::Age, "7"));
  EXPECT_TRUE(fields.set(FieldName::Age, "8"));
  EXPECT_EQ(wire(fields), "A: new and longer\r\nB: 2\r\nC: 4\r\nAge: 8\r\n");
  EXPECT_EQ(fields.count(FieldName::Age), 1u);
}

TEST(FieldSection, TakesViewsOfItself) {
  FieldSection fields;
  fields.add("Name", "value");
  for (int i = 0; i < 200; ++i) {  // over several growths of the arena
    const Field last = fields[fields.size() - 1];
    ASSERT_TRUE(fields.add(last.name, last.value));
  }
  EXPECT_EQ(fields.size(), 201u);
  EXPECT_EQ(fields[200].value, "value");
  for (int i = 0; i < 200; ++i) ASSERT_TRUE(fields.set(fields[0].name, fields[0].value));
  EXPECT_EQ(wire(fields), "Name: value\r\n");
}

TEST(FieldSection, RemovesByTokenNameAndPredicate) {
  FieldSection fields;
  fields.add("Host", "h");
  fields.add("X-A", "1");
  fields.add("host", "g");
  fields.add("X-B", "2");
  EXPECT_EQ(fields.remove(FieldName::Host), 2u);
  EXPECT_FALSE(fields.has(FieldName::Host));
  EXPECT_EQ(fields.remove("x-a"), 1u);
  EXPECT_EQ(fields.remove("x-a"), 0u);
  EXPECT_EQ(fields.remove(FieldName::Age), 0u);
  EXPECT_EQ(wire(fields), "X-B: 2\r\n");
  fields.add("Age", "1");
  EXPECT_EQ(wire(fields), "X-B: 2\r\nAge: 1\r\n");
  EXPECT_EQ(fields.remove_if([](const Field&) { return true; }), 2u);
  EXPECT_EQ(wire(fields), "");
  EXPECT_FALSE(fields.has(FieldName::Unknown));
}

TEST(FieldSection, IsUsableAgainAfterClearAndRelease) {
  FieldSection fields;
  fields.add("Host", "h");
  fields.clear();
  EXPECT_TRUE(fields.empty());
  EXPECT_FALSE(fields.has(FieldName::Host));
  fields.add("Age", "1");
  EXPECT_EQ(wire(fields), "Age: 1\r\n");
  fields.release();
  fields.add("Age", "2");
  EXPECT_EQ(wire(fields), "Age: 2\r\n");
}

TEST(FieldSection, CopiesAndMoves) {
  FieldSection fields;
  fields.add("Host", "h");
  FieldSection copy = fields;
  fields.set("Host", "g");
  EXPECT_EQ(copy.find(FieldName::Host), "h");
  const FieldSection moved = std::move(fields);
  EXPECT_EQ(moved.find(FieldName::Host), "g");
}

TEST(FieldSection, FindOnlyNeedsExactlyOne) {
  FieldSection fields;
  EXPECT_EQ(fields.find_only(FieldName::Age), std::nullopt);
  fields.add("Age", "1");
  EXPECT_EQ(fields.find_only(FieldName::Age), "1");
  fields.add("Age", "1");
  EXPECT_EQ(fields.find_only(FieldName::Age), std::nullopt);
}

TEST(FieldSection, WalksListElementsOverAllLines) {
  FieldSection fields;
  fields.add("Vary", "a, B");
  fields.add("X", "y");
  fields.add("vary", ",c");
  std::vector<std::string> seen;
  fields.for_each_element(FieldName::Vary, [&](std::string_view e) { seen.emplace_back(e); });
  EXPECT_EQ(seen, (std::vector<std::string>{"a", "B", "c"}));
  EXPECT_TRUE(fields.has_element(FieldName::Vary, "b"));
  EXPECT_FALSE(fields.has_element(FieldName::Vary, "x"));
}

TEST(HopByHop, RemovesTheFixedListAndWhatConnectionNames) {  // RFC 9110, 7.6.1
  FieldSection fields;
  fields.add("Connection", "close, X-Custom ,te");
  fields.add("Connection", "x-other, Warning");
  for (const char* name :
       {"Keep-Alive", "Proxy-Connection", "TE", "Transfer-Encoding", "Upgrade", "X-Custom",
        "X-Other", "Warning", "X-Kept", "Host", "Trailer", "Proxy-Authorization"}) {
    fields.add(name, "v");
  }
  fields.remove_hop_by_hop();
  EXPECT_EQ(wire(fields), "X-Kept: v\r\nHost: v\r\nTrailer: v\r\nProxy-Authorization: v\r\n");
}

TEST(HopByHop, ConnectionCannotTakeAwayWhatProtectsTheNextHop) {
  FieldSection fields;
  fields.add("Connection", "Host, Content-Length, Cache-Control, Authorization, Via");
  for (const char* name : {"Host", "Content-Length", "Cache-Control", "Authorization", "Via"})
    fields.add(name, "1");
  fields.remove_hop_by_hop();
  EXPECT_EQ(fields.size(), 5u);
}

TEST(HopByHop, TellsWhetherConnectionHidesWhatElseWouldGoOn) {
  const auto hides = [](const char* connection) {
    FieldSection fields;
    fields.add("Connection", connection);
    for (const char* name : {"X-Tenant", "Accept-Language", "TE", "Upgrade", "Cookie"}) fields.add(name, "1");
    return fields.connection_hides_fields();
  };
  for (const char* connection : {"close", "keep-alive", "TE, close", "upgrade", "x-absent, origin", "Cookie", ""}) {
    EXPECT_FALSE(hides(connection)) << connection;
  }
  for (const char* connection : {"x-tenant", "close, accept-language", "X-Absent, X-Tenant"}) {
    EXPECT_TRUE(hides(connection)) << connection;
  }
  EXPECT_FALSE(FieldSection().connection_hides_fields());
}

TEST(HopByHop, CopesWithThousandsOfNames) {  // V-10
  FieldSection fields;
  std::string names;
  for (int i = 0; i < 20000; ++i) names += "x,";
  fields.add("Connection", names);
  fields.add("X", "1");
  for (int i = 0; i < 100; ++i) fields.add("y", "1");
  EXPECT_TRUE(fields.connection_hides_fields());
  fields.remove_hop_by_hop();
  EXPECT_EQ(fields.size(), 100u);
}

}  // namespace
}  // namespace tributary::http
