// Sockets and listeners. S0-1.3, S0-1.9, S4-3.3, S4-4.4.
#include "net/socket.h"

#include <fcntl.h>
#include <netinet/tcp.h>
#include <sys/resource.h>

#include <fstream>
#include <vector>

#include "core/log.h"
#include "net/listener.h"
#include "unit/net/support.h"

namespace tributary::net {
namespace {

using namespace test;

int option(int fd, int level, int name) {
  int value = -1;
  socklen_t length = sizeof(value);
  ::getsockopt(fd, level, name, &value, &length);
  return value;
}

void expect_nonblocking_and_cloexec(int fd) {
  EXPECT_TRUE(::fcntl(fd, F_GETFL) & O_NONBLOCK);
  EXPECT_TRUE(::fcntl(fd, F_GETFD) & FD_CLOEXEC);
}

struct Accepted {
  std::vector<core::Fd> fds;
  std::vector<SocketAddress> peers;
  void on_accept(core::Fd fd, const SocketAddress& peer) {
    fds.push_back(std::move(fd));
    peers.push_back(peer);
  }
  Listener::OnAccept callback() { return Listener::OnAccept::to<&Accepted::on_accept>(this); }
};

core::Fd connect_to(const SocketAddress& address) {
  core::Fd fd = *make_stream_socket(address);
  sockaddr_storage storage;
  const socklen_t length = address.to_sockaddr(storage);
  EXPECT_TRUE(::connect(fd.get(), reinterpret_cast<sockaddr*>(&storage), length) == 0 || errno == EINPROGRESS);
  return fd;
}

TEST(Socket, IsNonBlockingAndCloseOnExecFromBirth) {
  expect_nonblocking_and_cloexec(make_stream_socket(loopback())->get());
  const auto pair = make_socket_pair();
  expect_nonblocking_and_cloexec(pair->first.get());
  expect_nonblocking_and_cloexec(pair->second.get());
  const auto [client, server] = tcp_pair();
  expect_nonblocking_and_cloexec(server.get());
}

TEST(Socket, OptionsReachConnectedAndAcceptedSockets) {
  // The kernel doubles what is asked for.
  const auto [client, server] = tcp_pair({.no_delay = true, .send_buffer = 64 * 1024, .receive_buffer = 32 * 1024});
  for (const int fd : {client.get(), server.get()}) {
    EXPECT_EQ(option(fd, IPPROTO_TCP, TCP_NODELAY), 1);
    EXPECT_EQ(option(fd, SOL_SOCKET, SO_SNDBUF), 128 * 1024);
    EXPECT_EQ(option(fd, SOL_SOCKET, SO_RCVBUF), 64 * 1024);
  }
  const auto [nagle_client, nagle_server] = tcp_pair({.no_delay = false});
  EXPECT_EQ(option(nagle_client.get(), IPPROTO_TCP, TCP_NODELAY), 0);
  EXPECT_EQ(option(nagle_server.get(), IPPROTO_TCP, TCP_NODELAY), 0);
}

TEST(Socket, LeavesAutotuningAloneUnlessAsked) {
  const core::Fd plain(::socket(AF_INET, SOCK_STREAM, 0));
  const core::Fd ours = *make_stream_socket(loopback());
  EXPECT_EQ(option(ours.get(), SOL_SOCKET, SO_SNDBUF), option(plain.get(), SOL_SOCKET, SO_SNDBUF));
  EXPECT_EQ(option(ours.get(), SOL_SOCKET, SO_RCVBUF), option(plain.get(), SOL_SOCKET, SO_RCVBUF));
}

TEST(Listener, AcceptsConnectionsWithTheirPeersAddress) {
  core::Loop loop;
  Listener listener(loop, *Listener::open({loopback(), false}));
  Accepted accepted;
  listener.start(accepted.callback());
  const core::Fd client = connect_to(listener.address());
  ASSERT_TRUE(run_until(loop, [&] { return accepted.fds.size() == 1; }));
  EXPECT_EQ(accepted.peers[0], local_address(client.get()));
  expect_nonblocking_and_cloexec(accepted.fds[0].get());
}

TEST(Listener, SharesItsPortBetweenWorkersAndNoticesAnotherProgram) {
  const core::Fd first = *Listener::open({loopback(), false});
  const ListenAddress address{local_address(first.get()), false};
  EXPECT_TRUE(Listener::open(address));
  EXPECT_EQ(Listener::check_unused(address).error().sys, EADDRINUSE);
  EXPECT_EQ(Listener::open(address, {.reuse_port = false}).error().sys, EADDRINUSE);
  EXPECT_TRUE(Listener::check_unused({loopback(), false}));
}

TEST(Listener, EveryInterfaceTakesIpv4Clients) {
  core::Loop loop;
  Listener listener(loop, *Listener::open(*ListenAddress::parse(":0")));
  Accepted accepted;
  listener.start(accepted.callback());
  const core::Fd client = connect_to(loopback(listener.address().port()));
  ASSERT_TRUE(run_until(loop, [&] { return accepted.fds.size() == 1; }));
  EXPECT_TRUE(accepted.peers[0].ip().is_v4());
}

// A client on this machine needs no pacing; one that comes from elsewhere gets what the operator set for the system.
TEST(Socket, ControlsNoCongestionWhereThereIsNoNetwork) {
  const auto algorithm = [](int fd) {
    char name[16] = {};  // TCP_CA_NAME_MAX
    socklen_t length = sizeof(name);
    EXPECT_EQ(::getsockopt(fd, IPPROTO_TCP, TCP_CONGESTION, name, &length), 0);
    return std::string(name);
  };
  const core::Fd plain(::socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0));
  core::Loop loop;
  Listener here(loop, *Listener::open({loopback(), false}));
  Listener everywhere(loop, *Listener::open(*ListenAddress::parse(":0")));
  Accepted accepted;
  here.start(accepted.callback());
  const core::Fd client = connect_to(here.address());
  ASSERT_TRUE(run_until(loop, [&] { return accepted.fds.size() == 1; }));
  EXPECT_EQ(algorithm(accepted.fds[0].get()), "reno");
  EXPECT_EQ(algorithm(make_stream_socket(loopback())->get()), "reno");  // the other direction: towards a local origin
  EXPECT_EQ(algorithm(everywhere.fd()), algorithm(plain.get()));
}

TEST(Listener, BoundsABurstSoThatOthersHaveTheirTurn) {
  core::Loop loop;
  Listener listener(loop, *Listener::open({loopback(), false}));
  Accepted accepted;
  listener.start(accepted.callback());
  std::vector<core::Fd> clients;
  for (int i = 0; i < Listener::kBurst + 20; ++i) clients.push_back(connect_to(listener.address()));
  loop.run_once();
  EXPECT_EQ(accepted.fds.size(), static_cast<size_t>(Listener::kBurst));
  ASSERT_TRUE(run_until(loop, [&] { return accepted.fds.size() == clients.size(); }));
}

TEST(Listener, StopsInTheMiddleOfABurstAndGoesOnLater) {
  core::Loop loop;
  Listener listener(loop, *Listener::open({loopback(), false}));
  std::vector<core::Fd> fds;
  auto take_one = [&](core::Fd fd, const SocketAddress&) {
    fds.push_back(std::move(fd));
    listener.stop();
  };
  const core::Fd one = connect_to(listener.address()), two = connect_to(listener.address());
  listener.start(Listener::OnAccept::ref(take_one));
  ASSERT_TRUE(run_until(loop, [&] { return !fds.empty(); }));
  loop.run_once(1ms);
  EXPECT_EQ(fds.size(), 1u);
  listener.start(Listener::OnAccept::ref(take_one));
  ASSERT_TRUE(run_until(loop, [&] { return fds.size() == 2; }));
}

TEST(Listener, MayBeDestroyedFromItsCallback) {
  core::Loop loop;
  auto listener = std::make_unique<Listener>(loop, *Listener::open({loopback(), false}));
  auto destroy = [&](core::Fd, const SocketAddress&) { listener.reset(); };
  const core::Fd one = connect_to(listener->address()), two = connect_to(listener->address());
  listener->start(Listener::OnAccept::ref(destroy));
  ASSERT_TRUE(run_until(loop, [&] { return !listener; }));
}

TEST(Listener, PausesWhenDescriptorsRunOutAndRecovers) {
  core::Loop loop;
  Listener listener(loop, *Listener::open({loopback(), false}));
  Accepted accepted;
  listener.start(accepted.callback());
  const core::Fd client = connect_to(listener.address());
  // The undefined-behaviour sanitizer opens a pipe when it meets a class for the first time; the listener will log.
  core::log::warn("test", "descriptors are about to run out: {}", "all of them");
  rlimit before;
  ::getrlimit(RLIMIT_NOFILE, &before);
  const int highest = ::dup(client.get());
  ::close(highest);
  const rlimit none{static_cast<rlim_t>(highest), before.rlim_max};
  ::setrlimit(RLIMIT_NOFILE, &none);
  // Without the pause the loop would turn as fast as it can: a burst of turns that all find the queue readable.
  loop.run_once(1ms);
  int turns = 0;
  auto count = [&] { ++turns; };
  core::Timer stopwatch(loop);
  bool over = false;
  auto stop = [&] { over = true; };
  stopwatch.start(20ms, core::Callback<void()>::ref(stop));
  while (!over) {
    loop.run_once(50ms);
    count();
  }
  ::setrlimit(RLIMIT_NOFILE, &before);
  EXPECT_TRUE(accepted.fds.empty());
  EXPECT_LT(turns, 50);
  ASSERT_TRUE(run_until(loop, [&] { return accepted.fds.size() == 1; }));
}

TEST(UnixListener, ReplacesAStaleFileButNotALivingSocketOrAFile) {
  core::Loop loop;
  const TemporaryFolder folder;
  const ListenAddress address = *ListenAddress::parse("unix:" + folder.path + "/socket");
  {
    const core::Fd first = *Listener::open(address);
    EXPECT_EQ(Listener::open(address).error().sys, EADDRINUSE);
  }
  // The file is still there, but nobody listens.
  Listener listener(loop, *Listener::open(address));
  Accepted accepted;
  listener.start(accepted.callback());
  const core::Fd client = connect_to(address.address);
  ASSERT_TRUE(run_until(loop, [&] { return accepted.fds.size() == 1; }));
  EXPECT_TRUE(accepted.peers[0].is_unix());

  const std::string path = folder.path + "/precious";
  std::ofstream(path) << "data";
  EXPECT_EQ(Listener::open(*ListenAddress::parse("unix:" + path)).error().sys, EADDRINUSE);
  EXPECT_TRUE(std::filesystem::exists(path));
}

}  // namespace
}  // namespace tributary::net
