// Many rows are the cases of Julian Reschke's test suite (tc2231) under its expectations.
#include "http/content_disposition.h"

#include <gtest/gtest.h>

#include "http/parameters.h"

namespace tributary::http {
namespace {

struct Row {
  std::string_view value;
  std::string_view name;
};

TEST(ContentDisposition, FileNameIsReadAsBrowsersReadIt) {  // S0-3.4, RFC 6266
  const Row rows[] = {
      {"", ""},
      {"attachment", ""},
      {"attachment; filename=\"foo.html\"", "foo.html"},
      {"ATTACHMENT; FILENAME=\"foo.html\"", "foo.html"},
      {"inline; filename=\"foo.html\"", "foo.html"},
      {"attachment; filename=foo.html", "foo.html"},
      {"attachment;filename = \"foo.html\"", "foo.html"},
      {"attachment; filename=\"f\\oo.html\"", "foo.html"},
      {"attachment; filename=\"\\\"quoting\\\" tested.html\"", "\"quoting\" tested.html"},
      {"attachment; filename=\"Here's a semicolon;.html\"", "Here's a semicolon;.html"},
      {"attachment; foo=\"bar\"; filename=\"foo.html\"", "foo.html"},
      {"attachment; foo=\"\\\"\\\\\";filename=\"foo.html\"", "foo.html"},
      {"attachment; filename='foo.bar'", "'foo.bar'"},
      {"attachment; filename=\"foo.html\";", "foo.html"},  // aria2 issue 1118
      {"attachment; filename=\"foo.html\" ;;; ", "foo.html"},
      {"attachment; filename=foo bar.html", "foo bar.html"},
      {"attachment; filename=foo[1](2).html", "foo[1](2).html"},
      {"attachment; filename=\"foo.html", "foo.html"},
      {"attachment; filename=\"foo.html\\", "foo.html\\"},
      {"attachment; filename=\"foo\"bar; x=y", "foo"},
      {"attachment; filename=", ""},
      {"attachment; filename=\"\"", ""},
      {"attachment; filename", ""},
      {"filename=\"foo.html\"", "foo.html"},
      {"; filename=\"foo.html\"", "foo.html"},
      {"attachment; filename=\"foo.html\"; filename=\"bar.html\"", "foo.html"},
      {"attachment; xfilename=foo.html", ""},
      {"attachment; name=\"foo.html\"", ""},
      {"attachment; filename=\"foo-\xe4.html\"", "foo-\xc3\xa4.html"},          // ISO-8859-1
      {"attachment; filename=\"foo-\xc3\xa4.html\"", "foo-\xc3\xa4.html"},      // UTF-8
      {"attachment; filename=\"foo-%41.html\"", "foo-%41.html"},                // RFC 6266, D
      {"attachment; filename=\"50%.html\"", "50%.html"},
      {"attachment; filename=\"100%25.html\"", "100%25.html"},
      {"attachment; filename=%e3%83%86.txt", "\xe3\x83\x86.txt"},               // aria2 issue 1028
      {"attachment; filename=%e4.txt", "%e4.txt"},
      {"attachment; filename*0=\"foo.\"; filename*1=\"html\"", ""},
      {"attachment; filename=\"/../../etc/passwd\"", "/../../etc/passwd"},      // made safe elsewhere
  };
  for (const Row& row : rows) EXPECT_EQ(parse_content_disposition(row.value).file_name, row.name) << row.value;
}

TEST(ContentDisposition, ExtendedNameCountsBeforeThePlainOne) {  // RFC 6266, 4.3; RFC 8187
  const Row rows[] = {
      {"attachment; filename*=UTF-8''foo-%c3%a4-%e2%82%ac.html", "foo-\xc3\xa4-\xe2\x82\xac.html"},
      {"attachment; filename*=iso-8859-1''foo-%E4.html", "foo-\xc3\xa4.html"},
      {"attachment; filename*=utf-8'en'A-%41.html", "A-A.html"},
      {"attachment; filename*= UTF-8''foo.html", "foo.html"},
      {"attachment; filename *=UTF-8''foo.html", ""},
      {"attachment; filename*=\"UTF-8''foo-%c3%a4.html\"", "foo-\xc3\xa4.html"},  // not the grammar, but everywhere
      {"attachment; filename=\"plain\"; filename*=UTF-8''ext", "ext"},
      {"attachment; filename*=UTF-8''ext; filename=\"plain\"", "ext"},
      {"attachment; filename*=UTF-8''a; filename*=UTF-8''b", "a"},
      // What is broken gives way to the plain name.
      {"attachment; filename*=''ext; filename=plain", "plain"},
      {"attachment; filename*=ext; filename=plain", "plain"},
      {"attachment; filename*=UTF-8'ext; filename=plain", "plain"},
      {"attachment; filename*=UTF-8''a%; filename=plain", "plain"},
      {"attachment; filename*=UTF-8''a%4; filename=plain", "plain"},
      {"attachment; filename*=UTF-8''a%zz; filename=plain", "plain"},
      {"attachment; filename*=UTF-8''%E4; filename=plain", "plain"},
      {"attachment; filename*=UTF-8''%C0%AF; filename=plain", "plain"},
      {"attachment; filename*=Shift_JIS''%83; filename=plain", "plain"},
      {"attachment; filename*=UTF-8''; filename=plain", "plain"},
  };
  for (const Row& row : rows) EXPECT_EQ(parse_content_disposition(row.value).file_name, row.name) << row.value;
}

TEST(ContentDisposition, EveryTypeButInlineIsAnAttachment) {
  EXPECT_TRUE(parse_content_disposition("Inline").is_inline);
  EXPECT_TRUE(parse_content_disposition(" inline ; filename=x").is_inline);
  EXPECT_FALSE(parse_content_disposition("foobar").is_inline);
  EXPECT_FALSE(parse_content_disposition("attachment; inline").is_inline);
  EXPECT_FALSE(parse_content_disposition("").is_inline);
}

TEST(ContentDisposition, TheFirstFieldCounts) {
  FieldSection fields;
  EXPECT_EQ(content_disposition(fields).file_name, "");
  fields.add("content-disposition", "attachment; filename=a");
  fields.add("content-disposition", "attachment; filename=b");
  EXPECT_EQ(content_disposition(fields).file_name, "a");
}

TEST(Parameters, StopAtASeparatorOutsideOfQuotes) {
  std::string_view text = "a=\"x,;\" , b ; c=d\te ,=f";
  Parameter parameter = take_parameter(text, ",;");
  EXPECT_EQ(parameter.name, "a");
  EXPECT_EQ(parameter.value(), "x,;");
  EXPECT_TRUE(parameter.quoted);
  EXPECT_EQ(text, ", b ; c=d\te ,=f");
  text.remove_prefix(1);
  parameter = take_parameter(text, ",;");
  EXPECT_EQ(parameter.name, "b");
  EXPECT_FALSE(parameter.has_value);
  text.remove_prefix(1);
  parameter = take_parameter(text, ",;");
  EXPECT_EQ(parameter.value(), "d\te");
  text.remove_prefix(1);
  parameter = take_parameter(text, ",;");
  EXPECT_EQ(parameter.name, "");
  EXPECT_EQ(parameter.value(), "f");
  EXPECT_TRUE(text.empty());
}

}  // namespace
}  // namespace tributary::http
