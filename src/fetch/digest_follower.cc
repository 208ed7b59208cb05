#include "fetch/digest_follower.h"

#include <algorithm>

namespace tributary::fetch {

// Used by one job at a time.
struct DigestFollower::Work {
  std::shared_ptr<const PartPlace> place;
  DigestCheck check;
  core::Result<void> result;
};

DigestFollower::DigestFollower(core::Loop& loop, core::OffloadPool& offload, std::shared_ptr<const PartPlace> place,
                               std::vector<http::Digest> expected, core::Callback<void()> moved)
    : loop_(loop), offload_(offload), moved_(moved),
      work_(std::make_shared<Work>(Work{std::move(place), DigestCheck(std::move(expected)), {}})) {}

DigestFollower::~DigestFollower() = default;

void DigestFollower::follow(uint64_t end) {
  end_ = std::max(end_, end);
  if (job_ || error_ || position_ == end_) return;
  taken_ = std::min(end_ - position_, kStep);
  job_ = offload_.submit(
      loop_,
      [work = work_, first = position_, last = position_ + taken_] {
        work->result = read_part(*work->place, first, last, [&work](std::string_view bytes) { work->check.add(bytes); });
      },
      core::Callback<void()>::to<&DigestFollower::on_done>(this));  // a full pool: with the next call
}

void DigestFollower::on_done() {
  job_ = {};
  if (work_->result) {
    position_ += taken_;
    follow(end_);
  } else {
    error_ = work_->result.error();
  }
  moved_();  // we may be gone now
}

std::string DigestFollower::verdict() { return work_->check.verdict(); }

}  // namespace tributary::fetch
