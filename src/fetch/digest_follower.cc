#include "fetch/digest_follower.h"

#include <algorithm>

namespace tributary::fetch {

// Used by one job at a time.
struct DigestFollower::Work {
  std::shared_ptr<const PartPlace> place;
  std::vector<Hasher> hashers;
  core::Result<void> result;
};

DigestFollower::DigestFollower(core::Loop& loop, core::OffloadPool& offload, std::shared_ptr<const PartPlace> place,
                               std::vector<http::Digest> expected, core::Callback<void()> moved)
    : loop_(loop), offload_(offload), expected_(std::move(expected)), moved_(moved), work_(std::make_shared<Work>()) {
  work_->place = std::move(place);
  for (const http::Digest& digest : expected_) work_->hashers.emplace_back(digest.algorithm);
}

DigestFollower::~DigestFollower() = default;

void DigestFollower::follow(uint64_t end) {
  end_ = std::max(end_, end);
  if (job_ || error_ || position_ == end_) return;
  taken_ = std::min(end_ - position_, kStep);
  job_ = offload_.submit(
      loop_,
      [work = work_, first = position_, last = position_ + taken_] {
        work->result = read_part(*work->place, first, last, [&work](std::string_view bytes) {
          for (Hasher& hasher : work->hashers) hasher.add(bytes);
        });
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

std::string DigestFollower::verdict() {
  for (size_t i = 0; i < expected_.size(); ++i) {
    const std::string actual = work_->hashers[i].finish();
    if (actual == expected_[i].bytes) continue;
    const std::string name(http::hash_name(expected_[i].algorithm));
    if (actual.empty()) return "this system does not compute " + name;
    return name + " is " + http::Digest{expected_[i].algorithm, actual}.hex() + ", not " + expected_[i].hex();
  }
  return {};
}

}  // namespace tributary::fetch
