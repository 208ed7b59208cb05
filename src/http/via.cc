#include "http/via.h"

#include <string>

namespace tributary::http {

void append_via(FieldSection& fields, uint8_t received_minor, std::string_view pseudonym) {
  std::string value;
  value.reserve(pseudonym.size() + 4);
  value.append(received_minor == 0 ? "1.0 " : "1.1 ").append(pseudonym);
  fields.add(FieldName::Via, value);
}

bool via_contains(const FieldSection& fields, std::string_view pseudonym) {
  bool found = false;
  fields.for_each(FieldName::Via, [&](std::string_view value) {
    // Each element is "protocol received-by (comment)"; commas and names inside comments mean
    // nothing.
    size_t depth = 0;
    size_t word = 0;  // of this element: 0 protocol, 1 received-by
    size_t begin = 0;
    bool in_word = false;
    for (size_t i = 0; i <= value.size(); ++i) {
      const char c = i < value.size() ? value[i] : ',';
      if (depth > 0 && i < value.size()) {
        if (c == '\\') {
          ++i;
        } else if (c == '(') {
          ++depth;
        } else if (c == ')') {
          --depth;
        }
        continue;
      }
      const bool separates = is_ows(c) || c == ',' || c == '(';
      if (in_word && separates) {
        found =
            found || (word == 1 && equal_ignoring_case(value.substr(begin, i - begin), pseudonym));
        ++word;
        in_word = false;
      } else if (!in_word && !separates) {
        begin = i;
        in_word = true;
      }
      if (c == '(') depth = 1;
      if (c == ',') word = 0;
    }
  });
  return found;
}

std::optional<uint64_t> max_forwards(const FieldSection& fields) {
  const auto value = fields.find_only(FieldName::MaxForwards);
  return value ? parse_decimal(*value) : std::nullopt;
}

}  // namespace tributary::http
