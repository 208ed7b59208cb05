#include "cache/vary.h"

#include <algorithm>
#include <vector>

namespace tributary::cache {

using http::FieldName;
using http::FieldSection;

namespace {

constexpr size_t kMaxNames = 16;
constexpr size_t kMaxBytes = 512;

// Preferences told by weight alone: neither case nor order carries meaning (RFC 9110 12.5.3, 12.5.4: that some take the
// order of equal weights as one "cannot be relied upon").
bool is_preference(FieldName name) {
  return name == FieldName::AcceptEncoding || name == FieldName::AcceptLanguage ||
         name == FieldName::AcceptCharset;
}

// Fields that are one value, in which a comma separates nothing: taken as they are.
bool is_singleton(FieldName name) {
  switch (name) {
    case FieldName::AcceptDatetime:
    case FieldName::Authorization:
    case FieldName::ContentType:
    case FieldName::Cookie:
    case FieldName::Date:
    case FieldName::From:
    case FieldName::Host:
    case FieldName::IfModifiedSince:
    case FieldName::IfRange:
    case FieldName::IfUnmodifiedSince:
    case FieldName::Origin:
    case FieldName::ProxyAuthorization:
    case FieldName::Referer:
    case FieldName::UserAgent:
      return true;
    default:
      return false;
  }
}

// An element of a list: a run of white space outside of quotes is one space, and none beside ";". Preferences are in
// lower case, and a weight of one is not said (RFC 9110 12.4.2).
void append_element(FieldName name, std::string_view element, std::string& out) {
  const size_t begin = out.size();
  bool quoted = false;
  for (size_t i = 0; i < element.size(); ++i) {
    const char c = element[i];
    if (quoted) {
      out += c;
      if (c == '\\' && i + 1 < element.size()) out += element[++i];
      quoted = c != '"';
    } else if (http::is_ows(c)) {
      if (out.size() > begin && out.back() != ' ' && out.back() != ';') out += ' ';
    } else {
      if (c == ';' && out.size() > begin && out.back() == ' ') out.pop_back();
      out += is_preference(name) ? http::to_lower(c) : c;
      quoted = c == '"';
    }
  }
  if (!is_preference(name)) return;
  const std::string_view text = std::string_view(out).substr(begin);
  const size_t weight = text.rfind(";q=1");
  if (weight == std::string_view::npos) return;
  const std::string_view fraction = text.substr(weight + 4);
  if (fraction.empty() || (fraction.front() == '.' && fraction.find_first_not_of('0', 1) == std::string_view::npos)) {
    out.resize(begin + weight);
  }
}

// Lines of a list are one list, and white space between its elements means nothing (RFC 9110 5.3, 5.6.1; RFC 9111 4.1).
void append_list(std::string_view name, FieldName token, const FieldSection& request, std::string& out) {
  std::vector<std::string> elements;
  request.for_each(name, [&](std::string_view value) {
    http::ListCursor cursor(value);
    for (std::string_view element; cursor.next(element);) {
      append_element(token, element, elements.emplace_back());
    }
  });
  if (is_preference(token)) {
    std::sort(elements.begin(), elements.end());
    elements.erase(std::unique(elements.begin(), elements.end()), elements.end());
  }
  for (size_t i = 0; i < elements.size(); ++i) {
    if (i > 0) out += ',';
    out += elements[i];
  }
}

void append_field(std::string_view name, const FieldSection& request, std::string& out) {
  const FieldName token = http::field_name(name);
  if (!request.has(name)) {
    out += '-';  // absent is not the same as empty
    return;
  }
  out += '=';
  if (!is_singleton(token)) return append_list(name, token, request, out);
  // Several lines of what should be one: joined with a character that no value holds.
  bool is_first = true;
  request.for_each(name, [&](std::string_view value) {
    if (!is_first) out += '\n';
    is_first = false;
    out += value;
  });
}

}  // namespace

VaryNames VaryNames::of(const FieldSection& response) {
  VaryNames vary;
  if (!response.has(FieldName::Vary)) return vary;
  std::vector<std::string> names;
  size_t bytes = 0;
  response.for_each_element(FieldName::Vary, [&](std::string_view element) {
    // Not a name: nobody knows what it selects by, so it matches nothing.
    if (element == "*" || !http::is_token(element)) vary.is_star = true;
    bytes += element.size();
    // Repeats count: a name must never be left out for those before it.
    if (names.size() == kMaxNames || bytes > kMaxBytes) vary.is_star = true;
    if (vary.is_star) return;
    std::string& name = names.emplace_back(element);
    for (char& c : name) c = http::to_lower(c);
  });
  if (vary.is_star) return vary;
  std::sort(names.begin(), names.end());
  names.erase(std::unique(names.begin(), names.end()), names.end());
  for (const std::string& name : names) {
    if (!vary.names.empty()) vary.names += ',';
    vary.names += name;
  }
  return vary;
}

void append_secondary_key(std::string_view names, const FieldSection& request, std::string& out) {
  while (!names.empty()) {
    const size_t comma = names.find(',');
    const std::string_view name = names.substr(0, comma);
    out += name;
    append_field(name, request, out);
    out += "\r\n";  // occurs in no value
    names.remove_prefix(comma == std::string_view::npos ? names.size() : comma + 1);
  }
}

std::string secondary_key(std::string_view names, const FieldSection& request) {
  std::string key;
  append_secondary_key(names, request, key);
  return key;
}

bool vary_matches(std::string_view names, std::string_view key, const FieldSection& request) {
  return secondary_key(names, request) == key;
}

}  // namespace tributary::cache
