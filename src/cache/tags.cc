#include "cache/tags.h"

#include <algorithm>

#include "http/text.h"

namespace tributary::cache {
namespace {

constexpr std::string_view kTagFields[] = {"cache-tag", "surrogate-key", "xkey"};
constexpr std::string_view kSeparators = ", \t";

bool is_tag_field(std::string_view name) {
  return std::any_of(std::begin(kTagFields), std::end(kTagFields),
                     [&](std::string_view field) { return http::equal_ignoring_case(name, field); });
}

// Calls visit(tag as it is written) for every tag, until it says true.
template <class Visit>
bool any_tag(std::string_view fields, Visit visit) {
  while (!fields.empty()) {
    const size_t end = fields.find("\r\n");
    const std::string_view line = fields.substr(0, end);
    fields.remove_prefix(end == std::string_view::npos ? fields.size() : end + 2);
    const size_t colon = line.find(':');
    if (colon == std::string_view::npos || !is_tag_field(line.substr(0, colon))) continue;
    std::string_view value = line.substr(colon + 1);
    for (size_t first; (first = value.find_first_not_of(kSeparators)) != std::string_view::npos;) {
      value.remove_prefix(first);
      const size_t size = std::min(value.find_first_of(kSeparators), value.size());
      if (visit(value.substr(0, size))) return true;
      value.remove_prefix(size);
    }
  }
  return false;
}

}  // namespace

std::string fold_tag(std::string_view tag) {
  std::string folded(tag);
  for (char& c : folded) c = http::to_lower(c);
  return folded;
}

bool has_tag(std::string_view fields, std::string_view tag) {
  return any_tag(fields, [&](std::string_view other) { return http::equal_ignoring_case(other, tag); });
}

bool has_any_tag(std::string_view fields) {
  return any_tag(fields, [](std::string_view) { return true; });
}

Hash128 hash_tag(std::string_view folded) { return hash_key(folded); }

Hash128 many_tags() { return hash_key(","); }  // no tag can be that

std::vector<Hash128> tag_hashes(std::string_view fields) {
  std::vector<Hash128> hashes;
  const bool too_many = any_tag(fields, [&](std::string_view tag) {
    const Hash128 hash = hash_tag(fold_tag(tag));
    if (std::find(hashes.begin(), hashes.end(), hash) != hashes.end()) return false;
    if (hashes.size() == kMaxTags) return true;
    hashes.push_back(hash);
    return false;
  });
  if (too_many) hashes.push_back(many_tags());
  return hashes;
}

}  // namespace tributary::cache
