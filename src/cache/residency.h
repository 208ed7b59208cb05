// Is this stretch of a file in the page cache? Asked before sendfile, so that a loop never waits for a disk.
#pragma once

#include <chrono>
#include <cstdint>

#include "core/time.h"

namespace tributary::cache {

// For how long a stretch just written, read or found there is taken to stay there. Under memory pressure the kernel may
// drop it sooner: then one sendfile waits for one read, as it would have without the question.
constexpr uint32_t kResidentSeconds = 5;

inline uint32_t residency_second(core::TimePoint now) {
  return static_cast<uint32_t>(std::chrono::duration_cast<std::chrono::seconds>(now.time_since_epoch()).count());
}

// Any thread; two or three short system calls (cachestat where the kernel has it, then preadv2(RWF_NOWAIT) of single
// bytes: a page that is still being read in counts as cached for cachestat). "No" when in doubt.
bool is_resident(int file, uint64_t offset, uint64_t length);

}  // namespace tributary::cache
