// Whether a response is a part of the same version: a table. RFC 9110, 13.1.5, 14.4, 15.3.7. S0-1.12.
#include "upstream/representation.h"

#include <gtest/gtest.h>

#include "http/date.h"

namespace tributary::upstream {
namespace {

using http::ByteRange;
using Kind = PieceVerdict::Kind;

constexpr core::UnixTime kNow = 1'700'000'000;

std::string date(core::UnixTime at) {
  std::string text(http::kDateSize, '\0');
  http::format_date(at, text.data());
  return text;
}

http::ResponseHead head(uint16_t status, std::vector<std::pair<std::string, std::string>> fields) {
  http::ResponseHead result;
  result.status = status;
  for (const auto& [name, value] : fields) result.fields.add(name, value);
  return result;
}
http::BodyFraming length(uint64_t n) { return {http::BodyKind::Length, n}; }

TEST(Representation, TakesTheStrongestValidatorThereIs) {
  const std::string old = date(kNow - 1000), now = date(kNow);
  struct Row {
    std::vector<std::pair<std::string, std::string>> fields;
    std::string validator;
  };
  for (const Row& row : std::vector<Row>{
           {{{"ETag", "\"a\""}, {"Last-Modified", old}, {"Date", now}}, "\"a\""},
           {{{"ETag", "W/\"a\""}, {"Last-Modified", old}, {"Date", now}}, old},
           {{{"Last-Modified", old}, {"Date", now}}, old},
           {{{"Last-Modified", date(kNow - 2)}, {"Date", now}}, ""},  // may have changed since, within the second
           {{{"Last-Modified", old}}, ""},
           {{}, ""}}) {
    const auto result = Representation::of(head(200, row.fields), length(10), kNow);
    ASSERT_TRUE(result);
    EXPECT_EQ(result->validator, row.validator);
  }
}

TEST(Representation, KnowsWhatAResponseBrings) {
  const auto whole = Representation::of(head(200, {{"Accept-Ranges", "bytes"}}), length(10), kNow);
  EXPECT_EQ(whole->content, (ByteRange{0, 10}));
  EXPECT_EQ(whole->length, 10u);
  EXPECT_TRUE(whole->accepts_ranges);
  const auto part = Representation::of(head(206, {{"Content-Range", "bytes 5-9/100"}}), length(5), kNow);
  EXPECT_EQ(part->content, (ByteRange{5, 10}));
  EXPECT_EQ(part->length, 100u);
  const auto chunked = Representation::of(head(200, {}), {http::BodyKind::Chunked, 0}, kNow);
  EXPECT_FALSE(chunked->length);
  EXPECT_EQ(chunked->content.last, UINT64_MAX);
  EXPECT_FALSE(Representation::of(head(404, {}), length(10), kNow));
  EXPECT_FALSE(Representation::of(head(206, {}), length(10), kNow));
  EXPECT_FALSE(Representation::of(head(206, {{"Content-Range", "bytes 5-9/100"}}), length(6), kNow));
  EXPECT_FALSE(Representation::of(head(206, {{"Content-Range", "bytes */100"}}), length(0), kNow));
}

struct PieceRow {
  const char* what;
  uint16_t status;
  std::vector<std::pair<std::string, std::string>> fields;
  uint64_t length;
  Kind kind;
};

TEST(JudgePiece, AcceptsExactlyWhatWasAskedFor) {
  Representation wanted;
  wanted.length = 1000;
  wanted.etag = wanted.validator = "\"v1\"";
  wanted.accepts_ranges = true;
  const std::pair<std::string, std::string> tag{"ETag", "\"v1\""}, right{"Content-Range", "bytes 100-199/1000"};
  for (const PieceRow& row : std::vector<PieceRow>{
           {"right", 206, {tag, right}, 100, Kind::Good},
           {"clipped at its end", 206, {tag, {"Content-Range", "bytes 100-149/1000"}}, 50, Kind::Good},
           {"begins later", 206, {tag, {"Content-Range", "bytes 101-199/1000"}}, 99, Kind::Broken},
           {"ends later", 206, {tag, {"Content-Range", "bytes 100-200/1000"}}, 101, Kind::Broken},
           {"total unknown", 206, {tag, {"Content-Range", "bytes 100-199/*"}}, 100, Kind::Broken},
           {"other total", 206, {tag, {"Content-Range", "bytes 100-199/1001"}}, 100, Kind::Changed},
           {"no Content-Range", 206, {tag}, 100, Kind::Broken},
           {"several parts", 206, {tag, {"Content-Type", "multipart/byteranges; boundary=x"}}, 100, Kind::RangeIgnored},
           {"two of them", 206, {tag, right, right}, 100, Kind::Broken},
           {"framing disagrees", 206, {tag, right}, 99, Kind::Broken},
           {"other tag", 206, {{"ETag", "\"v2\""}, right}, 100, Kind::Changed},
           {"weak tag", 206, {{"ETag", "W/\"v1\""}, right}, 100, Kind::Changed},
           {"no tag", 206, {right}, 100, Kind::RangeIgnored},
           {"other coding", 206, {tag, right, {"Content-Encoding", "gzip"}}, 100, Kind::RangeIgnored},
           {"for one alone", 206, {tag, right, {"Cache-Control", "max-age=60, private"}}, 100, Kind::Changed},
           {"not to be stored", 206, {tag, right, {"Cache-Control", "no-store"}}, 100, Kind::Changed},
           {"a field for one alone", 206, {tag, right, {"Cache-Control", "private=\"set-cookie\""}}, 100, Kind::Good},
           {"everything, same version", 200, {tag}, 1000, Kind::RangeIgnored},
           {"everything, other version", 200, {{"ETag", "\"v2\""}}, 1000, Kind::Changed},
           {"everything, other length", 200, {tag}, 1001, Kind::Changed},
           {"beyond the end of a shorter one", 416, {{"Content-Range", "bytes */50"}}, 0, Kind::Changed},
           {"unsatisfiable for no reason", 416, {{"Content-Range", "bytes */1000"}}, 0, Kind::RangeIgnored},
           {"later", 503, {}, 0, Kind::Refused},
           {"too many", 429, {}, 0, Kind::Refused},
           {"gone", 404, {}, 0, Kind::Broken},
           {"moved", 302, {}, 0, Kind::Broken}}) {
    const auto verdict =
        judge_piece(wanted, {100, 200}, false, head(row.status, row.fields), length(row.length), kNow);
    EXPECT_EQ(verdict.kind, row.kind) << row.what;
  }
}

TEST(JudgePiece, JudgesByLastModifiedWhenThereIsNoStrongTag) {
  Representation wanted;
  wanted.length = 1000;
  wanted.etag = "W/\"v1\"";
  wanted.last_modified = wanted.validator = date(kNow - 1000);
  const std::pair<std::string, std::string> right{"Content-Range", "bytes 0-9/1000"};
  EXPECT_EQ(judge_piece(wanted, {0, 10}, false, head(206, {right, {"Last-Modified", wanted.last_modified}}), length(10), kNow).kind,
            Kind::Good);
  EXPECT_EQ(judge_piece(wanted, {0, 10}, false, head(206, {right, {"Last-Modified", date(kNow)}}), length(10), kNow).kind,
            Kind::Changed);
  wanted.content_encoding = "gzip";
  EXPECT_EQ(judge_piece(wanted, {0, 10}, false, head(206, {right, {"Last-Modified", wanted.last_modified}}), length(10), kNow).kind,
            Kind::RangeIgnored)
      << "a date does not vouch for the coding";
}

TEST(JudgePiece, TakesAWholeResponseOnlyWhenItIsTheWholeOfTheSame) {
  Representation wanted;
  wanted.length = 1000;
  wanted.etag = wanted.validator = "\"v1\"";
  EXPECT_EQ(judge_piece(wanted, {500, 1000}, true, head(200, {{"ETag", "\"v1\""}}), length(1000), kNow).kind, Kind::Good);
  EXPECT_EQ(judge_piece(wanted, {500, 1000}, true, head(200, {{"ETag", "\"v1\""}}), length(1000), kNow).content,
            (ByteRange{0, 1000}));
  EXPECT_EQ(judge_piece(wanted, {500, 1000}, true, head(200, {}), length(1000), kNow).kind, Kind::Broken);
  EXPECT_EQ(judge_piece(wanted, {500, 1000}, true, head(200, {{"ETag", "\"v2\""}}), length(1000), kNow).kind, Kind::Changed);
  EXPECT_EQ(judge_piece(wanted, {500, 1000}, true, head(200, {{"ETag", "\"v1\""}}), {http::BodyKind::Chunked, 0}, kNow).kind,
            Kind::Broken);
}

TEST(JudgePiece, ReadsRetryAfterInBothForms) {
  const Representation wanted{.length = 1000, .validator = "\"v1\"", .etag = "\"v1\""};
  for (const auto& [value, seconds] :
       std::vector<std::pair<std::string, int>>{{"7", 7}, {"99999999999", 3600}, {date(kNow + 30), 30}, {date(kNow - 30), 0}, {"soon", 0}}) {
    EXPECT_EQ(judge_piece(wanted, {0, 10}, false, head(503, {{"Retry-After", value}}), length(0), kNow).retry_after,
              std::chrono::seconds(seconds))
        << value;
  }
}

}  // namespace
}  // namespace tributary::upstream
