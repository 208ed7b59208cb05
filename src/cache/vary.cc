#include "cache/vary.h"

#include <algorithm>
#include <vector>

namespace tributary::cache {

using http::FieldName;
using http::FieldSection;

namespace {

constexpr size_t kMaxNames = 16;
constexpr size_t kMaxBytes = 512;

// Elements whose case and order carry no meaning (RFC 9110 12.5.3: content codings are
// case-insensitive, a preference is told by weight alone).
bool is_unordered(FieldName name) {
  return name == FieldName::AcceptEncoding;
}
// Language tags and charsets: case-insensitive, but equal weights may mean "in this order".
bool ignores_case(FieldName name) {
  return name == FieldName::AcceptEncoding || name == FieldName::AcceptLanguage ||
         name == FieldName::AcceptCharset;
}
// Fields that are lists by definition: white space around "," and empty elements mean nothing (RFC
// 9110 5.6.1).
bool is_list(FieldName name) {
  return ignores_case(name) || name == FieldName::Accept;
}

void append_value(FieldName name, std::string_view value, std::string& out) {
  const size_t begin = out.size();
  for (const char c : value) {
    if (http::is_ows(c)) {
      // A run of white space is one space; none beside the separators of a list.
      if (out.size() > begin && out.back() != ' ' &&
          !(is_list(name) && (out.back() == ';' || out.back() == ','))) {
        out += ' ';
      }
      continue;
    }
    if (is_list(name) && (c == ';' || c == ',') && out.size() > begin && out.back() == ' ')
      out.pop_back();
    out += ignores_case(name) ? http::to_lower(c) : c;
  }
  if (out.size() > begin && out.back() == ' ') out.pop_back();
}

void append_list(FieldName token, const FieldSection& request, std::string& out) {
  std::vector<std::string> elements;
  request.for_each_element(token, [&](std::string_view element) {
    append_value(token, element, elements.emplace_back());
  });
  if (is_unordered(token)) {
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
  if (is_list(token)) {
    append_list(token, request, out);
    return;
  }
  // Lines are joined with a character that no value holds, lest "a, b" looks like "a" and "b" where
  // that is not the same.
  bool is_first = true;
  request.for_each(name, [&](std::string_view value) {
    if (!is_first) out += '\n';
    is_first = false;
    append_value(token, value, out);
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
    if (vary.is_star || names.size() > kMaxNames || bytes > kMaxBytes) return;
    std::string& name = names.emplace_back(element);
    for (char& c : name) c = http::to_lower(c);
  });
  std::sort(names.begin(), names.end());
  names.erase(std::unique(names.begin(), names.end()), names.end());
  if (names.size() > kMaxNames || bytes > kMaxBytes) vary.is_star = true;
  if (vary.is_star) return vary;
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
