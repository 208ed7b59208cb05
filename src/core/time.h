// The two clocks. Durations and deadlines are monotonic; only dates that peers see (Date, Age, Expires) are wall time.
// Sans-I/O code takes either as a parameter and never reads a clock.
#pragma once

#include <chrono>
#include <cstdint>

namespace tributary::core {

using Clock = std::chrono::steady_clock;
using TimePoint = Clock::time_point;
using Duration = Clock::duration;

// Seconds since 1970-01-01T00:00:00Z.
using UnixTime = int64_t;

}  // namespace tributary::core
