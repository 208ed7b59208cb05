// Set-Cookie as user agents read it (RFC 6265bis, 5.1 and 5.6): never an error, what cannot be understood is passed over.
// The rules of who may set what are those of CookieJar. Pure; any thread; linear time.
#pragma once

#include <cstddef>
#include <cstdint>
#include <optional>
#include <string_view>

#include "core/time.h"

namespace tributary::fetch {

inline constexpr size_t kMaxCookiePair = 4096;       // name and value together (5.6, step 5)
inline constexpr size_t kMaxCookieAttribute = 1024;  // a longer one is passed over (5.6, step 6)

enum class SameSite : uint8_t { Default, None, Lax, Strict };

// Views into the field value.
struct SetCookie {
  std::string_view name;   // may be empty, then `value` is not
  std::string_view value;
  std::optional<core::UnixTime> expires;  // of Expires; may lie in the past
  std::optional<int64_t> max_age;         // seconds, 0 for "at once"; counts before `expires`
  std::string_view domain;  // without a leading dot, in the case it came in; empty: none
  std::string_view path;    // starts with "/"; empty: none that can be used
  bool secure = false;
  bool http_only = false;
  SameSite same_site = SameSite::Default;
};

// Nothing for an empty cookie, one of more than kMaxCookiePair, or one with control characters other than HTAB.
std::optional<SetCookie> parse_set_cookie(std::string_view text);

// 5.1.1: the date of an Expires attribute, in whichever of the many forms that have been in use.
std::optional<core::UnixTime> parse_cookie_date(std::string_view text);

}  // namespace tributary::fetch
