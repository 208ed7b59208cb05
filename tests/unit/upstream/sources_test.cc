// The planner with several sources of one object, in virtual time: what each delivers decides who is asked.  P-6
#include <gtest/gtest.h>

#include "unit/upstream/planner_simulator.h"
#include "upstream/planner.h"

namespace tributary::upstream {
namespace {

using Status = Planner::Status;

#define EXPECT_DOWNLOADED(simulator)                   \
  do {                                                 \
    EXPECT_EQ((simulator).run(), Status::Complete);    \
    EXPECT_TRUE((simulator).has_all());                \
  } while (false)

VirtualOrigin capped(double total) {
  VirtualOrigin origin;
  origin.per_connection = total;
  origin.total = total;
  origin.burst = 0;
  return origin;
}

TEST(Sources, TheRatesOfCappedSourcesAddUp) {
  Simulator simulator(capped(20.0 * kMiB), 400 * kMiB);
  simulator.add_source(capped(20.0 * kMiB));
  simulator.add_source(capped(20.0 * kMiB));
  EXPECT_DOWNLOADED(simulator);
  EXPECT_LT(simulator.seconds(), 7.2);  // ideal 6.67, with one 20
  for (SourceId source = 0; source < 3; ++source) EXPECT_GT(simulator.brought_by(source), 110 * kMiB);
  EXPECT_EQ(simulator.wasted(), 0u);
}

TEST(Sources, EachBringsAsMuchAsItServes) {
  Simulator simulator(capped(4.0 * kMiB), 400 * kMiB);
  simulator.add_source(capped(40.0 * kMiB));
  simulator.add_source(capped(16.0 * kMiB));
  EXPECT_DOWNLOADED(simulator);
  EXPECT_LT(simulator.seconds(), 8.5);  // ideal 6.67, the best alone 10
  EXPECT_GT(simulator.brought_by(1), simulator.brought_by(2));
  EXPECT_GT(simulator.brought_by(2), simulator.brought_by(0));
}

TEST(Sources, ASlowSourceDoesNotHoldTheEnd) {
  Simulator simulator(capped(40.0 * kMiB), 400 * kMiB);
  simulator.add_source(capped(0.25 * kMiB));
  EXPECT_DOWNLOADED(simulator);
  EXPECT_LT(simulator.seconds(), 10.5);  // alone 10
  EXPECT_LT(simulator.requests_to(1), 12u);
}

TEST(Sources, ASlowFirstSourceIsLeftForAFastOne) {
  Simulator simulator(capped(0.25 * kMiB), 400 * kMiB);
  simulator.add_source(capped(40.0 * kMiB));
  EXPECT_DOWNLOADED(simulator);
  EXPECT_LT(simulator.seconds(), 11.5);  // ideal 9.9, less what finding out costs
}

TEST(Sources, TheFastOneIsFoundAmongManySlowOnes) {
  Simulator simulator(capped(1.0 * kMiB), 200 * kMiB);
  for (int i = 0; i < 4; ++i) simulator.add_source(capped(0.5 * kMiB));
  simulator.add_source(capped(50.0 * kMiB));
  EXPECT_DOWNLOADED(simulator);
  EXPECT_LT(simulator.seconds(), 5.0);  // ideal 3.8
}

TEST(Sources, ASourceThatBecomesSlowMidwayIsLeft) {
  VirtualOrigin failing = capped(40.0 * kMiB);
  Simulator* view = nullptr;
  failing.rate_of = [&](FetchId) { return view->elapsed() < Millis(1000) ? 40.0 * kMiB : 0.1 * kMiB; };
  Simulator simulator(failing, 400 * kMiB);
  view = &simulator;
  simulator.add_source(capped(40.0 * kMiB));
  EXPECT_DOWNLOADED(simulator);
  EXPECT_LT(simulator.seconds(), 10.0);  // ideal 9
}

TEST(Sources, ASourceThatRefusesEverythingIsDroppedAndTheOthersGoOnAtOnce) {
  Simulator simulator(capped(20.0 * kMiB), 200 * kMiB);
  VirtualOrigin dead;
  dead.max_connections = 0;
  const SourceId id = simulator.add_source(dead);
  simulator.add_source(capped(20.0 * kMiB));
  EXPECT_DOWNLOADED(simulator);
  EXPECT_EQ(simulator.requests_to(id), Ranking::kMaxFailures);
  EXPECT_LT(simulator.seconds(), 5.5);  // ideal 5
}

TEST(Sources, ASourceThatNeverAnswersIsHedgedByAnotherAndDropped) {
  Simulator simulator(capped(20.0 * kMiB), 400 * kMiB);
  VirtualOrigin silent;
  silent.stalls_at = [](FetchId) { return std::optional<core::Duration>(core::Duration{}); };
  const SourceId id = simulator.add_source(silent);
  simulator.add_source(capped(20.0 * kMiB));
  EXPECT_DOWNLOADED(simulator);
  EXPECT_EQ(simulator.brought_by(id), 0u);
  EXPECT_LE(simulator.requests_to(id), Ranking::kMaxFailures);
  EXPECT_LT(simulator.seconds(), 11.5);  // ideal 10
}

TEST(Sources, ASourceThatIgnoresRangesIsDroppedAndSplittingGoesOn) {
  Simulator simulator(capped(20.0 * kMiB), 200 * kMiB);
  VirtualOrigin ignorant = capped(20.0 * kMiB);
  ignorant.ignores_ranges = true;
  const SourceId id = simulator.add_source(ignorant);
  simulator.add_source(capped(20.0 * kMiB));
  EXPECT_DOWNLOADED(simulator);
  EXPECT_EQ(simulator.requests_to(id), 1u);
  EXPECT_EQ(simulator.brought_by(id), 0u);
  EXPECT_LT(simulator.seconds(), 5.6);
  EXPECT_FALSE(simulator.memory.ignores_ranges);
}

TEST(Sources, TheOthersFinishWhatADyingFirstSourceBegan) {
  VirtualOrigin dying = capped(20.0 * kMiB);
  dying.dies_after = [](FetchId id) { return std::optional<uint64_t>(id == 1 ? 30 * kMiB : 0); };
  Simulator simulator(dying, 400 * kMiB);
  simulator.add_source(capped(20.0 * kMiB));
  EXPECT_DOWNLOADED(simulator);
  EXPECT_LE(simulator.requests_to(0), 8u);  // those that were under way with it
  EXPECT_LT(simulator.seconds(), 20.0);
}

TEST(Sources, WhatALiarBroughtIsFetchedAgainFromOthers) {
  Simulator simulator(capped(20.0 * kMiB), 200 * kMiB);
  const SourceId liar = simulator.add_source(capped(20.0 * kMiB));
  simulator.add_source(capped(20.0 * kMiB));
  uint64_t until_then = 0;
  simulator.on_step = [&](core::Duration elapsed) {
    if (elapsed != Millis(1500)) return;
    until_then = simulator.brought_by(liar);
    simulator.unmask(liar);
  };
  EXPECT_DOWNLOADED(simulator);
  EXPECT_GT(until_then, 0u);
  EXPECT_EQ(simulator.brought_by(liar), until_then);  // nothing more is asked of it
  EXPECT_LT(simulator.seconds(), 6.2);
}

TEST(Sources, WhenAllAreDroppedTheDownloadFails) {
  Simulator simulator(capped(20.0 * kMiB), 200 * kMiB);
  simulator.add_source(capped(20.0 * kMiB));
  simulator.on_step = [&](core::Duration elapsed) {
    if (elapsed == Millis(1000)) simulator.unmask(1);
    if (elapsed == Millis(1100)) simulator.unmask(0);
  };
  EXPECT_EQ(simulator.run(), Status::Failed);
}

TEST(Sources, WhenTheLastFetchOfADroppedSourceEndsTheDownloadFails) {
  OriginMemory first, second;
  Planner planner({}, 100 * kMiB, {}, first);
  planner.add_source(second);
  const core::TimePoint now{};
  const FetchId original = planner.begin({0, 100 * kMiB}, true, std::chrono::milliseconds(10), now);
  planner.drop_source(0, false, now);  // it has no validator: what runs is of use
  planner.drop_source(1, true, now);
  while (planner.next_command()) {
  }
  EXPECT_EQ(planner.status(), Status::Running);
  planner.failed(original, Failure::Broken, {}, now);
  EXPECT_EQ(planner.status(), Status::Failed);
}

TEST(Sources, AllFailingEndsInFailureNotInEndlessRetries) {
  VirtualOrigin dead;
  dead.max_connections = 0;
  Simulator simulator(dead, 200 * kMiB);
  simulator.cold = true;
  for (int i = 0; i < 3; ++i) simulator.add_source(dead);
  EXPECT_EQ(simulator.run(), Status::Failed);
  EXPECT_LE(simulator.requests(), 4 * Ranking::kMaxFailures + 8);
}

TEST(Sources, OneThatIsNotToBeSplitUsesAnotherWhenTheFirstDies) {
  VirtualOrigin dying = capped(20.0 * kMiB);
  dying.dies_after = [](FetchId id) { return std::optional<uint64_t>(id == 1 ? 30 * kMiB : 0); };
  PlannerSettings settings;
  settings.max_fetches = 1;
  Simulator simulator(dying, 100 * kMiB, settings);
  simulator.add_source(capped(20.0 * kMiB));
  EXPECT_DOWNLOADED(simulator);
  EXPECT_EQ(simulator.most_live(), 1u);
}

}  // namespace
}  // namespace tributary::upstream
