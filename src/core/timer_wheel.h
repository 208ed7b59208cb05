// A hierarchical timer wheel (Varghese and Lauck, 1987): arming, re-arming and cancelling are O(1) and touch no
// allocator; expiry is amortised O(1). One wheel serves all the deadlines of a loop, below it runs one ev_timer.
//
//   level 0: 256 slots of 1 tick     level 1: 64 slots of 256 ticks     level 2, 3: 64 slots, each 64 times wider
//
// A tick is 4 ms: deadlines are limits, not schedules, and fire up to one tick late, never early. Re-arming a timer that
// is already armed for an earlier time (a read deadline pushed out by every event) only writes the new deadline; the node
// moves when its old slot comes up. Sans-I/O: time is a parameter. Loop-affine.
#pragma once

#include <array>
#include <bitset>
#include <cstdint>
#include <optional>

#include "core/callback.h"
#include "core/time.h"

namespace tributary::core {

class TimerWheel;

// One timer. Its destructor cancels. Pinned: the wheel keeps its address.
class WheelTimer {
 public:
  WheelTimer() = default;
  ~WheelTimer() { cancel(); }
  WheelTimer(const WheelTimer&) = delete;
  WheelTimer& operator=(const WheelTimer&) = delete;

  bool is_armed() const { return wheel_ != nullptr; }
  // After this, or the destructor, the callback does not run; allowed inside any callback.
  void cancel();

 private:
  friend class TimerWheel;
  WheelTimer* next_ = nullptr;
  WheelTimer** link_ = nullptr;  // the pointer that points at us
  TimerWheel* wheel_ = nullptr;
  uint64_t deadline_ = 0;  // in ticks; what the owner wants
  uint64_t placed_ = 0;    // in ticks; the slot it sits in, never later than deadline_
  uint16_t slot_ = 0;      // index of that slot
  Callback<void()> callback_;
};

class TimerWheel {
 public:
  static constexpr Duration kTick = std::chrono::milliseconds(4);

  explicit TimerWheel(TimePoint start);
  ~TimerWheel();
  TimerWheel(const TimerWheel&) = delete;
  TimerWheel& operator=(const TimerWheel&) = delete;

  // Arms or re-arms: the callback runs once, from the first `advance` at or after `deadline`.
  void arm(WheelTimer& timer, TimePoint deadline, Callback<void()> callback);

  // Runs every callback that is due. Timers armed from a callback for the past run at the next advance.
  void advance(TimePoint now);

  // When advance must be called next, at the latest; none when no timer is armed. Not after the earliest deadline's tick.
  std::optional<TimePoint> next_due() const;

  size_t armed() const { return armed_; }

 private:
  friend class WheelTimer;
  static constexpr int kLevels = 4;
  static constexpr uint64_t kSlots0 = 256, kSlots = 64;
  static constexpr int kShift[kLevels] = {0, 8, 14, 20};
  static constexpr int kFirst[kLevels] = {0, 256, 320, 384};
  static constexpr uint64_t kSpan = uint64_t{1} << 26;  // ticks; about three days, longer ones are re-placed

  uint64_t ticks(TimePoint at, bool round_up) const;
  void place(WheelTimer& timer);
  void unlink(WheelTimer& timer);
  void cascade(int level);

  TimePoint start_;
  uint64_t now_ = 0;  // last tick that was processed
  size_t armed_ = 0;
  std::array<WheelTimer*, 448> slots_{};
  std::array<uint64_t, 7> occupied_{};  // a bit a slot
};

}  // namespace tributary::core
