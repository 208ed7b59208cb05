#include "fetch/piece_check.h"

#include <algorithm>
#include <utility>

#include "fetch/hasher.h"

namespace tributary::fetch {

// Used by one job at a time.
struct PieceCheck::Work {
  http::ByteRange range;  // from the start of a piece to the end of one
  std::vector<http::ByteRange> wrong;
  core::Result<void> result;
};

PieceCheck::PieceCheck(core::Loop& loop, core::OffloadPool& offload, std::shared_ptr<const PartPlace> place,
                       std::shared_ptr<const PieceHashes> hashes, uint64_t length, core::Callback<void()> checked)
    : loop_(loop),
      offload_(offload),
      hashes_(std::move(hashes)),
      length_(length),
      checked_(checked),
      place_(std::move(place)) {}

PieceCheck::~PieceCheck() = default;

void PieceCheck::look(const cache::RangeSet& written) {
  if (job_ || error_) return;
  const uint64_t size = hashes_->length;
  http::ByteRange range;
  for (const http::ByteRange& there : written.ranges()) {
    const uint64_t end = there.last == length_ ? length_ : there.last / size * size;  // of the last whole piece
    const uint64_t first = (there.first + size - 1) / size * size;
    verified_.for_each_gap(first, std::max(first, end), [&](uint64_t from, uint64_t to) {
      if (range.size() == 0) range = {from, std::min(to, from + std::max(size, kStep / size * size))};
    });
    if (range.size() > 0) break;
  }
  if (range.size() == 0) return;
  work_ = std::make_shared<Work>();
  work_->range = range;
  is_stale_ = false;
  job_ = offload_.submit(
      loop_,
      [work = work_, place = place_, hashes = hashes_] {
        Hasher hasher(hashes->algorithm);
        for (uint64_t at = work->range.first; at < work->range.last && work->result; at += hashes->length) {
          const http::ByteRange piece{at, std::min(at + hashes->length, work->range.last)};
          work->result = read_part(*place, piece.first, piece.last, [&](std::string_view bytes) { hasher.add(bytes); });
          if (hasher.finish() != (*hashes)[at / hashes->length]) work->wrong.push_back(piece);
        }
      },
      core::Callback<void()>::to<&PieceCheck::on_done>(this));  // a full pool: with the next call
}

void PieceCheck::forget(http::ByteRange range) {
  if (job_ && range.first < work_->range.last && range.last > work_->range.first) is_stale_ = true;
}

void PieceCheck::on_done() {
  job_ = {};
  if (!work_->result) {
    error_ = work_->result.error();
  } else if (!is_stale_) {
    verified_.add(work_->range.first, work_->range.last);
    for (const http::ByteRange& piece : work_->wrong) verified_.remove(piece.first, piece.last);
    rejected_ = std::move(work_->wrong);
  }
  checked_();  // we may be gone now
}

bool covers(const PieceHashes& hashes, uint64_t length) {
  return hashes.length > 0 && hashes.count() == (length + hashes.length - 1) / hashes.length &&
         hashes.bytes.size() % http::hash_size(hashes.algorithm) == 0;
}

}  // namespace tributary::fetch
