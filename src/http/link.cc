#include "http/link.h"

#include <algorithm>

#include "http/text.h"

namespace tributary::http {
namespace {

constexpr size_t kMaxParameters = 32;

void skip_ows(std::string_view& text) {
  while (!text.empty() && is_ows(text.front())) text.remove_prefix(1);
}

DuplicateLink duplicate(const Link& link, Url url) {
  DuplicateLink out;
  out.url = std::move(url);
  out.preferred = link.find("pref") != nullptr;
  if (const Parameter* priority = link.find("pri")) {
    const uint64_t value = parse_decimal(priority->value()).value_or(0);
    if (value >= 1 && value <= kLowestPriority) out.priority = static_cast<uint32_t>(value);
  }
  if (const Parameter* geo = link.find("geo")) {
    const std::string place = geo->value();
    if (place.size() == 2 && is_alpha(place[0]) && is_alpha(place[1])) {
      out.location = {to_lower(place[0]), to_lower(place[1])};
    }
  }
  return out;
}

bool is_metalink(const Link& link) {
  const Parameter* type = link.find("type");
  if (!type) return false;
  const std::string value = type->value();
  return equal_ignoring_case(value, "application/metalink4+xml") || equal_ignoring_case(value, "application/metalink+xml");
}

}  // namespace

const Parameter* Link::find(std::string_view name) const {
  const auto found = std::find_if(parameters.begin(), parameters.end(), [name](const Parameter& parameter) {
    return equal_ignoring_case(parameter.name, name);
  });
  return found == parameters.end() ? nullptr : &*found;
}

bool Link::has_relation(std::string_view relation) const {
  const Parameter* rel = find("rel");
  if (!rel) return false;
  const std::string value = rel->value();
  ListCursor types(value, ' ');
  for (std::string_view type; types.next(type);) {
    if (equal_ignoring_case(type, relation)) return true;
  }
  return false;
}

bool LinkCursor::next(Link& link) {
  link = {};
  while (skip_ows(rest_), rest_.starts_with(',')) rest_.remove_prefix(1);
  const size_t close = rest_.find('>');
  if (!rest_.starts_with('<') || close == std::string_view::npos) {
    rest_ = {};
    return false;
  }
  link.target = trim_ows(rest_.substr(1, close - 1));
  rest_.remove_prefix(close + 1);
  skip_ows(rest_);
  while (rest_.starts_with(';')) {
    rest_.remove_prefix(1);
    const Parameter parameter = take_parameter(rest_, ";,");
    if (!parameter.name.empty() && link.parameters.size() < kMaxParameters) link.parameters.push_back(parameter);
  }
  if (!rest_.empty() && !rest_.starts_with(',')) rest_ = {};
  return true;
}

DownloadLinks download_links(const FieldSection& fields, const Url& base) {
  DownloadLinks links;
  size_t seen = 0;
  fields.for_each(FieldName::Link, [&](std::string_view value) {
    LinkCursor cursor(value);
    for (Link link; seen < kMaxLinks && cursor.next(link);) {
      ++seen;
      const bool is_duplicate = link.has_relation("duplicate");
      if (link.find("anchor") || !(is_duplicate || (link.has_relation("describedby") && is_metalink(link)))) continue;
      auto url = resolve(base, link.target);
      if (!url) continue;
      if (is_duplicate) {
        links.duplicates.push_back(duplicate(link, std::move(*url)));
      } else {
        links.metalinks.push_back(std::move(*url));
      }
    }
  });
  std::stable_sort(links.duplicates.begin(), links.duplicates.end(), [](const DuplicateLink& a, const DuplicateLink& b) {
    return a.priority != b.priority ? a.priority < b.priority : a.preferred > b.preferred;
  });
  return links;
}

}  // namespace tributary::http
