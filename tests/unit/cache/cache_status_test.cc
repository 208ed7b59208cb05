#include "cache/cache_status.h"

#include <gtest/gtest.h>

namespace tributary::cache {
namespace {

TEST(CacheStatus, ReadsAsInTheInterface) {  // RFC 9211
  const struct {
    CacheStatus status;
    const char* text;
  } rows[] = {
      {{.hit = true, .ttl = 3580}, "tributary; hit; ttl=3580"},
      {{.hit = true, .ttl = -5}, "tributary; hit; ttl=-5"},
      {{.forward = Forward::UriMiss, .stored = true}, "tributary; fwd=uri-miss; stored"},
      {{.forward = Forward::UriMiss, .collapsed = true}, "tributary; fwd=uri-miss; collapsed"},
      {{.forward = Forward::Stale, .forward_status = 304}, "tributary; fwd=stale; fwd-status=304"},
      {{.forward = Forward::Stale, .forward_status = 304, .detail = "signed-location"},
       "tributary; fwd=stale; fwd-status=304; detail=signed-location"},
      {{.forward = Forward::VaryMiss}, "tributary; fwd=vary-miss"},
      {{.forward = Forward::Partial}, "tributary; fwd=partial"},
      {{.forward = Forward::Request}, "tributary; fwd=request"},
      {{.forward = Forward::Method}, "tributary; fwd=method"},
      {{.forward = Forward::Bypass}, "tributary; fwd=bypass"},
      {{.forward = Forward::Miss}, "tributary; fwd=miss"},
      {{.hit = true, .forward = Forward::Stale, .forward_status = 200, .stored = true},
       "tributary; hit"},
      {{}, "tributary"},
  };
  for (const auto& row : rows) EXPECT_EQ(row.status.text(), row.text);
}

TEST(CacheStatus, NamesTheClientWhenItForcedTheValidation) {
  EXPECT_EQ(forward_reason({.because = Because::RequestDirective}), Forward::Request);
  EXPECT_EQ(forward_reason({.because = Because::Stale}), Forward::Stale);
  EXPECT_EQ(forward_reason({.because = Because::MustValidate}), Forward::Stale);
}

}  // namespace
}  // namespace tributary::cache
