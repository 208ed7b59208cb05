// The file of -i: one URL a line. Blank lines and lines that begin with # are comments; blanks around a URL are dropped. Pure.
#pragma once

#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "core/result.h"
#include "fetch/settings.h"
#include "http/url.h"

namespace tributary::fetch {

std::vector<std::string> parse_list(std::string_view text);

// Takes "user:password@" (percent-decoded) out of a URL as people write it, so that what is left may be shown. The last "@"
// before the path ends it: passwords have been written with a bare one in them. One with a backslash, which others read as a
// slash, is no userinfo: it goes, and no URL is left.
std::optional<Login> take_login(std::string& url);
// The same for a reference, where "a@b" is a path.
void drop_login(std::string& reference);

// As people write URLs: without "http://" it is added, spaces and bytes above 0x7F are percent-encoded (RFC 3987, 3.1).
core::Result<http::Url> parse_url(std::string_view text);

}  // namespace tributary::fetch
