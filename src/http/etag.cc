#include "http/etag.h"

#include <algorithm>

namespace tributary::http {
namespace {

// Takes an entity tag off the front of `text`.
std::optional<EntityTag> take_etag(std::string_view& text) {
  EntityTag tag;
  if (text.starts_with("W/")) {  // case-sensitive
    tag.weak = true;
    text.remove_prefix(2);
  }
  if (!text.starts_with('"')) return std::nullopt;
  const size_t close = text.find('"', 1);
  if (close == std::string_view::npos) return std::nullopt;
  tag.opaque = text.substr(1, close - 1);
  // etagc: visible characters but the double quote, and obs-text; no space.
  const bool valid = std::all_of(tag.opaque.begin(), tag.opaque.end(), [](char c) {
    const uint8_t byte = static_cast<uint8_t>(c);
    return byte > 0x20 && byte != 0x7f;
  });
  if (!valid) return std::nullopt;
  text.remove_prefix(close + 1);
  return tag;
}

void skip_separators(std::string_view& text) {
  while (!text.empty() && (is_ows(text.front()) || text.front() == ',')) text.remove_prefix(1);
}

}  // namespace

std::optional<EntityTag> parse_etag(std::string_view text) {
  text = trim_ows(text);
  auto tag = take_etag(text);
  return text.empty() ? tag : std::nullopt;
}

EtagListMatch match_etags(const FieldSection& fields, FieldName name,
                          const std::optional<EntityTag>& tag, Comparison comparison) {
  if (!fields.has(name)) return EtagListMatch::Absent;
  bool any = false;
  bool match = false;
  fields.for_each(name, [&](std::string_view value) {
    if (value == "*") {
      any = true;
      return;
    }
    // Not a ListCursor: an opaque tag may hold a backslash, which quotes nothing in it.
    for (skip_separators(value); tag && !value.empty(); skip_separators(value)) {
      const auto element = take_etag(value);
      if (!element) return;
      match = match || (comparison == Comparison::Strong ? strong_equal(*element, *tag)
                                                         : weak_equal(*element, *tag));
      value = value.substr(std::min(value.find_first_not_of(" \t"), value.size()));
      if (!value.empty() && value.front() != ',') return;
    }
  });
  if (any) return EtagListMatch::Any;
  return match ? EtagListMatch::Match : EtagListMatch::NoMatch;
}

}  // namespace tributary::http
