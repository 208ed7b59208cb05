#include "fetch/file_name.h"

#include <gtest/gtest.h>

#include "http/utf8.h"

namespace tributary::fetch {
namespace {

using std::string_literals::operator""s;

struct Row {
  std::string given;
  std::string_view safe;
};

TEST(FileName, HostileNamesBecomeOneHarmlessComponent) {  // S0-3.4, V-14
  const Row rows[] = {
      {"debian-12.iso", "debian-12.iso"},
      {"a b (1).tar.gz", "a b (1).tar.gz"},
      {"\xc3\xa4\xe2\x82\xac\xf0\x9f\x98\x80.txt", "\xc3\xa4\xe2\x82\xac\xf0\x9f\x98\x80.txt"},
      {"", ""},
      // path parts
      {"/etc/passwd", "passwd"},
      {"../../.ssh/authorized_keys", "authorized_keys"},
      {"..\\..\\windows\\win.ini", "win.ini"},
      {"C:\\x\\y.txt", "y.txt"},
      {"C:y.txt", "C_y.txt"},
      {"dir/", ""},
      {"..", ""},
      {".", ""},
      {"...", ""},
      {"/", ""},
      // in front and at the end
      {".bashrc", "bashrc"},
      {"-rf", "rf"},
      {"--output=x", "output=x"},
      {" .-.x", "x"},
      {"x. . .", "x"},
      {"a.", "a"},
      {" - . ", ""},
      // what is not seen
      {"a\0b"s, "ab"},
      {"a\r\nb\t\x1b[2J", "ab[2J"},
      {"a\x7f" "b\xc2\x9b" "c", "abc"},
      {"photo\xe2\x80\xaegpj.exe", "photogpj.exe"},   // U+202E
      {"a\xe2\x81\xa6" "b\xe2\x81\xa9.txt", "ab.txt"},  // U+2066, U+2069
      {"a\xe2\x80\x8b\xe2\x80\x8f\xef\xbb\xbf\xc2\xad.txt", "a.txt"},
      {"\xe2\x80\xae.bashrc", "bashrc"},               // the dot is in front once the mark is gone
      {"a\xe2\x80\xa8" "b", "ab"},                     // U+2028
      {"\xf3\xa0\x81\x81x", "x"},                      // a tag
      {"\xe0\xa4\x95\xe2\x80\x8d\xe0\xa4\xb7", "\xe0\xa4\x95\xe2\x80\x8d\xe0\xa4\xb7"},  // a joiner that is needed
      // replaced
      {"a<b>c:d\"e|f?g*h", "a_b_c_d_e_f_g_h"},
      {"a\xe4\xc0\xaf.txt", "a___.txt"},
      // names of devices
      {"con", "_con"},
      {"NUL.txt", "_NUL.txt"},
      {"Com1.tar.gz", "_Com1.tar.gz"},
      {"LPT9", "_LPT9"},
      {"com0", "com0"},
      {"console", "console"},
      // the state of another download
      {"victim.iso.part", "victim.iso.part_"},
      {"victim.iso.PART.json", "victim.iso.PART.json_"},
      {"aux.part", "_aux.part_"},
      {"part.json", "part.json"},
  };
  for (const Row& row : rows) EXPECT_EQ(safe_file_name(row.given), row.safe) << testing::PrintToString(row.given);
}

TEST(FileName, LongNamesAreCutBetweenCharactersBeforeTheExtension) {
  const std::string many(300, 'x');
  EXPECT_EQ(safe_file_name(many).size(), kMaxFileName - 2);
  const std::string with_extension = safe_file_name(many + ".tar.gz");
  EXPECT_EQ(with_extension.size(), kMaxFileName - 2);
  EXPECT_TRUE(with_extension.ends_with("x.gz"));
  std::string euros;
  for (int i = 0; i < 200; ++i) euros += "\xe2\x82\xac";
  const std::string cut = safe_file_name(euros + ".iso");
  EXPECT_LE(cut.size(), kMaxFileName);
  EXPECT_GE(cut.size(), kMaxFileName - 6);
  EXPECT_TRUE(http::is_utf8(cut));
  EXPECT_TRUE(cut.ends_with("\xac.iso"));
  // What is behind the last dot is no extension when it is that long.
  EXPECT_EQ(safe_file_name("x." + many), ("x." + many).substr(0, kMaxFileName - 2));
  EXPECT_LE(safe_file_name(many + ".part").size(), kMaxFileName);
  EXPECT_EQ(safe_file_name(std::string(300, 'y') + std::string(300, '.') + "z").back(), 'z');
}

TEST(FileName, IsTheLastSegmentOfTheUrl) {
  const Row rows[] = {
      {"http://h/a/b.iso", "b.iso"},
      {"http://h/a/b.iso?x=/y", "b.iso"},
      {"http://h/", ""},
      {"http://h", ""},
      {"http://h/a/", ""},
      {"http://h/itstool-2.0.7_2%2Bpython.tbz2", "itstool-2.0.7_2+python.tbz2"},  // as wget; curl/wcurl issue 10
      {"http://h/a%20b.txt", "a b.txt"},
      {"http://h/%E3%83%86.txt", "\xe3\x83\x86.txt"},
      {"http://h/%E9t%E9.txt", "\xc3\xa9t\xc3\xa9.txt"},
      {"http://h/..%2f..%2fx", "x"},
      {"http://h/%2e%2e", ""},
      {"http://h/%252e", "%2e"},  // decoded once
      {"http://h/100%", "100%"},
      {"http://h/a%00.txt", "a.txt"},
  };
  for (const Row& row : rows) EXPECT_EQ(file_name_of(*http::Url::parse(row.given)), row.safe) << row.given;
}

TEST(FileName, ComesFromTheFieldThenTheUrlThenNowhere) {
  const http::Url url = *http::Url::parse("http://h/get.php?id=7");
  http::FieldSection fields;
  EXPECT_EQ(choose_file_name(fields, url), "get.php");
  EXPECT_EQ(choose_file_name(fields, *http::Url::parse("http://h/d/")), "index.html");
  fields.set("Content-Disposition", "attachment; filename=\"..\"");
  EXPECT_EQ(choose_file_name(fields, url), "get.php");
  fields.set("Content-Disposition", "attachment; filename*=UTF-8''..%2f%e2%82%ac%20rates; filename=\"EURO rates\"");
  EXPECT_EQ(choose_file_name(fields, url), "\xe2\x82\xac rates");
}

}  // namespace
}  // namespace tributary::fetch
