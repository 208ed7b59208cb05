// Link (RFC 8288), and what downloads take from it (RFC 6249): other sources of the same bytes, and Metalink files.
//
// Read with the leniency of RFC 8288's own algorithm (appendix B.2): unknown parameters are passed over, the first of
// repeated ones counts, commas inside of <> belong to the reference. A link with an anchor is about another resource and is
// passed over. Pure; any thread; linear time, and no more than kMaxLinks are looked at.
#pragma once

#include <cstddef>
#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "http/fields.h"
#include "http/parameters.h"
#include "http/url.h"

namespace tributary::http {

struct Link {
  std::string_view target;  // the URI reference between the angle brackets, not resolved
  std::vector<Parameter> parameters;

  // The first parameter of that name, in any case; nullptr when there is none.
  const Parameter* find(std::string_view name) const;
  // Whether `relation` is one of the types in its "rel", compared without case (2.1.1).
  bool has_relation(std::string_view relation) const;
};

// Walks the links of one field value; views into it. Stops at what is no link: what follows cannot be told apart.
class LinkCursor {
 public:
  explicit LinkCursor(std::string_view value) : rest_(value) {}
  bool next(Link& link);

 private:
  std::string_view rest_;
};

inline constexpr size_t kMaxLinks = 256;
inline constexpr uint32_t kLowestPriority = 999999;  // RFC 6249, 3.1: what has no "pri" comes last

// rel=duplicate: the same bytes at another place, so it says; a digest must show it.
struct DuplicateLink {
  Url url;
  uint32_t priority = kLowestPriority;  // 1 to kLowestPriority, the smaller the better
  bool preferred = false;               // "pref": a mirror under the same administration
  std::string location;                 // "geo": two letters in lower case, or empty
};

struct DownloadLinks {
  std::vector<DuplicateLink> duplicates;  // best first; of equals in the order of the field
  std::vector<Url> metalinks;             // rel=describedby with a type of Metalink, version 4 or 3
};

// `base`: the URL the response is for. Links that lead out of http and https, or that are no URLs, are left out.
DownloadLinks download_links(const FieldSection& fields, const Url& base);

}  // namespace tributary::http
