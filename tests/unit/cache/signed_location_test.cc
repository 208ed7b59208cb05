// Signed, expiring locations: which URLs share a key, and when what came from one may be used for another.
#include "cache/signed_location.h"

#include <gtest/gtest.h>

#include "cache/cache_status.h"
#include "cache/key.h"
#include "cache/policy.h"
#include "unit/cache/policy_fixture.h"

namespace tributary::cache {
namespace {

KeyedUrl keyed(std::string_view query, const std::vector<std::string>& ignored = {}) {
  const std::string text = "https://h/f?" + std::string(query);
  const KeyedUrl made = make_key(http::Url::parse(text).value(), ignored);
  std::string key;
  EXPECT_EQ(append_cache_key(http::parse_absolute(text).value(), key, ignored), made.signature) << query;
  EXPECT_EQ(key, made.key);
  // A key is its own key: what `cache ls` prints can be purged.
  EXPECT_EQ(make_key(http::Url::parse(key).value(), ignored).key, key);
  return made;
}

TEST(SignedLocation, HidesTheValuesOfAKnownSignatureAndNothingElse) {
  const struct {
    const char *query, *key;
  } rows[] = {
      // Signature Version 4 (S3 and the like)
      {"X-Amz-Algorithm=AWS4-HMAC-SHA256&X-Amz-Credential=A%2F20260101&X-Amz-Date=20260101T000000Z&X-Amz-Expires=300"
       "&X-Amz-SignedHeaders=host&X-Amz-Signature=abcd&response-content-type=text%2Fplain&versionId=7",
       "X-Amz-Algorithm=*&X-Amz-Credential=*&X-Amz-Date=*&X-Amz-Expires=*&X-Amz-SignedHeaders=*&X-Amz-Signature=*"
       "&response-content-type=text%2Fplain&versionId=7"},
      {"partNumber=1&X-Amz-Security-Token=t&x-amz-signature=s", "partNumber=1&X-Amz-Security-Token=*&x-amz-signature=*"},
      {"X-Goog-Date=1&X-Goog-Signature=2&generation=3", "X-Goog-Date=*&X-Goog-Signature=*&generation=3"},
      // Azure, as GitHub's release assets and its registry have it
      {"sp=r&sv=2018&sr=b&spr=https&se=2026-01-01&rscd=attachment%3B+a.deb&sig=x%3D&jwt=e.f&rsct=a%2Fb",
       "sp=*&sv=*&sr=*&spr=*&se=*&rscd=attachment%3B+a.deb&sig=*&jwt=*&rsct=a%2Fb"},
      {"se=1&sig=2&hmac=3", "se=*&sig=*&hmac=*"},
      // CloudFront, Signature Version 2, nginx's secure_link
      {"Expires=1&Signature=2&Key-Pair-Id=3", "Expires=*&Signature=*&Key-Pair-Id=*"},
      {"response-content-disposition=x&Policy=1&Signature=2&Key-Pair-Id=3", "response-content-disposition=x&Policy=*&Signature=*&Key-Pair-Id=*"},
      {"AWSAccessKeyId=1&Expires=2&Signature=3", "AWSAccessKeyId=*&Expires=*&Signature=*"},
      {"signature=1&expires=2&id=3", "signature=*&expires=*&id=3"},
      {"md5=1&expires=2", "md5=*&expires=*"},
      // edge tokens
      {"hdnts=exp=1~acl=/*~hmac=2&x=1", "hdnts=*&x=1"},
      {"verify=1700000000-abcdefghijklmnopqrstuvwx%3D", "verify=*"},
  };
  for (const auto& row : rows) {
    const KeyedUrl made = keyed(row.query);
    EXPECT_EQ(made.key, "https://h/f?" + std::string(row.key));
    EXPECT_NE(made.signature, 0u) << row.query;
  }
}

TEST(SignedLocation, LeavesOtherQueriesAsTheyAre) {
  for (const char* query :
       {"", "a=b", "sig=1", "se=1", "sv=1&sp=2", "Expires=1", "Signature=1", "Key-Pair-Id=1", "md5=1", "token=1&expires=2",
        "X-Amz-Date=1&X-Amz-Credential=2", "X-Amz-Signature=", "X-Amz-Signature", "Signature=&Expires=1", "verify=1",
        "verify=yes-please-do-it-for-me-now", "verify=1700000000-", "hdnts=1", "X-Amz-Signature2=1", "q=X-Amz-Signature=1"}) {
    const KeyedUrl made = keyed(query);
    EXPECT_EQ(made.key, "https://h/f?" + std::string(query));
    EXPECT_EQ(made.signature, 0u) << query;
  }
  EXPECT_EQ(make_key(http::Url::parse("https://h/Signature=1&Expires=2").value()).signature, 0u);
}

TEST(SignedLocation, TellsSignaturesApartByTheirValues) {
  const auto signature = [](std::string_view query) { return keyed(query).signature; };
  EXPECT_EQ(signature("Expires=1&Signature=2"), signature("Expires=1&Signature=2"));
  EXPECT_NE(signature("Expires=1&Signature=2"), signature("Expires=1&Signature=3"));
  EXPECT_NE(signature("Expires=1&Signature=2"), signature("Expires=2&Signature=2"));
  EXPECT_NE(signature("Expires=1&Signature=23"), signature("Expires=12&Signature=3"));
}

TEST(SignedLocation, LeavesOutWhatTheOperatorIgnores) {
  const std::vector<std::string> ignored = {"jwt", "utm_*"};
  EXPECT_EQ(keyed("utm_a=1&se=1&sig=2&jwt=3", ignored).key, "https://h/f?se=*&sig=*");
  EXPECT_EQ(keyed("se=1&sig=2&jwt=3", ignored).signature, keyed("se=1&sig=2&jwt=4&utm_b=1", ignored).signature);
}

constexpr uint64_t kHere = 7, kElsewhere = 8;

StoredMeta stored_here(std::string_view lines, core::UnixTime ago = 1) {
  const http::ResponseHead response = make_response(200, lines);
  StoredMeta meta = describe({}, response, response_directives({}, response.fields), true, kNow - ago, kNow - ago);
  meta.signature = kHere;
  return meta;
}

TEST(SignedLocation, WhatCameFromAnotherIsNeverUsedUnasked) {  // RFC 9110 8.8.1
  const StoredMeta meta = stored_here("Cache-Control: max-age=600, stale-while-revalidate=600, stale-if-error=600\nETag: \"a\"");
  const auto use = [&](std::string_view request, uint64_t signature) {
    const http::FieldSection fields = make_fields(request);
    return decide({}, http::CacheControl::of_request(fields), meta, kNow, signature).use;
  };
  EXPECT_EQ(use("", kHere), Use::Fresh);
  EXPECT_EQ(use("", kElsewhere), Use::Validate);
  EXPECT_EQ(use("", 0), Use::Validate);
  EXPECT_EQ(use("Cache-Control: max-stale", kElsewhere), Use::Validate);
  EXPECT_EQ(use("Cache-Control: only-if-cached", kHere), Use::Fresh);
  EXPECT_EQ(use("Cache-Control: only-if-cached", kElsewhere), Use::GatewayTimeout);
  const http::CacheControl none;
  EXPECT_TRUE(may_serve_stale_on_error({}, none, meta, kNow, kHere));
  EXPECT_FALSE(may_serve_stale_on_error({}, none, meta, kNow, kElsewhere));
}

TEST(SignedLocation, CacheStatusSaysWhetherItWasStaleAsWell) {  // RFC 9211 2.2
  const http::CacheControl none;
  const StoredMeta fresh = stored_here("Cache-Control: max-age=600\nETag: \"a\"");
  EXPECT_EQ(forward_reason(decide({}, none, fresh, kNow, kElsewhere)), Forward::Request);
  EXPECT_EQ(forward_reason(decide({}, none, fresh, kNow + 700, kElsewhere)), Forward::Stale);
  EXPECT_EQ(forward_reason(decide({}, none, fresh, kNow + 700, kHere)), Forward::Stale);
}

TEST(SignedLocation, OnlySuccessIsStored) {
  for (const uint16_t status : std::initializer_list<uint16_t>{200, 206, 302, 400, 403, 404, 410}) {
    const http::ResponseHead response =
        make_response(status, "Cache-Control: max-age=60\nETag: \"a\"\nContent-Range: bytes 0-1/9");
    RequestFacts request;
    const auto reason = [&] { return storable({}, request, response, response_directives({}, response.fields), kNow).reason; };
    EXPECT_EQ(reason(), NotStorable::None) << status;
    request.signature = kHere;
    EXPECT_EQ(reason(), status == 200 || status == 206 ? NotStorable::None : NotStorable::SignedStatus) << status;
  }
}

}  // namespace
}  // namespace tributary::cache
