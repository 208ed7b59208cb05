// Percent-encoding (RFC 3986, 2.1). Pure; any thread; linear time.
#pragma once

#include <string>
#include <string_view>

namespace tributary::http {

// Appends `text` with every "%" and two hexadecimal digits as the byte they stand for. A "%" that starts no escape stays as
// it is; false when there was one. What comes out may be anything: a NUL, a slash, no UTF-8.
bool append_percent_decoded(std::string_view text, std::string& out);

}  // namespace tributary::http
