#include "fetch/retry.h"

#include <algorithm>

#include "http/date.h"
#include "http/text.h"

namespace tributary::fetch {

core::Duration retry_delay(const RetrySettings& settings, unsigned attempt, double chance) {
  const unsigned doublings = std::min(attempt > 0 ? attempt - 1 : 0, 20u);
  const core::Duration whole = std::min(settings.first_delay * (1 << doublings), settings.longest_delay);
  return std::chrono::duration_cast<core::Duration>(whole * (0.5 + chance / 2));
}

bool is_worth_retrying(const core::Error& error, bool has_answered) {
  using core::ErrorCode;
  switch (error.code) {
    case ErrorCode::ConnectionRefused:
    case ErrorCode::NameNotFound:
    case ErrorCode::ParentRefused:
    case ErrorCode::HostUnreachable: return has_answered;
    case ErrorCode::ConnectionReset:
    case ErrorCode::NetworkIo:
    case ErrorCode::DnsTimeout:
    case ErrorCode::DnsFailure:
    case ErrorCode::ConnectTimeout:
    case ErrorCode::TlsTimeout:
    case ErrorCode::FirstByteTimeout:
    case ErrorCode::ReadTimeout:
    case ErrorCode::WriteTimeout:
    case ErrorCode::RequestTimeout:
    case ErrorCode::AcquireTimeout:
    case ErrorCode::IncompleteMessage:
    case ErrorCode::ContentMismatch:
    case ErrorCode::DescriptorsExhausted:
    case ErrorCode::LimitReached: return true;
    case ErrorCode::TlsProtocol: return has_answered;
    case ErrorCode::MalformedMessage: return has_answered;
    default: return false;
  }
}

bool is_worth_retrying(uint16_t status) {
  switch (status) {
    case 408:
    case 425:
    case 429:
    case 500:
    case 502:
    case 503:
    case 504: return true;
    default: return false;
  }
}

core::Duration retry_after(const http::FieldSection& fields, core::UnixTime now) {
  const auto value = fields.find_only(http::FieldName::RetryAfter);
  if (!value) return {};
  constexpr uint64_t kLongest = 365 * 86400;
  if (const auto seconds = http::parse_decimal(*value)) return std::chrono::seconds(std::min(*seconds, kLongest));
  const auto date = http::parse_date(*value, now);
  if (!date || *date <= now) return {};
  return std::chrono::seconds(std::min(static_cast<uint64_t>(*date - now), kLongest));
}

}  // namespace tributary::fetch
