#include "fetch/metalink.h"

#include <gtest/gtest.h>

#include "http/link.h"

namespace tributary::fetch {
namespace {

std::string listed(const std::optional<Metalink>& metalink) {
  if (!metalink) return "nothing";
  std::string out = "v" + std::to_string(metalink->version);
  for (const MetalinkFile& file : metalink->files) {
    out += " " + file.path + " " + (file.size ? std::to_string(*file.size) : "-");
    for (const http::Digest& digest : file.digests) out += " " + std::string(http::hash_name(digest.algorithm));
    if (file.pieces) {
      out += " " + std::to_string(file.pieces->count()) + "x" + std::to_string(file.pieces->length) + " " +
             std::string(http::hash_name(file.pieces->algorithm));
    }
    for (const MetalinkSource& source : file.sources) {
      out += " " + source.url.text() + "|" + std::to_string(source.priority) + source.location;
    }
  }
  return out;
}

std::string read(std::string_view text) {
  std::string why;
  const auto metalink = parse_metalink(text, why);
  EXPECT_EQ(metalink.has_value(), why.empty()) << why;
  return metalink ? listed(metalink) : why;
}

std::string v4(std::string_view inside) {
  return "<?xml version=\"1.0\" encoding=\"UTF-8\"?>\n<metalink xmlns=\"urn:ietf:params:xml:ns:metalink\">" + std::string(inside) + "</metalink>";
}
std::string v3(std::string_view inside) {
  return "<metalink version=\"3.0\" xmlns=\"http://www.metalinker.org/\"><files>" + std::string(inside) + "</files></metalink>";
}
std::string file(std::string_view name, std::string_view inside = "") {
  return "<file name=\"" + std::string(name) + "\">" + std::string(inside) + "<url>http://h/x</url></file>";
}

TEST(Metalink, Version4IsRead) {  // RFC 5854, 1.1 and 4
  const std::string sha256(64, 'a'), sha1(40, 'b'), piece(40, 'c');
  EXPECT_EQ(read(v4("<published>2009-05-15T12:23:23Z</published><publisher><name>x</name><url>http://publisher/</url></publisher>"
                    "<file name=\"example.ext\">\n  <size> 14471447 </size>\n  <identity>Example</identity>"
                    "<hash type=\"sha-1\">" + sha1 + "</hash><hash type=\"sha-256\">\n" + sha256 + "\n</hash><hash type=\"md4\">00</hash>"
                    "<pieces length=\"10000000\" type=\"sha-1\"><hash>" + piece + "</hash><hash>" + piece + "</hash></pieces>"
                    "<url location=\"de\" priority=\"2\">ftp://ftp.example.com/example.ext</url>"
                    "<url location=\"FR\" priority=\"2\"> http://example.com/a&amp;b.ext </url>"
                    "<url>https://other.example.com/example.ext</url>"
                    "<url priority=\"1\">https://first.example.com/example.ext</url>"
                    "<metaurl mediatype=\"torrent\">https://example.com/example.ext.torrent</metaurl>"
                    "</file><file name=\"example2.ext\"><size>0</size><url>http://example.com/2</url></file>")),
            "v4 example.ext 14471447 sha-1 sha-256 2x10000000 sha-1 https://first.example.com/example.ext|1 "
            "http://example.com/a&b.ext|2fr https://other.example.com/example.ext|999999 "
            "example2.ext 0 http://example.com/2|999999");
}

TEST(Metalink, Version3IsRead) {  // metalinker.org
  const std::string md5(32, 'a'), piece(40, 'c');
  EXPECT_EQ(read(v3("<file name=\"ubuntu.iso\"><size>300</size><verification><hash type=\"md5\">" + md5 + "</hash>"
                    "<pieces length=\"256\" type=\"sha1\"><hash piece=\"0\">" + piece + "</hash><hash piece=\"1\">" + piece + "</hash></pieces>"
                    "</verification><resources maxconnections=\"5\">"
                    "<url type=\"http\" location=\"us\" preference=\"20\">http://us/ubuntu.iso</url>"
                    "<url type=\"http\" preference=\"100\">http://best/ubuntu.iso</url>"
                    "<url type=\"http\" priority=\"1\">http://none/ubuntu.iso</url>"
                    "<url type=\"bittorrent\" preference=\"100\">https://us/ubuntu.iso.torrent</url>"
                    "<url type=\"ftp\">ftp://us/ubuntu.iso</url></resources></file>")),
            "v3 ubuntu.iso 300 md5 2x256 sha-1 http://best/ubuntu.iso|1 http://none/ubuntu.iso|1 http://us/ubuntu.iso|81us");
}

TEST(Metalink, NamesStayBelowTheirDirectory) {  // RFC 5854, 4.1.2.1 and 8; V-14
  const std::pair<std::string_view, std::string_view> rows[] = {
      {"a", "a"},
      {"dir/sub/a.iso", "dir/sub/a.iso"},
      {"dir/.hidden", "dir/hidden"},
      {".git/config", "git/config"},
      {"dir/a&#x202e;b:c", "dir/ab_c"},
      {"..\\..\\x", "x"},
      {"a.part.json", "a.part.json_"},
      {"", ""},
      {"/etc/passwd", ""},
      {"../x", ""},
      {"a/../../x", ""},
      {"a/..", ""},
      {"./a", ""},
      {"a//b", ""},
      {"a/", ""},
      {"a/---/b", ""},
  };
  for (const auto& [name, path] : rows) {
    std::string why;
    const auto metalink = parse_metalink(v4(file(name) + file("other")), why);
    ASSERT_TRUE(metalink) << name << why;
    EXPECT_EQ(metalink->files.size(), path.empty() ? 1u : 2u) << name;
    EXPECT_EQ(metalink->passed_over, path.empty() ? 1u : 0u) << name;
    if (!path.empty()) {
      EXPECT_EQ(metalink->files[0].path, path) << name;
    }
  }
  std::string deep;
  for (int i = 0; i < 100; ++i) deep += "d/";
  EXPECT_EQ(read(v4(file(deep + "x"))), "there is no file in it that can be fetched over http or https");
  EXPECT_EQ(read(v4(file("a") + file("a"))), "v4 a - http://h/x|999999") << "names are told apart";
}

TEST(Metalink, PiecesCountOnlyWhenTheyAreTheFiles) {
  const std::string sha1(40, 'c'), sha256(64, 'd');
  const auto pieces = [](std::string_view type, std::string_view length, std::string_view hashes) {
    return "<pieces type=\"" + std::string(type) + "\" length=\"" + std::string(length) + "\">" + std::string(hashes) + "</pieces>";
  };
  const std::string one = "<hash>" + sha1 + "</hash>";
  const auto of = [](const std::string& inside) {
    const std::string all = read(v4(file("a", inside)));
    return all.substr(0, all.find(" http"));
  };
  EXPECT_EQ(of("<size>10</size>" + pieces("sha-1", "10", one)), "v4 a 10 1x10 sha-1");
  EXPECT_EQ(of("<size>11</size>" + pieces("sha-1", "10", one + one)), "v4 a 11 2x10 sha-1");
  EXPECT_EQ(of(pieces("sha-1", "10", one)), "v4 a - 1x10 sha-1");
  EXPECT_EQ(of(pieces("sha-1", "10", one) + pieces("sha-256", "20", "<hash>" + sha256 + "</hash>") + pieces("md5", "10", "")),
            "v4 a - 1x20 sha-256");
  for (const std::string& bad :
       {pieces("sha-1", "10", one + one), pieces("sha-1", "0", one), pieces("sha-1", "", one), pieces("crc32", "10", one),
        pieces("sha-1", "10", ""), pieces("sha-1", "10", "<hash>zz</hash>" + one), pieces("sha-1", "10", "<hash piece=\"1\">" + sha1 + "</hash>"),
        pieces("sha-1", "-10", one), pieces("sha-1", "18446744073709551616", one)}) {
    EXPECT_EQ(of("<size>10</size>" + bad), "v4 a 10") << bad;
  }
  EXPECT_EQ(of("<size>18446744073709551615</size>" + pieces("sha-1", "1", one)), "v4 a 18446744073709551615");
  EXPECT_EQ(of("<size>-1</size>"), "v4 a -");
}

TEST(Metalink, PieceHashesAreFoundByNumber) {
  std::string why;
  const auto metalink = parse_metalink(
      v4(file("a", "<pieces type=\"md5\" length=\"4\"><hash>" + std::string(32, '0') + "</hash><hash>" + std::string(32, '1') + "</hash></pieces>")), why);
  ASSERT_TRUE(metalink) << why;
  EXPECT_EQ((*metalink->files[0].pieces)[0], std::string(16, '\0'));
  EXPECT_EQ((*metalink->files[0].pieces)[1], std::string(16, '\x11'));
}

TEST(Metalink, EntitiesAndBombsAreRefused) {  // V-10
  constexpr std::string_view kBomb =
      "<?xml version=\"1.0\"?><!DOCTYPE metalink [<!ENTITY a \"aaaaaaaaaa\"><!ENTITY b \"&a;&a;&a;&a;&a;&a;&a;&a;\">]>"
      "<metalink xmlns=\"urn:ietf:params:xml:ns:metalink\"><file name=\"&b;\"><url>http://h/</url></file></metalink>";
  EXPECT_EQ(read(kBomb), "line 1: a document type declaration has no place in a Metalink");
  EXPECT_EQ(read("<!DOCTYPE metalink SYSTEM \"http://h/x.dtd\"><metalink xmlns=\"urn:ietf:params:xml:ns:metalink\"/>"),
            "line 1: a document type declaration has no place in a Metalink");
  EXPECT_EQ(read(v4("<file name=\"a\"><url>http://h/&x;</url></file>")), "line 2: undefined entity");
  std::string deep;
  for (int i = 0; i < 10000; ++i) deep += "<x>";
  EXPECT_EQ(read(v4(deep)), "line 2: too many elements in one another");
  EXPECT_EQ(read(v4("<file name=\"a\"><description>" + std::string(100000, 'x') + "</description></file>")),
            "line 2: an element with too much text");
  std::string files;
  for (size_t i = 0; i <= kMaxMetalinkFiles; ++i) files += "<file/>";
  EXPECT_EQ(read(v4(files)), "line 2: too many files");
  std::string sources;
  for (size_t i = 0; i < 2 * kMaxMetalinkSources; ++i) sources += "<url>http://h/" + std::to_string(i) + "</url>";
  std::string why;
  EXPECT_EQ(parse_metalink(v4(file("a", sources)), why)->files[0].sources.size(), kMaxMetalinkSources);
  EXPECT_EQ(read(std::string(kMaxMetalink + 1, ' ')), "more than 32 MiB");
}

TEST(Metalink, WhatIsNoneSaysSo) {
  EXPECT_EQ(read(""), "line 1: no element found");
  EXPECT_EQ(read("<html/>"), "line 1: this is no Metalink of version 3 or 4");
  EXPECT_EQ(read("<metalink version=\"3.0\"/>"), "line 1: this is no Metalink of version 3 or 4");
  EXPECT_EQ(read(v4("<file name=\"a\">")), "line 2: mismatched tag");
  EXPECT_EQ(read(v4("")), "there is no file in it that can be fetched over http or https");
  EXPECT_EQ(read(v4("<file name=\"a\"><url>ftp://h/x</url><url>/relative</url><url>http://u:p@h/</url></file>")),
            "there is no file in it that can be fetched over http or https");
  EXPECT_EQ(read(v4("<x xmlns=\"other\"><file name=\"a\"><url>http://h/</url></file></x>"
                    "<file xmlns=\"other\" name=\"b\"><url>http://h/</url></file>")),
            "there is no file in it that can be fetched over http or https");
  EXPECT_EQ(read("<metalink xmlns=\"urn:ietf:params:xml:ns:metalink\"><file name=\"\xe4\"><url>http://h/</url></file></metalink>"),
            "line 1: not well-formed (invalid token)");
  EXPECT_EQ(read("<?xml version=\"1.0\" encoding=\"ISO-8859-1\"?><metalink xmlns=\"urn:ietf:params:xml:ns:metalink\">" + file("\xe4") + "</metalink>"),
            "v4 \xc3\xa4 - http://h/x|999999");
}

}  // namespace
}  // namespace tributary::fetch
