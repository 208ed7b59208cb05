// PrintQueue: lines for standard output or error, written by the offload pool, one job at a time and in order: a terminal that
// is stopped or a pipe that nobody reads never holds the loop up. Loop-affine.
#pragma once

#include <cstddef>
#include <memory>
#include <string>
#include <string_view>

#include "core/loop.h"
#include "core/offload.h"

namespace tributary {

class PrintQueue {
 public:
  static constexpr size_t kLimit = 1 << 20;  // bytes that may wait; what is more and not important is dropped

  PrintQueue(core::Loop& loop, core::OffloadPool& offload, int fd);
  ~PrintQueue();  // writes what is left, however long that takes
  PrintQueue(const PrintQueue&) = delete;
  PrintQueue& operator=(const PrintQueue&) = delete;

  void print(std::string_view text, bool important = true);
  bool is_idle() const { return waiting_.empty() && !job_; }

 private:
  void write();
  void on_written();

  core::Loop& loop_;
  core::OffloadPool& offload_;
  const int fd_;
  std::string waiting_;
  std::shared_ptr<struct PrintJob> current_;
  core::Job job_;
};

}  // namespace tributary
