// Cookies as text in the format that Netscape's browser wrote and that curl, wget, Python and browsers' extensions exchange:
//
//   domain \t TRUE if for names below it, else FALSE \t path \t TRUE if Secure \t expires, 0: session \t name \t value
//
// "#HttpOnly_" in front of the domain marks HttpOnly, every other line that begins with "#" is a comment. Read with what
// writers are known to do: a dot in front of the domain or not, a port behind it (wget), no value column, an empty column for a session cookie (Python),
// a fraction behind the seconds (extensions), CR LF. SameSite has no column and is lost. Pure text; no file is touched.
#pragma once

#include <cstddef>
#include <string>
#include <string_view>

#include "fetch/cookie_jar.h"

namespace tributary::fetch {

struct CookieFileResult {
  size_t cookies = 0;  // taken
  size_t refused = 0;  // lines that are no cookies, or that the jar refused (expired ones are not counted)
};
CookieFileResult read_cookie_file(std::string_view text, core::UnixTime now, CookieJar& jar);

enum class SessionCookies : uint8_t { Keep, Drop };
// Keep is what curl does, Drop what wget does unless told otherwise.
std::string write_cookie_file(const CookieJar& jar, core::UnixTime now, SessionCookies sessions = SessionCookies::Keep);

}  // namespace tributary::fetch
