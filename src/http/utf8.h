// UTF-8 (RFC 3629) in text that a peer chose. Pure; any thread; nothing is allocated but what is appended.
#pragma once

#include <cstddef>
#include <cstdint>
#include <string>
#include <string_view>

namespace tributary::http {

// The bytes, 2 to 4, of the multi-byte sequence that `text` begins with; 0 when it begins with none: ASCII, a
// continuation, an overlong form, a surrogate, or one that is cut off.
size_t utf8_length(std::string_view text);

// Whether `text` is ASCII and whole sequences.
bool is_utf8(std::string_view text);

// The code point of the sequence that `text` begins with, ASCII included. Its size is `size`; of bytes that are no
// UTF-8 one is taken, and U+FFFD is the answer. `text` must not be empty.
char32_t utf8_decode(std::string_view text, size_t& size);

// At most 0x10FFFF, no surrogate.
void append_utf8(char32_t code_point, std::string& out);

// The longest prefix of at most `limit` bytes that cuts no sequence of UTF-8 in two.
std::string_view utf8_prefix(std::string_view text, size_t limit);

}  // namespace tributary::http
