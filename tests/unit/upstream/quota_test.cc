// The quota alone: order, cancelling, and many threads at once. S3-2.1, S3-2.2.
#include "upstream/quota.h"

#include <gtest/gtest.h>

#include <memory>
#include <thread>
#include <vector>

namespace tributary::upstream {
namespace {

Origin host(const std::string& name) { return {http::Scheme::Http, 80, name, 0}; }

struct Worker {
  explicit Worker(Quota& quota) : member(loop, quota, core::Callback<void()>::to<&Worker::on_demand>(this)) {}
  void on_demand() { ++demands; }
  core::Loop loop;
  int demands = 0;
  Quota::Member member;
};

struct Waiting {
  explicit Waiting(Worker& worker) : ticket(worker.member) {}
  void wait(const Origin& origin, std::vector<int>* its_order = nullptr, int its_number = 0) {
    order = its_order;
    number = its_number;
    ticket.wait(origin, core::Callback<void()>::to<&Waiting::on_granted>(this));
  }
  void on_granted() {
    place = ticket.take();
    if (order) order->push_back(number);
  }
  Quota::Place place;
  Quota::Ticket ticket;
  std::vector<int>* order = nullptr;
  int number = 0;
};

TEST(Quota, GrantsUpToTheLimitsAndNotBeyond) {
  Quota quota({.total = 3, .per_host = 2});
  std::vector<Quota::Place> places;
  for (const char* name : {"a", "a", "a", "b", "b"}) {
    Quota::Place place = quota.try_acquire(host(name));
    if (place) places.push_back(std::move(place));
  }
  EXPECT_EQ(places.size(), 3u);
  EXPECT_EQ(quota.in_use(host("a")), 2u);
  EXPECT_EQ(quota.in_use(host("b")), 1u);
  places.clear();
  EXPECT_EQ(quota.in_use(), 0u);
}

TEST(Quota, HandsPlacesOnInTheOrderOfAskingAcrossWorkers) {
  Quota quota({.total = 10, .per_host = 1});
  Worker one(quota), two(quota);
  Quota::Place held = quota.try_acquire(host("a"));
  std::vector<int> order;
  std::vector<std::unique_ptr<Waiting>> waiting;
  for (int i = 0; i < 6; ++i) {
    waiting.push_back(std::make_unique<Waiting>(i % 2 ? one : two));
    waiting.back()->wait(host("a"), &order, i);
  }
  EXPECT_FALSE(quota.try_acquire(host("a"))) << "nobody overtakes";
  EXPECT_TRUE(quota.try_acquire(host("b"))) << "another origin is not held up";
  held.reset();
  for (int i = 0; i < 6; ++i) {
    one.loop.run_once();
    two.loop.run_once();
    ASSERT_EQ(order.size(), static_cast<size_t>(i) + 1);
    waiting[static_cast<size_t>(i)]->place.reset();
  }
  EXPECT_EQ(order, (std::vector<int>{0, 1, 2, 3, 4, 5}));
}

TEST(Quota, TheTotalGoesToTheOldestWaiterThatMayHaveIt) {
  Quota quota({.total = 2, .per_host = 1});
  Worker worker(quota);
  Quota::Place a = quota.try_acquire(host("a")), b = quota.try_acquire(host("b"));
  std::vector<int> order;
  Waiting again_a(worker), first_c(worker);
  again_a.wait(host("a"), &order, 1);
  first_c.wait(host("c"), &order, 2);
  b.reset();
  worker.loop.run_once();
  EXPECT_EQ(order, std::vector<int>{2}) << "the older one waits for its own origin, not for the total";
  a.reset();
  worker.loop.run_once();
  EXPECT_EQ(order, (std::vector<int>{2, 1}));
}

TEST(Quota, AGrantThatIsNotTakenGoesToTheNext) {
  Quota quota({.total = 1, .per_host = 1});
  Worker worker(quota);
  Quota::Place held = quota.try_acquire(host("a"));
  auto first = std::make_unique<Waiting>(worker);
  Waiting second(worker);
  first->wait(host("a"));
  second.wait(host("a"));
  held.reset();   // granted to the first, whose callback has not run
  first.reset();
  worker.loop.run_once();
  EXPECT_TRUE(second.place);
  EXPECT_EQ(quota.waiting(), 0u);
}

TEST(Quota, WhoBeginsToWaitHasIdleConnectionsLookedAt) {
  Quota quota({.total = 1, .per_host = 1});
  Worker idle(quota), asking(quota);
  Quota::Place place = quota.try_acquire(host("a"));
  idle.member.set_idle(1);
  Quota::Ticket* to = nullptr;
  EXPECT_EQ(quota.settle_idle(idle.member, place, &to), Quota::Idle::Keep);
  Waiting waiting(asking);
  waiting.wait(host("b"));
  idle.loop.run_once();
  EXPECT_EQ(idle.demands, 1);
  EXPECT_EQ(quota.settle_idle(idle.member, place, &to), Quota::Idle::Close);
  place.reset();
  asking.loop.run_once();
  EXPECT_TRUE(waiting.place);
}

TEST(Quota, AConnectionIsHandedToAWaiterOfTheSameWorkerWithoutAPlaceOfItsOwn) {
  Quota quota({.total = 1, .per_host = 1});
  Worker worker(quota);
  Quota::Place place = quota.try_acquire(host("a"));
  Waiting waiting(worker);
  waiting.wait(host("a"));
  Quota::Ticket* to = nullptr;
  EXPECT_EQ(quota.settle_idle(worker.member, place, &to), Quota::Idle::HandOver);
  EXPECT_EQ(to, &waiting.ticket);
  EXPECT_EQ(quota.waiting(), 0u);
  EXPECT_EQ(quota.in_use(), 1u);
}

// For tsan: workers open, wait, give up and close, all at once.
TEST(Quota, HoldsUnderManyThreads) {
  Quota quota({.total = 6, .per_host = 3});
  std::atomic<int> open{0}, most{0}, granted{0};
  const auto enter = [&] {
    const int now = ++open;
    int seen = most.load();
    while (now > seen && !most.compare_exchange_weak(seen, now)) {
    }
  };
  std::vector<std::unique_ptr<Worker>> workers;
  for (int i = 0; i < 4; ++i) workers.push_back(std::make_unique<Worker>(quota));
  std::vector<std::thread> threads;
  for (uint32_t number = 0; number < 4; ++number) {
    threads.emplace_back([&, number] {
      Worker& worker = *workers[number];
      uint32_t seed = number + 1;
      const auto random = [&](uint32_t below) {
        seed = seed * 1664525 + 1013904223;
        return (seed >> 8) % below;
      };
      struct Using {
        explicit Using(Worker& on) : waiting(on) {}
        Waiting waiting;
        bool counted = false;
      };
      std::vector<std::unique_ptr<Using>> users;
      const auto look = [&] {
        for (auto& user : users) {
          if (user->waiting.place && !user->counted) {
            user->counted = true;
            ++granted;
            enter();
          }
        }
      };
      for (int step = 0; step < 3000; ++step) {
        if (users.size() < 8 && random(2)) {
          users.push_back(std::make_unique<Using>(worker));
          users.back()->waiting.wait(host(random(2) ? "a" : "b"));
        } else if (!users.empty()) {
          const size_t index = random(static_cast<uint32_t>(users.size()));
          look();
          if (users[index]->counted) --open;
          users.erase(users.begin() + static_cast<ptrdiff_t>(index));
        }
        worker.loop.run_once();
        look();
      }
      for (auto& user : users) {
        if (user->counted) --open;
        user.reset();
      }
      worker.loop.run_once();
    });
  }
  for (std::thread& thread : threads) thread.join();
  EXPECT_LE(most.load(), 6);
  EXPECT_GT(granted.load(), 0);
  EXPECT_EQ(quota.in_use(), 0u);
  EXPECT_EQ(quota.waiting(), 0u);
}

TEST(DownloadLimits, CountDownloadsAndFetchesPerOrigin) {
  DownloadLimits limits(2, 3);
  std::vector<DownloadLimits::Slot> slots;
  slots.push_back(limits.try_download());
  slots.push_back(limits.try_download());
  EXPECT_FALSE(limits.try_download());
  slots.pop_back();
  EXPECT_TRUE(limits.try_download());
  for (int i = 0; i < 3; ++i) slots.push_back(limits.try_fetch(host("a")));
  EXPECT_TRUE(slots.back());
  EXPECT_FALSE(limits.try_fetch(host("a")));
  EXPECT_TRUE(limits.try_fetch(host("b")));
  slots.pop_back();
  EXPECT_TRUE(limits.try_fetch(host("a")));
}

}  // namespace
}  // namespace tributary::upstream
