// Heads from text, and a fixed present, for the tests of the policy.
#pragma once

#include <gtest/gtest.h>

#include <string>
#include <string_view>

#include "core/time.h"
#include "http/date.h"
#include "http/message.h"

namespace tributary::cache {

inline constexpr core::UnixTime kNow = 1'750'000'000;

inline std::string date_text(core::UnixTime time) {
  std::string text(http::kDateSize, ' ');
  http::format_date(time, text.data());
  return text;
}

// "Name: value\n…"
inline http::FieldSection make_fields(std::string_view lines) {
  http::FieldSection fields;
  while (!lines.empty()) {
    const size_t end = lines.find('\n');
    const std::string_view line = lines.substr(0, end);
    const size_t colon = line.find(':');
    EXPECT_TRUE(fields.add(line.substr(0, colon), line.substr(colon + 1))) << line;
    lines.remove_prefix(end == std::string_view::npos ? lines.size() : end + 1);
  }
  return fields;
}

inline http::RequestHead make_request(std::string_view lines,
                                      http::Method method = http::Method::Get) {
  http::RequestHead head;
  head.method = method;
  head.fields = make_fields(lines);
  return head;
}

// Dated kNow unless the lines hold a Date.
inline http::ResponseHead make_response(uint16_t status, std::string_view lines) {
  http::ResponseHead head;
  head.status = status;
  head.fields = make_fields(lines);
  if (!head.fields.has(http::FieldName::Date))
    head.fields.add(http::FieldName::Date, date_text(kNow));
  return head;
}

}  // namespace tributary::cache
