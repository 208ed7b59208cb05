// Batch: a list of files to get, so many at a time. Loop-affine.
//
// Transfers begin in the order of the list. A transfer that is over is told to the observer, then destroyed.
#pragma once

#include <cstdint>
#include <deque>
#include <memory>
#include <vector>

#include "fetch/transfer.h"

namespace tributary::fetch {

class BatchObserver : public TransferObserver {
 public:
  virtual void on_started(const Transfer& transfer) = 0;
  virtual void on_over(const Transfer& transfer) = 0;  // its report is there

 protected:
  ~BatchObserver() = default;
};

class Batch {
 public:
  // Totals of what is over and what runs.
  struct Totals {
    size_t waiting = 0, running = 0, done = 0, failed = 0;
    uint64_t bytes = 0;  // that are there, of all
  };

  // `done` runs once, when everything is over, on a stack of its own.
  Batch(core::Loop& loop, core::OffloadPool& offload, upstream::Client& client,
        const upstream::AccelerateSettings& accelerate, const Settings& settings, Visitor& visitor, ProxyChoice& proxies,
        BatchObserver& observer, core::Callback<void()> done);
  ~Batch();
  Batch(const Batch&) = delete;
  Batch& operator=(const Batch&) = delete;

  void start(std::vector<Target> targets);
  // Nothing further begins; what runs ends soon, resumable.
  void stop();

  // The highest that occurred.
  ExitStatus status() const { return status_; }
  Totals totals() const;
  const std::vector<std::unique_ptr<Transfer>>& running() const { return running_; }

 private:
  void fill();
  void on_transfer_over();
  void reap();

  RateLimit rate_;
  const TransferContext context_;
  BatchObserver& observer_;
  const core::Callback<void()> done_;
  std::deque<Target> waiting_;
  std::vector<std::unique_ptr<Transfer>> running_;
  uint64_t last_number_ = 0;
  Totals over_;
  ExitStatus status_ = ExitStatus::Ok;
  bool is_told_ = false;
  core::Deferred reap_;
};

}  // namespace tributary::fetch
