#include "http/cache_control.h"

#include <gtest/gtest.h>

namespace tributary::http {
namespace {

using Names = std::vector<std::string_view>;

CacheControl parsed(std::string_view value) {
  CacheControl result;
  result.merge(value);
  return result;
}

TEST(CacheControl, ReadsEveryDirectiveInAnyCase) {  // RFC 9111, 5.2
  const CacheControl cc = parsed(
      "MAX-AGE=1, s-maxage=2, no-cache, No-Store, no-transform, private, public, must-revalidate, "
      "proxy-revalidate, "
      "must-understand, immutable, stale-while-revalidate=3, stale-if-error=4, max-stale=5, "
      "min-fresh=6, only-if-cached, x=y");
  EXPECT_EQ(cc.max_age, 1u);
  EXPECT_EQ(cc.s_maxage, 2u);
  EXPECT_TRUE(cc.no_cache && cc.no_store && cc.no_transform && cc.is_private && cc.is_public &&
              cc.must_revalidate);
  EXPECT_TRUE(cc.proxy_revalidate && cc.must_understand && cc.immutable && cc.only_if_cached &&
              cc.present);
  EXPECT_EQ(cc.stale_while_revalidate, 3u);
  EXPECT_EQ(cc.stale_if_error, 4u);
  EXPECT_EQ(cc.max_stale, 5u);
  EXPECT_EQ(cc.min_fresh, 6u);
}

TEST(CacheControl, IsEmptyWithoutDirectives) {
  EXPECT_FALSE(parsed("").present);
  EXPECT_FALSE(parsed(" , ,").present);
  EXPECT_FALSE(CacheControl::of({}).present);
  const CacheControl unknown = parsed("x, y=\"no-store, max-age=5\"");
  EXPECT_TRUE(unknown.present);
  EXPECT_FALSE(unknown.no_store);
  EXPECT_EQ(unknown.max_age, std::nullopt);
}

TEST(CacheControl, TakesQuotedNumbersAndCapsHugeOnes) {
  EXPECT_EQ(parsed("max-age=\"10\"").max_age, 10u);
  EXPECT_EQ(parsed("max-age=2147483648").max_age, CacheControl::kMaxSeconds);
  EXPECT_EQ(parsed("max-age=4294967296").max_age, CacheControl::kMaxSeconds);
  EXPECT_EQ(parsed("max-age=99999999999999999999999").max_age, CacheControl::kMaxSeconds);
  EXPECT_EQ(parsed("max-age=0010").max_age, 10u);
}

TEST(CacheControl, CountsAnUnreadableLifetimeAsStale) {  // RFC 9111, 4.2.1
  for (const char* value :
       {"max-age", "max-age=", "max-age=x", "max-age=-1", "max-age=+1", "max-age=1.5", "max-age=1x",
        "max-age='10'", "max-age =10", "max-age= 10", "max-age=\"10", "max-age=\"10\"0",
        "max-age=\" 10\"", "max-age=1 0"}) {
    EXPECT_EQ(parsed(value).max_age, 0u) << value;
  }
  EXPECT_EQ(parsed("s-maxage=x").s_maxage, 0u);
}

TEST(CacheControl, TakesTheSmallestOfRepeatedLifetimes) {
  EXPECT_EQ(parsed("max-age=5, max-age=3, max-age=4").max_age, 3u);
  EXPECT_EQ(parsed("max-age=5, max-age=x").max_age, 0u);
  FieldSection fields;
  fields.add(FieldName::CacheControl, "max-age=5, no-store");
  fields.add(FieldName::CacheControl, "max-age=3");
  const CacheControl cc = CacheControl::of(fields);
  EXPECT_EQ(cc.max_age, 3u);
  EXPECT_TRUE(cc.no_store);
}

TEST(CacheControl, KeepsQualifiedFieldNamesApart) {  // RFC 9111, 5.2.2.4 and 5.2.2.7
  const CacheControl cc = parsed("no-cache=\"Set-Cookie, X-A\", private=\"X-B\", private=X-C");
  EXPECT_FALSE(cc.no_cache);
  EXPECT_FALSE(cc.is_private);
  EXPECT_EQ(cc.no_cache_fields, (Names{"Set-Cookie", "X-A"}));
  EXPECT_EQ(cc.private_fields, (Names{"X-B", "X-C"}));
  for (const char* value : {"private=\"\"", "private=", "private=\"a b\"", "private=\"x"}) {
    EXPECT_TRUE(parsed(value).is_private) << value;
  }
}

TEST(CacheControl, OfRequestsKnowsMaxStaleAndPragma) {
  EXPECT_EQ(parsed("max-stale").max_stale, CacheControl::kMaxSeconds);
  EXPECT_EQ(parsed("max-stale=x").max_stale, 0u);
  EXPECT_EQ(parsed("min-fresh=1, min-fresh=2").min_fresh, 2u);
  FieldSection fields;
  fields.add(FieldName::Pragma, "x, No-Cache");
  EXPECT_TRUE(CacheControl::of_request(fields).no_cache);
  EXPECT_FALSE(CacheControl::of(fields).no_cache);
  fields.add(FieldName::CacheControl, "max-age=1");
  EXPECT_FALSE(CacheControl::of_request(fields).no_cache);  // RFC 9111, 5.4
}

TEST(CacheControl, ReadsTargetedFields) {  // RFC 9213
  FieldSection fields;
  fields.add("CDN-Cache-Control", "max-age=7");
  EXPECT_EQ(CacheControl::of(fields, FieldName::CdnCacheControl).max_age, 7u);
}

}  // namespace
}  // namespace tributary::http
