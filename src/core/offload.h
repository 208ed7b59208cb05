// The offload pool: threads for what could stall a loop (files, cold LMDB pages, hashing, decoding).
//
//   class Reader {
//     core::Job job_;
//     void start() { job_ = pool.submit(loop, [..]{ ::pread(..); }, Callback<void()>::to<&Reader::on_read>(this)); }
//   };
//
// `work` runs on a pool thread, then `done` on the caller's loop. Destroying or resetting the Job cancels: work that has
// not started does not start, and `done` does not run. Work that is running is not interrupted, so whatever it uses must
// be owned by its closure (moved or shared into it), never by the object that holds the Job. Nothing touches the loop of
// a job that was cancelled, so a loop may end before the pool, once its jobs have been. A job that was taken completes:
// its message to the loop is a part of it.
//
// submit() returns an empty Job when the queue is full (`queue_limit`): the caller then fails its operation or, where it
// has a cheaper way, takes that. submit may be called on any thread; done runs on `loop`, to which the Job is affine.
#pragma once

#include <atomic>
#include <condition_variable>
#include <cstddef>
#include <functional>
#include <memory>
#include <mutex>
#include <thread>
#include <vector>

#include "core/callback.h"
#include "core/loop.h"

namespace tributary::core {

class Job {
 public:
  Job() = default;
  Job(Job&& other) noexcept = default;
  Job& operator=(Job&& other) noexcept;
  ~Job() { cancel(); }
  explicit operator bool() const { return state_ != nullptr; }
  void cancel();  // loop thread

 private:
  friend class OffloadPool;
  struct State;
  std::shared_ptr<State> state_;
};

struct OffloadSettings {
  unsigned threads = 4;
  size_t queue_limit = 4096;
};

class OffloadPool {
 public:
  explicit OffloadPool(OffloadSettings settings = {});
  ~OffloadPool();  // runs what is queued, then joins
  OffloadPool(const OffloadPool&) = delete;
  OffloadPool& operator=(const OffloadPool&) = delete;

  [[nodiscard]] Job submit(Loop& loop, std::function<void()> work, Callback<void()> done);
  // Fire and forget: work nobody waits for (closing, unlinking, punching holes). False when the queue is full.
  bool submit_detached(std::function<void()> work);

  size_t queue_depth() const { return depth_.load(std::memory_order_relaxed); }

 private:
  struct Task;
  bool enqueue(Task task);
  void run_thread();

  OffloadSettings settings_;
  std::atomic<size_t> depth_{0};
  std::mutex mutex_;
  std::condition_variable ready_;
  std::vector<Task> ring_;  // FIFO of queue_limit places
  size_t first_ = 0, count_ = 0;
  bool ending_ = false;
  std::vector<std::thread> threads_;
};

}  // namespace tributary::core
