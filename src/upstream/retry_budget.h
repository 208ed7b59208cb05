// RetryBudget: how often one origin may be tried again, so that retries do not multiply the load on what is failing (the retry
// budget of gRPC, proposal A6). A failed attempt may be repeated while there is budget; connections that come about earn it
// back, ten of them one retry. So under a crowd of clients a dead origin sees ten attempts more, not several times as many.
// Plain value, loop-affine with its owner.
#pragma once

#include <algorithm>

namespace tributary::upstream {

class RetryBudget {
 public:
  static constexpr unsigned kRetries = 10;       // at once
  static constexpr unsigned kEarnedBy = 10;      // successes that pay for one retry

  // Whether one more retry is allowed; then it is paid for.
  bool spend() {
    if (left_ < kEarnedBy) return false;
    left_ -= kEarnedBy;
    return true;
  }
  void earn() { left_ = std::min(left_ + 1, kRetries * kEarnedBy); }

 private:
  unsigned left_ = kRetries * kEarnedBy;  // in successes
};

}  // namespace tributary::upstream
