#include "upstream/planner.h"

#include <algorithm>
#include <cmath>
#include <limits>

namespace tributary::upstream {

using core::Duration;
using core::TimePoint;
using http::ByteRange;
using std::chrono::milliseconds;

namespace {

constexpr double kWorthwhile = 1.15;  // a level must bring this much more than the best one so far
constexpr double kScales = 1.5;       // … and with this much the next level is four times as wide
// The first step is as wide as would bring the rest in this time, if each fetch brought as much as the first. When each
// brings less than this share of that, so many are kept as bring the sum, and this much more.
constexpr auto kSoon = std::chrono::seconds(1);
constexpr double kScaling = 0.5;
constexpr double kSpare = 1.5;
constexpr auto kSamplePeriod = milliseconds(10);
constexpr double kSmoothing = 0.1;  // seconds
constexpr auto kDoubt =
    milliseconds(100);  // measure so long before believing that a level did not help
constexpr auto kFirstProbe = milliseconds(250);
constexpr auto kLastProbe = std::chrono::seconds(30);
constexpr Duration kCloseMemory = std::chrono::seconds(1);  // that it closes what is too much for it: it did not say so
constexpr double kSlow = 0.25;  // of the typical rate
constexpr double kStealSaves =
    0.1;  // seconds that giving up a tail must save: it costs a request and some bytes twice
constexpr unsigned kTriedAtOnce = 8;  // sources
constexpr uint64_t kLeastSeam = 4096;
constexpr int kOverhead = 20;  // a piece takes so many round trips at least
constexpr int kLastOverhead = 4;  // … at the end
constexpr auto kFirstPieces = milliseconds(125);
constexpr uint64_t kLargestPiece = uint64_t{64} << 20;
// Of a response that goes on the origin has sent more than has arrived: up to its send buffer
// (Linux: 4 MiB), but hardly more than a second's worth. And it takes a while to know that others pay.
constexpr double kSendBuffer = 4 << 20;  // bytes
constexpr double kSendBufferTime = 1.0;  // seconds
constexpr double kDecisionTime = 0.15;

double seconds(Duration duration) {
  return std::chrono::duration<double>(duration).count();
}

uint64_t align_up(uint64_t value, uint64_t alignment) {
  return (value + alignment - 1) / alignment * alignment;
}

}  // namespace

Planner::Planner(const PlannerSettings& settings, uint64_t length,
                 std::span<const ByteRange> present, OriginMemory& memory)
    : settings_(settings), memory_(memory), sources_(memory), length_(length) {
  uint64_t at = 0;
  for (const ByteRange& range : present) {
    if (range.first > at) gaps_.push_back({at, std::min(range.first, length)});
    at = std::max(at, range.last);
  }
  if (at < length) gaps_.push_back({at, length});
  fetches_.reserve(
      2 * std::max(settings_.max_fetches, 1u));  // never grows: all target_, and one hedge more
}

void Planner::set_up(bool can_split, Duration rtt, TimePoint now) {
  if (memory_.ignores_ranges && sources_.has_others(0)) sources_[0].is_dropped = true;
  can_split_ = can_split && (!memory_.ignores_ranges || sources_.has_others(0));
  need_whole_ = !can_split_;
  rtt_ = std::max(rtt, Duration::zero());
  begun_ = sampled_at_ = level_started_ = now;
  probe_interval_ = kFirstProbe;
}

FetchId Planner::begin(ByteRange content, bool can_split, Duration rtt, TimePoint now) {
  set_up(can_split, rtt, now);
  Fetch fetch;
  fetch.id = original_ = ++last_id_;
  fetch.first = fetch.position = content.first;
  fetch.last = fetch.content_last = std::min(content.last, length_);
  fetch.active = fetch.started = now;
  fetch.has_head = true;
  sources_[0].live = 1;
  if (can_split_) {
    // Not through what is there already, but for a stretch at the front that this response brings
    // anyhow.
    for (const ByteRange& gap : gaps_) {
      if (gap.last <= content.first) continue;
      fetch.last = std::min(gap.last, fetch.last);
      break;
    }
  }
  take_from_gaps({fetch.first, fetch.last});
  fetches_.push_back(fetch);
  plan(now);
  return fetch.id;
}

void Planner::begin_cold(bool can_split, Duration rtt, TimePoint now) {
  set_up(can_split, rtt, now);
  plan(now);
}

void Planner::allow(unsigned max_fetches) {
  settings_.max_fetches = max_fetches;
  fetches_.reserve(2 * std::max(max_fetches, 1u));
  begin_level(1, sampled_at_);
}

void Planner::want(ByteRange range, TimePoint now) {
  range.last = std::min(range.last, length_);
  for (const Fetch& fetch : fetches_) {  // but for what somebody brings already
    if (fetch.is_hedge || fetch.position >= range.last || fetch.last <= range.first) continue;
    const ByteRange taken{fetch.position, fetch.last};
    if (range.first < taken.first) want({range.first, taken.first}, now);
    if (taken.last < range.last) want({taken.last, range.last}, now);
    return;
  }
  if (range.first >= range.last || status_ == Status::Failed) return;
  status_ = Status::Running;
  take_from_gaps(range);
  add_gap(range);
  plan(now);
}

void Planner::head(FetchId id, TimePoint now) {
  Fetch* fetch = find(id);
  if (!fetch || fetch->has_head) return;
  fetch->has_head = true;
  // A better bound than what begin() was told, which may hold the time that the origin thought.
  const Duration answer_time = now - fetch->active;
  rtt_ = rtt_ > Duration::zero() ? std::min(rtt_, answer_time) : answer_time;
  fetch->active = now;
  RankedSource& source = sources_[fetch->source];
  if (!need_whole_) range_worked_ = source.did_ranges = true;
  // Refusals and heads cross: what it did grant it will grant again.
  source.memory->allowed = std::max(source.memory->allowed, granted(fetch->source));
}

void Planner::progress(FetchId id, uint64_t bytes, TimePoint now) {
  Fetch* fetch = find(id);
  if (!fetch || bytes == 0) return;
  if (fetch->rival) fetch = end_race(*fetch);
  bytes = std::min(bytes, fetch->remaining());
  if (!fetch->has_bytes) {
    fetch->has_head = fetch->has_bytes = true;
    fetch->first_byte = now;
    if (id != original_)  // the original tells nothing about whether further ones work
      failures_ = sources_[fetch->source].failures = 0;
  }
  fetch->active = now;
  fetch->position += bytes;
  fetch->sampled += bytes;
  fetched_ += bytes;
  window_bytes_ += bytes;
  if (fetch->position == fetch->last) {
    if (missing() == 0) return complete();
    extend(*fetch);
  }
  if (now - sampled_at_ >= kSamplePeriod) sample(now);
  if (now >= due_) plan(now);
}

void Planner::finished(FetchId id, TimePoint now) {
  Fetch* fetch = find(id);
  if (!fetch) return;
  if (fetch->remaining() > 0) return failed(id, Failure::Broken, {}, now);
  if (sources_[fetch->source].rate <= 0) {  // too short for a sample
    const double time = seconds(std::max<Duration>(now - fetch->started, milliseconds(1)));
    sources_.measured(fetch->source, static_cast<double>(fetch->position - fetch->first) / time, 1, now);
  }
  drop(id);
  plan(now);
}

void Planner::failed(FetchId id, Failure failure, Duration retry_after, TimePoint now) {
  Fetch* found = find(id);
  if (!found) return;
  const Fetch fetch = *found;
  release(fetch);
  drop(id);
  if (status_ != Status::Running) return;
  const bool has_others = sources_.has_others(fetch.source);
  // Some origins only close what is too much for them. Once is an accident.
  const bool is_too_much = failure == Failure::Broken && !fetch.has_head && failures_ > 0 && !has_others &&
                           granted(fetch.source) > 0;
  if (is_too_much) failure = Failure::Refused;
  switch (failure) {
    case Failure::Refused: {
      OriginMemory& memory = *sources_[fetch.source].memory;
      const unsigned now_granted = granted(fetch.source);
      // Those that have no answer yet may have the place; each of them that has not lowers it further.
      memory.allowed = std::max(1u, has_others ? now_granted : live());
      memory.allowed_until =
          now + (retry_after > Duration::zero() ? retry_after : is_too_much ? kCloseMemory : settings_.refusal_memory);
      const unsigned limit = allowed(now);
      if ((phase_ == Phase::Measuring && !has_others) || target_ > limit) {
        hold(std::min(target_, limit), now, false);
      }
      // Others go on: no need to hurry, no failure of the download.
      if (fetches_.empty() || (has_others && now_granted == 0)) count_failure(fetch, retry_after, now);
      break;
    }
    case Failure::RangeIgnored:
      if (sources_.has_others(fetch.source)) {
        if (!sources_[fetch.source].did_ranges) sources_[fetch.source].memory->ignores_ranges = true;
        sources_[fetch.source].is_dropped = true;
        break;
      }
      if (!range_worked_) {
        sources_[fetch.source].memory->ignores_ranges = true;
        need_whole_ = true;
        withdraw_unanswered();
        stop_splitting();
      }
      count_failure(fetch, {}, now);
      break;
    case Failure::Broken:
      count_failure(fetch, retry_after, now);
      break;
  }
  plan(now);
}

// One failure is an accident and is repeated at once. More of them in a row, each without a byte,
// wait longer and longer; in the end further fetches are given up, and when nothing runs any more,
// the download.
void Planner::count_failure(const Fetch& fetch, Duration retry_after, TimePoint now) {
  if (sources_.has_others(fetch.source)) {
    return count_failure_of_source(fetch.source, fetch.has_bytes, retry_after, now);
  }
  Duration wait{};
  if (!fetch.has_bytes) {
    ++failures_;
    const bool is_hopeless =
        failures_ > settings_.max_failures || retry_after > settings_.retry_limit;
    if (is_hopeless && !fetches_.empty()) return stop_splitting();
    if (is_hopeless) {
      status_ = Status::Failed;
      return;
    }
    if (failures_ > 1) wait = settings_.retry * (1 << std::min(failures_ - 2, 10u));
  }
  wait = std::min(std::max(wait, retry_after), settings_.retry_limit);
  not_before_ = std::max(not_before_, now + wait);
}

// Others go on meanwhile: it waits alone, and soon it is given up.
void Planner::count_failure_of_source(SourceId id, bool has_bytes, Duration retry_after,
                                      TimePoint now) {
  RankedSource& source = sources_[id];
  if (!has_bytes) ++source.failures;
  const bool is_hopeless =
      source.failures >= Ranking::kMaxFailures || retry_after > settings_.retry_limit;
  if (is_hopeless && sources_.has_others(id)) source.is_dropped = true;
  const Duration wait =
      has_bytes ? Duration{} : settings_.retry * (1 << std::min(source.failures, 10u));
  source.not_before =
      std::max(source.not_before, now + std::min(std::max(wait, retry_after), settings_.retry_limit));
}

void Planner::drop_source(SourceId id, bool also_live, TimePoint now) {
  sources_[id].is_dropped = true;
  for (size_t i = also_live ? fetches_.size() : 0; i-- > 0;) {
    const Fetch fetch = fetches_[i];
    if (fetch.source != id) continue;
    send(Command::Kind::Cancel, fetch);
    drop(fetch.id);
    release(fetch);
  }
  if (status_ != Status::Running) return;
  if (!sources_.has_any()) {
    stop_splitting();
    if (fetches_.empty() && missing() > 0) status_ = Status::Failed;
  }
  if (also_live) plan(now);
}

unsigned Planner::granted(SourceId source) const {
  return static_cast<unsigned>(std::count_if(fetches_.begin(), fetches_.end(), [&](const Fetch& f) {
    return f.has_head && f.source == source;
  }));
}

void Planner::remember_useful(unsigned fetches) {
  if (sources_.is_single()) memory_.useful = fetches;  // of several it says nothing about one
}

void Planner::readers(std::span<const uint64_t> offsets) {
  readers_.assign(offsets.begin(), offsets.end());
}

void Planner::tick(TimePoint now) {
  if (now - sampled_at_ >= kSamplePeriod) sample(now);
  plan(now);
}

std::optional<Command> Planner::next_command() {
  if (next_command_ == commands_.size()) {
    commands_.clear();
    next_command_ = 0;
    return std::nullopt;
  }
  return commands_[next_command_++];
}

std::optional<TimePoint> Planner::wake_at() const {
  if (status_ != Status::Running || due_ == TimePoint::max()) return std::nullopt;
  return due_;
}

std::vector<Planner::FetchView> Planner::fetches() const {
  std::vector<FetchView> views;
  for (const Fetch& fetch : fetches_) {
    views.push_back(
        {fetch.id, {fetch.first, fetch.last}, fetch.position, fetch.has_head, fetch.is_hedge,
         fetch.source});
  }
  return views;
}

// ---- Bookkeeping of bytes and fetches

Planner::Fetch* Planner::find(FetchId id) {
  for (Fetch& fetch : fetches_) {
    if (fetch.id == id) return &fetch;
  }
  return nullptr;
}

void Planner::drop(FetchId id) {
  if (const Fetch* fetch = find(id)) --sources_[fetch->source].live;
  std::erase_if(fetches_, [id](const Fetch& fetch) { return fetch.id == id; });
}

void Planner::send(Command::Kind kind, const Fetch& fetch) {
  Command command;
  command.kind = kind;
  command.fetch = fetch.id;
  command.source = fetch.source;
  command.whole = kind == Command::Kind::Start && need_whole_;
  command.range = {fetch.position, fetch.last};
  commands_.push_back(command);
}

void Planner::take_from_gaps(ByteRange range) {
  std::vector<ByteRange> rest;
  for (const ByteRange& gap : gaps_) {
    if (gap.last <= range.first || gap.first >= range.last) {
      rest.push_back(gap);
      continue;
    }
    if (gap.first < range.first) rest.push_back({gap.first, range.first});
    if (gap.last > range.last) rest.push_back({range.last, gap.last});
  }
  gaps_.swap(rest);
}

void Planner::add_gap(ByteRange range) {
  if (range.first >= range.last) return;
  auto at =
      std::lower_bound(gaps_.begin(), gaps_.end(), range,
                       [](const ByteRange& a, const ByteRange& b) { return a.first < b.first; });
  at = gaps_.insert(at, range);
  if (at + 1 != gaps_.end() && (at + 1)->first <= at->last) {
    at->last = std::max(at->last, (at + 1)->last);
    at = gaps_.erase(at + 1) - 1;
  }
  if (at != gaps_.begin() && (at - 1)->last >= at->first) {
    (at - 1)->last = std::max((at - 1)->last, at->last);
    gaps_.erase(at);
  }
}

// What a fetch that ended leaves undone: its rival has it already, else it is a gap again.
void Planner::release(const Fetch& fetch) {
  if (Fetch* rival = fetch.rival ? find(fetch.rival) : nullptr) {
    rival->rival = 0;
    rival->is_hedge = false;
    return;
  }
  add_gap({fetch.position, fetch.last});
}

Planner::Fetch* Planner::end_race(Fetch& winner) {
  const FetchId id = winner.id;
  const FetchId loser = winner.rival;
  winner.rival = 0;
  winner.is_hedge = false;
  if (const Fetch* found = find(loser)) {
    const Fetch fetch = *found;
    send(Command::Kind::Cancel, fetch);
    drop(loser);
    // Silence is a failure too, where another source was not silent.
    const Fetch* ours = find(id);
    if (ours->source != fetch.source && ours->is_replacement) {
      count_failure_of_source(fetch.source, false, {}, fetch.active);
    }
  }
  return find(id);
}

// A response that goes on behind its limit goes on being read while nobody else has what follows:
// cheaper than a new request, and where splitting is over, all that is left. What is present it may
// run over, what another fetch brings not.
void Planner::extend(Fetch& fetch) {
  if (fetch.content_last <= fetch.last || (can_split_ && fetches_.size() > target_)) return;
  for (const ByteRange& gap : gaps_) {
    if (gap.first < fetch.last) continue;
    const uint64_t size = can_split_ ? piece_size(typical_rate_) : length_;
    const uint64_t last =
        std::min({gap.last, fetch.content_last, gap.first + std::min(size, length_ - gap.first)});
    const bool is_next =
        can_split_ ? gap.first == fetch.last
                   : std::none_of(fetches_.begin(), fetches_.end(), [&](const Fetch& other) {
                       return other.last > fetch.last && other.position < gap.first;
                     });
    if (!is_next || gap.first >= last) return;
    take_from_gaps({gap.first, last});
    fetch.last = last;
    send(Command::Kind::Limit, fetch);
    if (can_split_) return;
    return extend(fetch);
  }
}

void Planner::complete() {
  status_ = Status::Complete;
  for (const Fetch& fetch : fetches_) {
    if (fetch.remaining() > 0) send(Command::Kind::Cancel, fetch);
  }
  for (const Fetch& fetch : fetches_) {
    if (fetch.remaining() > 0) --sources_[fetch.source].live;
  }
  std::erase_if(fetches_, [](const Fetch& fetch) { return fetch.remaining() > 0; });
}

uint64_t Planner::gap_bytes() const {
  uint64_t sum = 0;
  for (const ByteRange& gap : gaps_) sum += gap.size();
  return sum;
}

uint64_t Planner::missing() const {
  uint64_t sum = gap_bytes();
  for (const Fetch& fetch : fetches_) {
    if (!fetch.is_hedge) sum += fetch.remaining();
  }
  return sum;
}

// ---- Rates and the number of fetches

void Planner::sample(TimePoint now) {
  const TimePoint since = sampled_at_;
  const double elapsed = seconds(now - since);
  sampled_at_ = now;
  const double weight = elapsed / (elapsed + kSmoothing);
  const auto smooth = [](double& value, double sample, double by) {
    value = value > 0 ? value + by * (sample - value) : sample;
  };
  uint64_t total = 0;
  for (Fetch& fetch : fetches_) {
    total += fetch.sampled;
    const bool has_settled = fetch.has_bytes && since >= fetch.first_byte + settle_time();
    if (has_settled && fetch.remaining() > 0) {
      const double rate = static_cast<double>(fetch.sampled) / elapsed;
      smooth(fetch.rate, rate, weight);
      sources_.measured(fetch.source, rate, weight, now);
      smooth(typical_rate_, rate, weight / static_cast<double>(fetches_.size()));
    }
    fetch.sampled = 0;
  }
  smooth(total_rate_, static_cast<double>(total) / elapsed, weight);
}

double Planner::fetch_rate(const Fetch& fetch) const {
  return fetch.rate > 0 ? fetch.rate : typical_rate_;
}

double Planner::seconds_left() const {
  return total_rate_ > 0 ? static_cast<double>(missing()) / total_rate_
                         : std::numeric_limits<double>::infinity();
}

Duration Planner::settle_time() const {
  return std::max(settings_.settle, rtt_ / 2);
}
Duration Planner::window_time() const {
  return std::max(settings_.measure, rtt_ / 2);
}
Duration Planner::stall_time() const {
  return std::max(settings_.stall, 8 * rtt_);
}

unsigned Planner::allowed(TimePoint now) const {
  if (!can_split_) return 1;
  const unsigned limit = std::max(1u, settings_.max_fetches);
  return std::max(1u, std::min(limit, sources_.allowed(now)));
}

void Planner::begin_level(unsigned target, TimePoint now) {
  target_ = target;
  phase_ = Phase::Measuring;
  level_first_ = last_id_ + 1;
  level_started_ = now;
  window_start_ = {};
}

void Planner::hold(unsigned target, TimePoint now, bool did_not_help) {
  target_ = std::max(1u, target);
  phase_ = Phase::Steady;
  next_probe_ = now + probe_interval_;
  if (did_not_help) probe_interval_ = std::min<Duration>(2 * probe_interval_, kLastProbe);
}

bool Planner::has_settled(TimePoint now) const {
  for (const Fetch& fetch : fetches_) {
    if (fetch.id < level_first_ || fetch.id >= level_first_ + target_)
      continue;  // replacements do not count
    if (!fetch.has_bytes || now - fetch.first_byte < settle_time()) return false;
  }
  return true;
}

void Planner::judge_level(TimePoint now) {
  if (window_start_ == TimePoint{}) {
    // Who has not begun by then is not waited for; but nothing is added before the first one
    // brought a byte.
    const Duration patience = std::max<Duration>(kDoubt, 4 * rtt_) + settle_time();
    const bool may_go_on = target_ > 1 && now - level_started_ >= patience;
    if (fetches_.empty() || (!has_settled(now) && !may_go_on)) return;
    window_start_ = now;
    window_bytes_ = 0;
    return;
  }
  const Duration window = now - window_start_;
  if (window < window_time()) return;
  const double rate = static_cast<double>(window_bytes_) / seconds(window);
  total_rate_ = rate;
  if (typical_rate_ <= 0) typical_rate_ = rate / target_;
  const bool helps = target_ == 1 || rate >= best_rate_ * kWorthwhile;
  const double width = static_cast<double>(target_) / best_target_;
  const bool is_jump = target_ > 1 && width > 4 && sources_.is_single();
  const bool scales = target_ > 1 && rate >= best_rate_ * std::max(kScales, is_jump ? kScaling * width : 0);
  const bool is_probe = probe_interval_ > kFirstProbe && sources_.is_single();
  if ((!helps || is_probe || (is_jump && !scales)) && window < std::max<Duration>(kDoubt, 4 * rtt_))
    return;  // a short window is noise, and new connections start slowly: measure on
  if (!helps) {
    remember_useful(best_target_);
    return hold(best_target_, now);
  }
  if (is_jump && !scales) {
    target_ = std::min(target_, static_cast<unsigned>(std::ceil(best_target_ * kSpare * rate / best_rate_)));
  }
  best_rate_ = rate;
  best_target_ = target_;
  if (target_ > 1) remember_useful(target_);
  if (target_ > 1 && range_worked_) wind_down_original();
  const unsigned limit = allowed(now);
  const double left =
      rate > 0 ? static_cast<double>(missing()) / rate : std::numeric_limits<double>::infinity();
  const bool is_enough = target_ >= limit || (is_jump && !scales);
  if (is_enough || left < seconds(settings_.worth_splitting)) return hold(target_, now);
  unsigned next = target_ * (scales ? 4 : 2);
  if (target_ == 1) next = std::max(next, memory_.useful);
  if (target_ == 1 && sources_.is_single()) {
    next = std::max(next, static_cast<unsigned>(std::min<double>(left / seconds(kSoon), limit)));
    if (2 * next > limit) next = limit;  // the few that would be missing could not be told from noise
  }
  // The best source may be any of them: all are tried before the number is judged.
  if (target_ == 1) next = std::max(next, std::min(sources_.usable(), kTriedAtOnce));
  begin_level(std::min(next, limit), now);
}

// ---- Which bytes

// A full piece. Short ones at first, so that the reader soon has the sum of the rates; never so
// short that requests cost more than a twentieth of the time. Where nobody reads and all run, everybody has his share.
uint64_t Planner::full_piece(double rate) const {
  if (settings_.max_fetches <= 1) return length_;  // nobody to share with
  if (settings_.piece_size > 0) return settings_.piece_size;
  if (readers_.empty() && phase_ == Phase::Steady) {
    double all = rate;
    for (const Fetch& fetch : fetches_) all += fetch_rate(fetch);
    const double share = all > 0 ? rate / all : 0;
    return std::max(static_cast<uint64_t>(static_cast<double>(missing()) * share), settings_.min_piece);
  }
  const Duration since = (sampled_at_ - begun_) / 2;
  const Duration time = std::max(
      {std::min(settings_.piece_time, std::max<Duration>(since, kFirstPieces)), kOverhead * rtt_});
  const auto size = static_cast<uint64_t>(rate * seconds(time));
  return std::clamp(size, settings_.min_piece, std::max(settings_.min_piece, kLargestPiece));
}

// What the next fetch takes: smaller and smaller towards the end, so that all end together.
uint64_t Planner::piece_size(double rate) const {
  const uint64_t full = full_piece(rate);
  const auto cheap = static_cast<uint64_t>(rate * seconds(kLastOverhead * rtt_));
  const uint64_t least = std::min(std::max(cheap, settings_.min_steal), full);
  uint64_t fair = target_ > 1 ? gap_bytes() / (2 * target_) : full;
  if (readers_.empty() && phase_ == Phase::Steady) fair = full / 100 * 97;
  return align_up(std::clamp(fair, least, full), settings_.alignment);
}

// The stretch that is due next: the one nearest ahead of a reader, else the first.
ByteRange Planner::next_piece(double rate) const {
  const ByteRange* best = &gaps_.front();
  uint64_t start = best->first;
  uint64_t distance = std::numeric_limits<uint64_t>::max();
  for (const uint64_t reader : readers_) {
    for (const ByteRange& gap : gaps_) {
      if (gap.last <= reader) continue;
      const uint64_t at = std::max(gap.first, reader / settings_.alignment * settings_.alignment);
      const uint64_t ahead = at > reader ? at - reader : 0;
      if (ahead < distance) {
        best = &gap;
        start = at;
        distance = ahead;
      }
      break;
    }
  }
  // A piece ends at a seam, and no crumb is left behind it.
  uint64_t last = align_up(start + piece_size(rate), settings_.alignment);
  if (last + settings_.alignment >= best->last) last = best->last;
  return {start, last};
}

void Planner::start(ByteRange range, SourceId source, TimePoint now, Fetch* hedge_of) {
  Fetch fetch;
  fetch.source = source;
  ++sources_[source].live;
  fetch.id = ++last_id_;
  fetch.first = fetch.position = range.first;
  fetch.last = range.last;
  fetch.content_last = need_whole_ ? length_ : range.last;
  fetch.active = fetch.started = now;
  if (hedge_of) {
    fetch.is_hedge = fetch.is_replacement = true;
    fetch.rival = hedge_of->id;
    hedge_of->rival = fetch.id;
  }
  fetches_.push_back(fetch);
  send(Command::Kind::Start, fetch);
}

bool Planner::start_one(TimePoint now) {
  const std::optional<SourceId> source = sources_.best(typical_rate_, now);
  if (!source) return false;
  if (can_split_) {
    if (steal(*source, now, !gaps_.empty())) return true;
  } else if (!fetches_.empty()) {
    return false;
  }
  if (gaps_.empty()) return false;
  ByteRange range = gaps_.front();
  if (can_split_) range = next_piece(std::min(typical_rate_, sources_.rate(*source, typical_rate_, now)));
  if (need_whole_) range.last = gaps_.back().last;
  take_from_gaps(range);
  start(range, *source, now);
  return true;
}

// Takes the tail of the fetch that would end last, so much that both end together. `only_blocking`:
// only of one that is far slower than usual and lies before the gaps, where a reader will wait for
// it.
bool Planner::steal(SourceId source, TimePoint now, bool only_blocking) {
  Fetch* victim = nullptr;
  double longest = 0;
  for (Fetch& fetch : fetches_) {
    if (fetch.rival || fetch.remaining() == 0) continue;
    if (only_blocking && (fetch.last > gaps_.front().first || fetch.rate <= 0 ||
                          fetch.rate > kSlow * typical_rate_)) {
      continue;
    }
    const double rate = fetch_rate(fetch);
    const double left = rate > 0 ? static_cast<double>(fetch.remaining()) / rate : 1e9;
    if (left > longest) {
      longest = left;
      victim = &fetch;
    }
  }
  if (!victim) return false;

  // More than some pieces' worth is no tail: what is behind the next piece becomes a gap for
  // everybody.
  const uint64_t full = full_piece(typical_rate_);
  if (!only_blocking && victim->remaining() > 2 * full) {
    uint64_t keeps = full;
    if (victim->id == original_) {
      const double rate = fetch_rate(*victim);
      const double room = std::min(kSendBuffer, rate * kSendBufferTime) + rate * kDecisionTime;
      keeps = std::max(full, static_cast<uint64_t>(room));
    }
    const uint64_t cut = align_up(victim->position + keeps, settings_.alignment);
    if (cut < victim->last) {
      add_gap({cut, victim->last});
      victim->last = cut;
      send(Command::Kind::Limit, *victim);
      return false;  // there is a gap now
    }
  }

  const double expected = sources_.rate(source, typical_rate_, now);
  const double own = expected > 0 ? expected : 1;
  const double theirs = fetch_rate(*victim) > 0 ? fetch_rate(*victim) : own;
  const double rest = static_cast<double>(victim->remaining());
  const double head_start = theirs * 2 * seconds(rtt_);
  if (rest <= head_start) return false;
  const double shared = 2 * seconds(rtt_) + (rest - head_start) / (own + theirs);
  if (longest - shared < std::max(kStealSaves, 4 * seconds(rtt_))) return false;
  const auto part = static_cast<uint64_t>((rest - head_start) * own / (own + theirs));
  // A fetch that is slow enough is worth relieving of the least.
  const uint64_t seam = victim->remaining() > settings_.min_steal ? settings_.alignment : kLeastSeam;
  const uint64_t cut = align_up(victim->last - part, seam);
  if (cut <= victim->position || cut >= victim->last) return false;
  const ByteRange range = {cut, victim->last};
  victim->last = cut;
  send(Command::Kind::Limit, *victim);
  start(range, source, now);
  return true;
}

// A silent fetch may only be slow: it keeps running, and whichever of the two brings a byte first
// goes on.
void Planner::hedge_stalled(TimePoint now) {
  for (size_t i = 0; i < fetches_.size(); ++i) {
    Fetch& fetch = fetches_[i];
    if (fetch.rival || fetch.remaining() == 0 || now - fetch.active < stall_time()) continue;
    if (fetches_.size() > allowed(now)) return;
    const std::optional<SourceId> source = sources_.best(typical_rate_, now, fetch.source);
    if (!source) return;
    fetch.active = now;
    start({fetch.position, fetch.last}, *source, now, &fetches_[i]);
  }
}

// Its response goes on behind what it is to bring, and others bring that: see planner.h.
void Planner::wind_down_original() {
  Fetch* original = find(original_);
  if (!original || original->is_winding_down || original->content_last <= original->last) return;
  original->is_winding_down = true;
  send(Command::Kind::WindDown, *original);
}

void Planner::stop_splitting() {
  can_split_ = false;
  target_ = 1;
  phase_ = Phase::Steady;
}

// Takes back what was asked for and not answered yet: the answers would be refused like the one
// that came.
void Planner::withdraw_unanswered() {
  for (size_t i = fetches_.size(); i-- > 0;) {
    const Fetch fetch = fetches_[i];
    if (fetch.has_head) continue;
    send(Command::Kind::Cancel, fetch);
    release(fetch);
    drop(fetch.id);
  }
}

void Planner::plan(TimePoint now) {
  if (status_ == Status::Running && missing() == 0) complete();
  if (status_ != Status::Running) {
    due_ = TimePoint::max();
    return;
  }
  const bool has_time_left = seconds_left() > seconds(settings_.worth_splitting);
  if (can_split_ && phase_ == Phase::Measuring) {
    judge_level(now);
  } else if (can_split_ && now >= next_probe_ && target_ < allowed(now) && has_time_left) {
    best_rate_ = total_rate_;
    best_target_ = target_;
    begin_level(std::min(2 * target_, allowed(now)), now);
  } else if (now >= next_probe_) {
    next_probe_ = now + probe_interval_;
  }
  target_ = std::min(target_, allowed(now));
  if (!can_split_) {
    for (Fetch& fetch : fetches_) extend(fetch);
  }
  if (now >= not_before_) {
    while (fetches_.size() < target_ && start_one(now)) {
    }
    if (can_split_) hedge_stalled(now);
  }
  if (fetches_.empty() && missing() > 0 && !sources_.has_any()) {  // the last one ended that a dropped source still had
    status_ = Status::Failed;
    due_ = TimePoint::max();
    return;
  }
  due_ = due(now);
}

TimePoint Planner::due(TimePoint now) const {
  TimePoint due = TimePoint::max();
  const auto consider = [&](TimePoint at) {
    due = std::min(due, std::max(at, now + milliseconds(1)));
  };
  if (not_before_ > now) consider(not_before_);
  if (const TimePoint next = sources_.next(now); next != TimePoint::max() && fetches_.size() < target_) consider(next);
  if (!can_split_ || fetches_.empty()) return due;
  if (phase_ == Phase::Measuring) {
    consider(window_start_ == TimePoint{}
                 ? now + settle_time() / 2
                 : std::max(window_start_ + window_time(), now + window_time() / 2));
  } else if (target_ < std::max(1u, settings_.max_fetches)) {
    consider(next_probe_);
  }
  for (const Fetch& fetch : fetches_) {
    if (!fetch.rival && fetch.remaining() > 0) consider(fetch.active + stall_time());
  }
  return due;
}

}  // namespace tributary::upstream
