#include "http/date.h"

#include <gtest/gtest.h>

#include <string>

namespace tributary::http {
namespace {

constexpr int64_t kNow = 1795000000;  // November 2026

std::string formatted(int64_t seconds) {
  std::string out(kDateSize, '?');
  format_date(seconds, out.data());
  return out;
}

TEST(Date, ReadsTheThreeFormsOfTheRfc) {  // RFC 9110, 5.6.7
  for (const char* text : {"Sun, 06 Nov 1994 08:49:37 GMT", "Sunday, 06-Nov-94 08:49:37 GMT",
                           "Sun Nov  6 08:49:37 1994"}) {
    EXPECT_EQ(parse_date(text, kNow), 784111777) << text;
  }
  EXPECT_EQ(parse_date("Thu Nov 26 08:49:37 2026", kNow), 1795682977);
  EXPECT_EQ(parse_date("Thu, 01 Jan 1970 00:00:00 GMT", kNow), 0);
  EXPECT_EQ(parse_date("Wed, 31 Dec 1969 23:59:59 GMT", kNow), -1);
  EXPECT_EQ(parse_date("Tue, 29 Feb 2000 00:00:00 GMT", kNow), 951782400);
  EXPECT_EQ(parse_date("Sat, 31 Dec 2016 23:59:60 GMT", kNow), 1483228800);  // leap second
}

TEST(Date, PutsATwoDigitYearWithinFiftyYears) {
  EXPECT_EQ(parse_date("Thursday, 01-Jan-76 00:00:00 GMT", kNow),
            parse_date("Wed, 01 Jan 2076 00:00:00 GMT", kNow));
  EXPECT_EQ(parse_date("Thursday, 01-Jan-77 00:00:00 GMT", kNow),
            parse_date("Sat, 01 Jan 1977 00:00:00 GMT", kNow));
  EXPECT_EQ(parse_date("Saturday, 01-Jan-00 00:00:00 GMT", kNow), 946684800);
  constexpr int64_t kIn1999 = 930000000;
  EXPECT_EQ(parse_date("Saturday, 01-Jan-00 00:00:00 GMT", kIn1999), 946684800);
}

TEST(Date, RefusesEverythingElse) {
  for (const char* text : {
           "",
           "0",
           "-1",
           "now",
           "Sun, 06 Nov 1994 08:49:37",
           "Sun, 06 Nov 1994 08:49:37 UTC",
           "Sun, 06 Nov 1994 08:49:37 +0000",
           "Sun, 06 Nov 1994 08:49:37 GMT ",
           "Sun, 06 Nov 1994 08:49:37 GMT; x",
           " Sun, 06 Nov 1994 08:49:37 GMT",
           "Sun, 6 Nov 1994 08:49:37 GMT",
           "Sun,  6 Nov 1994 08:49:37 GMT",
           "Sun, 06  Nov 1994 08:49:37 GMT",
           "sun, 06 Nov 1994 08:49:37 GMT",
           "Sun, 06 nov 1994 08:49:37 GMT",
           "Sun, 06 Nov 1994 08:49:37 gmt",
           "Sun, 00 Nov 1994 08:49:37 GMT",
           "Sun, 31 Nov 1994 08:49:37 GMT",
           "Mon, 29 Feb 2100 08:49:37 GMT",
           "Sun, 06 Nov 1994 24:00:00 GMT",
           "Sun, 06 Nov 1994 08:60:37 GMT",
           "Sun, 06 Nov 1994 08:49:61 GMT",
           "Sun, 06 Nov 94 08:49:37 GMT",
           "Sun, 06 Nov 1994 8:49:37 GMT",
           "Sun, 06 Nov 1994 08.49.37 GMT",
           "Sun, -6 Nov 1994 08:49:37 GMT",
           "Sun, 06-Nov-1994 08:49:37 GMT",
           "Sunday, 06-Nov-1994 08:49:37 GMT",
           "Xunday, 06-Nov-94 08:49:37 GMT",
           "Sun Nov 6 08:49:37 1994",
           "Sun Nov  6 08:49:37 1994 GMT",
           "Sun Nov  6 08:49:37 94",
           "1994-11-06T08:49:37Z and more",
       }) {
    EXPECT_EQ(parse_date(text, kNow), std::nullopt) << text;
  }
}

TEST(Date, IsWrittenAsImfFixdate) {
  EXPECT_EQ(formatted(784111777), "Sun, 06 Nov 1994 08:49:37 GMT");
  EXPECT_EQ(formatted(0), "Thu, 01 Jan 1970 00:00:00 GMT");
  EXPECT_EQ(formatted(-1), "Wed, 31 Dec 1969 23:59:59 GMT");
  EXPECT_EQ(formatted(INT64_MAX), "Fri, 31 Dec 9999 23:59:59 GMT");
  EXPECT_EQ(formatted(INT64_MIN), "Sat, 01 Jan 0000 00:00:00 GMT");
}

TEST(Date, IsReadAsItWasWritten) {
  for (int64_t seconds = -5000000000; seconds < 20000000000; seconds += 86400 * 37 + 12345) {
    EXPECT_EQ(parse_date(formatted(seconds), kNow), seconds);
  }
}

TEST(DateText, FollowsTheSecond) {
  DateText text;
  EXPECT_EQ(text.at(784111777), "Sun, 06 Nov 1994 08:49:37 GMT");
  EXPECT_EQ(text.at(784111777), "Sun, 06 Nov 1994 08:49:37 GMT");
  EXPECT_EQ(text.at(784111778), "Sun, 06 Nov 1994 08:49:38 GMT");
}

}  // namespace
}  // namespace tributary::http
