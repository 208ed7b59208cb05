#include "upstream/planner.h"

#include <gtest/gtest.h>

#include <random>

#include "unit/upstream/planner_simulator.h"

namespace tributary::upstream {
namespace {

using http::ByteRange;
using Kind = Command::Kind;
using Status = Planner::Status;

#define EXPECT_DOWNLOADED(simulator, ...)                      \
  do {                                                         \
    EXPECT_EQ((simulator).run(__VA_ARGS__), Status::Complete); \
    EXPECT_TRUE((simulator).has_all());                        \
  } while (false)

// ---- Against virtual origins. Times are virtual, hence exact.  P-6, S0-1.12

TEST(PlannerSimulation, PacedConnectionsAreAddedUpWithinTheFirstHundredMilliseconds) {
  Simulator simulator(
      {}, 200 * kMiB);  // 8 MiB/s each: 25 s with one, 1.56 s with sixteen from the start
  unsigned at_100ms = 0;
  simulator.on_reader = [&](core::Duration elapsed, uint64_t) {
    if (elapsed == Millis(100)) at_100ms = simulator.planner().live();
  };
  EXPECT_DOWNLOADED(simulator);
  EXPECT_EQ(at_100ms, 16u);
  EXPECT_LT(simulator.seconds(), 1.65);
  EXPECT_EQ(simulator.wasted(), 0u);
  EXPECT_LE(simulator.cuts(), 3u);  // a cut response costs a connection, and bytes under way
  EXPECT_EQ(simulator.memory.useful, 16u);
}

TEST(PlannerSimulation, NothingThatTheOriginHasSentIsThrownAway) {
  VirtualOrigin origin{.per_connection = 25.0 * kMiB, .send_buffer = 2600 * kKiB};
  Simulator simulator(origin, 50 * kMiB);
  EXPECT_DOWNLOADED(simulator);
  EXPECT_EQ(simulator.thrown_away(), 0u);
  EXPECT_EQ(simulator.wasted(), 0u);
  EXPECT_GE(simulator.most_live(), 8u);
}

TEST(PlannerSimulation, AnOriginThatDoesNotEndAResponseWhenAskedToIsCut) {
  VirtualOrigin origin{
      .per_connection = 25.0 * kMiB, .send_buffer = 2600 * kKiB, .winds_down = false};
  Simulator simulator(origin, 50 * kMiB);
  EXPECT_DOWNLOADED(simulator);
  EXPECT_EQ(simulator.thrown_away(), 2600 * kKiB);
  EXPECT_EQ(simulator.wasted(), 0u);
}

TEST(PlannerSimulation, AGibibyteOfPacedConnectionsComesAtTheSumOfTheRates) {
  Simulator simulator({}, kGiB);
  EXPECT_DOWNLOADED(simulator);
  EXPECT_LT(simulator.seconds(), 8.2);  // ideal 8.0
  EXPECT_LE(simulator.most_live(), 16u);
}

TEST(PlannerSimulation, TheReaderFollowsCloselyBehindTheFetches) {
  Simulator simulator({}, 200 * kMiB);
  simulator.on_reader = [&](core::Duration elapsed, uint64_t at) {
    if (elapsed < Millis(500)) return;
    EXPECT_LT(simulator.planner().fetched() - at, 64 * kMiB);
  };
  EXPECT_DOWNLOADED(simulator);
}

TEST(PlannerSimulation, AFastConnectionIsLeftAlone) {
  VirtualOrigin origin{.per_connection = 700.0 * kMiB, .total = 750.0 * kMiB};
  Simulator simulator(origin, 200 * kMiB);
  EXPECT_DOWNLOADED(simulator);
  EXPECT_EQ(simulator.requests(), 0u);
  EXPECT_EQ(simulator.most_live(), 1u);
}

TEST(PlannerSimulation, GoesBackToFewWhereMoreDoNotHelp) {
  VirtualOrigin origin{.per_connection = 500.0 * kMiB, .total = 500.0 * kMiB};
  Simulator simulator(origin, 2 * kGiB);
  EXPECT_DOWNLOADED(simulator);
  EXPECT_LE(simulator.most_live(), 4u);
  EXPECT_LT(simulator.seconds(), 4.3);  // ideal 4.1
  EXPECT_LE(simulator.memory.useful, 1u);
}

TEST(PlannerSimulation, StopsNearTheNumberThatFillsALinkSharedByAll) {
  VirtualOrigin origin{
      .per_connection = 20.0 * kMiB, .total = 40.0 * kMiB, .burst = 0, .chunk = 16 * kKiB};
  Simulator simulator(origin, 400 * kMiB);
  EXPECT_DOWNLOADED(simulator);
  EXPECT_LE(simulator.memory.useful, 8u);
  EXPECT_LT(simulator.seconds(), 10.5);
}

TEST(PlannerSimulation, KeepsAsManyAsTheRateIsWorthAfterAWideStep) {
  VirtualOrigin origin{.per_connection = 10.0 * kMiB, .total = 40.0 * kMiB, .burst = 0, .chunk = 16 * kKiB};
  Simulator simulator(origin, 400 * kMiB);
  EXPECT_DOWNLOADED(simulator);
  EXPECT_GE(simulator.memory.useful, 4u);
  EXPECT_LE(simulator.memory.useful, 8u);
  EXPECT_LT(simulator.seconds(), 10.3);  // ideal 10
}

TEST(PlannerSimulation, AFarOriginIsAskedForAllOfItsConnectionsAtOnce) {
  VirtualOrigin origin{.per_connection = 2.0 * kMiB, .burst = 0, .rtt = Millis(100)};
  Simulator simulator(origin, 200 * kMiB);
  unsigned at_300ms = 0;
  simulator.on_reader = [&](core::Duration elapsed, uint64_t) {
    if (elapsed == Millis(300)) at_300ms = simulator.planner().live();
  };
  EXPECT_DOWNLOADED(simulator);
  EXPECT_EQ(at_300ms, 16u);
}

TEST(PlannerSimulation, AnOriginThatClosesWhatIsTooMuchIsTakenAtItsWord) {
  VirtualOrigin origin{.rtt = Millis(20), .max_connections = 4, .closes_what_is_too_much = true};
  Simulator simulator(origin, 200 * kMiB);
  EXPECT_DOWNLOADED(simulator);
  EXPECT_LT(simulator.seconds(), 7.2);  // ideal 6.25 with four
}

TEST(PlannerSimulation, HidesALongRoundTripBehindLongerPieces) {
  VirtualOrigin origin{.per_connection = 2.0 * kMiB, .burst = 0, .rtt = Millis(100)};
  Simulator simulator(origin, 200 * kMiB);
  EXPECT_DOWNLOADED(simulator);
  EXPECT_LT(simulator.seconds(), 8.5);  // ideal 6.25 with sixteen from the start
  EXPECT_LT(simulator.requests(), 130u);
}

TEST(PlannerSimulation, OneSlowConnectionDoesNotHoldTheEnd) {
  VirtualOrigin origin;
  origin.rate_of = [](FetchId id) { return id == 3 ? 0.1 * kMiB : 8.0 * kMiB; };
  Simulator simulator(origin, 200 * kMiB);
  EXPECT_DOWNLOADED(simulator);
  EXPECT_LT(simulator.seconds(), 2.0);
}

TEST(PlannerSimulation, ASlowOriginalIsRelievedToo) {
  VirtualOrigin origin;
  origin.rate_of = [](FetchId id) { return id == 1 ? 0.2 * kMiB : 8.0 * kMiB; };
  Simulator simulator(origin, 200 * kMiB);
  EXPECT_DOWNLOADED(simulator);
  EXPECT_LT(simulator.seconds(), 1.9);
}

TEST(PlannerSimulation, HedgesAConnectionThatFallsSilent) {
  VirtualOrigin origin;
  origin.stalls_at = [](FetchId id) {
    return id == 5 ? std::optional<core::Duration>(Millis(100)) : std::nullopt;
  };
  Simulator simulator(origin, 400 * kMiB);
  EXPECT_DOWNLOADED(simulator);
  EXPECT_GE(simulator.hedges(), 1u);
  EXPECT_LT(simulator.seconds(), 3.4);  // ideal 3.13
}

TEST(PlannerSimulation, GetsOverConnectionsThatCloseEarly) {
  VirtualOrigin origin;
  origin.dies_after = [](FetchId) { return std::optional<uint64_t>(700 * kKiB); };
  Simulator simulator(origin, 100 * kMiB);
  EXPECT_DOWNLOADED(simulator);
  EXPECT_EQ(simulator.wasted(), 0u);
  EXPECT_LT(simulator.seconds(), 2.0);
}

TEST(PlannerSimulation, TakesAnOriginThatAllowsFourConnectionsAtItsWord) {  // 503
  VirtualOrigin origin;
  origin.max_connections = 4;
  Simulator simulator(origin, 200 * kMiB);
  EXPECT_DOWNLOADED(simulator);
  EXPECT_EQ(simulator.memory.allowed, 4u);
  EXPECT_LT(simulator.seconds(), 6.5);  // ideal 6.25 with four
}

TEST(PlannerSimulation, FallsBackToTheOneResponseWhenRangesAreIgnored) {
  VirtualOrigin origin;
  origin.ignores_ranges = true;
  Simulator simulator(origin, 100 * kMiB);
  EXPECT_DOWNLOADED(simulator);
  EXPECT_TRUE(simulator.memory.ignores_ranges);
  EXPECT_LE(simulator.requests(), 15u);  // it had said that it does ranges
  EXPECT_EQ(simulator.wasted(), 0u);
  EXPECT_LT(simulator.seconds(), 12.6);  // ideal 12.5
}

TEST(PlannerSimulation, FetchesTheWholeAgainWhenTheOnlyResponseDiesAndRangesAreIgnored) {
  VirtualOrigin origin;
  origin.ignores_ranges = true;
  origin.dies_after = [](FetchId id) {
    return id == 1 ? std::optional<uint64_t>(20 * kMiB) : std::nullopt;
  };
  Simulator simulator(origin, 40 * kMiB);
  EXPECT_DOWNLOADED(simulator);
  EXPECT_LT(simulator.seconds(), 8.0);
}

TEST(PlannerSimulation, DoesNotSplitWithoutAValidator) {
  Simulator simulator({}, 100 * kMiB);
  EXPECT_DOWNLOADED(simulator, false);
  EXPECT_EQ(simulator.requests(), 0u);
}

TEST(PlannerSimulation, CompletesAPartialObjectAndFetchesNothingOfItAgain) {  // P-10
  Simulator simulator({}, 200 * kMiB, {}, {{0, 60 * kMiB}, {100 * kMiB, 120 * kMiB}});
  simulator.cold = true;
  EXPECT_DOWNLOADED(simulator);
  EXPECT_EQ(simulator.wasted(), 0u);
  EXPECT_EQ(simulator.planner().fetched(), 120 * kMiB);
}

TEST(PlannerSimulation, ResumesBehindWhatIsPresent) {
  Simulator simulator({}, 100 * kMiB, {}, {{0, 60 * kMiB}, {80 * kMiB, 90 * kMiB}});
  EXPECT_DOWNLOADED(simulator);
  EXPECT_EQ(simulator.planner().fetched(), 30 * kMiB);
}

TEST(PlannerSimulation, StartsWhereTheReaderIs) {
  Simulator simulator({}, 400 * kMiB);
  simulator.reader_offset = 300 * kMiB;
  core::Duration first{};
  simulator.on_reader = [&](core::Duration elapsed, uint64_t at) {
    if (at >= 310 * kMiB && first == core::Duration{}) first = elapsed;
  };
  EXPECT_DOWNLOADED(simulator);
  EXPECT_LT(first,
            Millis(1000));  // fetches 0 to 10 MiB ahead of it come before the 290 MiB in front
}

TEST(PlannerSimulation, RemembersWhatHelpedAtThisOrigin) {
  Simulator simulator({}, 200 * kMiB);
  simulator.memory.useful = 16;
  core::Duration all_live{};
  simulator.on_reader = [&](core::Duration elapsed, uint64_t) {
    if (simulator.planner().live() == 16 && all_live == core::Duration{}) all_live = elapsed;
  };
  EXPECT_DOWNLOADED(simulator);
  EXPECT_LT(all_live, Millis(40));
}

TEST(PlannerSimulation, NeverExceedsTheConfiguredNumber) {
  for (const unsigned limit : {1u, 2u, 5u}) {
    Simulator simulator({}, 50 * kMiB, {.max_fetches = limit});
    EXPECT_DOWNLOADED(simulator);
    EXPECT_LE(simulator.most_live(), limit);
  }
}

TEST(PlannerSimulation, KeepsAFixedPieceSize) {
  Simulator simulator({}, 64 * kMiB, {.piece_size = 4 * kMiB});
  simulator.on_reader = [&](core::Duration, uint64_t) {
    for (const auto& fetch : simulator.planner().fetches()) {
      if (fetch.id == 1) continue;
      EXPECT_LE(fetch.range.size(), 4 * kMiB);
    }
  };
  EXPECT_DOWNLOADED(simulator);
}

// ---- Event by event

struct Drive {
  explicit Drive(uint64_t length, PlannerSettings settings = {},
                 std::vector<ByteRange> present = {})
      : planner(settings, length, present, memory) {}
  std::vector<Command> commands() {
    std::vector<Command> out;
    while (const auto command = planner.next_command()) out.push_back(*command);
    return out;
  }
  // Lets the first fetch be slow for so long that a second is asked for.
  Command second(bool can_split = true) {
    planner.begin({0, planner.length()}, can_split, Micros(100), now);
    for (int i = 0; i < 60; ++i) {
      now += Millis(1);
      planner.progress(1, 8 * kKiB, now);
      planner.tick(now);
    }
    for (const Command& command : commands()) {
      if (command.kind == Kind::Start) return command;
    }
    return {};
  }
  OriginMemory memory;
  core::TimePoint now = core::TimePoint(std::chrono::hours(1));
  Planner planner;
};

TEST(Planner, LimitsTheOriginalWhenItHandsOutTheRest) {
  Drive drive(100 * kMiB);
  const Command start = drive.second();
  ASSERT_EQ(start.fetch, 2u);
  EXPECT_FALSE(start.whole);
  EXPECT_EQ(start.range.first % (64 * kKiB), 0u);
  EXPECT_EQ(drive.planner.fetches()[0].range.last, start.range.first);
}

TEST(Planner, WindsTheOriginalDownOnceFurtherFetchesPay) {
  Drive drive(100 * kMiB, {.max_fetches = 2});
  const Command start = drive.second();
  const auto winds_down = [](const Command& command) { return command.kind == Kind::WindDown; };
  drive.planner.head(start.fetch, drive.now);
  std::vector<Command> commands = drive.commands();
  EXPECT_TRUE(std::none_of(commands.begin(), commands.end(), winds_down));  // it may be needed yet
  commands.clear();
  for (int i = 0; i < 100 && std::none_of(commands.begin(), commands.end(), winds_down); ++i) {
    drive.now += Millis(1);
    drive.planner.progress(1, 8 * kKiB, drive.now);
    drive.planner.progress(start.fetch, 8 * kKiB, drive.now);
    drive.planner.tick(drive.now);
    commands = drive.commands();
  }
  ASSERT_EQ(std::count_if(commands.begin(), commands.end(), winds_down), 1);
  EXPECT_EQ(std::find_if(commands.begin(), commands.end(), winds_down)->fetch, 1u);
  // It ended early: what it was to bring is fetched by another, at once.
  const uint64_t from = drive.planner.fetches()[0].position;
  drive.planner.failed(1, Failure::Broken, {}, drive.now);
  commands = drive.commands();
  ASSERT_FALSE(commands.empty());
  EXPECT_EQ(commands[0].kind, Kind::Start);
  EXPECT_EQ(commands[0].range.first, from);
}

TEST(Planner, GoesOnPastTheLimitWhenNobodyTookWhatFollows) {
  Drive drive(100 * kMiB);
  const Command start = drive.second();
  drive.planner.failed(start.fetch, Failure::Refused, std::chrono::seconds(60), drive.now);
  drive.commands();
  const auto view = drive.planner.fetches()[0];
  drive.planner.progress(1, view.range.last - view.position, drive.now);
  const auto commands = drive.commands();
  ASSERT_EQ(commands.size(), 1u);
  EXPECT_EQ(commands[0].kind, Kind::Limit);
  EXPECT_GT(commands[0].range.last, view.range.last);
}

TEST(Planner, RemembersARefusalForAsLongAsTheOriginAsks) {
  Drive drive(100 * kMiB, {.max_fetches = 2});
  const Command start = drive.second();
  drive.planner.failed(start.fetch, Failure::Refused, std::chrono::seconds(7), drive.now);
  EXPECT_EQ(drive.memory.allowed, 1u);
  EXPECT_EQ(drive.memory.allowed_until, drive.now + std::chrono::seconds(7));
  EXPECT_EQ(drive.planner.target(), 1u);
}

TEST(Planner, WaitsRetryAfterWhenNothingElseRuns) {
  Drive drive(100 * kMiB);
  drive.planner.begin_cold(true, Micros(100), drive.now);
  ASSERT_EQ(drive.commands().size(), 1u);
  drive.planner.failed(1, Failure::Refused, std::chrono::seconds(3), drive.now);
  EXPECT_TRUE(drive.commands().empty());
  ASSERT_EQ(drive.planner.wake_at(), drive.now + std::chrono::seconds(3));
  drive.planner.tick(drive.now + Millis(2999));
  EXPECT_TRUE(drive.commands().empty());
  drive.planner.tick(drive.now + std::chrono::seconds(3));
  const auto commands = drive.commands();
  ASSERT_EQ(commands.size(), 1u);
  EXPECT_EQ(commands[0].kind, Kind::Start);
}

TEST(Planner, FailsWhenTheOriginWantsToBeLeftAloneForTooLong) {
  Drive drive(100 * kMiB);
  drive.planner.begin_cold(true, Micros(100), drive.now);
  drive.planner.failed(1, Failure::Refused, std::chrono::hours(1), drive.now);
  EXPECT_EQ(drive.planner.status(), Status::Failed);
}

TEST(Planner, FailsAfterTooManyFailuresInARowAndWaitsLongerEachTime) {
  Drive drive(100 * kMiB);
  drive.planner.begin_cold(true, Micros(100), drive.now);
  core::Duration last_wait{};
  for (int i = 0; i < 100 && drive.planner.status() == Status::Running; ++i) {
    const auto commands = drive.commands();
    if (commands.empty()) {
      const core::Duration wait = *drive.planner.wake_at() - drive.now;
      EXPECT_GE(wait, last_wait);
      last_wait = wait;
      drive.now += wait;
      drive.planner.tick(drive.now);
      continue;
    }
    drive.planner.failed(commands[0].fetch, Failure::Broken, {}, drive.now);
  }
  EXPECT_EQ(drive.planner.status(), Status::Failed);
  EXPECT_GT(last_wait, Millis(500));
}

TEST(Planner, LetsTheOriginalBringAllWhenEveryFurtherFetchFails) {
  Drive drive(100 * kMiB);
  drive.planner.begin({0, 100 * kMiB}, true, Micros(100), drive.now);
  unsigned starts = 0;
  for (int i = 0; i < 100000 && drive.planner.status() == Status::Running; ++i) {
    drive.now += Millis(1);
    drive.planner.progress(1, 8 * kKiB, drive.now);
    drive.planner.tick(drive.now);
    for (const Command& command : drive.commands()) {
      if (command.kind != Kind::Start) continue;
      ++starts;
      drive.planner.failed(command.fetch, Failure::Broken, {}, drive.now);
    }
  }
  EXPECT_EQ(drive.planner.status(), Status::Complete);
  EXPECT_EQ(drive.planner.fetched(), 100 * kMiB);
  EXPECT_LE(starts, 32u);
}

TEST(Planner, IgnoresEventsOfFetchesItDoesNotKnow) {
  Drive drive(10 * kMiB);
  drive.planner.begin({0, 10 * kMiB}, true, Micros(100), drive.now);
  drive.planner.progress(99, kMiB, drive.now);
  drive.planner.head(99, drive.now);
  drive.planner.finished(99, drive.now);
  drive.planner.failed(99, Failure::Broken, {}, drive.now);
  EXPECT_EQ(drive.planner.fetched(), 0u);
  EXPECT_EQ(drive.planner.live(), 1u);
}

TEST(Planner, TakesAFetchThatEndsTooEarlyForBroken) {
  Drive drive(10 * kMiB);
  drive.planner.begin({0, 10 * kMiB}, true, Micros(100), drive.now);
  drive.planner.progress(1, kMiB, drive.now);
  drive.planner.finished(1, drive.now);
  const auto commands = drive.commands();
  ASSERT_EQ(commands.size(), 1u);
  EXPECT_EQ(commands[0].kind, Kind::Start);
  EXPECT_EQ(commands[0].range.first, kMiB);
}

TEST(Planner, WhoBringsAByteFirstWinsTheRace) {
  for (const bool hedge_wins : {true, false}) {
    Drive drive(100 * kMiB);
    drive.second();
    drive.now += Millis(1500);
    drive.planner.tick(drive.now);
    FetchId hedge = 0, original = 0;
    for (const auto& view : drive.planner.fetches()) {
      if (view.is_hedge) hedge = view.id;
    }
    ASSERT_NE(hedge, 0u);
    for (const Command& command : drive.commands()) {
      if (command.kind != Kind::Start || command.fetch != hedge) continue;
      for (const auto& view : drive.planner.fetches()) {
        if (!view.is_hedge && view.position == command.range.first) original = view.id;
      }
    }
    ASSERT_NE(original, 0u);
    const FetchId winner = hedge_wins ? hedge : original, loser = hedge_wins ? original : hedge;
    const uint64_t before = drive.planner.fetched();
    drive.planner.progress(winner, 4 * kKiB, drive.now);
    EXPECT_EQ(drive.planner.fetched(), before + 4 * kKiB);
    bool is_cancelled = false;
    for (const Command& command : drive.commands()) {
      is_cancelled |= command.kind == Kind::Cancel && command.fetch == loser;
    }
    EXPECT_TRUE(is_cancelled);
  }
}

TEST(Planner, MoreMayBeWantedAlsoWhenAllWasThere) {
  OriginMemory memory;
  const core::TimePoint now = core::TimePoint(std::chrono::hours(1));
  const std::vector<ByteRange> present{{0, 10 * kMiB}};
  Planner planner({}, 10 * kMiB, present, memory);
  planner.begin_cold(true, {}, now);
  EXPECT_EQ(planner.status(), Status::Complete);
  while (planner.next_command()) {
  }
  planner.want({4 * kMiB, 5 * kMiB}, now);
  EXPECT_EQ(planner.status(), Status::Running);
  auto command = planner.next_command();
  ASSERT_TRUE(command);
  EXPECT_EQ(command->range, (ByteRange{4 * kMiB, 5 * kMiB}));
  // What is on its way already is not asked for twice.
  planner.want({3 * kMiB, 6 * kMiB}, now);
  EXPECT_FALSE(planner.next_command());
  ASSERT_EQ(planner.gaps().size(), 2u);
  EXPECT_EQ(planner.gaps()[0], (ByteRange{3 * kMiB, 4 * kMiB}));
  EXPECT_EQ(planner.gaps()[1], (ByteRange{5 * kMiB, 6 * kMiB}));
  planner.progress(command->fetch, kMiB, now);
  planner.finished(command->fetch, now);
  command = planner.next_command();
  ASSERT_TRUE(command);
  EXPECT_EQ(command->range, (ByteRange{3 * kMiB, 4 * kMiB}));
}

TEST(Planner, IsCompleteAtOnceWhenAllIsPresent) {
  Drive drive(kMiB, {}, {{0, kMiB}});
  drive.planner.begin_cold(true, Micros(100), drive.now);
  EXPECT_EQ(drive.planner.status(), Status::Complete);
  EXPECT_FALSE(drive.planner.wake_at());
}

// ---- Any sequence of events

class RandomEvents {
 public:
  explicit RandomEvents(unsigned seed) : random_(seed) {}

  void run() {
    const uint64_t length = 1 + pick(64) * kMiB + pick(1000);
    PlannerSettings settings;
    settings.max_fetches = 1 + static_cast<unsigned>(pick(8));
    settings.max_failures = 1u << 30;
    if (pick(3) == 0) settings.piece_size = (1 + pick(64)) * 64 * kKiB;
    std::vector<ByteRange> present;
    for (uint64_t at = pick(length); pick(3) != 0 && at < length; at += 1 + pick(length / 4 + 1)) {
      const uint64_t last = std::min(length, at + 1 + pick(length / 8 + 1));
      present.push_back({at, last});
      at = last;
    }
    OriginMemory memory;
    Planner planner(settings, length, present, memory);
    have_.assign(present.begin(), present.end());
    const bool can_split = pick(4) != 0;
    if (pick(2) == 0) {
      planner.begin_cold(can_split, Micros(pick(100000)), now_);
    } else {
      const FetchId id = planner.begin({0, length}, can_split, Micros(pick(100000)), now_);
      live_[id] = {{0, planner.fetches()[0].range.last}, 0};
    }
    take(planner);
    const int events = static_cast<int>(pick(600));
    for (int i = 0; i < events && planner.status() == Status::Running; ++i) step(planner, true);
    for (int i = 0; i < 200000 && planner.status() == Status::Running; ++i) step(planner, false);
    ASSERT_EQ(planner.status(), Status::Complete);
    uint64_t at = 0;
    std::sort(have_.begin(), have_.end(), [](auto& a, auto& b) { return a.first < b.first; });
    for (const ByteRange& range : have_) {
      ASSERT_LE(range.first, at) << "a byte was lost";
      at = std::max(at, range.last);
    }
    ASSERT_EQ(at, length);
  }

 private:
  struct Fetch {
    ByteRange range;
    uint64_t position;
  };

  uint64_t pick(uint64_t n) { return std::uniform_int_distribution<uint64_t>(0, n - 1)(random_); }

  void take(Planner& planner) {
    while (const auto command = planner.next_command()) {
      switch (command->kind) {
        case Kind::Start:
          ASSERT_LT(command->range.first, command->range.last);
          ASSERT_LE(command->range.last, planner.length());
          ASSERT_TRUE(
              live_.emplace(command->fetch, Fetch{command->range, command->range.first}).second);
          break;
        case Kind::Limit:
          if (!live_.count(command->fetch)) break;
          ASSERT_GE(command->range.last, live_[command->fetch].position);
          live_[command->fetch].range.last = command->range.last;
          break;
        case Kind::WindDown:
          break;
        case Kind::Cancel:
          live_.erase(command->fetch);
          break;
      }
    }
    check(planner);
  }

  // Live ranges and gaps are disjoint but for hedges, and with what was delivered they are
  // everything.
  void check(const Planner& planner) {
    std::vector<ByteRange> owned(planner.gaps().begin(), planner.gaps().end());
    for (const auto& view : planner.fetches()) {
      ASSERT_TRUE(live_.count(view.id)) << "a fetch that nobody was told of";
      ASSERT_EQ(live_[view.id].range.last, view.range.last);
      if (!view.is_hedge && view.position < view.range.last)
        owned.push_back({view.position, view.range.last});
    }
    std::sort(owned.begin(), owned.end(), [](auto& a, auto& b) { return a.first < b.first; });
    for (size_t i = 1; i < owned.size(); ++i)
      ASSERT_LE(owned[i - 1].last, owned[i].first) << "two owners";
  }

  void step(Planner& planner, bool hostile) {
    now_ += Micros(pick(hostile ? 300000 : 20000));
    const uint64_t offsets[] = {pick(planner.length())};
    if (pick(8) == 0) planner.readers(offsets);
    if (pick(4) == 0 || live_.empty()) {
      if (live_.empty()) now_ = std::max(now_, planner.wake_at().value_or(now_));
      planner.tick(now_);
      return take(planner);
    }
    auto at = live_.begin();
    std::advance(at, static_cast<long>(pick(live_.size())));
    const FetchId id = at->first;
    Fetch& fetch = at->second;
    const uint64_t left = fetch.range.last - fetch.position;
    const uint64_t action = hostile ? pick(10) : 5;
    if (action == 0) {
      live_.erase(at);
      planner.failed(id, static_cast<Failure>(pick(3)), Millis(pick(2000)), now_);
    } else if (action == 1) {
      planner.head(id, now_);
    } else if (action == 2 && left > 0) {
      live_.erase(at);
      planner.finished(id, now_);  // too early
    } else if (left > 0) {
      const uint64_t bytes = 1 + pick(std::min<uint64_t>(left, hostile ? 700 * kKiB : 4 * kMiB));
      have_.push_back({fetch.position, fetch.position + bytes});
      fetch.position += bytes;
      planner.progress(id, bytes, now_);
      take(planner);
      const auto again = live_.find(id);
      if (again != live_.end() && again->second.position == again->second.range.last &&
          pick(2) == 0) {
        live_.erase(again);
        planner.finished(id, now_);
      }
    } else {
      live_.erase(at);
      planner.finished(id, now_);
    }
    take(planner);
  }

  std::mt19937 random_;
  core::TimePoint now_ = core::TimePoint(std::chrono::hours(1));
  std::map<FetchId, Fetch> live_;
  std::vector<ByteRange> have_;
};

TEST(PlannerProperties, AnySequenceOfEventsKeepsEveryByteWithOneOwnerAndCompletes) {
  for (unsigned seed = 0; seed < 500; ++seed) {
    SCOPED_TRACE(seed);
    RandomEvents(seed).run();
    if (testing::Test::HasFatalFailure()) return;
  }
}

}  // namespace
}  // namespace tributary::upstream
