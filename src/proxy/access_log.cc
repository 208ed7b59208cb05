#include "proxy/access_log.h"

#include <fcntl.h>
#include <sys/uio.h>
#include <time.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <cstring>
#include <utility>

#include "core/log.h"

namespace tributary::proxy {
namespace {

constexpr auto kWriteInterval = std::chrono::milliseconds(250);

core::Result<core::Fd> open_file(const std::string& path) {
  const int fd = path == "-" ? ::dup(STDOUT_FILENO)
                             : ::open(path.c_str(), O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC, 0640);
  if (fd >= 0) return core::Fd(fd);
  return core::error_from_errno(errno, core::Side::Us);
}

// Writes everything or gives up: a full disk must not keep the rings full for ever.
bool write_all(int fd, iovec* parts, int count) {
  while (count > 0) {
    const ssize_t n = ::writev(fd, parts, count);
    if (n < 0) {
      if (errno == EINTR) continue;
      return false;
    }
    size_t left = static_cast<size_t>(n);
    for (; count > 0 && left >= parts->iov_len; ++parts, --count) left -= parts->iov_len;
    if (count > 0) {
      parts->iov_base = static_cast<char*>(parts->iov_base) + left;
      parts->iov_len -= left;
    }
  }
  return true;
}

}  // namespace

// A ring of bytes with one producer and one consumer. Positions only grow; the place is the position modulo the size. Only
// whole lines are published.
struct AccessLog::Ring {
  explicit Ring(size_t capacity) : size(capacity), bytes(std::make_unique<char[]>(capacity)) {}

  // Producer. False when there is no room.
  bool put(std::string_view line) {
    const uint64_t end = written.load(std::memory_order_relaxed);
    if (line.size() > size - (end - taken.load(std::memory_order_acquire))) return false;
    const size_t at = end % size;
    const size_t first = std::min(line.size(), size - at);
    std::memcpy(bytes.get() + at, line.data(), first);
    std::memcpy(bytes.get(), line.data() + first, line.size() - first);
    written.store(end + line.size(), std::memory_order_release);
    return true;
  }
  bool is_half_full() const {
    return written.load(std::memory_order_relaxed) - taken.load(std::memory_order_relaxed) >= size / 2;
  }

  const size_t size;
  const std::unique_ptr<char[]> bytes;
  alignas(64) std::atomic<uint64_t> written{0};
  alignas(64) std::atomic<uint64_t> taken{0};
};

core::Result<std::unique_ptr<AccessLog>> AccessLog::open(const AccessLogSettings& settings, std::string* why) {
  std::unique_ptr<AccessLog> log(new AccessLog(settings));
  if (!log->enabled_) return log;
  core::Result<core::Fd> file = open_file(settings.file);
  if (!file) {
    if (why) *why = settings.file + ": " + std::strerror(file.error().sys);
    return file.error();
  }
  log->file_ = std::move(*file);
  log->thread_ = std::thread(&AccessLog::run, log.get());
  return log;
}

AccessLog::AccessLog(const AccessLogSettings& settings) : settings_(settings), enabled_(!settings.file.empty()) {}

AccessLog::~AccessLog() {
  if (thread_.joinable()) {
    {
      const std::lock_guard lock(mutex_);
      ending_ = true;
    }
    wake_.notify_one();
    thread_.join();
  }
  for (std::atomic<Ring*>& ring : rings_) delete ring.load(std::memory_order_relaxed);
}

AccessLog::Ring& AccessLog::ring(int thread) {
  std::atomic<Ring*>& place = rings_[static_cast<size_t>(thread)];
  Ring* ring = place.load(std::memory_order_relaxed);  // only this thread ever stores here
  if (!ring) {
    ring = new Ring(settings_.ring_size);
    place.store(ring, std::memory_order_release);
  }
  return *ring;
}

void AccessLog::write(AccessRecord record) {
  if (!enabled_) return;
  if (record.finished == 0) {
    timespec now{};
    ::clock_gettime(CLOCK_REALTIME, &now);
    record.finished = now.tv_sec;
    record.finished_ms = static_cast<uint16_t>(now.tv_nsec / 1'000'000);
  }
  static thread_local std::string line;  // keeps its memory: no allocation a line
  line.clear();
  format_access_line(settings_.format, record, line);

  const int thread = core::metric_thread();
  std::unique_lock shared(shared_ring_, std::defer_lock);
  if (thread == 0) shared.lock();  // threads that are no workers, hence have no loop to hold up
  Ring& ring = this->ring(thread);
  if (!ring.put(line)) {
    dropped_.fetch_add(1, std::memory_order_relaxed);
  } else if (ring.is_half_full()) {
    wake_.notify_one();  // the thread looks by itself soon; a wake-up that is lost costs nothing but time
  }
}

void AccessLog::reopen() {
  if (!enabled_) return;
  {
    const std::lock_guard lock(mutex_);
    reopen_ = true;
  }
  wake_.notify_one();
}

void AccessLog::flush() {
  if (!enabled_) return;
  std::unique_lock lock(mutex_);
  const uint64_t mine = ++flushes_wanted_;
  wake_.notify_one();
  flushed_.wait(lock, [&] { return flushes_done_ >= mine; });
}

void AccessLog::run() {
  uint64_t reported = 0;
  std::unique_lock lock(mutex_);
  for (bool last = false; !last;) {
    if (!ending_ && !reopen_ && flushes_wanted_ == flushes_done_) wake_.wait_for(lock, kWriteInterval);
    last = ending_;
    const bool anew = std::exchange(reopen_, false);
    const uint64_t wanted = flushes_wanted_;
    lock.unlock();

    empty_rings();  // into the old file: these lines are older than the signal
    if (anew) {
      core::Result<core::Fd> file = open_file(settings_.file);
      if (file) {
        file_ = std::move(*file);
      } else {
        core::log::error("access", "cannot reopen {}: {}", settings_.file, std::strerror(file.error().sys));
      }
    }
    if (const uint64_t lost = dropped(); lost != reported) {
      core::log::warn("access", "{} lines were dropped, the disk is too slow or full", lost - reported);
      reported = lost;
    }

    lock.lock();
    flushes_done_ = wanted;
    flushed_.notify_all();
  }
}

void AccessLog::empty_rings() {
  for (std::atomic<Ring*>& place : rings_) {
    Ring* ring = place.load(std::memory_order_acquire);
    if (!ring) continue;
    const uint64_t begin = ring->taken.load(std::memory_order_relaxed);
    const uint64_t end = ring->written.load(std::memory_order_acquire);
    if (begin == end) continue;
    const size_t length = end - begin, at = begin % ring->size;
    const size_t first = std::min(length, ring->size - at);
    iovec parts[2] = {{ring->bytes.get() + at, first}, {ring->bytes.get(), length - first}};
    if (!write_all(file_.get(), parts, parts[1].iov_len != 0 ? 2 : 1)) {
      core::log::warn("access", "cannot write {}: {}", settings_.file, std::strerror(errno));
    }
    ring->taken.store(end, std::memory_order_release);
  }
}

}  // namespace tributary::proxy
