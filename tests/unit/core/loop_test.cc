// The loop's promises: readiness, timers, deferred calls, messages from other threads, cancelling inside callbacks.
#include "core/loop.h"

#include <gtest/gtest.h>
#include <poll.h>
#include <sys/socket.h>
#include <csignal>

#include <algorithm>
#include <future>
#include <list>
#include <memory>
#include <thread>
#include <vector>

#include "core/fd.h"
#include "core/metrics.h"
#include "core/offload.h"

namespace tributary::core {
namespace {

using std::chrono::milliseconds;
using std::chrono::seconds;

std::pair<Fd, Fd> socket_pair() {
  int fds[2];
  EXPECT_EQ(::socketpair(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0, fds), 0);
  return {Fd(fds[0]), Fd(fds[1])};
}

// Turns the loop until `done`; the test's own time limit ends it otherwise.
template <class F>
void turn_until(Loop& loop, F done) {
  while (!done()) loop.run_once(milliseconds(50));
}

TEST(IoWatcher, ReportsReadableOnceThereIsData) {
  Loop loop;
  auto [a, b] = socket_pair();
  IoWatcher watcher(loop);
  Interest seen = Interest::None;
  auto on_ready = [&](Interest interest) { seen = interest; };
  watcher.start(a.get(), Interest::Read, Callback<void(Interest)>::ref(on_ready));
  loop.run_once();
  EXPECT_EQ(seen, Interest::None);
  ASSERT_EQ(::write(b.get(), "x", 1), 1);
  turn_until(loop, [&] { return seen != Interest::None; });
  EXPECT_EQ(seen, Interest::Read);
}

TEST(IoWatcher, ChangesItsInterestAndKeepsQuietWithNone) {
  Loop loop;
  auto [a, b] = socket_pair();
  IoWatcher watcher(loop);
  int calls = 0;
  Interest seen = Interest::None;
  auto on_ready = [&](Interest interest) { ++calls, seen = interest; };
  watcher.start(a.get(), Interest::Both, Callback<void(Interest)>::ref(on_ready));
  turn_until(loop, [&] { return calls > 0; });
  EXPECT_EQ(seen, Interest::Write);
  watcher.set(Interest::None);
  calls = 0;
  ASSERT_EQ(::write(b.get(), "x", 1), 1);
  for (int i = 0; i < 5; ++i) loop.run_once();
  EXPECT_EQ(calls, 0);
  watcher.set(Interest::Read);
  turn_until(loop, [&] { return calls > 0; });
  EXPECT_EQ(seen, Interest::Read);
}

TEST(IoWatcher, MayBeDestroyedInsideItsCallback) {
  Loop loop;
  auto [a, b] = socket_pair();
  auto watcher = std::make_unique<IoWatcher>(loop);
  int calls = 0;
  auto on_ready = [&](Interest) { ++calls, watcher.reset(); };
  watcher->start(a.get(), Interest::Write, Callback<void(Interest)>::ref(on_ready));
  turn_until(loop, [&] { return calls > 0; });
  for (int i = 0; i < 5; ++i) loop.run_once();
  EXPECT_EQ(calls, 1);
}

TEST(IoWatcher, DestroyedByAnotherCallbackOfTheSameIterationIsNotCalled) {
  Loop loop;
  auto [a, b] = socket_pair();
  auto first = std::make_unique<IoWatcher>(loop), second = std::make_unique<IoWatcher>(loop);
  int calls = 0;
  auto on_ready = [&](Interest) { ++calls, first.reset(), second.reset(); };
  first->start(a.get(), Interest::Write, Callback<void(Interest)>::ref(on_ready));
  second->start(b.get(), Interest::Write, Callback<void(Interest)>::ref(on_ready));
  turn_until(loop, [&] { return calls > 0; });
  for (int i = 0; i < 5; ++i) loop.run_once();
  EXPECT_EQ(calls, 1);
}

// Many descriptors that stay ready, each with a callback that takes a quarter of an iteration's turn.
class Crowd {
 public:
  static constexpr size_t kSize = 64;
  explicit Crowd(Loop& loop) {
    for (size_t i = 0; i < kSize; ++i) {
      members_.push_back(std::make_unique<Member>(loop));
      members_.back()->watcher.start(members_.back()->ends.first.get(), Interest::Write,
                                     Callback<void(Interest)>::to<&Member::on_ready>(members_.back().get()));
    }
  }
  int calls(size_t i) const { return members_[i]->calls; }
  IoWatcher& watcher(size_t i) { return members_[i]->watcher; }
  int least() const {
    const auto by_calls = [](const auto& a, const auto& b) { return a->calls < b->calls; };
    return (*std::min_element(members_.begin(), members_.end(), by_calls))->calls;
  }

 private:
  struct Member {
    explicit Member(Loop& loop) : watcher(loop) {}
    void on_ready(Interest) {
      ++calls;
      for (const TimePoint end = Clock::now() + Loop::kTurn / 4; Clock::now() < end;) continue;
    }
    std::pair<Fd, Fd> ends = socket_pair();
    IoWatcher watcher;
    int calls = 0;
  };
  std::vector<std::unique_ptr<Member>> members_;
};

TEST(LoopTurn, TimersAndMessagesDoNotWaitForEveryReadyDescriptor) {
  Loop loop;
  Crowd crowd(loop);
  int timer_saw = -1, message_saw = -1;
  auto on_timer = [&] { timer_saw = crowd.least(); };
  Timer timer(loop);
  timer.start(milliseconds(1), Callback<void()>::ref(on_timer));
  loop.run_once();
  loop.post_call([&] { message_saw = crowd.least(); });
  turn_until(loop, [&] { return timer_saw >= 0 && message_saw >= 0; });
  EXPECT_EQ(timer_saw, 0) << "every descriptor went before it";
  EXPECT_EQ(message_saw, 0) << "every descriptor went before it";
}

TEST(LoopTurn, NoneOfTheDescriptorsThatAreAlwaysReadyStarves) {
  Loop loop;
  Crowd crowd(loop);
  for (int round = 1; round <= 4; ++round) {
    // The clock is looked at every 16 calls, so an iteration makes no fewer than 15.
    for (size_t i = 0; i < Crowd::kSize / 15 + 2; ++i) loop.run_once();
    EXPECT_GE(crowd.least(), round);
  }
}

TEST(LoopTurn, ACallThatWasPostponedIsNotMadeOnceTheWatcherStopped) {
  Loop loop;
  Crowd crowd(loop);
  loop.run_once();
  size_t stopped = 0;
  while (crowd.calls(stopped) > 0) ++stopped;
  crowd.watcher(stopped).stop();
  for (int i = 0; i < 8; ++i) loop.run_once();
  EXPECT_EQ(crowd.calls(stopped), 0);
}

TEST(Timer, FiresOnTheLoopInTheOrderOfDeadlines) {
  Loop loop;
  Timer late(loop), early(loop);
  std::vector<int> order;
  auto on_late = [&] { order.push_back(2); };
  auto on_early = [&] { order.push_back(1); };
  late.start(milliseconds(40), Callback<void()>::ref(on_late));
  early.start(milliseconds(10), Callback<void()>::ref(on_early));
  turn_until(loop, [&] { return order.size() == 2; });
  EXPECT_EQ(order, (std::vector<int>{1, 2}));
}

// S2-6: a wait is a deadline on the loop; nothing pauses, and any number of them coexist.
TEST(Timer, AThousandWaitsEndInTheOrderOfTheirDeadlines) {
  Loop loop;
  constexpr int kWaits = 1000;
  struct Wait {
    Wait(Loop& l, int number, std::vector<int>& ended) : timer(l), index(number), order(ended) {}
    void on_due() { order.push_back(index); }
    Timer timer;
    int index;
    std::vector<int>& order;
  };
  std::vector<int> order;
  std::vector<std::unique_ptr<Wait>> waits;
  const TimePoint base = loop.now();
  for (int i = 0; i < kWaits; ++i) {
    const int place = i * 617 % kWaits;  // each once, far from in order
    waits.push_back(std::make_unique<Wait>(loop, place, order));
    waits.back()->timer.start_at(base + (2 + place / 10) * TimerWheel::kTick, Callback<void()>::to<&Wait::on_due>(waits.back().get()));
  }
  turn_until(loop, [&] { return order.size() == kWaits; });
  const auto by_tick = [](int a, int b) { return a / 10 < b / 10; };
  EXPECT_TRUE(std::is_sorted(order.begin(), order.end(), by_tick));
}

// S2-10: waits belong to whoever waits, and go with it.
TEST(Timer, AnOwnerThatGoesTakesItsHundredWaitsAlong) {
  Loop loop;
  int fired = 0;
  auto on_due = [&] { ++fired; };
  auto waits = std::make_unique<std::list<Timer>>();
  for (int i = 0; i < 100; ++i) {
    waits->emplace_back(loop);
    waits->back().start(milliseconds(4 + i % 3), Callback<void()>::ref(on_due));
  }
  Timer first(loop), last(loop);
  bool over = false;
  auto go = [&] { waits.reset(); };
  auto end = [&] { over = true; };
  first.start_at(loop.now(), Callback<void()>::ref(go));
  last.start(milliseconds(40), Callback<void()>::ref(end));
  EXPECT_EQ(loop.wheel().armed(), 102u);
  turn_until(loop, [&] { return over; });
  EXPECT_EQ(fired, 0);
  EXPECT_EQ(loop.wheel().armed(), 0u);
}

// S2-1, S2-5, S2-9, S0-1.L1: waiting for a descriptor with a time limit is a watcher and a timer in the waiter's own context.
class WaitIo {
 public:
  enum class Result { Pending, Ready, TimedOut };
  WaitIo(Loop& loop, int fd, Interest interest, Duration limit) : watcher_(loop), timer_(loop) {
    watcher_.start(fd, interest, Callback<void(Interest)>::to<&WaitIo::on_ready>(this));
    timer_.start(limit, Callback<void()>::to<&WaitIo::on_timeout>(this));
  }
  Result result = Result::Pending;
  int calls = 0;

 private:
  void on_ready(Interest) { finish(Result::Ready); }
  void on_timeout() { finish(Result::TimedOut); }
  void finish(Result how) {
    ++calls;
    result = how;
    watcher_.stop();
    timer_.stop();
  }
  IoWatcher watcher_;
  Timer timer_;
};

TEST(WaitingWithALimit, EndsByReadinessOrByTimeAndOnlyOnce) {
  Loop loop;
  auto [a, b] = socket_pair();
  WaitIo times_out(loop, a.get(), Interest::Read, milliseconds(8));
  turn_until(loop, [&] { return times_out.calls > 0; });
  EXPECT_EQ(times_out.result, WaitIo::Result::TimedOut);

  ASSERT_EQ(::write(b.get(), "x", 1), 1);
  WaitIo ready(loop, a.get(), Interest::Read, seconds(3600));
  turn_until(loop, [&] { return ready.calls > 0; });
  EXPECT_EQ(ready.result, WaitIo::Result::Ready);
  EXPECT_EQ(loop.wheel().armed(), 0u);

  // Both in one iteration: whichever the loop runs first resumes the waiter, the other one is not heard.
  WaitIo both(loop, a.get(), Interest::Read, milliseconds(4));
  std::this_thread::sleep_for(milliseconds(12));
  turn_until(loop, [&] { return both.calls > 0; });
  for (int i = 0; i < 3; ++i) loop.run_once();
  EXPECT_EQ(both.calls, 1);
  EXPECT_EQ(times_out.calls, 1);
  EXPECT_EQ(ready.calls, 1);
}

TEST(WaitingWithALimit, IsCancelledByDestruction) {
  Loop loop;
  auto [a, b] = socket_pair();
  ASSERT_EQ(::write(b.get(), "x", 1), 1);
  auto wait = std::make_unique<WaitIo>(loop, a.get(), Interest::Read, milliseconds(4));
  wait.reset();
  std::this_thread::sleep_for(milliseconds(12));
  for (int i = 0; i < 3; ++i) loop.run_once();
  EXPECT_EQ(loop.wheel().armed(), 0u);
}

// S2-12: a program with a loop of its own calls run_once() in each turn of it.
TEST(Embedding, AForeignLoopTurnsOursAndBothMakeProgress) {
  Loop ours;
  auto [a, b] = socket_pair();
  auto [c, d] = socket_pair();
  IoWatcher watcher(ours);
  int seen_by_ours = 0, seen_by_theirs = 0, ticks = 0;
  char byte;
  auto on_ready = [&](Interest) { seen_by_ours += ::read(a.get(), &byte, 1) == 1; };
  watcher.start(a.get(), Interest::Read, Callback<void(Interest)>::ref(on_ready));
  Timer timer(ours);
  Callback<void()> again;
  auto on_tick = [&] {
    if (++ticks < 3) timer.start(milliseconds(4), again);
  };
  again = Callback<void()>::ref(on_tick);
  timer.start(milliseconds(4), again);
  for (int turn = 0; seen_by_ours < 5 || seen_by_theirs < 5 || ticks < 3; ++turn) {
    if (turn < 5) {
      ASSERT_EQ(::write(b.get(), "o", 1), 1);
      ASSERT_EQ(::write(d.get(), "t", 1), 1);
    }
    pollfd theirs{c.get(), POLLIN, 0};
    if (::poll(&theirs, 1, 1) == 1) seen_by_theirs += ::read(c.get(), &byte, 1) == 1;
    ours.run_once();  // advances and returns
  }
  EXPECT_EQ(seen_by_ours, 5);
  EXPECT_EQ(seen_by_theirs, 5);
}

TEST(Deferred, RunsAfterTheCallbackThatScheduledItAndBeforeTheLoopSleeps) {
  Loop loop;
  auto [a, b] = socket_pair();
  IoWatcher watcher(loop);
  Deferred deferred(loop), cancelled(loop);
  std::vector<int> order;
  auto on_deferred = [&] { order.push_back(2); };
  auto never = [&] { order.push_back(99); };
  auto on_ready = [&](Interest) {
    watcher.stop();
    deferred.schedule(Callback<void()>::ref(on_deferred));
    cancelled.schedule(Callback<void()>::ref(never));
    cancelled.cancel();
    order.push_back(1);
  };
  watcher.start(a.get(), Interest::Write, Callback<void(Interest)>::ref(on_ready));
  turn_until(loop, [&] { return order.size() >= 2; });
  EXPECT_EQ(order, (std::vector<int>{1, 2}));
}

TEST(Deferred, OneThatSchedulesItselfDoesNotKeepTheLoopFromItsSockets) {
  Loop loop;
  auto [a, b] = socket_pair();
  IoWatcher watcher(loop);
  Deferred deferred(loop);
  bool ready = false;
  std::function<void()> again = [&] { deferred.schedule(Callback<void()>::ref(again)); };
  auto on_ready = [&](Interest) { ready = true; };
  watcher.start(a.get(), Interest::Write, Callback<void(Interest)>::ref(on_ready));
  again();
  turn_until(loop, [&] { return ready; });
}

TEST(SignalWatcher, DeliversASignalOnTheLoop) {
  Loop loop;
  SignalWatcher watcher(loop);
  int seen = 0;
  auto on_signal = [&](int signal) { seen = signal; };
  watcher.start(SIGUSR2, Callback<void(int)>::ref(on_signal));
  ::raise(SIGUSR2);
  turn_until(loop, [&] { return seen != 0; });
  EXPECT_EQ(seen, SIGUSR2);
}

// S0-1.5
TEST(LoopPost, DeliversEveryMessageOfManyThreadsInTheOrderOfEach) {
  Loop loop;
  constexpr int kThreads = 4, kEach = 50'000;
  std::vector<int> last(kThreads, -1);
  int received = 0, out_of_order = 0;
  std::vector<std::thread> threads;
  for (int t = 0; t < kThreads; ++t) {
    threads.emplace_back([&, t] {
      for (int i = 0; i < kEach; ++i) {
        while (!loop.post_call([&, t, i] {
          out_of_order += last[t] != i - 1;
          last[t] = i;
          ++received;
        })) {
          std::this_thread::yield();  // the queue is bounded
        }
      }
    });
  }
  turn_until(loop, [&] { return received == kThreads * kEach; });
  for (std::thread& thread : threads) thread.join();
  EXPECT_EQ(out_of_order, 0);
}

TEST(LoopPost, RefusesCallsBeyondItsBoundAndDestroysWhatItRefuses) {
  Loop loop;
  auto counted = std::make_shared<int>(0);
  size_t taken = 0;
  for (size_t i = 0; i < Loop::kCallLimit + 10; ++i) taken += loop.post_call([counted] { ++*counted; });
  EXPECT_EQ(taken, Loop::kCallLimit);
  EXPECT_EQ(counted.use_count(), static_cast<long>(Loop::kCallLimit) + 1);
  turn_until(loop, [&] { return *counted == static_cast<int>(Loop::kCallLimit); });
  EXPECT_EQ(counted.use_count(), 1);
  EXPECT_TRUE(loop.post_call([] {}));  // there is room again
}

// What waits for a completion would wait for ever.
TEST(LoopPost, WithItsBoundReachedJobsCompleteWakersWakeAndStopStops) {
  Loop loop;
  OffloadPool pool(OffloadSettings{.threads = 1});
  size_t calls = 0;
  while (loop.post_call([&] { ++calls; })) {
  }
  bool completed = false, woken = false;
  auto on_done = [&] { completed = true; };
  auto on_wake = [&] { woken = true; };
  RemoteWaker waker(loop, Callback<void()>::ref(on_wake));
  std::promise<void> worked;
  const Job job = pool.submit(loop, [&] { worked.set_value(); }, Callback<void()>::ref(on_done));
  worked.get_future().wait();
  std::thread([handle = waker.handle()] { handle.wake(); }).join();
  turn_until(loop, [&] { return completed && woken && calls == Loop::kCallLimit; });

  while (loop.post_call([] {})) {
  }
  loop.stop();
  loop.run();
}

TEST(LoopPost, AStopBeforeRunIsNotForgotten) {
  Loop loop;
  loop.stop();
  loop.run_once();
  loop.run();
}

TEST(LoopPost, StopEndsRunOnItsThread) {
  Loop loop;
  std::thread runner([&] { loop.run(); });
  loop.stop();
  runner.join();
}

TEST(RemoteWaker, WakesFromAnotherThreadAndNotAfterItsDeath) {
  Loop loop;
  int woken = 0;
  auto on_wake = [&] { ++woken; };
  RemoteWaker::Handle handle;
  {
    RemoteWaker waker(loop, Callback<void()>::ref(on_wake));
    handle = waker.handle();
    std::thread([&] { handle.wake(), handle.wake(); }).join();
    turn_until(loop, [&] { return woken > 0; });
    EXPECT_EQ(woken, 1);
    handle.wake();
    turn_until(loop, [&] { return woken > 1; });
    handle.wake();
  }
  handle.wake();
  for (int i = 0; i < 5; ++i) loop.run_once();
  EXPECT_EQ(woken, 2);
}

TEST(RemoteWaker, WakingOneWhoseLoopIsGoneDoesNothing) {
  RemoteWaker::Handle handle;
  {
    Loop loop;
    RemoteWaker waker(loop, {});
    handle = waker.handle();
  }
  handle.wake();
}

TEST(Offload, RunsTheWorkElsewhereAndCompletesOnTheLoop) {
  Loop loop;
  OffloadPool pool(OffloadSettings{.threads = 2});
  std::thread::id worked, completed;
  auto on_done = [&] { completed = std::this_thread::get_id(); };
  Job job = pool.submit(loop, [&] { worked = std::this_thread::get_id(); }, Callback<void()>::ref(on_done));
  ASSERT_TRUE(job);
  turn_until(loop, [&] { return completed != std::thread::id(); });
  EXPECT_NE(worked, std::this_thread::get_id());
  EXPECT_EQ(completed, std::this_thread::get_id());
}

TEST(Offload, ACancelledJobDoesNotComplete) {
  Loop loop;
  OffloadPool pool(OffloadSettings{.threads = 1});
  bool completed = false;
  auto on_done = [&] { completed = true; };
  auto started = std::make_shared<std::atomic<bool>>(false);
  Job job = pool.submit(loop, [started] { started->store(true); }, Callback<void()>::ref(on_done));
  while (!started->load()) std::this_thread::yield();
  job.cancel();
  bool marker = false;
  auto on_marker = [&] { marker = true; };
  Job last = pool.submit(loop, [] {}, Callback<void()>::ref(on_marker));
  turn_until(loop, [&] { return marker; });
  EXPECT_FALSE(completed);
}

TEST(Offload, AJobThatOutlastsItsLoopCompletesNowhere) {
  std::promise<void> begun, loop_gone;
  OffloadPool pool(OffloadSettings{.threads = 1});
  {
    Loop loop;
    Job job = pool.submit(
        loop,
        [&, gone = loop_gone.get_future().share()] {
          begun.set_value();
          gone.wait();
        },
        {});
    begun.get_future().wait();
  }
  loop_gone.set_value();
}

TEST(Offload, RefusesWorkBeyondItsQueueAndRunsAllItTookBeforeItEnds) {
  Loop loop;
  std::atomic<int> ran{0};
  int taken = 0;
  {
    OffloadPool pool(OffloadSettings{.threads = 1, .queue_limit = 8});
    std::atomic<bool> go{false};
    ASSERT_TRUE(pool.submit_detached([&] {
      while (!go.load()) std::this_thread::yield();
    }));
    while (pool.queue_depth() > 0) std::this_thread::yield();
    for (int i = 0; i < 20; ++i) taken += pool.submit_detached([&] { ++ran; });
    go.store(true);
  }
  EXPECT_EQ(taken, 8);
  EXPECT_EQ(ran.load(), 8);
}

}  // namespace
}  // namespace tributary::core
