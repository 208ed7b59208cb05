// RateLimit: a token bucket. What is taken may exceed what is there; then nothing may be taken until that is made good, so the mean
// rate is exact whatever the sizes. Pure: time is a parameter. Loop-affine when shared.
#pragma once

#include <algorithm>
#include <cstdint>

#include "core/time.h"

namespace tributary::fetch {

class RateLimit {
 public:
  // Bytes/s; 0: none. A pause is made good by `kBurst` of bytes at most.
  explicit RateLimit(uint64_t rate) : rate_(rate) {}
  static constexpr core::Duration kBurst = std::chrono::milliseconds(50);

  bool is_limited() const { return rate_ != 0; }

  // Bytes that may be taken now.
  uint64_t room(core::TimePoint now) {
    if (rate_ == 0) return UINT64_MAX;
    refill(now);
    return tokens_ > 0 ? static_cast<uint64_t>(tokens_) : 0;
  }

  void take(uint64_t bytes, core::TimePoint now) {
    if (rate_ == 0) return;
    refill(now);
    tokens_ -= static_cast<double>(bytes);
  }

  // How long until a good part of the burst may be taken again.
  core::Duration wait(core::TimePoint now) {
    if (rate_ == 0) return {};
    refill(now);
    const double lacks = burst() / 2 - tokens_;
    if (lacks <= 0) return {};
    return std::chrono::duration_cast<core::Duration>(std::chrono::duration<double>(lacks / static_cast<double>(rate_)));
  }

 private:
  double burst() const {
    return std::max(static_cast<double>(rate_) * std::chrono::duration<double>(kBurst).count(), 2.0);
  }
  void refill(core::TimePoint now) {
    if (last_ == core::TimePoint{}) last_ = now;
    tokens_ += std::chrono::duration<double>(now - last_).count() * static_cast<double>(rate_);
    tokens_ = std::min(tokens_, burst());
    last_ = now;
  }

  const uint64_t rate_;
  double tokens_ = 0;
  core::TimePoint last_{};
};

}  // namespace tributary::fetch
