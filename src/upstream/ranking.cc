#include "upstream/ranking.h"

#include <algorithm>
#include <limits>

#include "upstream/planner.h"

namespace tributary::upstream {
namespace {

unsigned allowance(const OriginMemory& memory, core::TimePoint now) {
  return now < memory.allowed_until ? std::max(1u, memory.allowed) : std::numeric_limits<unsigned>::max();
}

}  // namespace

SourceId Ranking::add(OriginMemory& memory) {
  sources_.push_back({.memory = &memory});
  return static_cast<SourceId>(sources_.size() - 1);
}

std::optional<SourceId> Ranking::best(double typical, core::TimePoint now, std::optional<SourceId> avoid) const {
  if (is_single()) return SourceId{0};  // the planner's own limits say when
  for (const RankedSource& source : sources_) {  // who was never asked may be the best
    if (source.rate > 0 && !source.is_dropped) typical = std::max(typical, source.rate);
  }
  std::optional<SourceId> best;
  double most = 0;
  for (SourceId id = 0; id < sources_.size(); ++id) {
    const RankedSource& source = sources_[id];
    const unsigned most_live = source.rate > 0 ? allowance(*source.memory, now) : 1;
    if (source.is_dropped || now < source.not_before || source.live >= most_live || avoid == id) continue;
    const double share = rate(id, typical, now) / (1 + source.live);
    if (best && (share < most || (share == most && source.live >= sources_[*best].live))) continue;
    most = share;
    best = id;
  }
  if (!best && avoid) return this->best(typical, now);
  return best;
}

double Ranking::rate(SourceId id, double typical, core::TimePoint now) const {
  const RankedSource& source = sources_[id];
  const bool is_known = source.rate > 0 && (source.live > 0 || now - source.measured_at < kForget);
  return is_known && !is_single() ? source.rate : typical;
}

void Ranking::measured(SourceId id, double rate, double weight, core::TimePoint now) {
  RankedSource& source = sources_[id];
  source.rate = source.rate > 0 ? source.rate + weight * (rate - source.rate) : rate;
  source.measured_at = now;
}

bool Ranking::has_others(SourceId source) const {
  for (SourceId id = 0; id < sources_.size(); ++id) {
    if (id != source && is_usable(id)) return true;
  }
  return false;
}

unsigned Ranking::usable() const {
  return static_cast<unsigned>(
      std::count_if(sources_.begin(), sources_.end(), [](const RankedSource& source) { return !source.is_dropped; }));
}

unsigned Ranking::allowed(core::TimePoint now) const {
  uint64_t sum = 0;
  for (const RankedSource& source : sources_) {
    if (!source.is_dropped) sum += allowance(*source.memory, now);
  }
  return static_cast<unsigned>(std::min<uint64_t>(sum, std::numeric_limits<unsigned>::max()));
}

core::TimePoint Ranking::next(core::TimePoint now) const {
  core::TimePoint next = core::TimePoint::max();
  for (const RankedSource& source : sources_) {
    if (!source.is_dropped && source.not_before > now) next = std::min(next, source.not_before);
  }
  return next;
}

}  // namespace tributary::upstream
