// Signed, expiring locations: one resource under URLs that differ in a signature alone, "…/a.tar?X-Amz-Date=…&X-Amz-Signature=…",
// because whoever hands them out signs each anew. They share one key, in which what belongs to the signature reads "*", so
// that the object is found again whichever of them is asked for; the values stay apart, as a hash, for what came from one
// location is used for another only when the origin, asked at that location, confirms it by a strong validator (decide() in
// policy.h). Which origin that is, and what else the URL says, is the key's affair: a validator identifies content within one
// resource only (RFC 9110 8.8.1).
//
// Known by names, and only together with those that make a signature of them: a "sig" or an "expires" alone is a parameter
// like any other. Names are compared without case. Pure; any thread.
#pragma once

#include <cstdint>
#include <string_view>

namespace tributary::cache {

// Stands in a key for the value of a parameter that belongs to the signature.
inline constexpr std::string_view kHidden = "*";

// What of a query is signature.
class Signature {
 public:
  explicit Signature(std::string_view query);
  // Is there one at all?
  explicit operator bool() const { return schemes_ != 0; }
  // Does this parameter of the query belong to it?
  bool has(std::string_view name) const;

 private:
  uint32_t schemes_ = 0;  // bits of the table
};

}  // namespace tributary::cache
