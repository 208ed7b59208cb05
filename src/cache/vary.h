// Vary: the secondary key (RFC 9111 4.1).
//
//   vary = VaryNames::of(response fields)           "accept-encoding,accept-language"; kept with
//   the key's variants secondary_key(names, request fields)            what this request looks like
//   through those names
//
// Two requests match when their secondary keys are equal; a stored one keeps the text, never only a
// hash of it, so nobody can make two requests collide. What RFC 9111 4.1 allows is folded: the lines of a list into one, its
// white space, and case, order and a weight of one in Accept-Encoding, -Language and -Charset. Any thread; pure.
#pragma once

#include <string>
#include <string_view>

#include "http/fields.h"

namespace tributary::cache {

struct VaryNames {
  std::string names;     // lower case, sorted, without repeats, joined by ","; empty: the response
                         // does not vary
  bool is_star = false;  // "*", or more names or bytes than is sane (V-10): matches nothing

  static VaryNames of(const http::FieldSection& response);
};

// Appends the secondary key for `names` (as VaryNames::names). Nothing for empty names.
void append_secondary_key(std::string_view names, const http::FieldSection& request,
                          std::string& out);
std::string secondary_key(std::string_view names, const http::FieldSection& request);

// Whether `request` looks as the one did that `key` was made for.
bool vary_matches(std::string_view names, std::string_view key, const http::FieldSection& request);

}  // namespace tributary::cache
