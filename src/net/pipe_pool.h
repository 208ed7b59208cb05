// Pipes for splice(), sized once and used again: making and sizing one costs as much as relaying 20 KiB. Loop-affine, one
// pool per worker. Bounded, because the kernel limits the pipe memory of a user (64 MiB without privileges).
#pragma once

#include <cstddef>
#include <vector>

#include "core/fd.h"

namespace tributary::net {

struct Pipe {
  core::Fd read_end, write_end;
  size_t capacity = 0;
  explicit operator bool() const { return static_cast<bool>(read_end); }
};

class PipePool {
 public:
  // Bytes. Four times as much as the copying relay moves at once: 0.28 CPU s/GB where 256 KiB took 0.32 (docs/performance.md).
  static constexpr size_t kPipeSize = 1024 * 1024;
  explicit PipePool(size_t limit = 32) : limit_(limit) {}

  // An empty pipe; none when `limit` are out already or the kernel gives none (the flow is then copied).
  Pipe take();
  // `is_empty`: nothing was left inside. One with content is closed: its bytes are somebody's.
  void give_back(Pipe pipe, bool is_empty);
  size_t in_use() const { return in_use_; }

 private:
  size_t limit_;
  size_t in_use_ = 0;
  std::vector<Pipe> free_;
};

}  // namespace tributary::net
