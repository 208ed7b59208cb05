// AccessLog: a line for every finished request and tunnel, in a format that existing tools read.
//
// Writing a line never blocks: each worker owns a ring of bytes (one writer, one reader, no lock), a thread of the log
// empties the rings into the file a few times a second. A ring that is full drops the line and counts it: a slow disk
// costs lines, never a loop's time. Whatever peers wrote is escaped, so that nobody can forge a line or a column.
//
//   if (log.enabled()) log.write({.client = peer, .method = …});
#pragma once

#include <array>
#include <atomic>
#include <condition_variable>
#include <cstdint>
#include <memory>
#include <mutex>
#include <string>
#include <string_view>
#include <thread>

#include "core/fd.h"
#include "core/metrics.h"
#include "core/result.h"
#include "core/time.h"
#include "net/address.h"
#include "proxy/metrics.h"

namespace tributary::proxy {

enum class AccessFormat : uint8_t { Common, Combined, Squid, Json };

// What is known of a finished request. Views need to live only during the call.
struct AccessRecord {
  const net::SocketAddress* client = nullptr;
  Protocol protocol = Protocol::Http;
  std::string_view method{};         // "GET", "CONNECT"; as the client wrote it
  std::string_view target{};         // the target URI, or host:port of a tunnel
  uint8_t minor = 1;               // of HTTP/1.x
  uint16_t status = 0;             // 0: nothing was answered
  CacheResult cache = CacheResult::Bypass;
  uint64_t bytes_received = 0;     // from the client: content, or a tunnel's bytes
  uint64_t bytes_sent = 0;         // to the client
  std::string_view user{};           // empty: none
  std::string_view referer{};        // empty: none
  std::string_view user_agent{};     // empty: none
  std::string_view content_type{};   // of the response; empty: none
  std::string_view origin{};         // "example.com" or an address: where it was fetched; empty: nowhere
  std::string_view error{};          // error_name() of what went wrong; empty: nothing
  core::Duration duration{};       // from the first byte of the request to the last of the response
  core::UnixTime finished = 0;     // wall time; 0: write() puts now
  uint16_t finished_ms = 0;        // milliseconds within that second
};

// Appends one line with its line feed. Pure.
void format_access_line(AccessFormat format, const AccessRecord& record, std::string& out);

struct AccessLogSettings {
  std::string file;  // empty: no log; "-": standard output
  AccessFormat format = AccessFormat::Combined;
  size_t ring_size = size_t{1} << 20;  // bytes a worker; a power of two
};

class AccessLog {
 public:
  // Opens the file (start-up). On failure `why` says so in words.
  static core::Result<std::unique_ptr<AccessLog>> open(const AccessLogSettings& settings, std::string* why);
  ~AccessLog();  // writes what is left
  AccessLog(const AccessLog&) = delete;
  AccessLog& operator=(const AccessLog&) = delete;

  bool enabled() const { return enabled_; }
  void write(AccessRecord record);  // any thread; see core::bind_metric_thread
  // After the file was moved away (SIGUSR1): opens it anew, on the log's thread. Any thread, returns at once.
  void reopen();
  // Blocks until everything written so far is in the file. Tests and shutdown.
  void flush();
  uint64_t dropped() const { return dropped_.load(std::memory_order_relaxed); }

 private:
  struct Ring;
  explicit AccessLog(const AccessLogSettings& settings);
  Ring& ring(int thread);
  void run();
  void empty_rings();

  AccessLogSettings settings_;
  bool enabled_;
  core::Fd file_;
  std::atomic<uint64_t> dropped_{0};
  std::array<std::atomic<Ring*>, core::kMaxMetricThreads> rings_{};
  std::mutex shared_ring_;  // producers of ring 0: threads that are no workers

  std::mutex mutex_;
  std::condition_variable wake_, flushed_;
  uint64_t flushes_wanted_ = 0, flushes_done_ = 0;
  bool reopen_ = false;
  bool ending_ = false;
  std::thread thread_;
};

}  // namespace tributary::proxy
