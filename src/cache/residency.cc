#include "cache/residency.h"

#include <sys/syscall.h>
#include <sys/uio.h>
#include <unistd.h>

#include <algorithm>
#include <atomic>
#include <cerrno>

namespace tributary::cache {
namespace {

constexpr uint64_t kPage = 4096;
constexpr long kCachestat = 451;  // Linux 6.5; the headers of Debian 12 do not know it

std::atomic<bool> g_no_cachestat{false};

enum class Answer : uint8_t { Yes, No, Unknown };

Answer ask_cachestat(int file, uint64_t offset, uint64_t length) {
  if (g_no_cachestat.load(std::memory_order_relaxed)) return Answer::Unknown;
  struct {
    uint64_t offset, length;
  } range{offset, length};
  struct {
    uint64_t cached, dirty, writeback, evicted, recently_evicted;
  } answer{};
  if (::syscall(kCachestat, file, &range, &answer, 0u) != 0) {
    g_no_cachestat.store(true, std::memory_order_relaxed);
    return Answer::Unknown;
  }
  const uint64_t pages = (offset + length + kPage - 1) / kPage - offset / kPage;
  return answer.cached >= pages ? Answer::Yes : Answer::No;
}

bool has_byte(int file, uint64_t offset) {
  char byte;
  const iovec part{&byte, 1};
  return ::preadv2(file, &part, 1, static_cast<off_t>(offset), RWF_NOWAIT) == 1;
}

}  // namespace

bool is_resident(int file, uint64_t offset, uint64_t length) {
  if (length == 0) return true;
  // Without cachestat a byte in every 64 KiB stands for its neighbours: the kernel reads ahead in larger steps than that.
  uint64_t step = length - 1;
  switch (ask_cachestat(file, offset, length)) {
    case Answer::No: return false;
    case Answer::Yes: break;
    case Answer::Unknown: step = uint64_t{64} << 10; break;
  }
  for (uint64_t at = 0; at < length - 1; at += step) {
    if (!has_byte(file, offset + at)) return false;
  }
  return has_byte(file, offset + length - 1);
}

}  // namespace tributary::cache
