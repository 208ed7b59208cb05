// A download of virtual bytes in virtual time: the planner against an origin that can be slow,
// capped, refusing or dying. Deterministic, so a test may assert on the time that it takes.
#pragma once

#include <gtest/gtest.h>

#include <algorithm>
#include <functional>
#include <map>
#include <memory>
#include <optional>
#include <vector>

#include "upstream/planner.h"

namespace tributary::upstream {

inline constexpr uint64_t kKiB = 1024, kMiB = 1024 * kKiB, kGiB = 1024 * kMiB;
using Millis = std::chrono::milliseconds;
using Micros = std::chrono::microseconds;

struct VirtualOrigin {
  double per_connection = 8.0 * kMiB;  // bytes/s
  double total = 1e12;                 // bytes/s, shared evenly
  double burst = 640.0 * kKiB;         // what a new connection sends before it is paced
  uint64_t chunk = 64 * kKiB;          // what arrives at a time
  core::Duration rtt = Micros(100);
  unsigned max_connections = 1000;  // more get 503
  bool closes_what_is_too_much = false;  // instead, and at once
  core::Duration retry_after{};
  bool ignores_ranges = false;
  uint64_t send_buffer = 0;  // bytes that it has sent and that have not arrived
  bool winds_down = true;    // ends a response soon when it is asked to
  // Called for each fetch: its own rate (bytes/s), 0 is a connection that never answers.
  std::function<double(FetchId)> rate_of{};
  // After how many bytes the connection of this fetch closes.
  std::function<std::optional<uint64_t>(FetchId)> dies_after{};
  // From this time on nothing comes on the fetch any more.
  std::function<std::optional<core::Duration>(FetchId)> stalls_at{};
};

class Simulator {
 public:
  Simulator(VirtualOrigin origin, uint64_t length, PlannerSettings settings = {},
            std::vector<http::ByteRange> present = {})
      : origins_{Source(std::move(origin))},
        length_(length),
        present_(present),
        planner_(settings, length, present_, memory),
        delivered_(present) {}

  // Another source of the same bytes; before run().
  SourceId add_source(VirtualOrigin origin) {
    origins_.push_back(Source(std::move(origin)));
    memories_.push_back(std::make_unique<OriginMemory>());
    return planner_.add_source(*memories_.back());
  }
  // What it brought until then turns out to be wrong: as upstream/download.h does, it is dropped and its bytes are
  // wanted again.
  void unmask(SourceId source) {
    planner_.drop_source(source, true, now_);
    for (const http::ByteRange& range : origins_[source].brought) {
      std::vector<http::ByteRange> rest;
      for (const http::ByteRange& have : delivered_) {
        if (have.first < std::min(have.last, range.first)) rest.push_back({have.first, std::min(have.last, range.first)});
        if (std::max(have.first, range.last) < have.last) rest.push_back({std::max(have.first, range.last), have.last});
      }
      delivered_ = rest;
      planner_.want(range, now_);
    }
    origins_[source].brought.clear();
    if (planner_.status() == Planner::Status::Running) carry_out();
  }
  uint64_t brought_by(SourceId source) const { return origins_[source].bytes; }
  unsigned requests_to(SourceId source) const { return origins_[source].requests; }

  OriginMemory memory;  // first: the planner keeps a reference to it

  Planner& planner() { return planner_; }
  core::Duration elapsed() const { return now_ - kStart; }
  double seconds() const { return std::chrono::duration<double>(elapsed()).count(); }
  unsigned most_live() const { return most_live_; }
  unsigned requests() const { return requests_; }
  uint64_t wasted() const { return wasted_; }  // bytes that came twice
  uint64_t thrown_away() const { return thrown_away_; }  // bytes that were sent and never read
  unsigned hedges() const { return hedges_; }
  unsigned cuts() const { return cuts_; }  // responses that were stopped before their end

  // What the reader who started at `offset` may have had at each time: calls `visit(elapsed,
  // in_order_bytes)`.
  std::function<void(core::Duration, uint64_t)> on_reader;
  uint64_t reader_offset = 0;
  std::function<void(core::Duration)> on_step;

  Planner::Status run(bool can_split = true, core::Duration limit = std::chrono::seconds(600)) {
    const uint64_t first =
        present_.empty() || present_.front().first > 0 ? 0 : present_.front().last;
    if (cold) {
      planner_.begin_cold(can_split, origins_[0].rtt, now_);
    } else {
      const FetchId id = planner_.begin({first, length_}, can_split, origins_[0].rtt, now_);
      Fetch& fetch = fetches_[id];
      fetch.position = first;
      fetch.limit = planner_.fetches().front().range.last;
      fetch.content_last = length_;
      fetch.answers_at = now_;
      fetch.has_head = true;
      fetch.credit = origins_[0].burst;
    }
    carry_out();
    while (planner_.status() == Planner::Status::Running && elapsed() < limit) step();
    return planner_.status();
  }

  bool has_all() const {
    return delivered_.size() == 1 && delivered_.front() == http::ByteRange{0, length_};
  }

  bool cold = false;

  // No byte has two owners, none has no owner. Throws test failures.
  void check_ownership() const {
    std::vector<http::ByteRange> owned(planner_.gaps().begin(), planner_.gaps().end());
    for (const auto& view : planner_.fetches()) {
      ASSERT_LE(view.position, view.range.last);
      if (!view.is_hedge && view.position < view.range.last)
        owned.push_back({view.position, view.range.last});
    }
    std::sort(owned.begin(), owned.end(),
              [](const auto& a, const auto& b) { return a.first < b.first; });
    uint64_t covered = 0;
    for (size_t i = 0; i < owned.size(); ++i) {
      ASSERT_LT(owned[i].first, owned[i].last);
      ASSERT_TRUE(i == 0 || owned[i - 1].last <= owned[i].first) << "two own the same bytes";
      covered += owned[i].size();
    }
    uint64_t have = 0;
    for (const auto& range : delivered_) have += range.size();
    // What is present and lies in an assigned range is fetched twice at most, never forgotten.
    ASSERT_GE(covered + have, length_) << "bytes got lost";
  }

 private:
  struct Fetch {
    uint64_t position = 0, limit = 0, content_last = 0, sent = 0;
    core::TimePoint answers_at{};
    double credit = 0;
    bool has_head = false, whole = false, refused = false;
    SourceId source = 0;
    uint64_t skip = 0;
    uint64_t ends_at = UINT64_MAX;  // winding down: what was sent ends here
  };
  static constexpr core::TimePoint kStart = core::TimePoint(std::chrono::hours(1));

  void carry_out() {
    while (const auto command = planner_.next_command()) {
      switch (command->kind) {
        case Command::Kind::Start: {
          ++requests_;
          Fetch fetch;
          fetch.position = command->range.first;
          fetch.limit = command->range.last;
          fetch.content_last = command->whole ? length_ : command->range.last;
          fetch.whole = command->whole;
          Source& source = origins_[command->source];
          fetch.source = command->source;
          ++source.requests;
          const bool is_warm = source.idle > 0;
          if (is_warm) --source.idle;
          fetch.answers_at = now_ + (is_warm ? 1 : 2) * source.rtt;
          fetch.credit = is_warm ? 0 : source.burst;
          if (command->whole) fetch.skip = command->range.first;
          ASSERT_LT(fetch.position, fetch.limit);
          ASSERT_LE(fetch.limit, length_);
          ASSERT_TRUE(fetches_.emplace(command->fetch, fetch).second);
          for (const auto& view : planner_.fetches())
            hedges_ += view.id == command->fetch && view.is_hedge;
          break;
        }
        case Command::Kind::Limit: {
          const auto at = fetches_.find(command->fetch);
          if (at == fetches_.end()) break;
          ASSERT_LE(command->range.last, at->second.content_last);
          ASSERT_GE(command->range.last, at->second.position);
          at->second.limit = command->range.last;
          break;
        }
        case Command::Kind::WindDown:
          if (fetches_.count(command->fetch)) {
            Fetch& fetch = fetches_.at(command->fetch);
            const VirtualOrigin& origin = origins_[fetch.source];
            if (origin.winds_down) fetch.ends_at = fetch.position + origin.send_buffer;
          }
          break;
        case Command::Kind::Cancel:
          fetches_.erase(command->fetch);
          break;
      }
    }
    most_live_ = std::max(most_live_, static_cast<unsigned>(fetches_.size()));
    check_ownership();
  }

  void fail(FetchId id, Failure failure) {
    const VirtualOrigin& origin = origins_[fetches_.at(id).source];
    fetches_.erase(id);
    planner_.failed(id, failure,
                    failure == Failure::Refused ? origin.retry_after : core::Duration{}, now_);
    carry_out();
  }

  void step() {
    constexpr auto kStep = Millis(1);
    now_ += kStep;
    std::vector<FetchId> ids;
    std::vector<unsigned> sending(origins_.size());
    for (const auto& [id, fetch] : fetches_) {
      ids.push_back(id);
      sending[fetch.source] += fetch.answers_at <= now_;
    }
    for (const FetchId id : ids) {
      const auto at = fetches_.find(id);
      if (at != fetches_.end()) {
        advance(id, std::chrono::duration<double>(kStep).count(), sending[at->second.source]);
      }
      if (planner_.status() != Planner::Status::Running) break;
    }
    if (planner_.status() == Planner::Status::Running && planner_.wake_at() &&
        now_ >= *planner_.wake_at()) {
      planner_.tick(now_);
      carry_out();
    }
    for (const auto& range : delivered_) {
      if (range.first <= reader_at_ && range.last > reader_at_) reader_at_ = range.last;
    }
    if (reader_at_ < reader_offset) reader_at_ = reader_offset;
    if (on_step) on_step(elapsed());
    if (on_reader) on_reader(elapsed(), reader_at_);
    const uint64_t offsets[] = {reader_at_};
    planner_.readers(offsets);
  }

  void advance(FetchId id, double step_seconds, unsigned sending) {
    Fetch& fetch = fetches_.at(id);
    const Source& origin = origins_[fetch.source];
    if (origin.closes_what_is_too_much && id == fetches_.rbegin()->first &&
        fetches_.size() > origin.max_connections) {
      return fail(id, Failure::Broken);
    }
    if (now_ < fetch.answers_at) return;
    if (!fetch.has_head) {
      unsigned with_head = 0;
      for (const auto& entry : fetches_) {
        with_head += entry.second.has_head && entry.second.source == fetch.source;
      }
      if (with_head >= origin.max_connections) return fail(id, Failure::Refused);
      if (origin.ignores_ranges && !fetch.whole) return fail(id, Failure::RangeIgnored);
      fetch.has_head = true;
      planner_.head(id, now_);
      carry_out();
      if (!fetches_.count(id)) return;
    }
    double rate = origin.rate_of ? origin.rate_of(id) : origin.per_connection;
    rate = std::min(rate, origin.total / std::max(sending, 1u));
    if (origin.stalls_at) {
      const auto at = origin.stalls_at(id);
      if (at && elapsed() >= *at) return;
    }
    fetch.credit += rate * step_seconds;
    const auto skip =
        static_cast<uint64_t>(std::min(fetch.credit, static_cast<double>(fetch.skip)));
    fetch.skip -= skip;
    fetch.credit -= static_cast<double>(skip);
    wasted_ += skip;
    while (fetches_.count(id)) {
      Fetch& current = fetches_.at(id);
      const uint64_t left = current.limit - current.position;
      uint64_t bytes = std::min(origin.chunk, left);
      if (current.credit < static_cast<double>(bytes)) return;
      const auto dies = origin.dies_after ? origin.dies_after(id) : std::nullopt;
      if (dies && current.sent + bytes > *dies) return fail(id, Failure::Broken);
      if (current.position >= current.ends_at) return fail(id, Failure::Broken);
      current.credit -= static_cast<double>(bytes);
      deliver({current.position, current.position + bytes});
      origins_[current.source].brought.push_back({current.position, current.position + bytes});
      origins_[current.source].bytes += bytes;
      current.position += bytes;
      current.sent += bytes;
      planner_.progress(id, bytes, now_);
      carry_out();
      const auto at = fetches_.find(id);
      if (at == fetches_.end()) return;
      if (at->second.position == at->second.limit) {
        const bool is_whole_response = at->second.limit == at->second.content_last;
        ++(is_whole_response ? origins_[at->second.source].idle : cuts_);
        // What was sent behind the limit is lost.
        const uint64_t sent = std::min({at->second.position + origin.send_buffer,
                                        at->second.content_last, at->second.ends_at});
        if (sent > at->second.position) thrown_away_ += sent - at->second.position;
        fetches_.erase(at);
        planner_.finished(id, now_);
        carry_out();
        return;
      }
    }
  }

  void deliver(http::ByteRange range) {
    std::vector<http::ByteRange> merged;
    for (const auto& have : delivered_) {
      wasted_ += have.first < range.last && have.last > range.first
                     ? std::min(have.last, range.last) - std::max(have.first, range.first)
                     : 0;
    }
    for (const auto& have : delivered_) {
      if (have.last < range.first || have.first > range.last) {
        merged.push_back(have);
      } else {
        range = {std::min(range.first, have.first), std::max(range.last, have.last)};
      }
    }
    merged.insert(std::upper_bound(merged.begin(), merged.end(), range,
                                   [](const auto& a, const auto& b) { return a.first < b.first; }),
                  range);
    delivered_.swap(merged);
  }

  struct Source : VirtualOrigin {
    explicit Source(VirtualOrigin origin) : VirtualOrigin(std::move(origin)) {}
    unsigned idle = 0, requests = 0;
    uint64_t bytes = 0;
    std::vector<http::ByteRange> brought;
  };

  std::vector<Source> origins_;
  std::vector<std::unique_ptr<OriginMemory>> memories_;
  uint64_t length_;
  std::vector<http::ByteRange> present_;
  Planner planner_;
  std::vector<http::ByteRange> delivered_;
  std::map<FetchId, Fetch> fetches_;
  core::TimePoint now_ = kStart;
  uint64_t reader_at_ = 0;
  unsigned cuts_ = 0, most_live_ = 0, requests_ = 0, hedges_ = 0;
  uint64_t wasted_ = 0;
  uint64_t thrown_away_ = 0;
};

}  // namespace tributary::upstream
