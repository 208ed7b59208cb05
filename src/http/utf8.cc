#include "http/utf8.h"

namespace tributary::http {

size_t utf8_length(std::string_view text) {
  const auto byte = [text](size_t i) { return i < text.size() ? static_cast<uint8_t>(text[i]) : 0u; };
  const auto follows = [byte](size_t i) { return (byte(i) & 0xc0) == 0x80; };
  const uint32_t first = byte(0);
  if (first >= 0xc2 && first <= 0xdf) return follows(1) ? 2 : 0;
  if (first >= 0xe0 && first <= 0xef) {
    const bool overlong = first == 0xe0 && byte(1) < 0xa0;
    const bool surrogate = first == 0xed && byte(1) >= 0xa0;
    return follows(1) && follows(2) && !overlong && !surrogate ? 3 : 0;
  }
  if (first >= 0xf0 && first <= 0xf4) {
    const bool overlong = first == 0xf0 && byte(1) < 0x90;
    const bool beyond = first == 0xf4 && byte(1) >= 0x90;
    return follows(1) && follows(2) && follows(3) && !overlong && !beyond ? 4 : 0;
  }
  return 0;
}

bool is_utf8(std::string_view text) {
  while (!text.empty()) {
    const size_t size = static_cast<uint8_t>(text.front()) < 0x80 ? 1 : utf8_length(text);
    if (size == 0) return false;
    text.remove_prefix(size);
  }
  return true;
}

char32_t utf8_decode(std::string_view text, size_t& size) {
  const auto first = static_cast<uint8_t>(text.front());
  size = 1;
  if (first < 0x80) return first;
  const size_t length = utf8_length(text);
  if (length == 0) return 0xfffd;
  size = length;
  char32_t code_point = first & (0x7fu >> length);
  for (size_t i = 1; i < length; ++i) code_point = code_point << 6 | (static_cast<uint8_t>(text[i]) & 0x3fu);
  return code_point;
}

void append_utf8(char32_t code_point, std::string& out) {
  const auto put = [&out](char32_t byte) { out += static_cast<char>(byte); };
  const auto continuation = [&](int shift) { put(0x80 | (code_point >> shift & 0x3f)); };
  if (code_point < 0x80) return put(code_point);
  if (code_point < 0x800) {
    put(0xc0 | code_point >> 6);
  } else if (code_point < 0x10000) {
    put(0xe0 | code_point >> 12);
    continuation(6);
  } else {
    put(0xf0 | code_point >> 18);
    continuation(12);
    continuation(6);
  }
  continuation(0);
}

std::string_view utf8_prefix(std::string_view text, size_t limit) {
  if (text.size() <= limit) return text;
  const auto is_continuation = [&](size_t i) { return (static_cast<uint8_t>(text[i]) & 0xc0) == 0x80; };
  size_t cut = limit;
  // No sequence has more than three continuations; more than that is no UTF-8, and may be cut anywhere.
  for (int back = 0; back < 3 && cut > 0 && is_continuation(cut); ++back) --cut;
  return text.substr(0, is_continuation(cut) ? limit : cut);
}

}  // namespace tributary::http
