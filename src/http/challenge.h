// WWW-Authenticate and Proxy-Authenticate (RFC 9110, 11.6.1): lists of challenges, each a list of parameters itself, separated by
// the same commas. A word is a scheme unless "=" follows it.
//
// Tolerant where senders are known to err: commas that lack between parameters, spaces around "=". Views into the text that was
// given. Pure; any thread; linear time; at most kMaxChallenges.
#pragma once

#include <cstddef>
#include <string>
#include <string_view>
#include <vector>

#include "http/fields.h"
#include "http/parameters.h"

namespace tributary::http {

struct Challenge {
  std::string_view scheme;
  std::string_view token68;  // instead of parameters: Negotiate, NTLM
  std::vector<Parameter> parameters;

  // The value of the first parameter of that name, in any case; empty when there is none.
  std::string value(std::string_view name) const;
  bool has(std::string_view name) const;
};

inline constexpr size_t kMaxChallenges = 32;

// Of every field of that name, in order.
std::vector<Challenge> challenges_of(const FieldSection& fields, FieldName name);
// Of one field; appended.
void append_challenges(std::string_view value, std::vector<Challenge>& challenges);

}  // namespace tributary::http
