// The first answer of another source: validators are its own, so length, coding and digests decide.  P-6, docs/decisions/0011
#include <gtest/gtest.h>

#include "http/digest_fields.h"
#include "upstream/representation.h"

namespace tributary::upstream {
namespace {

using Kind = PieceVerdict::Kind;

constexpr core::UnixTime kNow = 1700000000;

class JudgeSource : public ::testing::Test {
 protected:
  JudgeSource() {
    wanted_.length = 1000;
    wanted_.content = {0, 1000};
    wanted_.etag = wanted_.validator = "\"first\"";
    wanted_.accepts_ranges = true;
    head_.status = 206;
    head_.fields.add(http::FieldName::ETag, "\"mirror\"");
    head_.fields.add(http::FieldName::ContentRange, "bytes 100-199/1000");
    framing_.kind = http::BodyKind::Length;
    framing_.length = 100;
  }
  Kind judge(bool whole = false) {
    return judge_source(wanted_, digests_, {100, 200}, whole, head_, framing_, kNow, found_).kind;
  }

  Representation wanted_, found_;
  std::vector<http::Digest> digests_;
  http::ResponseHead head_;
  http::BodyFraming framing_;
};

TEST_F(JudgeSource, AnotherValidatorIsItsOwnAndHoldsFromThenOn) {
  EXPECT_EQ(judge(), Kind::Good);
  EXPECT_EQ(found_.validator, "\"mirror\"");
}

TEST_F(JudgeSource, AnotherLengthIsAnotherFile) {
  head_.fields.set(http::FieldName::ContentRange, "bytes 100-199/1001");
  EXPECT_EQ(judge(), Kind::Changed);
}

TEST_F(JudgeSource, AnUnknownLengthSaysNothing) {
  head_.fields.set(http::FieldName::ContentRange, "bytes 100-199/*");
  EXPECT_EQ(judge(), Kind::Broken);
}

TEST_F(JudgeSource, OtherBoundsAreBroken) {
  head_.fields.set(http::FieldName::ContentRange, "bytes 101-200/1000");
  EXPECT_EQ(judge(), Kind::Broken);
  head_.fields.set(http::FieldName::ContentRange, "bytes 100-299/1000");
  framing_.length = 200;
  EXPECT_EQ(judge(), Kind::Broken);
}

TEST_F(JudgeSource, AnotherCodingIsAnotherRepresentation) {
  head_.fields.add(http::FieldName::ContentEncoding, "gzip");
  EXPECT_EQ(judge(), Kind::Changed);
}

TEST_F(JudgeSource, WithoutAStrongValidatorItsPiecesCannotBeHeldTogether) {
  head_.fields.set(http::FieldName::ETag, "W/\"mirror\"");
  EXPECT_EQ(judge(), Kind::RangeIgnored);
}

TEST_F(JudgeSource, AWholeAnswerToARangeIsOfNoUse) {
  head_.status = 200;
  head_.fields.remove(http::FieldName::ContentRange);
  framing_.length = 1000;
  EXPECT_EQ(judge(), Kind::RangeIgnored);
  EXPECT_EQ(judge(true), Kind::Good);
}

TEST_F(JudgeSource, ADigestThatDiffersIsAnotherFile) {
  digests_.push_back({http::HashAlgorithm::Sha256, std::string(32, 'a')});
  EXPECT_EQ(judge(), Kind::Good);  // it says none
  head_.fields.add(http::FieldName::ReprDigest, "sha-256=:YWFhYWFhYWFhYWFhYWFhYWFhYWFhYWFhYWFhYWFhYWE=:");
  EXPECT_EQ(judge(), Kind::Good);
  digests_.front().bytes = std::string(32, 'b');
  EXPECT_EQ(judge(), Kind::Changed);
}

TEST_F(JudgeSource, ARefusalIsOne) {
  head_.status = 503;
  EXPECT_EQ(judge(), Kind::Refused);
}

}  // namespace
}  // namespace tributary::upstream
