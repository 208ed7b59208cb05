#include "fetch/part_state.h"

#include <gtest/gtest.h>

namespace tributary::fetch {
namespace {

upstream::Representation representation() {
  upstream::Representation here;
  here.length = 1000;
  here.validator = here.etag = "\"abc\"";
  here.last_modified = "Mon, 02 Jan 2023 03:04:05 GMT";
  here.accepts_ranges = true;
  return here;
}

PartState some_state() {
  PartState state = PartState::of("http://a/x", "http://b/y", representation());
  state.present.add(0, 500);
  state.present.add(700, 800);
  return state;
}

TEST(PartState, IsReadAsItWasWritten) {
  const std::optional<PartState> read = parse_part_state(to_json(some_state()));
  ASSERT_TRUE(read);
  EXPECT_EQ(read->url, "http://a/x");
  EXPECT_EQ(read->final_url, "http://b/y");
  EXPECT_EQ(read->length, 1000u);
  EXPECT_EQ(read->validator, "\"abc\"");
  EXPECT_EQ(read->present.ranges(), some_state().present.ranges());
  PartState unknown = some_state();
  unknown.length.reset();
  ASSERT_TRUE(parse_part_state(to_json(unknown)));
  EXPECT_FALSE(parse_part_state(to_json(unknown))->can_be_resumed());
}

TEST(PartState, RefusesWhatIsNotOurs) {
  const std::string good = to_json(some_state());
  const auto with = [&](std::string_view from, std::string_view to) {
    std::string text = good;
    text.replace(text.find(from), from.size(), to);
    return text;
  };
  for (const std::string& text :
       {std::string(), std::string("{}"), std::string("[]"), good.substr(0, good.size() / 2), with("tributary-part\":1", "tributary-part\":2"),
        with("[700,800]", "[700,1001]"), with("[700,800]", "[800,700]"), with("[700,800]", "[700]"), with("[700,800]", "[-7,800]"),
        with("[700,800]", "[7e2,800]"), with("\"length\":1000", "\"length\":\"1000\""), with("\"url\":", "\"uri\":")}) {
    EXPECT_FALSE(parse_part_state(text)) << text;
  }
}

// A validator that JSON cannot hold must not come back as one that could match.
TEST(PartState, BytesThatAreNoTextMatchNothingLater) {
  upstream::Representation here = representation();
  here.validator = here.etag = "\"\xff\"";
  const std::optional<PartState> read = parse_part_state(to_json(PartState::of("u", "u", here)));
  ASSERT_TRUE(read);
  EXPECT_FALSE(read->is_same_version(here));
}

TEST(PartState, TellsVersionsApart) {
  const PartState state = some_state();
  EXPECT_TRUE(state.is_same_version(representation()));
  upstream::Representation other = representation();
  other.validator = other.etag = "\"new\"";
  EXPECT_FALSE(state.is_same_version(other));
  other = representation();
  other.length = 999;
  EXPECT_FALSE(state.is_same_version(other));
  other = representation();
  other.content_encoding = "gzip";
  EXPECT_FALSE(state.is_same_version(other));
  PartState weak = some_state();
  weak.validator.clear();
  other = representation();
  other.validator.clear();
  EXPECT_FALSE(weak.is_same_version(other));
}

TEST(PartState, FindsWhatLacks) {
  PartState state = some_state();
  EXPECT_EQ(state.first_gap(), (http::ByteRange{500, 700}));
  EXPECT_FALSE(state.is_whole());
  state.present.add(500, 700);
  EXPECT_EQ(state.first_gap(), (http::ByteRange{800, 1000}));
  state.present.add(800, 1000);
  EXPECT_FALSE(state.first_gap());
  EXPECT_TRUE(state.is_whole());
}

}  // namespace
}  // namespace tributary::fetch
