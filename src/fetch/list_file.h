// The file of -i: one URL a line. Blank lines and lines that begin with # are comments; blanks around a URL are dropped. Pure.
#pragma once

#include <string>
#include <string_view>
#include <vector>

#include "core/result.h"
#include "http/url.h"

namespace tributary::fetch {

std::vector<std::string> parse_list(std::string_view text);

// As people write URLs: without "http://" it is added, spaces and bytes above 0x7F are percent-encoded (RFC 3987, 3.1).
core::Result<http::Url> parse_url(std::string_view text);

}  // namespace tributary::fetch
