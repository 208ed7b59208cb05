#include "core/offload.h"

#include <pthread.h>

#include <utility>

namespace tributary::core {

// Shared by the Job, the queue and the completion message. `cancelled` is written on the loop thread; the pool reads it
// only to skip work that nobody waits for. `done` is touched on the loop thread alone.
struct Job::State final : Message {
  void run() override {
    const std::shared_ptr<State> alive = std::move(self);
    if (const Callback<void()> call = std::exchange(done, {})) call();
  }

  std::mutex mutex;      // held for one post, so that cancel() waits for one that is under way
  Loop* loop = nullptr;  // null once cancelled: from then on the loop may be gone
  std::function<void()> work;
  Callback<void()> done;
  std::shared_ptr<State> self;  // while in the loop's queue
  std::atomic<bool> cancelled{false};
};

struct OffloadPool::Task {
  std::shared_ptr<Job::State> job;
  std::function<void()> detached;
};

Job& Job::operator=(Job&& other) noexcept {
  if (this != &other) {
    cancel();
    state_ = std::move(other.state_);
  }
  return *this;
}

void Job::cancel() {
  if (!state_) return;
  state_->done.reset();
  state_->cancelled.store(true, std::memory_order_release);
  {
    std::lock_guard lock(state_->mutex);
    state_->loop = nullptr;
  }
  state_.reset();
}

OffloadPool::OffloadPool(OffloadSettings settings) : settings_(settings), ring_(settings.queue_limit) {
  for (unsigned i = 0; i < settings_.threads; ++i) {
    threads_.emplace_back([this] {
      pthread_setname_np(pthread_self(), "offload");
      run_thread();
    });
  }
}

OffloadPool::~OffloadPool() {
  {
    std::lock_guard lock(mutex_);
    ending_ = true;
  }
  ready_.notify_all();
  for (std::thread& thread : threads_) thread.join();
}

bool OffloadPool::enqueue(Task task) {
  {
    // Held for the move of one task; the pool's threads hold it as briefly.
    std::lock_guard lock(mutex_);
    if (ending_ || count_ == ring_.size()) return false;
    ring_[(first_ + count_++) % ring_.size()] = std::move(task);
  }
  depth_.fetch_add(1, std::memory_order_relaxed);
  ready_.notify_one();
  return true;
}

Job OffloadPool::submit(Loop& loop, std::function<void()> work, Callback<void()> done) {
  Job job;
  auto state = std::make_shared<Job::State>();
  state->loop = &loop;
  state->work = std::move(work);
  state->done = done;
  if (enqueue(Task{state, {}})) job.state_ = std::move(state);
  return job;
}

bool OffloadPool::submit_detached(std::function<void()> work) {
  return enqueue(Task{nullptr, std::move(work)});
}

void OffloadPool::run_thread() {
  for (;;) {
    Task task;
    {
      std::unique_lock lock(mutex_);
      ready_.wait(lock, [this] { return ending_ || count_ > 0; });
      if (count_ == 0) return;
      task = std::exchange(ring_[first_], Task{});
      first_ = (first_ + 1) % ring_.size();
      --count_;
    }
    depth_.fetch_sub(1, std::memory_order_relaxed);
    if (!task.job) {
      task.detached();
      continue;
    }
    if (task.job->cancelled.load(std::memory_order_acquire)) continue;
    task.job->work();
    task.job->work = nullptr;  // what the closure owns is released here, not on the loop
    std::lock_guard lock(task.job->mutex);
    if (!task.job->loop) continue;
    task.job->self = task.job;
    if (!task.job->loop->post(*task.job)) task.job->self.reset();
  }
}

}  // namespace tributary::core
