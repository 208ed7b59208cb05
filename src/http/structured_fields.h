// Structured fields (RFC 9651, which contains RFC 8941): dictionaries, as far as recipients of cache directives need them.
//
// Strict as the RFC asks (4.2): any error makes the whole field nothing, never a part of it. Parameters are checked and
// dropped. Views point into the text that was parsed. Pure; any thread; linear time.
#pragma once

#include <cstddef>
#include <cstdint>
#include <string_view>
#include <vector>

namespace tributary::http {

struct StructuredItem {
  enum class Type : uint8_t { Integer, Decimal, String, Token, Bytes, Boolean, Date, DisplayString };
  Type type = Type::Boolean;
  bool boolean = true;   // of Boolean
  int64_t integer = 0;   // of Integer and Date; at most 15 digits
  std::string_view text;  // as written, without quotes or colons; a String may still hold "\\" and "\""
};

struct StructuredMember {
  std::string_view key;
  bool is_inner_list = false;
  StructuredItem item;                // unless it is a list
  std::vector<StructuredItem> list;
};

// Adds the members of one field line to `members`, each key once: of repeated keys the last counts, in the place of the
// first (4.2.2). False: the field as a whole is to be ignored. An empty line is an empty dictionary. More than
// kMaxMembers are an error (the RFC asks for at least 1024).
inline constexpr size_t kMaxMembers = 1024;
bool append_dictionary(std::string_view line, std::vector<StructuredMember>& members);

}  // namespace tributary::http
