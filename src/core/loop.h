// The event loop: a thin layer over libev. loop.cc is the only file that includes ev.h.
//
// One worker thread owns one Loop; everything registered with it is loop-affine: it lives, is called and dies on that
// thread (debug builds assert it). The exceptions are Loop::post, Loop::stop and RemoteWaker, which any thread may use.
//
//   class Session {
//     core::IoWatcher readable_{loop_};  core::Timer idle_{loop_};
//     readable_.start(fd, core::Interest::Read, Callback<void(Interest)>::to<&Session::on_ready>(this));
//     idle_.start(60s, Callback<void()>::to<&Session::on_idle>(this));
//   };
//
// An iteration runs callbacks of descriptors for kTurn at most; those left over keep their order and go first in the next
// one, behind its timers and messages. So a thousand descriptors that are ready at once make nobody wait for all of them.
//
// Handles are pinned members of whatever waits on them; destroying one (also from inside its own callback) stops it and
// guarantees that no callback follows. Callbacks never run from inside start() or post().
#pragma once

#include <atomic>
#include <cstddef>
#include <cstdint>
#include <functional>
#include <memory>
#include <thread>

#include "core/callback.h"
#include "core/time.h"
#include "core/timer_wheel.h"

namespace tributary::core {

class Histogram;
class Loop;

enum class Interest : uint8_t { None = 0, Read = 1, Write = 2, Both = 3 };
constexpr Interest operator|(Interest a, Interest b) {
  return static_cast<Interest>(static_cast<uint8_t>(a) | static_cast<uint8_t>(b));
}
constexpr Interest operator&(Interest a, Interest b) {
  return static_cast<Interest>(static_cast<uint8_t>(a) & static_cast<uint8_t>(b));
}
constexpr Interest without(Interest a, Interest b) {
  return static_cast<Interest>(static_cast<uint8_t>(a) & ~static_cast<uint8_t>(b));
}
constexpr bool has(Interest a, Interest b) { return (a & b) != Interest::None; }

// Readiness of one descriptor, level-triggered. Changing the interest costs one epoll_ctl at the end of the iteration,
// asking again for what is already watched costs nothing.
class IoWatcher {
 public:
  explicit IoWatcher(Loop& loop);
  ~IoWatcher() { stop(); }
  IoWatcher(const IoWatcher&) = delete;
  IoWatcher& operator=(const IoWatcher&) = delete;

  // The descriptor stays the caller's, and must be stopped here before it is closed.
  void start(int fd, Interest interest, Callback<void(Interest)> callback);
  // Replaces the interest; None keeps the watcher's place but waits for nothing.
  void set(Interest interest);
  void set_callback(Callback<void(Interest)> callback) { callback_ = callback; }
  void stop();
  Interest interest() const { return interest_; }
  Loop& loop() const { return loop_; }

 private:
  friend class Loop;
  struct Hook;
  void postpone(Interest ready);
  void take_back();

  Loop& loop_;
  Callback<void(Interest)> callback_;
  Interest interest_ = Interest::None;
  Interest ready_ = Interest::None;  // of a postponed call
  int fd_ = -1;
  IoWatcher* next_ = nullptr;        // in the loop's list of postponed calls
  IoWatcher** link_ = nullptr;
  alignas(8) std::byte storage_[48];  // the ev_io; its size is asserted in loop.cc
};

// A deadline. O(1) to start, restart and stop (core/timer_wheel.h); resolution 4 ms, never early.
class Timer {
 public:
  explicit Timer(Loop& loop) : loop_(loop) {}

  void start(Duration after, Callback<void()> callback);  // restarts when it runs already
  void start_at(TimePoint deadline, Callback<void()> callback);
  void stop() { timer_.cancel(); }
  bool is_running() const { return timer_.is_armed(); }

 private:
  Loop& loop_;
  WheelTimer timer_;
};

// Runs a callback once on this loop, after the current callbacks and before the loop sleeps. The way to get off a stack
// that must not be re-entered ("reap me", "go on reading buffered bytes").
class Deferred {
 public:
  explicit Deferred(Loop& loop) : loop_(loop) {}
  ~Deferred() { cancel(); }
  Deferred(const Deferred&) = delete;
  Deferred& operator=(const Deferred&) = delete;

  void schedule(Callback<void()> callback);  // once scheduled, again only replaces the callback
  void cancel();
  bool is_scheduled() const { return link_ != nullptr; }

 private:
  friend class Loop;
  Loop& loop_;
  Deferred* next_ = nullptr;
  Deferred** link_ = nullptr;
  Callback<void()> callback_;
};

// A signal, delivered on this loop. Use on one loop only (the main thread's).
class SignalWatcher {
 public:
  explicit SignalWatcher(Loop& loop);
  ~SignalWatcher();
  SignalWatcher(const SignalWatcher&) = delete;
  SignalWatcher& operator=(const SignalWatcher&) = delete;
  void start(int signal, Callback<void(int)> callback);
  void stop();

 private:
  friend class Loop;
  Loop& loop_;
  Callback<void(int)> callback_;
  bool active_ = false;
  alignas(8) std::byte storage_[64];
};

// A message to a loop: an intrusive node, so that posting allocates nothing of its own. run() is called once on the loop's
// thread; from then on the node is the poster's again.
struct Message {
  virtual ~Message() = default;
  virtual void run() = 0;
  std::atomic<Message*> next_message{nullptr};
};

struct LoopSettings {
  size_t scratch_size = 256 * 1024;  // bytes of the worker's scratch buffer
};

class Loop {
 public:
  explicit Loop(LoopSettings settings = {});
  ~Loop();
  Loop(const Loop&) = delete;
  Loop& operator=(const Loop&) = delete;

  // Runs until stop(); the calling thread becomes the loop's thread. Once per thread.
  void run();
  // One iteration: waits at most `at_most` for an event and handles what is ready. For tests and embedding.
  void run_once(Duration at_most = Duration::zero());
  // Any thread; cannot be lost. The loop returns from run() after the iteration in progress.
  void stop();

  // Monotonic time at the start of this iteration; costs no system call.
  TimePoint now() const { return now_; }
  // Wall time in seconds, refreshed with now().
  UnixTime unix_now() const { return unix_now_; }

  // Any thread: hands `message`, which must live until it was run, to this loop. A lock-free queue; the loop is woken by
  // one ev_async a batch. There is no bound and so nothing to lose: the node is a part of the operation that it reports,
  // which was accepted before, and is in one queue once. False only when the loop has ended.
  bool post(Message& message);
  // Any thread: runs a callable on this loop. It allocates a message each, hence has a bound: false when kCallLimit wait.
  template <class F>
  bool post_call(F callable);

  bool in_loop_thread() const { return std::this_thread::get_id() == thread_; }
  void assert_in_loop() const;

  // Scratch space for one callback: a relay reads into it, then passes the bytes on or copies what it could not. Its
  // content means nothing after the callback returns. Never hand it to a peer beyond what was just read into it.
  char* scratch() { return scratch_.get(); }
  size_t scratch_size() const { return settings_.scratch_size; }

  TimerWheel& wheel() { return wheel_; }

  // Seconds by which iterations ran longer than asked for are observed here: time from waking up to going back to sleep,
  // so what a newly ready descriptor may have waited. Null: not measured.
  void set_lag_histogram(Histogram* histogram) { lag_ = histogram; }

  static constexpr size_t kCallLimit = 1 << 16;
  static constexpr Duration kTurn = std::chrono::milliseconds(2);

 private:
  friend class IoWatcher;
  friend class SignalWatcher;
  friend class Deferred;
  friend class Timer;
  struct Ev;

  void drain_messages();
  void run_deferred();
  void before_wait();
  void after_wait();
  void arm_wheel_timer();
  bool has_time_left();
  void run_postponed();

  LoopSettings settings_;
  std::unique_ptr<Ev> ev_;
  std::unique_ptr<char[]> scratch_;
  std::thread::id thread_;
  TimePoint now_;
  UnixTime unix_now_ = 0;
  TimePoint woke_;
  TimerWheel wheel_;
  Deferred* deferred_ = nullptr;
  Deferred** deferred_tail_ = &deferred_;
  IoWatcher* postponed_ = nullptr;
  IoWatcher** postponed_tail_ = &postponed_;
  unsigned calls_ = 0;     // of descriptors in this iteration
  bool is_late_ = false;   // its turn is over
  Histogram* lag_ = nullptr;

  // Vyukov's multi-producer single-consumer queue.
  std::atomic<Message*> queue_head_;  // producers
  Message* queue_tail_;               // consumer
  std::unique_ptr<Message> queue_stub_;
  std::atomic<size_t> queued_{0};
  std::atomic<size_t> calls_queued_{0};  // of them, those of post_call
  std::atomic<bool> stopping_{false};
  std::atomic<bool> wake_pending_{false};
  std::atomic<bool> ended_{false};
};

template <class F>
bool Loop::post_call(F callable) {
  struct Call final : Message {
    Call(Loop& to, F f) : loop(to), function(std::move(f)) {}
    void run() override {
      std::unique_ptr<Message> self(this);
      loop.calls_queued_.fetch_sub(1, std::memory_order_relaxed);
      function();
    }
    Loop& loop;
    F function;
  };
  if (calls_queued_.fetch_add(1, std::memory_order_relaxed) < kCallLimit) {
    auto call = std::make_unique<Call>(*this, std::move(callable));
    if (post(*call)) {
      call.release();
      return true;
    }
  }
  calls_queued_.fetch_sub(1, std::memory_order_relaxed);
  return false;
}

// Something on a loop that other threads may wake, safely past its death: give a RemoteWaker::Handle away, keep the
// RemoteWaker as a member. No wake() is lost: each is followed by a call of the callback, several perhaps by one. It
// allocates nothing. Waking a dead one does nothing, also when its loop is gone.
class RemoteWaker {
 public:
  class Handle {
   public:
    Handle() = default;
    void wake() const;  // any thread; takes a lock that is held for a post at most
    explicit operator bool() const { return state_ != nullptr; }
    friend bool operator==(const Handle&, const Handle&) = default;

   private:
    friend class RemoteWaker;
    struct State;
    explicit Handle(std::shared_ptr<State> state) : state_(std::move(state)) {}
    std::shared_ptr<State> state_;
  };

  RemoteWaker(Loop& loop, Callback<void()> callback);
  ~RemoteWaker();
  RemoteWaker(const RemoteWaker&) = delete;
  RemoteWaker& operator=(const RemoteWaker&) = delete;
  Handle handle() const { return handle_; }

 private:
  Handle handle_;
};

}  // namespace tributary::core
