// Via (RFC 9110, 7.6.3): adding ourselves, and seeing ourselves again, which means a loop (508).
// Also Max-Forwards. Any thread.
#pragma once

#include <cstdint>
#include <optional>
#include <string_view>

#include "http/fields.h"

namespace tributary::http {

// Appends "1.minor pseudonym" for a message that was received as HTTP/1.minor.
void append_via(FieldSection& fields, uint8_t received_minor, std::string_view pseudonym);

// Whether `pseudonym` already handled this message. Compared without case, comments ignored.
bool via_contains(const FieldSection& fields, std::string_view pseudonym);

// The value of Max-Forwards, for TRACE and OPTIONS (RFC 9110, 7.6.2); nothing when absent or
// invalid.
std::optional<uint64_t> max_forwards(const FieldSection& fields);

}  // namespace tributary::http
