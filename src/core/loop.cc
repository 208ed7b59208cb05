// The only file that knows libev.
#include "core/loop.h"

#include <ev.h>
#include <time.h>

#include <cassert>
#include <cstdlib>
#include <mutex>
#include <new>

#include "core/metrics.h"

namespace tributary::core {
namespace {

ev_tstamp seconds(Duration duration) { return std::chrono::duration<double>(duration).count(); }

int to_ev(Interest interest) {
  return (has(interest, Interest::Read) ? EV_READ : 0) | (has(interest, Interest::Write) ? EV_WRITE : 0);
}

Interest from_ev(int events) {
  Interest interest = Interest::None;
  if (events & EV_READ) interest = interest | Interest::Read;
  if (events & EV_WRITE) interest = interest | Interest::Write;
  return interest;
}

UnixTime unix_clock() {
  timespec now{};
  clock_gettime(CLOCK_REALTIME_COARSE, &now);  // whole seconds are all that is asked for
  return now.tv_sec;
}

}  // namespace

struct Loop::Ev {
  struct ev_loop* loop = nullptr;
  ev_async wake{};
  ev_timer wheel{};
  ev_timer postponed{};  // never started: fed by hand
  ev_prepare prepare{};
  ev_check check{};
  TimePoint wheel_due = TimePoint::max();  // what the ev_timer is set for
};

struct IoWatcher::Hook {
  static ev_io* io(IoWatcher& watcher) {
    static_assert(sizeof(ev_io) <= sizeof(watcher.storage_));
    return std::launder(reinterpret_cast<ev_io*>(watcher.storage_));
  }
  static void fired(struct ev_loop*, ev_io* io, int events) {
    auto* watcher = static_cast<IoWatcher*>(io->data);
    if (events & EV_ERROR) events = EV_READ | EV_WRITE;  // the next read or write tells what it is
    if (!watcher->loop_.has_time_left()) [[unlikely]] return watcher->postpone(from_ev(events));
    const Callback<void(Interest)> callback = watcher->callback_;
    callback(from_ev(events));
  }
};

IoWatcher::IoWatcher(Loop& loop) : loop_(loop) { new (storage_) ev_io{}; }

void IoWatcher::start(int fd, Interest interest, Callback<void(Interest)> callback) {
  loop_.assert_in_loop();
  callback_ = callback;
  // Watched already, by its former user: ev_io_set would force an epoll_ctl that tells the kernel nothing new.
  if (fd == fd_) return set(interest);
  stop();
  fd_ = fd;
  ev_io* io = Hook::io(*this);
  ev_init(io, &Hook::fired);
  io->data = this;
  ev_io_set(io, fd, 0);
  set(interest);
}

void IoWatcher::set(Interest interest) {
  if (interest == interest_) return;
  ev_io* io = Hook::io(*this);
  struct ev_loop* loop = loop_.ev_->loop;
  ev_io_stop(loop, io);
  interest_ = interest;
  if (interest == Interest::None) {
    take_back();
  } else {
    // ev_io_set marks the descriptor as new (EV__IOFDSET), which forces an epoll_ctl; the same descriptor with other
    // events is ev_io_modify in libev's words.
    ev_io_modify(io, to_ev(interest));
    ev_io_start(loop, io);
  }
}

void IoWatcher::stop() {
  if (fd_ < 0) return;
  set(Interest::None);
  fd_ = -1;
}

[[gnu::cold]] void IoWatcher::postpone(Interest ready) {
  ready_ = ready_ | ready;
  if (link_) return;
  next_ = nullptr;
  link_ = loop_.postponed_tail_;
  *link_ = this;
  loop_.postponed_tail_ = &next_;
}

void IoWatcher::take_back() {
  ready_ = Interest::None;
  if (!link_) return;
  *link_ = next_;
  (next_ ? next_->link_ : loop_.postponed_tail_) = link_;
  link_ = nullptr;
}

void Timer::start(Duration after, Callback<void()> callback) { start_at(loop_.now() + after, callback); }

void Timer::start_at(TimePoint deadline, Callback<void()> callback) {
  loop_.assert_in_loop();
  loop_.wheel().arm(timer_, deadline, callback);
}

void Deferred::schedule(Callback<void()> callback) {
  loop_.assert_in_loop();
  callback_ = callback;
  if (link_) return;
  next_ = nullptr;
  link_ = loop_.deferred_tail_;
  *link_ = this;
  loop_.deferred_tail_ = &next_;
}

void Deferred::cancel() {
  if (!link_) return;
  *link_ = next_;
  if (next_) {
    next_->link_ = link_;
  } else {
    loop_.deferred_tail_ = link_;
  }
  link_ = nullptr;
}

SignalWatcher::SignalWatcher(Loop& loop) : loop_(loop) {
  static_assert(sizeof(ev_signal) <= sizeof(storage_));
  new (storage_) ev_signal{};
}

SignalWatcher::~SignalWatcher() { stop(); }

void SignalWatcher::start(int signal, Callback<void(int)> callback) {
  stop();
  callback_ = callback;
  auto* watcher = std::launder(reinterpret_cast<ev_signal*>(storage_));
  ev_signal_init(
      watcher,
      [](struct ev_loop*, ev_signal* fired, int) {
        const Callback<void(int)> call = static_cast<SignalWatcher*>(fired->data)->callback_;
        call(fired->signum);
      },
      signal);
  watcher->data = this;
  ev_signal_start(loop_.ev_->loop, watcher);
  active_ = true;
}

void SignalWatcher::stop() {
  if (!active_) return;
  ev_signal_stop(loop_.ev_->loop, std::launder(reinterpret_cast<ev_signal*>(storage_)));
  active_ = false;
}

namespace {
struct Stub final : Message {
  void run() override {}
};
}  // namespace

Loop::Loop(LoopSettings settings)
    : settings_(settings),
      ev_(std::make_unique<Ev>()),
      scratch_(new char[settings.scratch_size]),
      thread_(std::this_thread::get_id()),
      now_(Clock::now()),
      woke_(now_),
      wheel_(now_),
      queue_stub_(std::make_unique<Stub>()) {
  queue_head_.store(queue_stub_.get(), std::memory_order_relaxed);
  queue_tail_ = queue_stub_.get();
  unix_now_ = unix_clock();

  // facts.md: libev's io_uring backend costs twice what epoll costs.
  ev_->loop = ev_loop_new(static_cast<unsigned>(EVBACKEND_EPOLL) | static_cast<unsigned>(EVFLAG_NOENV));
  if (!ev_->loop) std::abort();
  ev_set_userdata(ev_->loop, this);

  ev_async_init(&ev_->wake, [](struct ev_loop* loop, ev_async*, int) {
    auto* ours = static_cast<Loop*>(ev_userdata(loop));
    ours->drain_messages();
    if (ours->stopping_.load(std::memory_order_acquire)) ev_break(loop, EVBREAK_ALL);
  });

  ev_init(&ev_->wheel, [](struct ev_loop* loop, ev_timer*, int) {
    auto* ours = static_cast<Loop*>(ev_userdata(loop));
    ours->ev_->wheel_due = TimePoint::max();
    ours->wheel_.advance(ours->now_);
  });

  ev_init(&ev_->postponed, [](struct ev_loop* loop, ev_timer*, int) {
    static_cast<Loop*>(ev_userdata(loop))->run_postponed();
  });
  // Of what is ready in one iteration: timers and messages, postponed calls, descriptors.
  ev_set_priority(&ev_->wheel, EV_MAXPRI);
  ev_set_priority(&ev_->wake, EV_MAXPRI);
  ev_set_priority(&ev_->postponed, 1);

  ev_prepare_init(&ev_->prepare, [](struct ev_loop* loop, ev_prepare*, int) {
    static_cast<Loop*>(ev_userdata(loop))->before_wait();
  });
  ev_async_start(ev_->loop, &ev_->wake);
  ev_prepare_start(ev_->loop, &ev_->prepare);

  ev_check_init(&ev_->check, [](struct ev_loop* loop, ev_check*, int) {
    static_cast<Loop*>(ev_userdata(loop))->after_wait();
  });
  ev_set_priority(&ev_->check, EV_MAXPRI);  // the clock first, then everybody else
  ev_check_start(ev_->loop, &ev_->check);
  // None of these keeps the loop alive or ends it: run() lasts until stop().
}

Loop::~Loop() {
  ended_.store(true, std::memory_order_release);
  thread_ = std::this_thread::get_id();
  drain_messages();  // whoever waits in the queue may own things
  run_deferred();
  drain_messages();
  ev_loop_destroy(ev_->loop);
}

void Loop::assert_in_loop() const { assert(in_loop_thread()); }

void Loop::run() {
  thread_ = std::this_thread::get_id();
  after_wait();
  // A stop() that came first has lost its wake-up if run_once() was in between.
  if (stopping_.load(std::memory_order_acquire)) ev_async_send(ev_->loop, &ev_->wake);
  ev_run(ev_->loop, 0);
  stopping_.store(false, std::memory_order_release);
}

void Loop::run_once(Duration at_most) {
  thread_ = std::this_thread::get_id();
  after_wait();
  if (at_most <= Duration::zero()) {
    ev_run(ev_->loop, EVRUN_NOWAIT);
    return;
  }
  ev_timer limit{};
  ev_timer_init(&limit, [](struct ev_loop*, ev_timer*, int) {}, seconds(at_most), 0.);
  ev_now_update(ev_->loop);
  ev_timer_start(ev_->loop, &limit);
  ev_run(ev_->loop, EVRUN_ONCE);
  ev_timer_stop(ev_->loop, &limit);
}

void Loop::stop() {
  stopping_.store(true, std::memory_order_release);
  ev_async_send(ev_->loop, &ev_->wake);
}

bool Loop::post(Message& message) {
  if (ended_.load(std::memory_order_acquire)) return false;
  queued_.fetch_add(1, std::memory_order_relaxed);
  message.next_message.store(nullptr, std::memory_order_relaxed);
  Message* previous = queue_head_.exchange(&message, std::memory_order_acq_rel);
  previous->next_message.store(&message, std::memory_order_release);
  // One wake-up a batch: the consumer clears the flag before it looks at the queue.
  if (!wake_pending_.exchange(true, std::memory_order_seq_cst)) ev_async_send(ev_->loop, &ev_->wake);
  return true;
}

void Loop::drain_messages() {
  wake_pending_.store(false, std::memory_order_seq_cst);
  // What is posted while draining waits for the next iteration, so that messages cannot starve sockets.
  for (size_t budget = queued_.load(std::memory_order_acquire); budget > 0; --budget) {
    Message* tail = queue_tail_;
    Message* next = tail->next_message.load(std::memory_order_acquire);
    if (tail == queue_stub_.get()) {
      if (!next) break;
      queue_tail_ = next;
      tail = next;
      next = next->next_message.load(std::memory_order_acquire);
    }
    if (!next) {
      // `tail` is the last one: put the stub behind it, so that it can be taken out.
      if (tail == queue_head_.load(std::memory_order_acquire)) {
        Message* stub = queue_stub_.get();
        stub->next_message.store(nullptr, std::memory_order_relaxed);
        Message* previous = queue_head_.exchange(stub, std::memory_order_acq_rel);
        previous->next_message.store(stub, std::memory_order_release);
      }
      next = tail->next_message.load(std::memory_order_acquire);
      if (!next) break;  // a producer is between its two steps; it wakes us again below
    }
    queue_tail_ = next;
    queued_.fetch_sub(1, std::memory_order_relaxed);
    tail->run();
  }
  if (queued_.load(std::memory_order_acquire) > 0 &&
      !wake_pending_.exchange(true, std::memory_order_seq_cst)) {
    ev_async_send(ev_->loop, &ev_->wake);
  }
}

void Loop::run_deferred() {
  // Callbacks may schedule more; those run too, up to a bound, so that chains of steps do not wait for the next
  // iteration, and endless ones do not keep the loop from its sockets.
  for (int budget = 100'000; deferred_ && budget > 0; --budget) {
    Deferred& first = *deferred_;
    first.cancel();
    const Callback<void()> callback = first.callback_;
    callback();
  }
}

void Loop::arm_wheel_timer() {
  const std::optional<TimePoint> due = wheel_.next_due();
  if (!due) return;
  // Rearmed only for an earlier moment: one that comes too early finds nothing and arms anew.
  if (*due >= ev_->wheel_due && ev_is_active(&ev_->wheel)) return;
  ev_->wheel_due = *due;
  ev_timer_stop(ev_->loop, &ev_->wheel);
  const TimePoint now = Clock::now();
  ev_now_update(ev_->loop);
  ev_timer_set(&ev_->wheel, *due > now ? seconds(*due - now) : 0., 0.);
  ev_timer_start(ev_->loop, &ev_->wheel);
}

void Loop::before_wait() {
  run_deferred();
  arm_wheel_timer();
  if (deferred_ || postponed_) ev_async_send(ev_->loop, &ev_->wake);
  if (lag_) lag_->observe(Clock::now() - woke_);
}

void Loop::after_wait() {
  now_ = Clock::now();
  woke_ = now_;
  unix_now_ = unix_clock();
  calls_ = 0;
  is_late_ = false;
  if (postponed_) ev_feed_event(ev_->loop, &ev_->postponed, EV_CUSTOM);
}

bool Loop::has_time_left() {
  // A look at the clock costs about 30 ns, a call hardly less than 1 µs.
  if (++calls_ % 16 == 0) is_late_ = Clock::now() - woke_ >= kTurn;
  return !is_late_;
}

// In the order in which they were postponed, so that nobody starves.
void Loop::run_postponed() {
  while (postponed_ && has_time_left()) {
    IoWatcher& first = *postponed_;
    // A descriptor that is still ready was reported again: once is enough.
    ev_clear_pending(ev_->loop, IoWatcher::Hook::io(first));
    const Interest ready = first.ready_ & first.interest_;
    first.take_back();
    if (ready == Interest::None) continue;
    const Callback<void(Interest)> callback = first.callback_;
    callback(ready);
  }
}

// Its own message, of which `posted` keeps at most one in the queue.
struct RemoteWaker::Handle::State final : Message {
  void run() override {
    const std::shared_ptr<State> alive = std::move(self);
    posted.store(false, std::memory_order_release);  // what is woken from here on is told anew
    if (const Callback<void()> call = callback) call();
  }

  std::mutex mutex;      // held for one post, so that the waker's end waits for one that is under way
  Loop* loop = nullptr;  // null when the waker is gone: from then on the loop may be, too
  Callback<void()> callback;        // loop thread only; empty when the waker is gone
  std::shared_ptr<State> self;      // while in the queue
  std::atomic<bool> posted{false};
};

void RemoteWaker::Handle::wake() const {
  if (!state_ || state_->posted.exchange(true, std::memory_order_acq_rel)) return;
  std::lock_guard lock(state_->mutex);
  if (!state_->loop) return;
  state_->self = state_;
  if (!state_->loop->post(*state_)) state_->self.reset();
}

RemoteWaker::RemoteWaker(Loop& loop, Callback<void()> callback) {
  handle_.state_ = std::make_shared<Handle::State>();
  handle_.state_->loop = &loop;
  handle_.state_->callback = callback;
}

RemoteWaker::~RemoteWaker() {
  handle_.state_->callback.reset();
  std::lock_guard lock(handle_.state_->mutex);
  handle_.state_->loop = nullptr;
}

}  // namespace tributary::core
