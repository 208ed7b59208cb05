#include "fetch/set_cookie.h"

#include <algorithm>
#include <chrono>

#include "http/text.h"

namespace tributary::fetch {
namespace {

using http::equal_ignoring_case;
using http::is_digit;
using http::trim_ows;

constexpr std::string_view kMonths = "janfebmaraprmayjunjulaugsepoctnovdec";

bool is_control(char c) {
  const auto byte = static_cast<uint8_t>(c);
  return (byte < 0x20 && byte != '\t') || byte == 0x7f;
}

// The delimiter of 5.1.1.
bool is_date_delimiter(char c) {
  const auto byte = static_cast<uint8_t>(c);
  return byte == 0x09 || (byte >= 0x20 && byte <= 0x2f) || (byte >= 0x3b && byte <= 0x40) ||
         (byte >= 0x5b && byte <= 0x60) || (byte >= 0x7b && byte <= 0x7e);
}

// Takes a number of `least` to `most` digits off the front of `text`.
std::optional<int> take_number(std::string_view& text, size_t least, size_t most) {
  size_t size = 0;
  int value = 0;
  while (size < text.size() && is_digit(text[size])) {
    if (size == most) return std::nullopt;
    value = value * 10 + (text[size++] - '0');
  }
  if (size < least) return std::nullopt;
  text.remove_prefix(size);
  return value;
}

struct CookieDate {
  std::optional<int> hour, minute, second, day, month, year;

  // The productions of 5.1.1 in its order: each is taken once, by the first token that fits it.
  void take(std::string_view token) {
    if (!hour && take_time(token)) return;
    if (!day && take_one(token, 1, 2, day)) return;
    if (!month && take_month(token)) return;
    if (!year) take_one(token, 2, 4, year);
  }

  bool take_time(std::string_view token) {
    const auto h = take_number(token, 1, 2);
    if (!h || !skip_colon(token)) return false;
    const auto m = take_number(token, 1, 2);
    if (!m || !skip_colon(token)) return false;
    const auto s = take_number(token, 1, 2);
    if (!s) return false;
    hour = h, minute = m, second = s;
    return true;
  }

  static bool skip_colon(std::string_view& token) {
    if (!token.starts_with(':')) return false;
    token.remove_prefix(1);
    return true;
  }

  static bool take_one(std::string_view token, size_t least, size_t most, std::optional<int>& out) {
    const auto number = take_number(token, least, most);
    if (number) out = number;
    return number.has_value();
  }

  bool take_month(std::string_view token) {
    if (token.size() < 3) return false;
    for (int i = 0; i < 12; ++i) {
      if (!equal_ignoring_case(token.substr(0, 3), kMonths.substr(static_cast<size_t>(3 * i), 3))) continue;
      month = i + 1;
      return true;
    }
    return false;
  }

  std::optional<core::UnixTime> seconds() const {
    if (!hour || !day || !month || !year) return std::nullopt;
    const int full = *year >= 70 && *year <= 99 ? *year + 1900 : *year <= 69 ? *year + 2000 : *year;
    const std::chrono::year_month_day date{std::chrono::year(full), std::chrono::month(static_cast<unsigned>(*month)),
                                           std::chrono::day(static_cast<unsigned>(*day))};
    if (full < 1601 || !date.ok() || *hour > 23 || *minute > 59 || *second > 59) return std::nullopt;
    const int64_t days = std::chrono::sys_days(date).time_since_epoch().count();
    return days * 86400 + *hour * 3600 + *minute * 60 + *second;
  }
};

std::optional<int64_t> parse_max_age(std::string_view value) {
  const bool negative = value.starts_with('-');
  if (negative) value.remove_prefix(1);
  if (value.empty() || !std::all_of(value.begin(), value.end(), is_digit)) return std::nullopt;
  if (negative) return 0;
  constexpr int64_t kMuch = int64_t{1} << 40;  // more than any limit, and sums with a time do not overflow
  return static_cast<int64_t>(std::min<uint64_t>(http::parse_decimal(value).value_or(kMuch), kMuch));
}

void take_attribute(std::string_view name, std::string_view value, SetCookie& cookie) {
  if (equal_ignoring_case(name, "expires")) {
    if (const auto date = parse_cookie_date(value)) cookie.expires = date;
  } else if (equal_ignoring_case(name, "max-age")) {
    if (const auto age = parse_max_age(value)) cookie.max_age = age;
  } else if (equal_ignoring_case(name, "domain")) {
    cookie.domain = value.starts_with('.') ? value.substr(1) : value;
  } else if (equal_ignoring_case(name, "path")) {
    cookie.path = value.starts_with('/') ? value : std::string_view();
  } else if (equal_ignoring_case(name, "secure")) {
    cookie.secure = true;
  } else if (equal_ignoring_case(name, "httponly")) {
    cookie.http_only = true;
  } else if (equal_ignoring_case(name, "samesite")) {
    cookie.same_site = equal_ignoring_case(value, "none")     ? SameSite::None
                       : equal_ignoring_case(value, "strict") ? SameSite::Strict
                       : equal_ignoring_case(value, "lax")    ? SameSite::Lax
                                                              : SameSite::Default;
  }
}

}  // namespace

std::optional<core::UnixTime> parse_cookie_date(std::string_view text) {
  CookieDate date;
  while (!text.empty()) {
    const size_t begin = static_cast<size_t>(std::find_if_not(text.begin(), text.end(), is_date_delimiter) - text.begin());
    text.remove_prefix(begin);
    const size_t end = static_cast<size_t>(std::find_if(text.begin(), text.end(), is_date_delimiter) - text.begin());
    if (end > 0) date.take(text.substr(0, end));
    text.remove_prefix(end);
  }
  return date.seconds();
}

std::optional<SetCookie> parse_set_cookie(std::string_view text) {
  if (std::any_of(text.begin(), text.end(), is_control)) return std::nullopt;
  SetCookie cookie;
  bool is_pair = true;
  while (is_pair || !text.empty()) {
    const std::string_view part = text.substr(0, text.find(';'));
    text.remove_prefix(std::min(part.size() + 1, text.size()));
    const size_t equals = part.find('=');
    const bool has_value = equals != std::string_view::npos;
    const std::string_view name = trim_ows(part.substr(0, equals));
    const std::string_view value = has_value ? trim_ows(part.substr(equals + 1)) : std::string_view();
    if (!is_pair) {
      if (value.size() <= kMaxCookieAttribute) take_attribute(name, value, cookie);
      continue;
    }
    is_pair = false;
    cookie.name = has_value ? name : std::string_view();  // 5.6, step 3: without "=" all of it is the value
    cookie.value = has_value ? value : name;
    if (cookie.name.empty() && cookie.value.empty()) return std::nullopt;
    if (cookie.name.size() + cookie.value.size() > kMaxCookiePair) return std::nullopt;
  }
  return cookie;
}

}  // namespace tributary::fetch
