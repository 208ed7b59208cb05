// Gate: lets work that refers to something be waited for before that goes away. Each piece of work carries a Pass;
// close() returns once all passes are gone. Any thread; closing blocks, so it is for shutdown.
#pragma once

#include <condition_variable>
#include <cstddef>
#include <mutex>
#include <utility>

namespace tributary::cache {

class Gate {
 public:
  class Pass {
   public:
    Pass() = default;
    explicit Pass(Gate& gate) : gate_(&gate) { gate.enter(); }
    Pass(const Pass& other) : gate_(other.gate_) {
      if (gate_) gate_->enter();
    }
    Pass(Pass&& other) noexcept : gate_(std::exchange(other.gate_, nullptr)) {}
    Pass& operator=(Pass other) noexcept {
      std::swap(gate_, other.gate_);
      return *this;
    }
    ~Pass() {
      if (gate_) gate_->leave();
    }

   private:
    Gate* gate_ = nullptr;
  };

  void close() {
    std::unique_lock lock(mutex_);
    empty_.wait(lock, [this] { return passes_ == 0; });
  }

 private:
  void enter() {
    std::lock_guard lock(mutex_);
    ++passes_;
  }
  void leave() {
    std::lock_guard lock(mutex_);
    if (--passes_ == 0) empty_.notify_all();
  }

  std::mutex mutex_;
  std::condition_variable empty_;
  size_t passes_ = 0;
};

}  // namespace tributary::cache
