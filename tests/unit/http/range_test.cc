#include "http/range.h"

#include <gtest/gtest.h>

#include <string>

namespace tributary::http {
namespace {

using Kind = RangeSelection::Kind;

std::string written(const std::optional<std::vector<RangeSpec>>& specs) {
  if (!specs) return "none";
  std::string out;
  append_ranges(*specs, out);
  return out;
}

TEST(Range, IsReadInAllItsForms) {  // RFC 9110, 14.1.1
  const std::pair<const char*, const char*> cases[] = {
      {"bytes=0-499", "bytes=0-499"},
      {"bytes=500-", "bytes=500-"},
      {"bytes=-500", "bytes=-500"},
      {"Bytes=0-0", "bytes=0-0"},
      {"bytes=0-0, -1 ,5-\t", "bytes=0-0,-1,5-"},
      {"bytes=, 0-1,,", "bytes=0-1"},
      {"bytes=-0", "bytes=-0"},
      {"bytes=007-8", "bytes=7-8"},
      {"bytes=0-99999999999999999999999", "bytes=0-"},
      {"bytes=99999999999999999999999-", "bytes=18446744073709551615-"},
  };
  for (const auto& [text, canonical] : cases)
    EXPECT_EQ(written(parse_range(text)), canonical) << text;
}

TEST(Range, IsIgnoredWhenInvalid) {  // RFC 9110, 14.2
  for (const char* text : {"",
                           "bytes",
                           "bytes=",
                           "bytes=,",
                           "bytes=-",
                           "bytes=a-b",
                           "bytes=1",
                           "bytes=2-1",
                           "bytes=0-1-2",
                           "bytes=--1",
                           "bytes=+1-2",
                           "bytes=0x1-2",
                           "bytes=1 -2",
                           "bytes=1- 2",
                           "bytes =0-1",
                           "bytes= =0-1",
                           "byte=0-1",
                           "items=0-1",
                           "bytes=0-1;2-3",
                           "bytes=0-1,x",
                           "bytes=0-1,3-2",
                           "bytes:0-1",
                           "bytes 0-1/2",
                           "bytes=\"0-1\"",
                           "bytes=1.0-2"}) {
    EXPECT_EQ(written(parse_range(text)), "none") << text;
  }
}

TEST(Range, IsIgnoredWithTooManyParts) {  // V-10
  std::string text = "bytes=0-0";
  for (size_t i = 1; i < kMaxRanges; ++i) text += ",1-1";
  EXPECT_TRUE(parse_range(text));
  EXPECT_FALSE(parse_range(text + ",2-2"));
  EXPECT_FALSE(parse_range("bytes=0-0,1-1", 1));
}

TEST(Range, ResolvesAgainstALength) {
  const auto one = [](const char* text, uint64_t length) -> std::string {
    const auto range = (*parse_range(text))[0].resolve(length);
    if (!range) return "-";
    std::string out;
    append_range(*range, out);
    return out;
  };
  EXPECT_EQ(one("bytes=0-0", 10), "bytes=0-0");
  EXPECT_EQ(one("bytes=0-9", 10), "bytes=0-9");
  EXPECT_EQ(one("bytes=5-99", 10), "bytes=5-9");
  EXPECT_EQ(one("bytes=9-", 10), "bytes=9-9");
  EXPECT_EQ(one("bytes=10-", 10), "-");
  EXPECT_EQ(one("bytes=-3", 10), "bytes=7-9");
  EXPECT_EQ(one("bytes=-99", 10), "bytes=0-9");
  EXPECT_EQ(one("bytes=-0", 10), "-");
  EXPECT_EQ(one("bytes=0-", 0), "-");
  EXPECT_EQ(one("bytes=0-18446744073709551615", UINT64_MAX), "bytes=0-18446744073709551614");
  EXPECT_EQ(one("bytes=18446744073709551614-", UINT64_MAX),
            "bytes=18446744073709551614-18446744073709551614");
  EXPECT_EQ(one("bytes=18446744073709551615-", UINT64_MAX), "-");
}

TEST(RangeSelection, ChoosesPartialUnsatisfiableOrWhole) {
  const auto select = [](const char* text, uint64_t length) {
    return select_ranges(*parse_range(text), length);
  };
  EXPECT_EQ(select("bytes=0-1", 10).kind, Kind::Partial);
  EXPECT_EQ(select("bytes=0-1,8-", 10).ranges, (std::vector<ByteRange>{{0, 2}, {8, 10}}));
  EXPECT_EQ(select("bytes=8-,0-1", 10).ranges,
            (std::vector<ByteRange>{{8, 10}, {0, 2}}));  // order kept
  EXPECT_EQ(select("bytes=20-,0-1", 10).ranges, (std::vector<ByteRange>{{0, 2}}));
  EXPECT_EQ(select("bytes=10-", 10).kind, Kind::Unsatisfiable);
  EXPECT_EQ(select("bytes=-0", 10).kind, Kind::Unsatisfiable);
  EXPECT_EQ(select("bytes=0-", 0).kind, Kind::Unsatisfiable);
  EXPECT_EQ(select("bytes=-5", 0).kind, Kind::Whole);
  EXPECT_EQ(select("bytes=0-,0-,0-", 10).kind, Kind::Whole);
  EXPECT_EQ(select("bytes=0-5,5-9", 10).kind, Kind::Whole);
  EXPECT_EQ(select("bytes=0-,0-", UINT64_MAX).kind, Kind::Whole);
}

TEST(ContentRange, IsReadStrictlyAndWrittenBack) {  // RFC 9110, 14.4
  const std::pair<const char*, ContentRange> good[] = {
      {"bytes 0-499/1234", {ByteRange{0, 500}, 1234}},
      {"bytes 0-0/1", {ByteRange{0, 1}, 1}},
      {"bytes 5-9/*", {ByteRange{5, 10}, std::nullopt}},
      {"bytes */1234", {std::nullopt, 1234}},
      {"bytes */0", {std::nullopt, 0}},
      {"bytes 0-18446744073709551613/18446744073709551615",
       {ByteRange{0, UINT64_MAX - 1}, UINT64_MAX}},
  };
  for (const auto& [text, value] : good) {
    EXPECT_EQ(parse_content_range(text), value) << text;
    std::string out;
    append_content_range(value, out);
    EXPECT_EQ(out, text);
  }
  for (const char* text : {"",
                           "bytes",
                           "bytes ",
                           "bytes */*",
                           "bytes 0-1",
                           "bytes 0-1/",
                           "bytes -1/5",
                           "bytes 0-/5",
                           "bytes 1-0/5",
                           "bytes 0-5/5",
                           "bytes 5-5/5",
                           "bytes=0-1/5",
                           "bytes  0-1/5",
                           "bytes 0 -1/5",
                           "bytes 0-1 /5",
                           "bytes 0-1/ 5",
                           "bytes 0-1/5 ",
                           "bytes 0-1/5/6",
                           "bytes +0-1/5",
                           "bytes 0-1/-5",
                           "bytes 0x0-1/5",
                           "items 0-1/5",
                           "bytes 0-1/18446744073709551616",
                           "bytes 0-18446744073709551615/*",
                           "bytes 0-18446744073709551616/*",
                           "bytes 99999999999999999999-1/5",
                           "0-1/5",
                           "bytes 0-1-2/5",
                           "bytes 0-1/5, bytes 2-3/5"}) {
    EXPECT_EQ(parse_content_range(text), std::nullopt) << text;
  }
}

TEST(MultipartRanges, KnowsItsLengthBeforehand) {  // RFC 9110, 14.6
  const std::string content = "0123456789";
  const MultipartRanges parts({{0, 2}, {8, 10}}, 10, "text/plain", "BOUNDARY");
  std::string body;
  for (size_t i = 0; i < parts.parts(); ++i) {
    body += parts.prefix(i) + content.substr(parts.range(i).first, parts.range(i).size());
  }
  body += parts.suffix();
  EXPECT_EQ(body,
            "--BOUNDARY\r\nContent-Type: text/plain\r\nContent-Range: bytes 0-1/10\r\n\r\n01"
            "\r\n--BOUNDARY\r\nContent-Type: text/plain\r\nContent-Range: bytes 8-9/10\r\n\r\n89"
            "\r\n--BOUNDARY--\r\n");
  EXPECT_EQ(parts.content_length(), body.size());
  EXPECT_EQ(parts.content_type(), "multipart/byteranges; boundary=\"BOUNDARY\"");
  EXPECT_EQ(MultipartRanges({{0, 1}}, 10, "", "B").prefix(0),
            "--B\r\nContent-Range: bytes 0-0/10\r\n\r\n");
}

TEST(MultipartRanges, MakesBoundariesFromRandomBits) {
  const std::string boundary = MultipartRanges::make_boundary(1, 2);
  EXPECT_EQ(boundary.size(), 22u);
  EXPECT_NE(boundary, MultipartRanges::make_boundary(1, 3));
  EXPECT_NE(boundary, MultipartRanges::make_boundary(uint64_t{1} << 63, 2));
}

}  // namespace
}  // namespace tributary::http
