// Characters and small text helpers of HTTP's grammar (RFC 9110, 5.6). Any thread; no state.
#pragma once

#include <array>
#include <cstdint>
#include <optional>
#include <string_view>

namespace tributary::http {

inline constexpr bool is_digit(char c) {
  return c >= '0' && c <= '9';
}
inline constexpr bool is_alpha(char c) {
  return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z');
}
inline constexpr bool is_ows(char c) {
  return c == ' ' || c == '\t';
}
inline constexpr char to_lower(char c) {
  return c >= 'A' && c <= 'Z' ? static_cast<char>(c | 0x20) : c;
}

// The value of a hexadecimal digit, -1 for any other character.
inline constexpr int hex_value(char c) {
  if (is_digit(c)) return c - '0';
  const char lower = to_lower(c);
  return lower >= 'a' && lower <= 'f' ? lower - 'a' + 10 : -1;
}

namespace detail {
consteval std::array<bool, 256> token_table() {
  std::array<bool, 256> table{};
  for (char c : std::string_view("!#$%&'*+-.^_`|~")) table[static_cast<uint8_t>(c)] = true;
  for (int c = 0; c < 128; ++c) {
    if (is_digit(static_cast<char>(c)) || is_alpha(static_cast<char>(c)))
      table[static_cast<size_t>(c)] = true;
  }
  return table;
}
inline constexpr std::array<bool, 256> kTokenTable = token_table();
}  // namespace detail

inline constexpr bool is_token_char(char c) {
  return detail::kTokenTable[static_cast<uint8_t>(c)];
}

// RFC 9110, 5.6.2: a non-empty run of token characters.
bool is_token(std::string_view text);

// RFC 9110, 5.5: visible characters, SP, HTAB and obs-text; no CR, LF, NUL or other control.
bool is_field_value(std::string_view text);

// ASCII only, whatever the locale.
bool equal_ignoring_case(std::string_view a, std::string_view b);

// Without leading and trailing SP and HTAB.
std::string_view trim_ows(std::string_view text);

// 1*DIGIT that fits; no sign, no space. Nothing else: std::nullopt.
std::optional<uint64_t> parse_decimal(std::string_view text);

// fnmatch without brackets and escapes: "*" is any run, "?" any one character. O(pattern × text) time, no memory.
bool glob_matches(std::string_view pattern, std::string_view text);

// Walks the elements of a list-valued field (RFC 9110, 5.6.1): commas inside quoted strings do not
// split, empty elements are skipped, OWS around elements is trimmed. Views into the value that was
// given.
//
//   ListCursor cursor(value);
//   for (std::string_view element; cursor.next(element);) …
class ListCursor {
 public:
  explicit ListCursor(std::string_view value, char separator = ',')
      : rest_(value), separator_(separator) {}
  bool next(std::string_view& element);

 private:
  std::string_view rest_;
  char separator_;
};

}  // namespace tributary::http
