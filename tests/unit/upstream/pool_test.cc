// Kept connections: reuse, death, limits, and the queue. S0-1.13, S0-1.14, S1-5, S1-6, S3-2.1 to S3-2.3, S3-2.7 to S3-2.9.
#include "upstream/pool.h"

#include <thread>

#include "unit/upstream/fixture.h"

namespace tributary::upstream::test {
namespace {

using http::Method;
using std::chrono::milliseconds;

class PoolTest : public UpstreamTest {
 protected:
  // Answers at once, but for targets that begin with "/hold": those wait for answer_held().
  void serve(TestOrigin& origin) {
    origin.on_request = [this](TestOrigin::Peer& peer, const std::string& head) {
      order_.push_back(head.substr(4, head.find(' ', 4) - 4));
      if (head.starts_with("GET /hold")) {
        held_.push_back(&peer);
      } else {
        peer.send(response("ok"));
      }
    };
  }
  void answer_held() {
    for (TestOrigin::Peer* peer : std::exchange(held_, {})) peer->send(response("held"));
  }
  PoolTest() { serve(origin_); }

  TestOrigin origin_{loop_};
  std::vector<TestOrigin::Peer*> held_;
  std::vector<std::string> order_;
};

TEST_F(PoolTest, AConnectionIsUsedAgain) {
  for (int i = 0; i < 100; ++i) {
    Call call;
    run(call, at(origin_));
    EXPECT_EQ(call.body, "ok");
    EXPECT_EQ(call.exchange->timing().reused, i > 0);
  }
  EXPECT_EQ(origin_.accepted, 1u);
  EXPECT_EQ(counter("tributary_upstream_reuse_total"), 99u);
  EXPECT_EQ(counter("tributary_upstream_connects_total", {"http", "ok"}), 1u);
  EXPECT_EQ(counter("tributary_upstream_connections", {"idle"}), 1u);
  EXPECT_EQ(counter("tributary_upstream_connections", {"active"}), 0u);
}

TEST_F(PoolTest, TheConnectionIsFreeBeforeAShortResponseIsLookedAt) {
  Call second;
  Call first;
  first.on_head_hook = [&] { start(second, at(origin_), get("/second")); };
  start(first, at(origin_), get());
  until([&] { return second.is_over(); });
  EXPECT_EQ(origin_.accepted, 1u);
  EXPECT_EQ(first.body, "ok");
}

TEST_F(PoolTest, OriginsDoNotShareConnections) {
  TestOrigin other(loop_);
  serve(other);
  Call a, b, c;
  run(a, at(origin_));
  run(b, at(other));
  EXPECT_EQ(other.accepted, 1u);
  Origin renamed = at(origin_);
  renamed.tls_identity = 7;
  run(c, renamed);
  EXPECT_EQ(origin_.accepted, 2u) << "another identity never gets the same connection";
  EXPECT_EQ(client().snapshot().hosts.size(), 3u);
}

TEST_F(PoolTest, TheMostRecentlyUsedConnectionGoesFirst) {
  Call a, b;
  start(a, at(origin_), get("/hold1"));
  start(b, at(origin_), get("/hold2"));
  until([&] { return held_.size() == 2; });
  const bool in_order = order_[0] == "/hold1";
  TestOrigin::Peer* last = held_[in_order ? 1 : 0];
  held_[in_order ? 0 : 1]->send(response("1"));
  until([&] { return a.is_over(); });
  last->send(response("2"));
  until([&] { return b.is_over(); });
  for (int i = 0; i < 3; ++i) {
    Call call;
    run(call, at(origin_));
  }
  EXPECT_EQ(last->requests, 4);
}

TEST_F(PoolTest, ADeadConnectionIsNoticedBeforeUse) {
  for (const bool by_reset : {false, true}) {
    Call first;
    run(first, at(origin_));
    by_reset ? origin_.last_peer().reset() : origin_.last_peer().close();
    until([&] { return client().idle() == 0; });
    Call second;
    run(second, at(origin_), get("/", Method::Post));
    EXPECT_EQ(second.body, "ok");
  }
  EXPECT_EQ(counter("tributary_upstream_retries_total", {"stale"}), 0u);
}

TEST_F(PoolTest, AConnectionThatSpeaksUnaskedIsNotUsedAgain) {
  Call first;
  run(first, at(origin_));
  origin_.last_peer().send("HTTP/1.1 200 OK\r\nContent-Length: 4\r\n\r\nevil");
  until([&] { return client().idle() == 0; });
  Call second;
  run(second, at(origin_));
  EXPECT_EQ(second.body, "ok");
}

// S3-2.7: whatever the method; the loop has not seen yet what the socket has.
TEST_F(PoolTest, AConnectionIsLookedAtRightBeforeItIsUsed) {
  for (const Method method : {Method::Get, Method::Post}) {
    Call first;
    run(first, at(origin_));
    ASSERT_EQ(client().idle(), 1u);
    origin_.last_peer().send("HTTP/1.1 408 Request Timeout\r\nContent-Length: 4\r\n\r\nevil");
    while (!origin_.last_peer().has_arrived()) std::this_thread::yield();
    Call second;
    run(second, at(origin_), get("/", method));
    EXPECT_EQ(second.status(), 200);
    EXPECT_EQ(second.body, "ok");
    EXPECT_FALSE(second.exchange->timing().reused);
  }
}

// S3-2.8
TEST_F(PoolTest, ARequestThatDiesOnAStaleConnectionIsSentOnceMore) {
  Call first;
  run(first, at(origin_));
  int died = 0;
  origin_.on_request = [&](TestOrigin::Peer& peer, const std::string&) {
    if (peer.number == 1) {
      ++died;
      peer.close();
    } else {
      peer.send(response("fresh"));
    }
  };
  Call second;
  run(second, at(origin_));
  EXPECT_EQ(second.body, "fresh");
  EXPECT_EQ(died, 1);
  EXPECT_FALSE(second.exchange->timing().reused);
  EXPECT_EQ(counter("tributary_upstream_retries_total", {"stale"}), 1u);
  EXPECT_EQ(shared().quota.in_use(), 1u);
}

TEST_F(PoolTest, AStaleConnectionIsReplacedOnlyOnceAndOnlyWhenSafe) {
  Call first;
  run(first, at(origin_));
  origin_.on_request = [&](TestOrigin::Peer& peer, const std::string&) { peer.close(); };
  Call get_call;
  run(get_call, at(origin_));
  EXPECT_TRUE(get_call.failed);
  EXPECT_EQ(get_call.error.code, core::ErrorCode::ConnectionReset);
  EXPECT_EQ(origin_.accepted, 2u);

  serve(origin_);
  Call again;
  run(again, at(origin_));
  origin_.on_request = [&](TestOrigin::Peer& peer, const std::string&) { peer.close(); };
  Call post;
  run(post, at(origin_), get("/", Method::Post));
  EXPECT_TRUE(post.failed) << "the origin may have acted on it";
  EXPECT_EQ(origin_.accepted, 3u);
}

TEST_F(PoolTest, AHalfResponseOnAKeptConnectionIsNoReasonToAskAgain) {
  Call first;
  run(first, at(origin_));
  origin_.on_request = [&](TestOrigin::Peer& peer, const std::string&) {
    peer.send("HTTP/1.1 200");
    peer.close();
  };
  Call second;
  run(second, at(origin_));
  EXPECT_TRUE(second.failed);
  EXPECT_EQ(origin_.requests, 2u);
}

TEST_F(PoolTest, ConnectionCloseIsHonouredInBothDirections) {
  origin_.on_request = [](TestOrigin::Peer& peer, const std::string&) {
    peer.send(response("x", "Connection: close\r\n"));
  };
  Call first;
  run(first, at(origin_));
  EXPECT_EQ(client().idle(), 0u);
  serve(origin_);
  http::RequestHead head = get();
  head.fields.add(http::FieldName::Connection, "close");
  Call second;
  run(second, at(origin_), head);
  EXPECT_EQ(client().idle(), 0u);
}

TEST_F(PoolTest, NoMoreThanTheAllowedConnectionsAreKeptIdle) {
  settings_.max_idle_per_host = 2;
  std::vector<std::unique_ptr<Call>> calls;
  for (int i = 0; i < 5; ++i) {
    calls.push_back(std::make_unique<Call>());
    start(*calls.back(), at(origin_), get("/hold"));
  }
  until([&] { return held_.size() == 5; });
  answer_held();
  until([&] { return std::all_of(calls.begin(), calls.end(), [](const auto& call) { return call->is_over(); }); });
  EXPECT_EQ(client().idle(), 2u);
  until([&] { return origin_.open == 2; });
  EXPECT_EQ(shared().quota.in_use(), 2u);
}

TEST_F(PoolTest, IdleConnectionsGoAfterTheirTime) {
  settings_.idle_timeout = milliseconds(30);
  Call call;
  run(call, at(origin_));
  EXPECT_EQ(client().idle(), 1u);
  until([&] { return origin_.open == 0; });
  EXPECT_EQ(client().idle(), 0u);
  call.exchange.reset();
  until([&] { return client().snapshot().hosts.empty(); });
}

TEST_F(PoolTest, OldConnectionsAreNotUsedAgain) {
  settings_.max_age = milliseconds(1);
  for (int i = 0; i < 3; ++i) {
    Call call;
    start(call, at(origin_), get("/hold"));
    until([&] { return held_.size() == 1; });
    const core::TimePoint later = core::Clock::now() + milliseconds(5);
    until([&] { return core::Clock::now() > later; });
    answer_held();
    until([&] { return call.is_over(); });
    EXPECT_EQ(client().idle(), 0u);
  }
}

TEST_F(PoolTest, DrainingClosesWhatIsIdleAndKeepsNothing) {
  Call first;
  run(first, at(origin_));
  client().close_idle();
  until([&] { return origin_.open == 0; });
  Call second;
  run(second, at(origin_));
  EXPECT_EQ(second.body, "ok");
  EXPECT_EQ(client().idle(), 0u);
}

// --- limits and the queue ---

TEST_F(PoolTest, RequestsBeyondTheLimitWaitTheirTurnInOrder) {
  settings_.max_connections_per_host = 2;
  std::vector<std::unique_ptr<Call>> calls;
  std::vector<std::string> expected;
  for (int i = 0; i < 20; ++i) {
    const std::string target = "/" + std::to_string(i);
    expected.push_back(target);
    calls.push_back(std::make_unique<Call>());
    start(*calls.back(), at(origin_), get(target));
  }
  until([&] { return std::all_of(calls.begin(), calls.end(), [](const auto& call) { return call->ended; }); });
  EXPECT_EQ(origin_.most_open, 2u);
  EXPECT_EQ(origin_.accepted, 2u) << "connections are handed over, not reopened";
  std::vector<std::string> first_bytes = order_;
  std::sort(first_bytes.begin(), first_bytes.end());
  std::sort(expected.begin(), expected.end());
  EXPECT_EQ(first_bytes, expected);
  EXPECT_EQ(order_[0].size() + order_[1].size(), 4u) << "the first two went first";
}

TEST_F(PoolTest, WaitingForAConnectionHasADeadline) {
  settings_.max_connections_per_host = 1;
  settings_.timeouts.acquire = milliseconds(20);
  Call first, second;
  start(first, at(origin_), get("/hold"));
  start(second, at(origin_), get("/later"));
  until([&] { return second.is_over(); });
  EXPECT_EQ(second.error.code, core::ErrorCode::AcquireTimeout);
  EXPECT_EQ(second.error.side, core::Side::Us);
  until([&] { return held_.size() == 1; });
  answer_held();
  until([&] { return first.is_over(); });
  EXPECT_EQ(shared().quota.waiting(), 0u);
}

TEST_F(PoolTest, WhoDoesNotWantToWaitIsToldAtOnce) {
  settings_.max_connections_per_host = 1;
  Call first, second;
  start(first, at(origin_), get("/hold"));
  second.exchange = client().start({.origin = at(origin_), .head = get(), .wait_for_room = false}, second);
  settle();
  EXPECT_EQ(second.error.code, core::ErrorCode::LimitReached);
}

TEST_F(PoolTest, AWaiterThatGivesUpLeavesTheQueueToTheOthers) {
  settings_.max_connections_per_host = 1;
  Call first, second, third;
  start(first, at(origin_), get("/hold"));
  start(second, at(origin_), get("/2"));
  start(third, at(origin_), get("/3"));
  until([&] { return held_.size() == 1; });
  second.exchange.reset();
  answer_held();
  until([&] { return third.is_over(); });
  EXPECT_EQ(third.body, "ok");
  EXPECT_EQ(order_, (std::vector<std::string>{"/hold", "/3"}));
}

TEST_F(PoolTest, AConnectionThatWasHandedToSomebodyWhoLeavesIsNotLost) {
  settings_.max_connections_per_host = 1;
  Call first, second, third;
  start(first, at(origin_), get("/hold"));
  start(second, at(origin_), get("/2"));
  first.on_end_hook = [&] { second.exchange.reset(); };  // the hand-over is on its way then
  until([&] { return held_.size() == 1; });
  answer_held();
  until([&] { return first.is_over(); });
  settle();
  run(third, at(origin_), get("/3"));
  EXPECT_EQ(third.body, "ok");
  EXPECT_EQ(origin_.accepted, 1u);
}

TEST_F(PoolTest, AnIdleConnectionToAnotherOriginMakesRoomInTheTotal) {
  settings_.max_connections = 1;
  TestOrigin other(loop_);
  serve(other);
  Call first, second;
  run(first, at(origin_));
  EXPECT_EQ(client().idle(), 1u);
  run(second, at(other));
  EXPECT_EQ(second.body, "ok");
  until([&] { return origin_.open == 0; });
  EXPECT_EQ(shared().quota.in_use(), 1u);
}

TEST_F(PoolTest, AnIdleConnectionOfAnotherWorkerMakesRoom) {
  settings_.max_connections_per_host = 1;
  Client second_worker(loop_, resolver_, nullptr, shared(), settings_, registry_);
  Call first, second;
  run(first, at(origin_));
  second.exchange = second_worker.start({.origin = at(origin_), .head = get()}, second);
  until([&] { return second.is_over(); });
  EXPECT_EQ(second.body, "ok");
  EXPECT_EQ(origin_.accepted, 2u);
  EXPECT_EQ(client().idle(), 0u);
  second.exchange.reset();
}

TEST_F(PoolTest, AnOlderWaiterOfAnotherWorkerIsNotStarvedByHandOvers) {
  settings_.max_connections_per_host = 1;
  Client second_worker(loop_, resolver_, nullptr, shared(), settings_, registry_);
  Call other;
  std::vector<std::unique_ptr<Call>> calls;
  size_t ended = 0;
  // Each answer brings a new request of the first worker, so that it always has one waiting.
  std::function<void()> one_more = [&] {
    calls.push_back(std::make_unique<Call>());
    calls.back()->on_end_hook = [&] {
      ++ended;
      if (!other.is_over() && ended < 100'000) one_more();
    };
    start(*calls.back(), at(origin_), get("/"));
  };
  one_more();
  one_more();
  other.exchange = second_worker.start({.origin = at(origin_), .head = get("/other")}, other);
  until([&] { return other.is_over(); });
  EXPECT_EQ(other.body, "ok");
  until([&] { return ended == calls.size(); });
  calls.clear();
  other.exchange.reset();
}

// S3-2.1, S3-2.2: a property test over random requests, cancellations and answers.
TEST_F(PoolTest, TheLimitsHoldAtEveryInstant) {
  settings_.max_connections = 5;
  settings_.max_connections_per_host = 3;
  settings_.max_idle_per_host = 2;
  TestOrigin other(loop_);
  serve(other);
  Client second_worker(loop_, resolver_, nullptr, shared(), settings_, registry_);
  uint32_t seed = 12345;
  const auto random = [&](uint32_t below) {
    seed = seed * 1664525 + 1013904223;
    return (seed >> 8) % below;
  };
  std::vector<std::unique_ptr<Call>> calls;
  size_t ended = 0;
  for (int step = 0; step < 4000; ++step) {
    switch (random(5)) {
      case 0:
      case 1: {
        calls.push_back(std::make_unique<Call>());
        Client& worker = random(2) ? client() : second_worker;
        calls.back()->exchange = worker.start(
            {.origin = at(random(2) ? origin_ : other), .head = get(random(2) ? "/hold" : "/now")}, *calls.back());
        break;
      }
      case 2:
        if (!calls.empty() && random(4) == 0) calls.erase(calls.begin() + random(static_cast<uint32_t>(calls.size())));
        break;
      case 3: answer_held(); break;
      default: loop_.run_once();
    }
    EXPECT_LE(shared().quota.in_use(), 5u);
    EXPECT_LE(shared().quota.in_use(at(origin_)), 3u);
    ended += static_cast<size_t>(std::erase_if(calls, [](const auto& call) {
      EXPECT_FALSE(call->failed) << core::describe(call->error);
      return call->is_over();
    }));
  }
  until([&] {
    answer_held();
    ended += static_cast<size_t>(std::erase_if(calls, [](const auto& call) { return call->is_over(); }));
    return calls.empty();
  });
  EXPECT_GT(ended, 500u);
  EXPECT_EQ(shared().quota.waiting(), 0u);
  EXPECT_EQ(client().active() + second_worker.active(), 0u);
  EXPECT_LE(origin_.most_open, 4u) << "a closed connection may be seen a moment later at the origin";
}

// S3-2.7: origins that close idle connections at random cause no failure of a GET.
TEST_F(PoolTest, OriginsThatCloseAtRandomCauseNoFailureOfGet) {
  uint32_t seed = 99;
  for (int i = 0; i < 500; ++i) {
    Call call;
    run(call, at(origin_));
    EXPECT_EQ(call.body, "ok");
    seed = seed * 1664525 + 1013904223;
    if (seed >> 30 == 0) origin_.last_peer().close();
    if (seed >> 30 == 1) origin_.last_peer().reset();
  }
}

}  // namespace
}  // namespace tributary::upstream::test
