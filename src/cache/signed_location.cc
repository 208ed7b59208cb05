#include "cache/signed_location.h"

#include <algorithm>
#include <iterator>
#include <span>

#include "cache/key.h"
#include "http/text.h"

namespace tributary::cache {
namespace {

using Names = std::span<const std::string_view>;

constexpr std::string_view kAws[] = {"X-Amz-Algorithm", "X-Amz-Credential",     "X-Amz-Date",           "X-Amz-Expires",
                                     "X-Amz-Signature", "X-Amz-SignedHeaders", "X-Amz-Security-Token"};
constexpr std::string_view kGoogle[] = {"X-Goog-Algorithm", "X-Goog-Credential", "X-Goog-Date",
                                        "X-Goog-Expires",   "X-Goog-Signature",  "X-Goog-SignedHeaders"};
constexpr std::string_view kAzure[] = {"sv", "ss", "srt", "sr",  "st",  "se",    "sp",    "spr", "sip", "si",
                                       "sig", "skoid", "sktid", "skt", "ske", "sks", "skv", "jwt", "hmac"};
constexpr std::string_view kExpiring[] = {"Signature",      "sig",         "md5",          "Expires",       "Policy",
                                          "Key-Pair-Id",    "Hash-Algorithm", "AWSAccessKeyId", "GoogleAccessId", "OSSAccessKeyId",
                                          "x-amz-security-token", "security-token"};
constexpr std::string_view kAkamai[] = {"hdnea", "hdnts", "__token__"};
constexpr std::string_view kCloudflare[] = {"verify"};

constexpr std::string_view kMarkAws[] = {"X-Amz-Signature"};
constexpr std::string_view kMarkGoogle[] = {"X-Goog-Signature"};
constexpr std::string_view kMarkSig[] = {"sig"};
constexpr std::string_view kMarkEnd[] = {"se", "si"};
constexpr std::string_view kMarkSigned[] = {"Signature", "sig", "md5"};
constexpr std::string_view kMarkExpires[] = {"Expires", "Policy"};

// Tokens that hold their own end: "exp=…~acl=…~hmac=…".
bool is_edge_token(std::string_view value) { return value.find("hmac=") != std::string_view::npos; }

// Seconds, "-", the HMAC.
bool is_timed_hmac(std::string_view value) {
  const size_t dash = value.find('-');
  return dash >= 9 && dash <= 11 && value.size() > dash + 16 && std::all_of(value.begin(), value.begin() + static_cast<std::ptrdiff_t>(dash), http::is_digit);
}

// A parameter of `first` must be there, and one of `second` unless that is empty; with values, that also `fits` unless null.
struct Scheme {
  Names first, second;
  bool (*fits)(std::string_view value);
  Names names;
};
constexpr Scheme kSchemes[] = {
    {kMarkAws, {}, nullptr, kAws},                    // Signature Version 4: S3 and what speaks like it
    {kMarkGoogle, {}, nullptr, kGoogle},              // Google Cloud Storage, version 4
    {kMarkSig, kMarkEnd, nullptr, kAzure},            // Azure's shared access signatures; GitHub and its registry add jwt, hmac
    {kMarkSigned, kMarkExpires, nullptr, kExpiring},  // Signature Version 2, CloudFront, nginx's secure_link
    {kAkamai, {}, is_edge_token, kAkamai},
    {kCloudflare, {}, is_timed_hmac, kCloudflare},
};
static_assert(std::size(kSchemes) <= 32);

bool is_in(Names names, std::string_view name) {
  return std::any_of(names.begin(), names.end(), [&](std::string_view other) { return http::equal_ignoring_case(name, other); });
}

}  // namespace

Signature::Signature(std::string_view query) {
  uint32_t first = 0, second = 0;
  while (!query.empty()) {
    const std::string_view parameter = query.substr(0, query.find('&'));
    query.remove_prefix(std::min(parameter.size() + 1, query.size()));
    const size_t equals = parameter.find('=');
    if (equals == std::string_view::npos || equals + 1 == parameter.size()) continue;
    const std::string_view name = parameter.substr(0, equals), value = parameter.substr(equals + 1);
    for (size_t i = 0; i < std::size(kSchemes); ++i) {
      const Scheme& scheme = kSchemes[i];
      const uint32_t bit = 1u << i;
      const bool fits = !scheme.fits || value == kHidden || scheme.fits(value);  // a key is its own key
      if (fits && is_in(scheme.first, name)) first |= bit;
      if (fits && is_in(scheme.second, name)) second |= bit;
    }
  }
  for (size_t i = 0; i < std::size(kSchemes); ++i) {
    if (kSchemes[i].second.empty()) second |= 1u << i;
  }
  schemes_ = first & second;
}

bool Signature::has(std::string_view name) const {
  for (size_t i = 0; i < std::size(kSchemes); ++i) {
    if ((schemes_ >> i & 1) && is_in(kSchemes[i].names, name)) return true;
  }
  return false;
}

}  // namespace tributary::cache
