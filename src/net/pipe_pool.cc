#include "net/pipe_pool.h"

#include <fcntl.h>
#include <unistd.h>

namespace tributary::net {

Pipe PipePool::take() {
  if (in_use_ >= limit_) return {};
  if (!free_.empty()) {
    Pipe pipe = std::move(free_.back());
    free_.pop_back();
    ++in_use_;
    return pipe;
  }
  int ends[2];
  if (::pipe2(ends, O_NONBLOCK | O_CLOEXEC) != 0) return {};
  Pipe pipe{core::Fd(ends[0]), core::Fd(ends[1]), 0};
  // The kernel refuses more than the user's share; a pipe that stays small would be slower than copying.
  const int size = ::fcntl(ends[1], F_SETPIPE_SZ, static_cast<int>(kPipeSize));
  if (size < static_cast<int>(kPipeSize)) return {};
  pipe.capacity = static_cast<size_t>(size);
  ++in_use_;
  return pipe;
}

void PipePool::give_back(Pipe pipe, bool is_empty) {
  if (!pipe) return;
  --in_use_;
  if (is_empty) free_.push_back(std::move(pipe));
}

}  // namespace tributary::net
