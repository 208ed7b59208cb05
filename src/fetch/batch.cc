#include "fetch/batch.h"

#include <algorithm>
#include <utility>

namespace tributary::fetch {

Batch::Batch(core::Loop& loop, core::OffloadPool& offload, upstream::Client& client,
             const upstream::AccelerateSettings& accelerate, const Settings& settings, Visitor& visitor, ProxyChoice& proxies,
             BatchObserver& observer, core::Callback<void()> done)
    : rate_(settings.rate),
      context_{loop, offload, client, accelerate, settings, observer, rate_, visitor, proxies},
     observer_(observer),
      done_(done),
      reap_(loop) {}

Batch::~Batch() = default;

void Batch::start(std::vector<Target> targets) {
  waiting_.assign(std::make_move_iterator(targets.begin()), std::make_move_iterator(targets.end()));
  reap_.schedule(core::Callback<void()>::to<&Batch::reap>(this));
}

void Batch::stop() {
  waiting_.clear();
  for (const std::unique_ptr<Transfer>& transfer : running_) transfer->stop();
  reap_.schedule(core::Callback<void()>::to<&Batch::reap>(this));
}

void Batch::fill() {
  while (!waiting_.empty() && running_.size() < context_.settings.downloads) {
    running_.push_back(std::make_unique<Transfer>(context_, std::move(waiting_.front()), ++last_number_,
                                                  core::Callback<void()>::to<&Batch::on_transfer_over>(this)));
    waiting_.pop_front();
    observer_.on_started(*running_.back());
    running_.back()->start();
  }
}

void Batch::on_transfer_over() { reap_.schedule(core::Callback<void()>::to<&Batch::reap>(this)); }

void Batch::reap() {
  std::erase_if(running_, [this](const std::unique_ptr<Transfer>& transfer) {
    if (!transfer->is_told()) return false;
    const Transfer::Report& report = transfer->report();
    status_ = std::max(status_, report.status);
    ++(report.status == ExitStatus::Ok ? over_.done : over_.failed);
    over_.bytes += report.status == ExitStatus::Ok ? report.length : transfer->bytes();
    observer_.on_over(*transfer);
    return true;
  });
  fill();
  if (running_.empty() && waiting_.empty() && !std::exchange(is_told_, true)) done_();  // we may be gone now
}

Batch::Totals Batch::totals() const {
  Totals totals = over_;
  totals.waiting = waiting_.size();
  totals.running = running_.size();
  for (const std::unique_ptr<Transfer>& transfer : running_) totals.bytes += transfer->bytes();
  return totals;
}

}  // namespace tributary::fetch
