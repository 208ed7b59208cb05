// Entity tags (RFC 9110, 8.8.3). Views into the field they were parsed from. Any thread.
#pragma once

#include <optional>
#include <string_view>

#include "http/fields.h"

namespace tributary::http {

struct EntityTag {
  bool weak = false;
  std::string_view opaque;  // between the quotes
  friend bool operator==(const EntityTag&,
                         const EntityTag&) = default;  // same spelling; not a comparison of the RFC
};

// Exactly one entity tag, surrounding OWS allowed.
std::optional<EntityTag> parse_etag(std::string_view text);

// RFC 9110, 8.8.3.2.
inline bool strong_equal(const EntityTag& a, const EntityTag& b) {
  return !a.weak && !b.weak && a.opaque == b.opaque;
}
inline bool weak_equal(const EntityTag& a, const EntityTag& b) {
  return a.opaque == b.opaque;
}

enum class EtagListMatch : uint8_t {
  Absent,   // the field is not there
  Any,      // "*"
  Match,    // one of the list is `tag`
  NoMatch,  // none is, or `tag` is absent
};
enum class Comparison : uint8_t { Strong, Weak };

// If-Match and If-None-Match against the tag of the selected representation (absent: it has none).
// A list element that is no entity tag ends the list: what follows cannot be told apart safely.
EtagListMatch match_etags(const FieldSection& fields, FieldName name,
                          const std::optional<EntityTag>& tag, Comparison comparison);

}  // namespace tributary::http
