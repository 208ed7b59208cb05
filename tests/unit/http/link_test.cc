#include "http/link.h"

#include <gtest/gtest.h>

namespace tributary::http {
namespace {

// "target|rel" of each link.
std::string listed(std::string_view value) {
  std::string out;
  LinkCursor cursor(value);
  for (Link link; cursor.next(link);) {
    const Parameter* rel = link.find("rel");
    out += (out.empty() ? "" : " ") + std::string(link.target) + "|" + (rel ? rel->value() : "-");
  }
  return out;
}

TEST(Link, ValuesAreSplitOutsideOfReferencesAndQuotes) {  // RFC 8288, 3 and B.2
  const std::pair<std::string_view, std::string_view> rows[] = {
      {"", ""},
      {"<a>", "a|-"},
      {"<http://x/a,b;c>; rel=next, < b >;rel=\"prev start\"", "http://x/a,b;c|next b|prev start"},
      {" , <a>;title=\"x, <y>; z\" ; REL = n ,,<b>,", "a|n b|-"},
      {"<a>;rel=1;rel=2", "a|1"},
      {"<a>;;rel=n;", "a|n"},
      {"<>", "|-"},
      {"<a>;rel=\"n", "a|n"},
      {"<a;rel=n", ""},
      {"a;rel=n, <b>", ""},
      {"<a>;rel=n junk, <b>", "a|n junk b|-"},
      {"<a> junk, <b>", "a|-"},
  };
  for (const auto& [value, expected] : rows) EXPECT_EQ(listed(value), expected) << value;
}

DownloadLinks links_of(std::initializer_list<std::string_view> values, std::string_view base = "http://h/d/f.iso") {
  FieldSection fields;
  for (const std::string_view value : values) fields.add(FieldName::Link, value);
  return download_links(fields, *Url::parse(base));
}

std::string listed(const DownloadLinks& links) {
  std::string out;
  for (const DuplicateLink& link : links.duplicates) {
    out += link.url.text() + "|" + std::to_string(link.priority) + link.location + (link.preferred ? "!" : "") + " ";
  }
  for (const Url& url : links.metalinks) out += "M:" + url.text() + " ";
  return out;
}

TEST(DownloadLinks, AreTheDuplicatesByPriorityAndTheMetalinks) {  // RFC 6249, 2 to 4
  EXPECT_EQ(listed(links_of({
                "<http://www2.example.com/example.ext>; rel=duplicate; pri=2; geo=GB",
                "<ftp://ftp.example.com/example.ext>; rel=duplicate",
                "<http://www.example.com/example.ext>; rel=duplicate; pri=1; pref",
                "<http://example.com/example.ext.metalink>; rel=describedby; type=\"application/metalink4+xml\"",
                "<http://example.com/example.ext.asc>; rel=describedby; type=\"application/pgp-signature\"",
                "</m3>; rel=describedby; type=application/metalink+xml",
                "<other>; rel=\"alternate Duplicate\"",
            })),
            "http://www.example.com/example.ext|1! http://www2.example.com/example.ext|2gb http://h/d/other|999999 "
            "M:http://example.com/example.ext.metalink M:http://h/m3 ");
}

TEST(DownloadLinks, OddParametersCountAsAbsent) {
  EXPECT_EQ(listed(links_of({"<a>;rel=duplicate;pri=0", "<b>;rel=duplicate;pri=1000000;geo=xyz", "<c>;rel=duplicate;pri=\"7\"",
                             "<d>;rel=duplicate;pri=-1;geo=\"d1\"", "<e>;rel=duplicate;pri=7;pref;depth=2"})),
            "http://h/d/e|7! http://h/d/c|7 http://h/d/a|999999 http://h/d/b|999999 http://h/d/d|999999 ");
}

TEST(DownloadLinks, AnotherContextOrSchemeIsPassedOver) {  // RFC 8288, 3.2
  EXPECT_EQ(listed(links_of({"<a>; rel=duplicate; anchor=\"/other\"", "<javascript:x>; rel=duplicate",
                             "<http://u:p@h/>; rel=duplicate", "<b c>; rel=duplicate", "<a>; rel=describedby", "<a>"})),
            "");
}

TEST(DownloadLinks, AreBounded) {
  std::string value;
  for (int i = 0; i < 1000; ++i) value += "<" + std::to_string(i) + ">;rel=duplicate,";
  EXPECT_EQ(links_of({value, value}).duplicates.size(), kMaxLinks);
}

}  // namespace
}  // namespace tributary::http
