#include "proxy/covering.h"

#include <gtest/gtest.h>

#include "proxy/content.h"

namespace tributary::proxy {
namespace {

using http::ByteRange;

constexpr uint64_t kMiB = uint64_t{1} << 20;

TEST(CoveringRange, IsWholePiecesAroundTheFirstRange) {
  const struct {
    const char* asked;
    const char* covering;
  } rows[] = {
      {"bytes=0-0", "bytes=0-1048575"},
      {"bytes=1048575-1048576", "bytes=0-2097151"},
      {"bytes=1048576-2097151", "bytes=1048576-2097151"},
      {"bytes=5000000-", "bytes=4194304-"},
      {"bytes=0-", "bytes=0-"},
      {"bytes=-1", "bytes=-1048576"},
      {"bytes=-1048577", "bytes=-2097152"},
      {"bytes=-0", ""},  // never satisfiable: the origin says so
      {"bytes=3000000-3000001,9-10", "bytes=2097152-3145727"},
      {"bytes=18446744073709551610-18446744073709551613", "bytes=18446744073708503040-"},
  };
  for (const auto& row : rows) {
    const auto specs = http::parse_range(row.asked);
    ASSERT_TRUE(specs) << row.asked;
    EXPECT_EQ(covering_range(*specs), row.covering) << row.asked;
  }
  EXPECT_EQ(covering_range({}), "");
}

TEST(WholePieces, AreNotLongerThanTheObject) {
  EXPECT_EQ(whole_pieces({5, 6}, 10, 100), (ByteRange{0, 10}));
  EXPECT_EQ(whole_pieces({10, 20}, 10, 100), (ByteRange{10, 20}));
  EXPECT_EQ(whole_pieces({95, 97}, 10, 98), (ByteRange{90, 98}));
  EXPECT_EQ(whole_pieces({5, 6}, 0, 100), (ByteRange{5, 6}));
}

TEST(FirstLacking, IsTheFirstHoleInWholePiecesButNothingThatIsThere) {
  const std::vector<ByteRange> present{{0, 2 * kMiB}, {4 * kMiB, 5 * kMiB + 7}, {8 * kMiB, 10 * kMiB}};
  const uint64_t length = 10 * kMiB;
  const struct {
    ByteRange wanted;
    std::optional<ByteRange> lacking;
  } rows[] = {
      {{0, length}, ByteRange{2 * kMiB, 4 * kMiB}},
      {{10, 2 * kMiB}, std::nullopt},
      {{10, 2 * kMiB + 1}, ByteRange{2 * kMiB, 3 * kMiB}},
      {{3 * kMiB + 5, 3 * kMiB + 6}, ByteRange{3 * kMiB, 4 * kMiB}},
      {{5 * kMiB, 6 * kMiB}, ByteRange{5 * kMiB + 7, 6 * kMiB}},  // what is there of the piece is not asked for again
      {{4 * kMiB, 9 * kMiB}, ByteRange{5 * kMiB + 7, 8 * kMiB}},
      {{8 * kMiB, length}, std::nullopt},
  };
  for (const auto& row : rows) EXPECT_EQ(first_lacking(present, row.wanted, kMiB, length), row.lacking) << row.wanted.first;
  EXPECT_EQ(first_lacking({}, {5, 6}, kMiB, 100), (ByteRange{0, 100}));
}

// A source in parts of `step` bytes that says Wait before each.
class Slow final : public http::BodySource {
 public:
  Slow(std::string text, size_t step) : text_(std::move(text)), step_(step) {}
  http::BodyRead read(http::BodyPart& part, uint64_t at_most) override {
    if ((waits_ = !waits_)) return http::BodyRead::Wait;
    if (at_ == text_.size()) return http::BodyRead::End;
    part = {};
    part.bytes = core::Slice::copy(std::string_view(text_).substr(at_, std::min<size_t>(step_, at_most)));
    at_ += part.bytes.size();
    return http::BodyRead::Part;
  }
  void set_ready(core::Callback<void()>) override {}
  core::Error error() const override { return {}; }

 private:
  const std::string text_;
  const size_t step_;
  size_t at_ = 0;
  bool waits_ = false;
};

std::string drain(http::BodySource& source, uint64_t at_most, http::BodyRead& end) {
  std::string all;
  for (;;) {
    http::BodyPart part;
    end = source.read(part, at_most);
    if (end == http::BodyRead::Wait) continue;
    if (end != http::BodyRead::Part) return all;
    EXPECT_LE(part.size(), at_most);
    all += part.bytes.view();
  }
}

TEST(Window, CutsAnyStretchOutOfASource) {
  const std::string text = "0123456789";
  http::BodyRead end{};
  for (size_t step = 1; step <= 11; ++step) {
    for (size_t first = 0; first <= 10; ++first) {
      for (size_t size = 0; first + size <= 10; ++size) {
        const auto cut = window(std::make_unique<Slow>(text, step), first, size);
        EXPECT_EQ(drain(*cut, 3, end), text.substr(first, size));
        EXPECT_EQ(end, http::BodyRead::End);
      }
    }
  }
}

TEST(Window, ASourceThatEndsTooEarlyIsNoCleanEnd) {
  http::BodyRead end{};
  const auto cut = window(std::make_unique<Slow>("0123", 2), 2, 5);
  EXPECT_EQ(drain(*cut, 100, end), "23");
  EXPECT_EQ(end, http::BodyRead::Failed);
  EXPECT_EQ(cut->error().code, core::ErrorCode::IncompleteMessage);
}

TEST(Multipart, IsAsLongAsItsFramingSaysAndHasThePartsInOrder) {
  const http::MultipartRanges framing({{7, 10}, {0, 2}}, 10, "text/plain", "b");
  std::vector<std::unique_ptr<http::BodySource>> parts;
  parts.push_back(std::make_unique<Slow>("789", 2));
  parts.push_back(std::make_unique<Slow>("01", 1));
  const std::string expected = framing.prefix(0) + "789" + framing.prefix(1) + "01" + framing.suffix();
  http::BodyRead end{};
  const auto body = multipart(framing, std::move(parts));
  EXPECT_EQ(drain(*body, 5, end), expected);
  EXPECT_EQ(end, http::BodyRead::End);
  EXPECT_EQ(expected.size(), framing.content_length());
}

}  // namespace
}  // namespace tributary::proxy
