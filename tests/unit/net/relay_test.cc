// The relay: copying, splicing, back-pressure, half-close, deadlines.
#include "net/relay.h"

#include "net/tls.h"
#include "unit/net/certificates.h"
#include "unit/net/support.h"

namespace tributary::net {
namespace {

using namespace test;

// client <─tcp─> [near | relay | far] <─tcp─> origin
class RelayTest : public ::testing::Test {
 protected:
  void SetUp() override {
    ignore_sigpipe();
    std::tie(client, near) = tcp_streams(loop);
    std::tie(origin, far) = tcp_streams(loop);
  }
  void TearDown() override {
    relay.reset();
    EXPECT_EQ(pipes.in_use(), 0u);
    EXPECT_EQ(core::illegal_transitions(), 0u);
  }
  void start(core::Duration idle = {}, std::string_view from_client = {}, std::string_view from_origin = {}) {
    relay = std::make_unique<Relay>(loop, pipes, *near, *far);
    relay->start(idle, core::Callback<void(const RelayEnd&)>::to<&RelayTest::on_end>(this), from_client, from_origin);
  }
  void on_end(const RelayEnd& result) { end = result; }
  bool until_end() { return static_cast<bool>(run_until(loop, [&] { return end.has_value(); })); }

  core::Loop loop;
  PipePool pipes;
  std::unique_ptr<Stream> client, near, far, origin;
  std::unique_ptr<Relay> relay;
  std::optional<RelayEnd> end;
};

TEST_F(RelayTest, CarriesBothDirectionsAndCounts) {
  start();
  const std::string up = pattern(3'000'000, 1), down = pattern(5'000'000, 2);
  Peer left(*client, up), right(*origin, down);
  ASSERT_TRUE(until_end());
  ASSERT_TRUE(run_until(loop, [&] { return left.ended && right.ended; }));
  EXPECT_TRUE(right.got == up);
  EXPECT_TRUE(left.got == down);
  EXPECT_EQ(end->reason, RelayEnd::Reason::Closed);
  EXPECT_EQ(end->client_to_origin, up.size());
  EXPECT_EQ(end->origin_to_client, down.size());
  EXPECT_EQ(relay->buffered(), 0u);
}

TEST_F(RelayTest, ABulkFlowMovesToSpliceAndEveryByteArrives) {
  start();
  const std::string down = pattern(64 << 20);
  Peer left(*client, "", false), right(*origin, down);
  bool spliced = false;
  ASSERT_TRUE(run_until(loop, [&] {
    const FlowState state = relay->origin_to_client_state();
    spliced = spliced || state == FlowState::Splicing || state == FlowState::SpliceBlocked;
    return left.ended;
  }));
  EXPECT_TRUE(spliced);
  EXPECT_TRUE(left.got == down);
  EXPECT_EQ(pipes.in_use(), 0u);
  left.end();
  ASSERT_TRUE(until_end());
}

TEST_F(RelayTest, GivesThePipeBackWhenTheFlowBecomesSmallAndGoesOn) {
  start();
  std::string sent = pattern(32 << 20);
  Peer left(*client, "", false), right(*origin, sent, false);
  ASSERT_TRUE(run_until(loop, [&] { return left.got.size() == sent.size(); }));
  for (int i = 0; i < 64 && relay->origin_to_client_state() != FlowState::Copying; ++i) {
    right.say("ping");
    sent += "ping";
    ASSERT_TRUE(run_until(loop, [&] { return left.got.size() == sent.size(); }));
  }
  EXPECT_EQ(relay->origin_to_client_state(), FlowState::Copying);
  EXPECT_EQ(pipes.in_use(), 0u);
  EXPECT_TRUE(left.got == sent);
}

TEST_F(RelayTest, GivesThePipeBackWhenTheFlowIsIdle) {
  start();
  const std::string sent = pattern(32 << 20);
  Peer left(*client, "", false), right(*origin, sent, false);
  bool spliced = false;
  ASSERT_TRUE(run_until(loop, [&] {
    spliced = spliced || pipes.in_use() > 0;
    return left.got.size() == sent.size();
  }));
  EXPECT_TRUE(spliced);
  ASSERT_TRUE(run_until(loop, [&] { return pipes.in_use() == 0; }));
}

TEST_F(RelayTest, CopiesWhenNoPipeIsLeft) {
  pipes = PipePool(0);
  start();
  const std::string down = pattern(32 << 20);
  Peer left(*client, ""), right(*origin, down);
  ASSERT_TRUE(until_end());
  ASSERT_TRUE(run_until(loop, [&] { return left.ended; }));
  EXPECT_TRUE(left.got == down);
}

TEST_F(RelayTest, ASlowReaderStopsTheSenderAndNotTheOtherDirection) {
  start();
  const std::string down = pattern(64 << 20);
  Peer left(*client, "", false), right(*origin, down);
  left.pause_reading();
  // Everything between the two is full when the counter stands still.
  uint64_t last = 0;
  int still = 0;
  ASSERT_TRUE(run_until(loop, [&] {
    still = relay->origin_to_client() == last ? still + 1 : 0;
    last = relay->origin_to_client();
    return still > 20;
  }));
  EXPECT_LT(last, down.size());
  EXPECT_LE(relay->buffered(), PipePool::kPipeSize);
  left.say("still heard");
  ASSERT_TRUE(run_until(loop, [&] { return right.got == "still heard"; }));
  left.resume_reading();
  ASSERT_TRUE(run_until(loop, [&] { return left.ended; }));
  EXPECT_TRUE(left.got == down);
}

TEST_F(RelayTest, KeepsEitherHalfOpen) {
  start();
  Peer left(*client, "request"), right(*origin, "", false);
  ASSERT_TRUE(run_until(loop, [&] { return right.ended; }));
  EXPECT_EQ(relay->client_to_origin_state(), FlowState::Ended);
  EXPECT_FALSE(end);
  right.say("answer");
  ASSERT_TRUE(run_until(loop, [&] { return left.got == "answer"; }));
  EXPECT_FALSE(end);
  right.end();
  ASSERT_TRUE(until_end());
  EXPECT_EQ(end->reason, RelayEnd::Reason::Closed);
}

TEST_F(RelayTest, KeepsTheOtherHalfOpenToo) {
  start();
  Peer left(*client, "", false), right(*origin, "banner");
  ASSERT_TRUE(run_until(loop, [&] { return left.ended; }));
  EXPECT_FALSE(end);
  left.say("late words");
  left.end();
  ASSERT_TRUE(until_end());
  ASSERT_TRUE(run_until(loop, [&] { return right.ended; }));
  EXPECT_EQ(right.got, "late words");
}

TEST_F(RelayTest, SendsWhatWasReadBeforeFirst) {
  start({}, "early ", "banner ");
  Peer left(*client, "bird"), right(*origin, "text");
  ASSERT_TRUE(until_end());
  ASSERT_TRUE(run_until(loop, [&] { return left.ended && right.ended; }));
  EXPECT_EQ(right.got, "early bird");
  EXPECT_EQ(left.got, "banner text");
  EXPECT_EQ(end->client_to_origin, 10u);
}

TEST_F(RelayTest, EndsWhenNothingMoves) {
  start(20ms);
  ASSERT_TRUE(until_end());
  EXPECT_EQ(end->reason, RelayEnd::Reason::Idle);
}

TEST_F(RelayTest, AResetNamesTheSide) {
  start();
  client->abort();
  ASSERT_TRUE(until_end());
  EXPECT_EQ(end->reason, RelayEnd::Reason::ClientFailed);
  EXPECT_EQ(end->error.code, core::ErrorCode::ConnectionReset);
  EXPECT_EQ(end->error.side, core::Side::Client);
}

TEST_F(RelayTest, WhatTheOriginSentBeforeItWentReachesTheClient) {
  // RFC 9110 9.3.6: the origin closes while the client is still sending; its last words are not lost.
  start();
  ASSERT_TRUE(origin->write("last words").is_bytes());
  origin->close();
  Peer left(*client, pattern(100'000));
  ASSERT_TRUE(until_end());
  ASSERT_TRUE(run_until(loop, [&] { return left.ended || left.failed || left.got.size() >= 10; }));
  EXPECT_EQ(left.got, "last words");
}

TEST_F(RelayTest, CanBeDestroyedInEveryState) {
  for (int turns = 0; turns < 60; turns += 3) {
    auto [c, n] = tcp_streams(loop);
    auto [o, f] = tcp_streams(loop);
    {
      Relay doomed(loop, pipes, *n, *f);
      auto ignore = [](const RelayEnd&) {};
      doomed.start(1s, core::Callback<void(const RelayEnd&)>::ref(ignore), "x");
      Peer left(*c, ""), right(*o, pattern(4 << 20));
      if (turns % 2) left.pause_reading();
      for (int i = 0; i < turns; ++i) loop.run_once();
      c->set_interest(Interest::None);
      o->set_interest(Interest::None);
    }
    EXPECT_EQ(pipes.in_use(), 0u);
    loop.run_once();
  }
}

TEST_F(RelayTest, MayBeDestroyedFromItsCallback) {
  relay = std::make_unique<Relay>(loop, pipes, *near, *far);
  bool called = false;
  auto destroy = [&](const RelayEnd&) {
    called = true;
    relay.reset();
    near.reset();
    far.reset();
  };
  relay->start({}, core::Callback<void(const RelayEnd&)>::ref(destroy));
  client->close();
  origin->close();
  ASSERT_TRUE(run_until(loop, [&] { return called; }));
}

TEST_F(RelayTest, WorksByteByByte) {
  near = std::make_unique<TrickleStream>(std::move(near));
  far = std::make_unique<TrickleStream>(std::move(far));
  start();
  const std::string up = pattern(5000, 1), down = pattern(5000, 2);
  Peer left(*client, up), right(*origin, down);
  ASSERT_TRUE(until_end());
  ASSERT_TRUE(run_until(loop, [&] { return left.ended && right.ended; }));
  EXPECT_TRUE(right.got == up);
  EXPECT_TRUE(left.got == down);
}

TEST_F(RelayTest, JoinsTlsToTcpWithHalfClose) {
  TemporaryFolder folder;
  Authority authority(folder.path, "authority");
  const Leaf leaf = authority.issue("DNS:good.test");
  const auto client_context = *TlsClientContext::create({.ca_file = authority.file}, nullptr);
  const auto server_context = *TlsServerContext::create({.certificate = leaf.certificate, .key = leaf.key}, nullptr);
  auto inner = TlsStream::client(loop, std::move(client), *client_context, {"good.test", 1}, nullptr, core::Side::Origin);
  auto outer = TlsStream::server(loop, std::move(near), *server_context, core::Side::Client);
  int done = 0;
  auto on_done = [&](core::Result<void> result) { done += result.ok(); };
  inner->handshake(core::Callback<void(core::Result<void>)>::ref(on_done));
  outer->handshake(core::Callback<void(core::Result<void>)>::ref(on_done));
  ASSERT_TRUE(run_until(loop, [&] { return done == 2; }));
  client = std::move(inner);
  near = std::move(outer);
  start();
  const std::string up = pattern(2'000'000, 1), down = pattern(3'000'000, 2);
  Peer left(*client, up), right(*origin, down);
  ASSERT_TRUE(until_end());
  ASSERT_TRUE(run_until(loop, [&] { return left.ended && right.ended; }));
  EXPECT_TRUE(right.got == up);
  EXPECT_TRUE(left.got == down);
  EXPECT_EQ(end->reason, RelayEnd::Reason::Closed);
}

TEST(PipePool, IsBoundedAndReusesOnlyEmptyPipes) {
  PipePool pool(2);
  Pipe a = pool.take(), b = pool.take();
  ASSERT_TRUE(a && b);
  EXPECT_GE(a.capacity, PipePool::kPipeSize);
  EXPECT_FALSE(pool.take());
  const int fd = a.read_end.get();
  pool.give_back(std::move(a), true);
  EXPECT_EQ(pool.take().read_end.get(), fd);
  ASSERT_EQ(::write(b.write_end.get(), "secret", 6), 6);
  pool.give_back(std::move(b), false);
  EXPECT_EQ(pool.in_use(), 1u);
  Pipe fresh = pool.take();
  char byte;
  EXPECT_EQ(::read(fresh.read_end.get(), &byte, 1), -1);
}

}  // namespace
}  // namespace tributary::net
