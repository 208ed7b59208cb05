// S4-1.10: the wheel behaves as a sorted list of deadlines would, at tick resolution, and never fires early.
#include "core/timer_wheel.h"

#include <gtest/gtest.h>

#include <list>
#include <map>
#include <memory>
#include <random>
#include <vector>

namespace tributary::core {
namespace {

using std::chrono::milliseconds;
using std::chrono::seconds;

struct Fired {
  int count = 0;
  void fire() { ++count; }
  Callback<void()> callback() { return Callback<void()>::to<&Fired::fire>(this); }
};

const TimePoint kStart = TimePoint(seconds(1000));

TEST(TimerWheel, FiresOnceAtTheDeadlineAndNotBefore) {
  TimerWheel wheel(kStart);
  WheelTimer timer;
  Fired fired;
  wheel.arm(timer, kStart + milliseconds(100), fired.callback());
  wheel.advance(kStart + milliseconds(99));
  EXPECT_EQ(fired.count, 0);
  wheel.advance(kStart + milliseconds(100));
  EXPECT_EQ(fired.count, 1);
  wheel.advance(kStart + seconds(100));
  EXPECT_EQ(fired.count, 1);
  EXPECT_EQ(wheel.armed(), 0u);
}

TEST(TimerWheel, ADeadlinePushedOutFiresAtTheLaterTime) {
  TimerWheel wheel(kStart);
  WheelTimer timer;
  Fired fired;
  wheel.arm(timer, kStart + milliseconds(100), fired.callback());
  wheel.advance(kStart + milliseconds(80));
  wheel.arm(timer, kStart + seconds(60), fired.callback());
  wheel.advance(kStart + seconds(59));
  EXPECT_EQ(fired.count, 0);
  wheel.advance(kStart + seconds(60));
  EXPECT_EQ(fired.count, 1);
}

TEST(TimerWheel, ADeadlinePulledInFiresAtTheEarlierTime) {
  TimerWheel wheel(kStart);
  WheelTimer timer;
  Fired fired;
  wheel.arm(timer, kStart + seconds(600), fired.callback());
  wheel.arm(timer, kStart + milliseconds(20), fired.callback());
  wheel.advance(kStart + milliseconds(20));
  EXPECT_EQ(fired.count, 1);
}

TEST(TimerWheel, ACancelledTimerNeverFires) {
  TimerWheel wheel(kStart);
  Fired fired;
  {
    WheelTimer timer;
    wheel.arm(timer, kStart + milliseconds(8), fired.callback());
  }
  wheel.advance(kStart + seconds(1));
  EXPECT_EQ(fired.count, 0);
}

TEST(TimerWheel, ATimerMayDestroyItsNeighboursOfTheSameTick) {
  TimerWheel wheel(kStart);
  struct Killer {
    std::unique_ptr<WheelTimer> a = std::make_unique<WheelTimer>(), b = std::make_unique<WheelTimer>();
    int fired = 0;
    void fire() {
      ++fired;
      a.reset();
      b.reset();
    }
  } killer;
  const auto callback = Callback<void()>::to<&Killer::fire>(&killer);
  wheel.arm(*killer.a, kStart + milliseconds(8), callback);
  wheel.arm(*killer.b, kStart + milliseconds(8), callback);
  wheel.advance(kStart + milliseconds(8));
  EXPECT_EQ(killer.fired, 1);
}

TEST(TimerWheel, ATimerRearmedFromItsCallbackFiresAgainLater) {
  TimerWheel wheel(kStart);
  struct Periodic {
    TimerWheel& wheel;
    WheelTimer timer;
    TimePoint at = kStart;
    int fired = 0;
    void fire() {
      ++fired;
      arm();
    }
    void arm() {
      at += milliseconds(100);
      wheel.arm(timer, at, Callback<void()>::to<&Periodic::fire>(this));
    }
  } periodic{wheel, {}, kStart, 0};
  periodic.arm();
  for (int ms = 4; ms <= 1000; ms += 4) wheel.advance(kStart + milliseconds(ms));
  EXPECT_EQ(periodic.fired, 10);
}

TEST(TimerWheel, DeadlinesBeyondItsSpanAreKept) {
  TimerWheel wheel(kStart);
  WheelTimer timer;
  Fired fired;
  const TimePoint at = kStart + std::chrono::hours(24 * 10);
  wheel.arm(timer, at, fired.callback());
  wheel.advance(at - seconds(1));
  EXPECT_EQ(fired.count, 0);
  wheel.advance(at);
  EXPECT_EQ(fired.count, 1);
}

// Random arming, re-arming, cancelling and advancing, compared with an ordered map; next_due() drives the advance, as the
// loop does, so a due time that comes too late would show as a late timer.
TEST(TimerWheel, AgreesWithAnOrderedMapOverRandomOperations) {
  for (uint32_t seed = 0; seed < 30; ++seed) {
    std::mt19937 random(seed);
    TimerWheel wheel(kStart);
    TimePoint now = kStart;
    struct Item {
      WheelTimer timer;
      TimePoint deadline{};
      bool armed = false;
      TimePoint* now = nullptr;
      int errors = 0;
      void fire() {
        // Never early; late by less than a tick beyond the moment the wheel asked to be advanced at.
        if (!armed || *now < deadline || *now >= deadline + 2 * TimerWheel::kTick) ++errors;
        armed = false;
      }
    };
    std::vector<std::unique_ptr<Item>> items;
    for (int i = 0; i < 200; ++i) {
      items.push_back(std::make_unique<Item>());
      items.back()->now = &now;
    }
    const int64_t ranges[] = {50, 900, 5'000, 70'000, 5'000'000};
    for (int step = 0; step < 3000; ++step) {
      Item& item = *items[random() % items.size()];
      if (random() % 4 == 0) {
        item.timer.cancel();
        item.armed = false;
      } else {
        const int64_t range = ranges[random() % 5];
        item.deadline = now + milliseconds(1 + static_cast<int64_t>(random() % static_cast<uint32_t>(range)));
        item.armed = true;
        wheel.arm(item.timer, item.deadline, Callback<void()>::to<&Item::fire>(&item));
      }
      if (random() % 3 == 0) {
        const TimePoint target = now + milliseconds(random() % 2000);
        for (auto due = wheel.next_due(); due && *due <= target; due = wheel.next_due()) {
          now = std::max(now, *due);
          wheel.advance(now);
        }
        now = target;
        wheel.advance(now);
      }
    }
    size_t armed = 0;
    for (const auto& item : items) {
      EXPECT_EQ(item->errors, 0) << "seed " << seed;
      EXPECT_EQ(item->armed, item->timer.is_armed()) << "seed " << seed;
      armed += item->armed;
      if (item->armed) {
        EXPECT_GT(item->deadline + TimerWheel::kTick, now);
      }
    }
    EXPECT_EQ(wheel.armed(), armed);
  }
}

}  // namespace
}  // namespace tributary::core
