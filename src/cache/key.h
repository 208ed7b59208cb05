// The primary cache key (RFC 9111 2): the effective request URI in normal form,
// "http://host[:port]/path?query".
//
// Built only from the URI that is really fetched, never from Host of an absolute-form request,
// X-Forwarded-* or the like (V-3). The method is no part of it: GET and HEAD share, others are not
// stored. Requests that differ by a field that the response names in Vary differ in the secondary
// key (vary.h). Any thread; pure.
//
// Nothing of path and query is decoded or put in order: what origins may tell apart stays apart. But parameters whose
// name matches one of `ignored` (cache.ignore_query; globs) are left out, whatever they would have changed at the origin:
// that is the operator's word. And of a signed location the values of the signature read "*" (signed_location.h).
#pragma once

#include <cstdint>
#include <span>
#include <string>
#include <string_view>

#include "http/url.h"

namespace tributary::cache {

// Longer ones are not stored: the index keeps the key as text in each record.
inline constexpr size_t kMaxKeySize = 8192;

// Appends the key; one growth of `out` at most. Returns a hash of what the key hides of a signed location; 0 when nothing:
// StoredMeta::signature and RequestFacts::signature.
uint64_t append_cache_key(const http::UrlView& url, std::string& out, std::span<const std::string> ignored = {});
struct KeyedUrl {
  std::string key;
  uint64_t signature = 0;  // what append_cache_key() returns
};
KeyedUrl make_key(const http::Url& url, std::span<const std::string> ignored = {});

}  // namespace tributary::cache
