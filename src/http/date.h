// HTTP dates (RFC 9110, 5.6.7). Time is seconds since the epoch, UTC. Any thread but for DateText.
#pragma once

#include <cstddef>
#include <cstdint>
#include <optional>
#include <string_view>

namespace tributary::http {

inline constexpr size_t kDateSize = 29;  // "Sun, 06 Nov 1994 08:49:37 GMT"

// Exactly IMF-fixdate, RFC 850 or asctime form, else nothing; that the day of the week fits the
// date is not asked for. `now` decides the century of an RFC 850 year: a date more than 50 years
// ahead is in the past.
std::optional<int64_t> parse_date(std::string_view text, int64_t now);

// Writes kDateSize bytes of IMF-fixdate to `out`. Years 0 to 9999; what is beyond is cut to these.
void format_date(int64_t seconds, char* out);

// The text of the current second, formatted once a second. Loop-affine: one a worker.
class DateText {
 public:
  // Valid until the next call with another second.
  std::string_view at(int64_t seconds) {
    if (seconds != seconds_) {
      format_date(seconds, text_);
      seconds_ = seconds;
    }
    return {text_, kDateSize};
  }

 private:
  int64_t seconds_ = INT64_MIN;
  char text_[kDateSize] = {};
};

}  // namespace tributary::http
