// Datagrams in batches. S4-3.4.
#include "net/udp.h"

#include <fcntl.h>

#include <string>
#include <vector>

#include "unit/net/support.h"

namespace tributary::net {
namespace {

using namespace test;

struct Inbox {
  std::vector<std::string> bytes;
  std::vector<SocketAddress> peers;
  void take(const SocketAddress& peer, std::string_view datagram) {
    peers.push_back(peer);
    bytes.emplace_back(datagram);
  }
  auto callback() { return core::Callback<void(const SocketAddress&, std::string_view)>::to<&Inbox::take>(this); }
};

struct UdpTest : ::testing::Test {
  core::Loop loop;
  UdpSocket near{loop, *UdpSocket::open(loopback())}, far{loop, *UdpSocket::open(loopback())};
  Inbox inbox;

  // Receives as its socket becomes readable, until `count` came.
  ::testing::AssertionResult receive(UdpSocket& socket, size_t count) {
    auto on_ready = [&](Interest) { ASSERT_TRUE(socket.receive(inbox.callback())); };
    socket.watch(Interest::Read, core::Callback<void(Interest)>::ref(on_ready));
    const auto result = run_until(loop, [&] { return inbox.bytes.size() >= count; });
    socket.set_interest(Interest::None);
    return result;
  }
};

TEST_F(UdpTest, IsBoundNonBlockingAndCloseOnExec) {
  const core::Fd fd = *UdpSocket::open(loopback());
  EXPECT_TRUE(::fcntl(fd.get(), F_GETFL) & O_NONBLOCK);
  EXPECT_TRUE(::fcntl(fd.get(), F_GETFD) & FD_CLOEXEC);
  EXPECT_NE(local_address(fd.get()).port(), 0);
  EXPECT_FALSE(UdpSocket::open(near.address())) << "the port is taken";
}

TEST_F(UdpTest, CarriesMoreDatagramsThanABatchInOrderWithTheirPeer) {
  std::vector<std::string> sent;
  std::vector<Datagram> datagrams;
  for (size_t i = 0; i < 3 * UdpSocket::kBatch + 1; ++i) sent.push_back("datagram " + std::to_string(i));
  sent.emplace_back();  // an empty one is one too
  for (const std::string& text : sent) datagrams.push_back({far.address(), text});
  ASSERT_EQ(*near.send(datagrams), sent.size());
  ASSERT_TRUE(receive(far, sent.size()));
  EXPECT_EQ(inbox.bytes, sent);
  for (const SocketAddress& peer : inbox.peers) EXPECT_EQ(peer.to_string(), near.address().to_string());
  EXPECT_EQ(*far.receive(inbox.callback()), 0u);
}

TEST_F(UdpTest, TakesTheLargestThereIsAndRefusesMore) {
  const std::string largest(65'507, 'l'), too_long(65'508, 't');  // 65,535 less the IPv4 and UDP headers
  const Datagram refused[] = {{far.address(), too_long}};
  const auto result = near.send(refused);
  ASSERT_FALSE(result);
  EXPECT_EQ(result.error().sys, EMSGSIZE);
  const Datagram mixed[] = {{far.address(), largest}, {far.address(), too_long}};
  EXPECT_EQ(*near.send(mixed), 1u) << "what went before the refused one has left";
  ASSERT_TRUE(receive(far, 1));
  EXPECT_EQ(inbox.bytes.front(), largest);
}

TEST_F(UdpTest, OneThatDoesNotFitIsDroppedAndTheNextOneIsTaken) {
  core::Loop small({.scratch_size = 1024});
  UdpSocket socket(small, *UdpSocket::open(loopback()));
  const std::string long_one(2000, 'x');
  const Datagram datagrams[] = {{socket.address(), long_one}, {socket.address(), "short"}};
  ASSERT_EQ(*near.send(datagrams), 2u);
  auto on_ready = [&](Interest) { ASSERT_TRUE(socket.receive(inbox.callback())); };
  socket.watch(Interest::Read, core::Callback<void(Interest)>::ref(on_ready));
  ASSERT_TRUE(run_until(small, [&] { return !inbox.bytes.empty(); }));
  EXPECT_EQ(inbox.bytes, std::vector<std::string>{"short"});
}

TEST_F(UdpTest, SpeaksIpv6) {
  const auto opened = UdpSocket::open(SocketAddress(*IpAddress::parse("::1"), 0));
  if (!opened) GTEST_SKIP() << "no IPv6 here";
  UdpSocket socket(loop, core::Fd(::fcntl(opened->get(), F_DUPFD_CLOEXEC, 0)));
  const Datagram datagram[] = {{socket.address(), "to myself"}};
  ASSERT_EQ(*socket.send(datagram), 1u);
  ASSERT_TRUE(receive(socket, 1));
  EXPECT_EQ(inbox.peers.front().to_string(), socket.address().to_string());
}

}  // namespace
}  // namespace tributary::net
