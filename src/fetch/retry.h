// When a download is tried again, and how long after. Pure: time and chance are parameters.
#pragma once

#include <cstdint>

#include "core/error.h"
#include "core/time.h"
#include "http/fields.h"

namespace tributary::fetch {

struct RetrySettings {
  unsigned retries = 5;  // after the first try, in a row without a new byte
  core::Duration first_delay = std::chrono::seconds(1);  // doubles
  core::Duration longest_delay = std::chrono::seconds(30);
  core::Duration longest_wait = std::chrono::minutes(10);  // that a server may ask for
};

// `attempt` counts from 1; `chance` in [0, 1) spreads those who failed together over the upper half of the delay.
core::Duration retry_delay(const RetrySettings& settings, unsigned attempt, double chance);

// Whether an error may be over in a while. `has_answered`: the server has sent something before: then a refused connection
// is a restart, and a name that is not found an outage; else they are final.
bool is_worth_retrying(const core::Error& error, bool has_answered);
bool is_worth_retrying(uint16_t status);  // 408, 425, 429, 500, 502, 503, 504

// Retry-After (RFC 9110, 10.2.3); zero: absent or in the past.
core::Duration retry_after(const http::FieldSection& fields, core::UnixTime now);

}  // namespace tributary::fetch
