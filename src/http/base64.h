// Base64 (RFC 4648, 4). Pure; any thread; linear time. Not for comparing secrets: the time depends on the bytes.
#pragma once

#include <optional>
#include <string>
#include <string_view>

namespace tributary::http {

// With padding, without line breaks.
std::string base64_encode(std::string_view bytes);

// Padding may be missing but not wrong, and spare bits are ignored, as RFC 9651 4.2.7 asks. Nothing for any other character.
std::optional<std::string> base64_decode(std::string_view text);

}  // namespace tributary::http
