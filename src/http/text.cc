#include "http/text.h"

#include <algorithm>
#include <cstring>

namespace tributary::http {

bool is_token(std::string_view text) {
  return !text.empty() && std::all_of(text.begin(), text.end(), is_token_char);
}

bool is_field_value(std::string_view text) {
  constexpr uint64_t kOnes = 0x0101010101010101;
  constexpr uint64_t kHigh = kOnes * 0x80;
  const char* p = text.data();
  const char* const end = p + text.size();
  // Eight bytes at a time: none below 0x20 and none 0x7f. A hit (HTAB among them) is looked at byte
  // by byte.
  while (end - p >= 8) {
    uint64_t word;
    std::memcpy(&word, p, 8);
    const uint64_t control = (word - kOnes * 0x20) & ~word & kHigh;
    const uint64_t del = ((word ^ kOnes * 0x7f) - kOnes) & ~(word ^ kOnes * 0x7f) & kHigh;
    if ((control | del) != 0) break;
    p += 8;
  }
  return std::all_of(p, end, [](char c) {
    const uint8_t byte = static_cast<uint8_t>(c);
    return (byte >= 0x20 && byte != 0x7f) || byte == '\t';
  });
}

bool equal_ignoring_case(std::string_view a, std::string_view b) {
  if (a.size() != b.size()) return false;
  for (size_t i = 0; i < a.size(); ++i) {
    if (to_lower(a[i]) != to_lower(b[i])) return false;
  }
  return true;
}

std::string_view trim_ows(std::string_view text) {
  while (!text.empty() && is_ows(text.front())) text.remove_prefix(1);
  while (!text.empty() && is_ows(text.back())) text.remove_suffix(1);
  return text;
}

std::optional<uint64_t> parse_decimal(std::string_view text) {
  if (text.empty()) return std::nullopt;
  uint64_t value = 0;
  for (char c : text) {
    if (!is_digit(c)) return std::nullopt;
    const uint64_t digit = static_cast<uint64_t>(c - '0');
    if (value > (UINT64_MAX - digit) / 10) return std::nullopt;
    value = value * 10 + digit;
  }
  return value;
}

bool glob_matches(std::string_view pattern, std::string_view text) {
  // Only the last star is ever worth coming back to: what it took more is what earlier ones need not.
  size_t p = 0, t = 0, star = std::string_view::npos, resume = 0;
  while (t < text.size()) {
    if (p < pattern.size() && pattern[p] == '*') {
      star = p++;
      resume = t;
    } else if (p < pattern.size() && (pattern[p] == '?' || pattern[p] == text[t])) {
      ++p;
      ++t;
    } else if (star != std::string_view::npos) {
      p = star + 1;
      t = ++resume;
    } else {
      return false;
    }
  }
  while (p < pattern.size() && pattern[p] == '*') ++p;
  return p == pattern.size();
}

bool ListCursor::next(std::string_view& element) {
  while (!rest_.empty()) {
    size_t i = 0;
    bool quoted = false;
    for (; i < rest_.size(); ++i) {
      const char c = rest_[i];
      if (c == '"') {
        quoted = !quoted;
      } else if (quoted && c == '\\') {
        if (i + 1 < rest_.size()) ++i;  // quoted-pair
      } else if (!quoted && c == separator_) {
        break;
      }
    }
    element = trim_ows(rest_.substr(0, i));
    rest_.remove_prefix(i < rest_.size() ? i + 1 : i);
    if (!element.empty()) return true;
  }
  return false;
}

}  // namespace tributary::http
