#include "http/date.h"

#include <algorithm>
#include <chrono>

#include "http/text.h"

namespace tributary::http {
namespace {

using std::chrono::sys_days;

constexpr std::string_view kDays[] = {"Sun", "Mon", "Tue", "Wed", "Thu", "Fri", "Sat"};
constexpr std::string_view kLongDays[] = {"Sunday",   "Monday", "Tuesday", "Wednesday",
                                          "Thursday", "Friday", "Saturday"};
constexpr std::string_view kMonths[] = {"Jan", "Feb", "Mar", "Apr", "May", "Jun",
                                        "Jul", "Aug", "Sep", "Oct", "Nov", "Dec"};
constexpr int64_t kDay = 86400;

// Takes pieces off the front of a text; once one does not fit, `ok` stays false.
struct Reader {
  std::string_view rest;
  bool ok = true;

  void literal(std::string_view text) {
    ok = ok && rest.starts_with(text);
    if (ok) rest.remove_prefix(text.size());
  }
  int digits(size_t count) {
    int value = 0;
    ok = ok && rest.size() >= count;
    for (size_t i = 0; ok && i < count; ++i) {
      ok = is_digit(rest[i]);
      value = value * 10 + (rest[i] - '0');
    }
    if (ok) rest.remove_prefix(count);
    return value;
  }
  template <size_t N>
  int one_of(const std::string_view (&names)[N]) {
    for (size_t i = 0; ok && i < N; ++i) {
      if (rest.starts_with(names[i])) {
        rest.remove_prefix(names[i].size());
        return static_cast<int>(i);
      }
    }
    ok = false;
    return 0;
  }
};

struct Moment {
  int year = 0, month = 0, day = 0, hour = 0, minute = 0, second = 0;
};

void read_time(Reader& in, Moment& m) {
  m.hour = in.digits(2);
  in.literal(":");
  m.minute = in.digits(2);
  in.literal(":");
  m.second = in.digits(2);
}

std::optional<int64_t> to_seconds(const Moment& m) {
  const std::chrono::year_month_day date{std::chrono::year(m.year),
                                         std::chrono::month(static_cast<unsigned>(m.month + 1)),
                                         std::chrono::day(static_cast<unsigned>(m.day))};
  // 60 is a leap second (RFC 9110, 5.6.7 takes RFC 5322's grammar).
  if (!date.ok() || m.hour > 23 || m.minute > 59 || m.second > 60) return std::nullopt;
  const int64_t days = sys_days(date).time_since_epoch().count();
  return days * kDay + m.hour * 3600 + m.minute * 60 + m.second;
}

int year_of(int64_t seconds) {
  const auto days = std::chrono::floor<std::chrono::days>(std::chrono::seconds(seconds));
  return static_cast<int>(std::chrono::year_month_day(sys_days(days)).year());
}

void put_two(char* out, int64_t value) {
  out[0] = static_cast<char>('0' + value / 10);
  out[1] = static_cast<char>('0' + value % 10);
}

}  // namespace

std::optional<int64_t> parse_date(std::string_view text, int64_t now) {
  if (text.size() < 24 || text.size() > 33) return std::nullopt;
  Reader in{text};
  Moment m;
  if (text[3] == ',') {  // Sun, 06 Nov 1994 08:49:37 GMT
    in.one_of(kDays);
    in.literal(", ");
    m.day = in.digits(2);
    in.literal(" ");
    m.month = in.one_of(kMonths);
    in.literal(" ");
    m.year = in.digits(4);
    in.literal(" ");
    read_time(in, m);
    in.literal(" GMT");
  } else if (text[3] == ' ') {  // Sun Nov  6 08:49:37 1994
    in.one_of(kDays);
    in.literal(" ");
    m.month = in.one_of(kMonths);
    in.literal(" ");
    if (in.rest.starts_with(' ')) {
      in.literal(" ");
      m.day = in.digits(1);
    } else {
      m.day = in.digits(2);
    }
    in.literal(" ");
    read_time(in, m);
    in.literal(" ");
    m.year = in.digits(4);
  } else {  // Sunday, 06-Nov-94 08:49:37 GMT
    in.one_of(kLongDays);
    in.literal(", ");
    m.day = in.digits(2);
    in.literal("-");
    m.month = in.one_of(kMonths);
    in.literal("-");
    m.year = in.digits(2);
    in.literal(" ");
    read_time(in, m);
    in.literal(" GMT");
    // RFC 9110, 5.6.7: more than 50 years in the future means the most recent such year in the
    // past.
    const int current = year_of(now);
    m.year += current - current % 100;
    if (m.year > current + 50) m.year -= 100;
    if (m.year <= current - 50) m.year += 100;
  }
  if (!in.ok || !in.rest.empty()) return std::nullopt;
  return to_seconds(m);
}

void format_date(int64_t seconds, char* out) {
  constexpr int64_t kFirst = -62167219200;  // 0000-01-01
  constexpr int64_t kLast = 253402300799;   // 9999-12-31T23:59:59
  seconds = std::clamp(seconds, kFirst, kLast);
  const auto days = std::chrono::floor<std::chrono::days>(std::chrono::seconds(seconds));
  const std::chrono::year_month_day date{sys_days(days)};
  const std::chrono::weekday weekday{sys_days(days)};
  const int64_t time = seconds - days.count() * kDay;
  const int64_t year = static_cast<int>(date.year());
  std::string_view("Sun, 06 Nov 1994 08:49:37 GMT").copy(out, kDateSize);
  kDays[weekday.c_encoding()].copy(out, 3);
  put_two(out + 5, static_cast<unsigned>(date.day()));
  kMonths[static_cast<unsigned>(date.month()) - 1].copy(out + 8, 3);
  put_two(out + 12, year / 100);
  put_two(out + 14, year % 100);
  put_two(out + 17, time / 3600);
  put_two(out + 20, time / 60 % 60);
  put_two(out + 23, time % 60);
}

}  // namespace tributary::http
