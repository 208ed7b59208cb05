// Timers and messages: what re-arming a deadline on every event costs with a million of them (S4-1.10: at most 50 ns), and what it costs
// to hand something to a loop (S0-1.5).
#include <benchmark/benchmark.h>

#include <memory>
#include <random>
#include <thread>
#include <vector>

#include "core/loop.h"
#include "core/timer_wheel.h"

using namespace tributary::core;

namespace {

constexpr size_t kTimers = 1'000'000;

struct Wheel {
  void on_due() { ++fired; }
  TimePoint start{};
  TimerWheel wheel{start};
  std::unique_ptr<WheelTimer[]> timers = std::make_unique<WheelTimer[]>(kTimers);
  std::vector<uint32_t> order = [] {
    std::vector<uint32_t> all(kTimers);
    for (uint32_t i = 0; i < kTimers; ++i) all[i] = i;
    return all;
  }();
  size_t fired = 0;

  void arm(size_t i, Duration after) {
    wheel.arm(timers[order[i]], start + after, Callback<void()>::to<&Wheel::on_due>(this));
  }
  static Duration after(size_t i) { return std::chrono::milliseconds(1000 + i * 7919 % 120'000); }
};

void timers_arm_and_cancel(benchmark::State& state) {
  Wheel wheel;
  for (auto _ : state) {
    for (size_t i = 0; i < kTimers; ++i) wheel.arm(i, Wheel::after(i));
    for (size_t i = 0; i < kTimers; ++i) wheel.timers[wheel.order[i]].cancel();
  }
  state.SetItemsProcessed(state.iterations() * 2 * static_cast<int64_t>(kTimers));
}
BENCHMARK(timers_arm_and_cancel)->Unit(benchmark::kMillisecond);

// What a connection does with its read deadline at each event.
void timers_push_out(benchmark::State& state) {
  Wheel wheel;
  for (size_t i = 0; i < kTimers; ++i) wheel.arm(i, Wheel::after(i));
  Duration later{};
  for (auto _ : state) {
    later += std::chrono::milliseconds(20);
    for (size_t i = 0; i < kTimers; ++i) wheel.arm(i, Wheel::after(i) + later);
  }
  state.SetItemsProcessed(state.iterations() * static_cast<int64_t>(kTimers));
}
BENCHMARK(timers_push_out)->Unit(benchmark::kMillisecond);

void timers_expire(benchmark::State& state) {
  for (auto _ : state) {
    state.PauseTiming();
    Wheel wheel;
    for (size_t i = 0; i < kTimers; ++i) wheel.arm(i, Wheel::after(i));
    state.ResumeTiming();
    for (TimePoint now = wheel.start; wheel.fired < kTimers; now += TimerWheel::kTick) wheel.wheel.advance(now);
  }
  state.SetItemsProcessed(state.iterations() * static_cast<int64_t>(kTimers));
}
BENCHMARK(timers_expire)->Unit(benchmark::kMillisecond);

// One thread posts to a loop that runs on another, and waits for the answer: the time of a round trip.
void post_round_trip(benchmark::State& state) {
  Loop here, there;
  std::thread thread([&] { there.run(); });
  struct Ball final : Message {
    void run() override {
      if (Loop* next = back) {
        back = nullptr;
        next->post(*this);
      } else {
        arrived = true;
      }
    }
    Loop* back = nullptr;
    bool arrived = false;
  };
  for (auto _ : state) {
    Ball ball;
    ball.back = &here;
    there.post(ball);
    while (!ball.arrived) here.run_once(std::chrono::seconds(1));
  }
  there.stop();
  thread.join();
}
BENCHMARK(post_round_trip)->UseRealTime();

// A burst of messages costs one wake-up.
void post_burst(benchmark::State& state) {
  struct Count final : Message {
    void run() override { ++*count; }
    size_t* count = nullptr;
  };
  constexpr size_t kBurst = 1000;
  Loop loop;
  size_t count = 0;
  std::vector<Count> messages(kBurst);
  for (Count& message : messages) message.count = &count;
  for (auto _ : state) {
    count = 0;
    for (Count& message : messages) loop.post(message);
    while (count < kBurst) loop.run_once();
  }
  state.SetItemsProcessed(state.iterations() * static_cast<int64_t>(kBurst));
}
BENCHMARK(post_burst);

}  // namespace
