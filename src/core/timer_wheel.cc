#include "core/timer_wheel.h"

#include <algorithm>
#include <bit>

namespace tributary::core {

void WheelTimer::cancel() {
  if (wheel_) wheel_->unlink(*this);
}

TimerWheel::TimerWheel(TimePoint start) : start_(start) {}

TimerWheel::~TimerWheel() {
  for (WheelTimer* timer : slots_) {
    while (timer) {
      WheelTimer* next = timer->next_;
      unlink(*timer);
      timer = next;
    }
  }
}

uint64_t TimerWheel::ticks(TimePoint at, bool round_up) const {
  if (at <= start_) return 0;
  const Duration since = at - start_;
  const uint64_t whole = static_cast<uint64_t>(since / kTick);
  return whole + (round_up && since % kTick != Duration::zero() ? 1 : 0);
}

void TimerWheel::arm(WheelTimer& timer, TimePoint deadline, Callback<void()> callback) {
  timer.callback_ = callback;
  timer.deadline_ = std::max(ticks(deadline, true), now_ + 1);
  if (timer.wheel_) {
    // Pushed out: its slot comes up first and moves it then.
    if (timer.deadline_ >= timer.placed_) return;
    unlink(timer);
  }
  place(timer);
}

void TimerWheel::place(WheelTimer& timer) {
  timer.placed_ = std::min(timer.deadline_, now_ + kSpan - 1);
  const uint64_t delta = timer.placed_ - now_;
  int level = 0;
  uint64_t index = timer.placed_ & (kSlots0 - 1);
  if (delta >= kSlots0) {
    level = delta < (uint64_t{1} << 14) ? 1 : delta < (uint64_t{1} << 20) ? 2 : 3;
    index = (timer.placed_ >> kShift[level]) & (kSlots - 1);
  }
  const auto slot = static_cast<uint16_t>(kFirst[level] + static_cast<int>(index));
  timer.slot_ = slot;
  timer.next_ = slots_[slot];
  if (timer.next_) timer.next_->link_ = &timer.next_;
  timer.link_ = &slots_[slot];
  slots_[slot] = &timer;
  timer.wheel_ = this;
  occupied_[slot / 64] |= uint64_t{1} << (slot % 64);
  ++armed_;
}

void TimerWheel::unlink(WheelTimer& timer) {
  *timer.link_ = timer.next_;
  if (timer.next_) timer.next_->link_ = timer.link_;
  // During a pass the list hangs on a local head; the slot is then empty or holds new timers.
  if (!slots_[timer.slot_]) occupied_[timer.slot_ / 64] &= ~(uint64_t{1} << (timer.slot_ % 64));
  timer.link_ = nullptr;
  timer.next_ = nullptr;
  timer.wheel_ = nullptr;
  --armed_;
}

// Takes the whole list of a slot to a local head, so that callbacks may cancel any timer in it.
void TimerWheel::cascade(int level) {
  const auto slot =
      static_cast<size_t>(kFirst[level]) + ((now_ >> kShift[level]) & (kSlots - 1));
  WheelTimer* head = slots_[slot];
  slots_[slot] = nullptr;
  occupied_[slot / 64] &= ~(uint64_t{1} << (slot % 64));
  if (head) head->link_ = &head;
  while (head) {
    WheelTimer& timer = *head;
    unlink(timer);
    place(timer);
  }
}

void TimerWheel::advance(TimePoint now) {
  const uint64_t target = ticks(now, false);
  while (now_ < target) {
    if (armed_ == 0) {
      now_ = target;
      return;
    }
    ++now_;
    if ((now_ & 0xff) == 0) {
      if ((now_ & 0x3fff) == 0) {
        if ((now_ & 0xfffff) == 0) cascade(3);
        cascade(2);
      }
      cascade(1);
    }
    const size_t slot = now_ & (kSlots0 - 1);
    if (!slots_[slot]) {
      // Skip to the next occupied slot of level 0, or to the next cascade.
      uint64_t next = (now_ | 0xff) + 1;
      for (size_t word = slot / 64; word < kSlots0 / 64; ++word) {
        uint64_t bits = occupied_[word];
        if (word == slot / 64) bits &= slot % 64 == 63 ? 0 : ~uint64_t{0} << (slot % 64 + 1);
        if (bits) {
          next = (now_ & ~uint64_t{0xff}) + word * 64 + static_cast<uint64_t>(std::countr_zero(bits));
          break;
        }
      }
      now_ = std::min(target, next - 1);
      continue;
    }
    WheelTimer* head = slots_[slot];
    slots_[slot] = nullptr;
    occupied_[slot / 64] &= ~(uint64_t{1} << (slot % 64));
    head->link_ = &head;
    while (head) {
      WheelTimer& timer = *head;
      unlink(timer);
      if (timer.deadline_ > now_) {
        place(timer);  // it was pushed out meanwhile
      } else {
        const Callback<void()> callback = timer.callback_;
        callback();  // may destroy the timer, and cancel or arm any other
      }
    }
  }
}

std::optional<TimePoint> TimerWheel::next_due() const {
  if (armed_ == 0) return std::nullopt;
  auto at = [this](uint64_t tick) { return start_ + kTick * static_cast<int64_t>(tick); };
  // Level 0 holds the next 255 ticks, in ring order from now_.
  const uint64_t start = (now_ + 1) & (kSlots0 - 1);
  for (uint64_t i = 0; i <= kSlots0 / 64; ++i) {
    const size_t word = (start / 64 + i) % (kSlots0 / 64);
    uint64_t bits = occupied_[word];
    if (i == 0) bits &= ~uint64_t{0} << (start % 64);
    if (i == kSlots0 / 64) bits &= (uint64_t{1} << (start % 64)) - 1;
    if (bits) {
      const uint64_t slot = word * 64 + static_cast<uint64_t>(std::countr_zero(bits));
      const uint64_t tick = now_ + 1 + ((slot - start) & (kSlots0 - 1));
      // A cascade that comes first may bring nearer ones.
      uint64_t cascade_tick = (now_ | 0xff) + 1;
      bool higher = false;
      for (size_t w = kSlots0 / 64; w < occupied_.size(); ++w) higher |= occupied_[w] != 0;
      return at(higher ? std::min(tick, cascade_tick) : tick);
    }
  }
  // Only higher levels: the tick at which the first occupied slot of the lowest such level cascades.
  uint64_t due = UINT64_MAX;
  for (int level = 1; level < kLevels; ++level) {
    const uint64_t bits = occupied_[static_cast<size_t>(kFirst[level]) / 64];
    if (!bits) continue;
    const uint64_t current = now_ >> kShift[level];
    const int rotation = static_cast<int>((current + 1) & (kSlots - 1));
    const auto ahead = static_cast<uint64_t>(std::countr_zero(std::rotr(bits, rotation)));
    due = std::min(due, (current + 1 + ahead) << kShift[level]);
  }
  return at(due);
}

}  // namespace tributary::core
