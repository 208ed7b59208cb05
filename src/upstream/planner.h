// The range planner: who fetches which bytes of one object of known length, and with how many
// fetches at once. Sans-I/O: events in, commands out, time is a parameter. upstream/download.h
// carries the commands out.
//
//   Planner planner(settings, length, present, memory);
//   FetchId first = planner.begin(now, rtt);         // the client's own request, already answered:
//   bytes from 0 on … planner.progress(first, 65536, now); … while (auto command =
//   planner.next_command()) carry out;   // after every event arm a timer for planner.wake_at(),
//   then call planner.tick(now)
//
// A *fetch* is one exchange for one stretch [first, last) of the object. Connections are the pool's
// affair: a fetch that ends exactly at the end of its response leaves its connection there, and the
// next one finds it warm. Every byte that is neither present nor fetched is in a *gap* or in
// exactly one live fetch; only a hedge overlaps with the fetch it races.
//
//        0        reader                                                     length
//        |#########|####>......|###>.....|##>......|             gap           |
//          present   fetch 0     fetch 1    fetch 2     (# fetched, . assigned)
//
// How many: it starts with one. The next step is as wide as would bring the rest within a second; from
// there it doubles or quadruples, every few round trips, while the rest would take longer than
// `worth_splitting` and the total rate grows with it. When that stops it goes back to the smaller
// number, or to as many as the rate was worth, and asks again later. Which: pieces follow the nearest reader,
// of `piece_time` each, shrinking towards the end so that all end together. Where nobody reads
// (a file), a piece is what its fetch can bring until the end. When no gap is left,
// the live fetch that would end last gives up its tail. A stalled fetch is raced by a hedge.
// aria2's one contiguous part per connection would be simpler, but keeps the client's stream at one
// connection's rate.
//
// The client's own request has a response that goes on behind what it is to bring. Cutting it there
// would throw away what the origin's kernel holds of it by then. So, as soon as it is known that
// further fetches pay, the origin is asked to end it, and it has room enough before its limit that
// what was under way is used.
//
// Several sources (add_source): every fetch is of one of them, chosen by ranking.h, and the number of fetches is of
// all together. A source that fails again and again without a byte, or ignores ranges, gets no further fetch while there are
// others; a hedge goes to another one.
//
// Loop-affine, no allocation per event. Every call may queue commands; none calls back.
#pragma once

#include <cstddef>
#include <cstdint>
#include <optional>
#include <span>
#include <vector>

#include "core/time.h"
#include "http/range_sink.h"
#include "upstream/ranking.h"

namespace tributary::upstream {

using FetchId = uint32_t;

struct PlannerSettings {
  unsigned max_fetches = 16;                 // accelerate.max_connections
  uint64_t piece_size = 0;                   // bytes; 0: from the rate. accelerate.piece_size
  uint64_t min_piece = uint64_t{1} << 20;    // bytes, also of what is stolen while gaps remain
  uint64_t min_steal = uint64_t{256} << 10;  // bytes, at the end
  uint64_t alignment = uint64_t{64} << 10;   // bytes, of the seams between pieces
  core::Duration piece_time = std::chrono::milliseconds(500);
  core::Duration worth_splitting =
      std::chrono::milliseconds(500);  // a rest shorter than this is left alone
  // Both at least half a round trip: bytes so early say nothing about a rate (bursts, slow start),
  // and the shortest window that a rate is taken from.
  core::Duration settle = std::chrono::milliseconds(10);
  core::Duration measure = std::chrono::milliseconds(10);
  core::Duration stall = std::chrono::milliseconds(1000);    // without a byte for so long: hedge
  core::Duration retry = std::chrono::milliseconds(100);     // first wait after a failure; doubles
  core::Duration retry_limit = std::chrono::seconds(10);     // longest wait, Retry-After included
  core::Duration refusal_memory = std::chrono::seconds(30);  // for a refusal without Retry-After
  unsigned max_failures = 6;                                 // in a row, without a byte in between
};

// What is remembered of an origin between downloads; the caller keeps one per origin and hands it
// to each planner.
struct OriginMemory {
  unsigned useful = 0;              // so many fetches paid last time; 0: unknown
  unsigned allowed = UINT32_MAX;    // it refused more than these …
  core::TimePoint allowed_until{};  // … and is not asked for more before then
  bool ignores_ranges = false;
};

enum class Failure : uint8_t {
  Refused,       // connection refused, 429, 503: fewer fetches at once, or later (Retry-After)
  RangeIgnored,  // 200 to a range request
  Broken,  // wrong Content-Range, protocol error, closed or timed out before or inside the content
};

struct Command {
  enum class Kind : uint8_t {
    Start,  // request `range` with Range and If-Range (`whole`: without, dropping the bytes before
            // range.first)
    Limit,  // the fetch now ends at range.last: stop its response there, call finished(). It may
            // move outwards also, even in answer to the progress() that reached the old limit: look
            // for commands before stopping
    WindDown,  // ask the origin to end the response soon: what it has sent already is still read, up
               // to the limit. Whether it ends early is the origin's affair: then failed(Broken)
    Cancel,    // stop it; no event about this fetch is due any more
  };
  Kind kind = Kind::Start;
  bool whole = false;
  FetchId fetch = 0;
  SourceId source = 0;  // of Start
  http::ByteRange range;
};

class Planner {
 public:
  enum class Status : uint8_t { Running, Complete, Failed };

  // `present`: what need not be fetched; ordered, disjoint. `memory` must outlive the planner.
  Planner(const PlannerSettings& settings, uint64_t length,
          std::span<const http::ByteRange> present, OriginMemory& memory);

  // Another source of the same bytes; before begin() or begin_cold(). `memory` outlives the planner.
  SourceId add_source(OriginMemory& memory) { return sources_.add(memory); }
  // It gets no further fetch; with `also_live`, those that run are cancelled. What it brought is the caller's affair.
  void drop_source(SourceId source, bool also_live, core::TimePoint now);

  // Once, first: takes over the exchange that is running, whose response head has arrived: its
  // content is `content` (all of the object, or what a range request asked for). `can_split`:
  // Accept-Ranges and a strong validator allow more fetches. `rtt`: round trip to the origin, best
  // estimate (connect time, or time to the head).
  FetchId begin(http::ByteRange content, bool can_split, core::Duration rtt, core::TimePoint now);
  // Instead of begin(): nothing runs yet (completing a partial object); the first command starts
  // the first fetch.
  void begin_cold(bool can_split, core::Duration rtt, core::TimePoint now);

  // More than was left to fetch is wanted: bytes that were given as present, but are not there.
  void want(http::ByteRange range, core::TimePoint now);
  // Another PlannerSettings::max_fetches from now on; not while next_command() has something.
  void allow(unsigned max_fetches);

  // Events. Those about fetches that are cancelled or unknown are ignored, so they may cross with
  // commands.
  void head(FetchId fetch, core::TimePoint now);  // its response is what was asked for
  void progress(FetchId fetch, uint64_t bytes,
                core::TimePoint now);  // the next bytes of it were delivered
  // The fetch delivered its range up to the limit and is over. Said too early it counts as Broken.
  void finished(FetchId fetch, core::TimePoint now);
  void failed(FetchId fetch, Failure failure, core::Duration retry_after, core::TimePoint now);
  // Offsets readers are at, nearest first. Cheap; call it when they moved by about a piece.
  void readers(std::span<const uint64_t> offsets);
  void tick(core::TimePoint now);

  std::optional<Command> next_command();
  // When tick() is due at the latest; none when only other events can change anything.
  std::optional<core::TimePoint> wake_at() const;

  Status status() const { return status_; }
  uint64_t length() const { return length_; }
  uint64_t fetched() const { return fetched_; }  // bytes, without those of a race lost
  unsigned live() const { return static_cast<unsigned>(fetches_.size()); }
  unsigned target() const { return target_; }  // fetches it wants at once
  double rate() const { return total_rate_; }  // bytes/s, of all fetches, lately

  // For the tests and the admin page: the fetch list.
  struct FetchView {
    FetchId id;
    http::ByteRange range;  // assigned
    uint64_t position;      // [range.first, position) is fetched
    bool has_head, is_hedge;
    SourceId source;
  };
  std::vector<FetchView> fetches() const;
  std::span<const http::ByteRange> gaps() const { return gaps_; }

 private:
  struct Fetch {
    FetchId id = 0;
    uint64_t first = 0, position = 0, last = 0;
    uint64_t content_last =
        0;  // where its response ends; beyond `last` for the client's own request
    core::TimePoint active{};  // its start, or its last byte
    core::TimePoint started{}, first_byte{};
    uint64_t sampled = 0;  // bytes since the last sample
    double rate = 0;       // bytes/s, smoothed; 0: unknown
    FetchId rival = 0;     // the other one of a race, 0: none
    SourceId source = 0;
    bool has_head = false, has_bytes = false, is_hedge = false;
    bool is_winding_down = false;
    bool is_replacement = false;  // it began as a hedge

    uint64_t remaining() const { return last - position; }
  };
  enum class Phase : uint8_t {
    Measuring,  // until the fetches of the level settled and a window has been measured
    Steady,     // holds the target; probes upwards now and then
  };

  Fetch* find(FetchId id);
  void drop(FetchId id);
  void send(Command::Kind kind, const Fetch& fetch);
  void take_from_gaps(http::ByteRange range);
  void add_gap(http::ByteRange range);
  void release(const Fetch& fetch);
  Fetch* end_race(Fetch& winner);  // the winner, which may have moved
  void extend(Fetch& fetch);

  void set_up(bool can_split, core::Duration rtt, core::TimePoint now);
  void plan(core::TimePoint now);
  void sample(core::TimePoint now);
  void judge_level(core::TimePoint now);
  bool has_settled(core::TimePoint now) const;
  void begin_level(unsigned target, core::TimePoint now);
  void hold(unsigned target, core::TimePoint now, bool did_not_help = true);
  bool start_one(core::TimePoint now);
  void start(http::ByteRange range, SourceId source, core::TimePoint now, Fetch* hedge_of = nullptr);
  bool steal(SourceId source, core::TimePoint now, bool only_blocking);
  void hedge_stalled(core::TimePoint now);
  void wind_down_original();
  void stop_splitting();
  void withdraw_unanswered();
  void complete();
  void count_failure(const Fetch& fetch, core::Duration retry_after, core::TimePoint now);
  void count_failure_of_source(SourceId source, bool has_bytes, core::Duration retry_after, core::TimePoint now);
  unsigned granted(SourceId source) const;
  void remember_useful(unsigned fetches);

  http::ByteRange next_piece(double rate) const;
  uint64_t full_piece(double rate) const;
  uint64_t piece_size(double rate) const;
  uint64_t gap_bytes() const;
  uint64_t missing() const;
  double seconds_left() const;
  double fetch_rate(const Fetch& fetch) const;
  unsigned allowed(core::TimePoint now) const;
  core::Duration settle_time() const;
  core::Duration window_time() const;
  core::Duration stall_time() const;
  core::TimePoint due(core::TimePoint now) const;

  PlannerSettings settings_;
  OriginMemory& memory_;  // of the first source
  Ranking sources_;
  uint64_t length_;
  uint64_t fetched_ = 0;
  std::vector<http::ByteRange> gaps_;  // ordered, disjoint
  std::vector<Fetch> fetches_;         // live, in the order they started
  std::vector<uint64_t> readers_;
  std::vector<Command> commands_;
  size_t next_command_ = 0;
  Status status_ = Status::Running;
  Phase phase_ = Phase::Measuring;
  FetchId last_id_ = 0;
  FetchId original_ = 0;  // of begin()
  unsigned target_ = 1;
  core::Duration rtt_{};
  core::TimePoint begun_{};
  core::TimePoint due_{};  // when plan() has something to do without an event

  core::TimePoint sampled_at_{};
  double total_rate_ = 0;    // bytes/s, smoothed
  double typical_rate_ = 0;  // bytes/s of one fetch, smoothed

  // The level (number of fetches) that is being measured, and the best one so far.
  FetchId level_first_ = 1;  // fetches from this id on came with the level
  core::TimePoint level_started_{};
  core::TimePoint window_start_{};  // zero: not settled yet
  uint64_t window_bytes_ = 0;
  double best_rate_ = 0;
  unsigned best_target_ = 1;
  core::TimePoint next_probe_{};
  core::Duration probe_interval_{};

  unsigned failures_ = 0;         // in a row, of fetches that brought nothing
  core::TimePoint not_before_{};  // no Start before then
  bool can_split_ = false;
  bool range_worked_ = false;
  bool need_whole_ = false;
};

}  // namespace tributary::upstream
