// Happy eyeballs and the filter. V-5, S4-3.3.
#include "net/connector.h"

#include "unit/net/dns_server.h"

namespace tributary::net {
namespace {

using namespace test;

class ConnectorTest : public ::testing::Test {
 protected:
  ConnectorTest() {
    resolver_settings.servers = {server.address()};
    resolver_settings.hosts_file.clear();
    listener.start(Listener::OnAccept::to<&ConnectorTest::on_accept>(this));
    // A listener whose queue is full: connects to it wait for ever.
    full = *Listener::open({SocketAddress(IpAddress::v4(0x7f000002), port()), false}, {.backlog = 0});
    for (int i = 0; i < 4; ++i) fillers.push_back(begin_connect(SocketAddress(IpAddress::v4(0x7f000002), port())));
  }
  static core::Fd begin_connect(const SocketAddress& address) {
    core::Fd fd = *make_stream_socket(address);
    sockaddr_storage storage;
    const socklen_t length = address.to_sockaddr(storage);
    EXPECT_TRUE(::connect(fd.get(), reinterpret_cast<sockaddr*>(&storage), length) == 0 || errno == EINPROGRESS);
    return fd;
  }
  void on_accept(core::Fd fd, const SocketAddress&) { accepted.push_back(std::move(fd)); }
  uint16_t port() const { return listener.address().port(); }
  Resolver& resolver() {
    if (!made) made = std::make_unique<Resolver>(loop, offload, metrics, resolver_settings);
    return *made;
  }
  void on_done(ConnectResult result) { outcome = std::move(result); }
  Connector::Done done() { return Connector::Done::to<&ConnectorTest::on_done>(this); }
  template <class... Args>
  bool connect(Args&&... args) {
    outcome = connector().start(std::forward<Args>(args)...);
    return static_cast<bool>(run_until(loop, [&] { return outcome.has_value(); }));
  }
  Connector& connector() {
    if (!made_connector) made_connector = std::make_unique<Connector>(loop, resolver());
    return *made_connector;
  }

  core::Loop loop;
  core::OffloadPool offload{{.threads = 1}};
  core::Registry metrics;
  DnsServer server{loop};
  ResolverSettings resolver_settings;
  std::unique_ptr<Resolver> made;
  Listener listener{loop, *Listener::open({loopback(), false})};
  std::vector<core::Fd> accepted;
  core::Fd full;
  std::vector<core::Fd> fillers;
  ConnectSettings settings;
  std::optional<ConnectResult> outcome;
  std::unique_ptr<Connector> made_connector;
};

TEST_F(ConnectorTest, ConnectsToALiteralAndAnAddress) {
  ASSERT_TRUE(connect("127.0.0.1", port(), settings, AddressFilter(), done()));
  ASSERT_TRUE(*outcome) << core::describe(outcome->error());
  EXPECT_EQ((*outcome)->address, loopback(port()));
  EXPECT_EQ(peer_address((*outcome)->fd.get()), loopback(port()));
  EXPECT_EQ(connector().state(), ConnectState::Connected);
  ASSERT_TRUE(connect(loopback(port()), settings, AddressFilter(), done()));
  EXPECT_TRUE(*outcome);
}

TEST_F(ConnectorTest, ConnectsToAName) {
  server.on_question = [&](const auto& q) { server.answer(q, {"127.0.0.1"}); };
  ASSERT_TRUE(connect("origin.test", port(), settings, AddressFilter(), done()));
  ASSERT_TRUE(*outcome) << core::describe(outcome->error());
  EXPECT_EQ((*outcome)->address, loopback(port()));
}

TEST_F(ConnectorTest, TakesTheNextAddressAtOnceWhenOneRefuses) {
  settings.attempt_delay = 1h;
  server.on_question = [&](const auto& q) { server.answer(q, {"127.0.0.9", "127.0.0.1"}); };
  ASSERT_TRUE(connect("origin.test", port(), settings, AddressFilter(), done()));
  ASSERT_TRUE(*outcome) << core::describe(outcome->error());
  EXPECT_EQ((*outcome)->address, loopback(port()));
}

TEST_F(ConnectorTest, TriesTheNextAddressAfterTheAttemptDelay) {
  settings.attempt_delay = 10ms;
  server.on_question = [&](const auto& q) { server.answer(q, {"127.0.0.2", "127.0.0.1"}); };
  ASSERT_TRUE(connect("origin.test", port(), settings, AddressFilter(), done()));
  ASSERT_TRUE(*outcome) << core::describe(outcome->error());
  EXPECT_EQ((*outcome)->address, loopback(port()));
}

TEST_F(ConnectorTest, GoesOnWithTheOtherFamilyWhenItsAnswerComesLate) {
  // The first answer is IPv4 and refuses; the IPv6 answer, here a mapped address, comes afterwards.
  std::optional<DnsServer::Question> held;
  server.on_question = [&](const auto& q) {
    if (q.wants_v6) {
      held = q;
    } else {
      server.answer(q, {"127.0.0.9"});
    }
  };
  outcome = connector().start("origin.test", port(), settings, AddressFilter(), done());
  ASSERT_TRUE(run_until(loop, [&] { return connector().state() == ConnectState::Connecting; }));
  EXPECT_FALSE(outcome);
  server.answer(*held, {}, {"::ffff:127.0.0.1"});
  ASSERT_TRUE(run_until(loop, [&] { return outcome.has_value(); }));
  EXPECT_TRUE(*outcome) << core::describe(outcome->error());
}

TEST_F(ConnectorTest, ReportsARefusalWhenEveryAddressRefuses) {
  server.on_question = [&](const auto& q) { server.answer(q, {"127.0.0.9", "127.0.0.8"}); };
  ASSERT_TRUE(connect("origin.test", port(), settings, AddressFilter(), done()));
  ASSERT_FALSE(*outcome);
  EXPECT_EQ(outcome->error().code, core::ErrorCode::ConnectionRefused);
  EXPECT_EQ(outcome->error().side, core::Side::Origin);
  EXPECT_EQ(outcome->error().retry, core::Retry::Safe);
}

TEST_F(ConnectorTest, GivesUpAtItsDeadline) {
  settings.connect_timeout = 30ms;
  ASSERT_TRUE(connect("127.0.0.2", port(), settings, AddressFilter(), done()));
  ASSERT_FALSE(*outcome);
  EXPECT_EQ(outcome->error().code, core::ErrorCode::ConnectTimeout);
}

TEST_F(ConnectorTest, GivesUpOnANameAtItsDeadline) {
  settings.dns_timeout = 30ms;
  server.on_question = [](const auto&) {};
  ASSERT_TRUE(connect("origin.test", port(), settings, AddressFilter(), done()));
  EXPECT_EQ(outcome->error().code, core::ErrorCode::DnsTimeout);
}

TEST_F(ConnectorTest, ReportsANameThatDoesNotExist) {
  ASSERT_TRUE(connect("missing.test", port(), settings, AddressFilter(), done()));
  EXPECT_EQ(outcome->error().code, core::ErrorCode::NameNotFound);
  EXPECT_EQ(connector().state(), ConnectState::Failed);
  EXPECT_TRUE(connector().start("missing.test", port(), settings, AddressFilter(), done()));  // known at once now
}

TEST_F(ConnectorTest, ConnectsOnlyToWhatTheFilterLetPass) {
  std::vector<std::string> seen;
  auto filter = [&](const SocketAddress& address) {
    seen.push_back(address.to_string());
    return address.ip() != *IpAddress::parse("127.0.0.2");
  };
  settings.attempt_delay = 1h;  // the prohibited one would hang
  server.on_question = [&](const auto& q) { server.answer(q, {"127.0.0.2", "127.0.0.1"}); };
  ASSERT_TRUE(connect("origin.test", port(), settings, AddressFilter::ref(filter), done()));
  ASSERT_TRUE(*outcome);
  EXPECT_EQ((*outcome)->address, loopback(port()));
  EXPECT_EQ(seen.size(), 2u);
}

TEST_F(ConnectorTest, IsProhibitedWhenNoAddressPasses) {
  // V-5: whatever form the address has, it is the resolved one that is judged; nothing is connected.
  auto only_public = [](const SocketAddress& address) { return is_public(address.ip()); };
  server.on_question = [&](const auto& q) {
    server.answer(q, {"127.0.0.1", "10.0.0.1"}, {"::1", "::ffff:127.0.0.1", "64:ff9b::7f00:1", "2002:7f00:1::", "fe80::1", "::"});
  };
  for (const char* host : {"rebound.test", "localhost", "127.0.0.1", "::1", "::ffff:127.0.0.1", "0.0.0.0", "::"}) {
    ASSERT_TRUE(connect(host, port(), settings, AddressFilter::ref(only_public), done()));
    ASSERT_FALSE(*outcome) << host;
    EXPECT_EQ(outcome->error().code, core::ErrorCode::DestinationProhibited) << host;
  }
  ASSERT_TRUE(connect(loopback(port()), settings, AddressFilter::ref(only_public), done()));
  EXPECT_EQ(outcome->error().code, core::ErrorCode::DestinationProhibited);
  loop.run_once(1ms);
  EXPECT_TRUE(accepted.empty());
}

TEST_F(ConnectorTest, ConnectsToAUnixSocket) {
  const TemporaryFolder folder;
  const ListenAddress address = *ListenAddress::parse("unix:" + folder.path + "/s");
  const core::Fd listening = *Listener::open(address);
  ASSERT_TRUE(connect(address.address, settings, AddressFilter(), done()));
  EXPECT_TRUE(*outcome);
  ASSERT_TRUE(connect(SocketAddress::unix_path(folder.path + "/none"), settings, AddressFilter(), done()));
  EXPECT_FALSE(*outcome);
}

TEST_F(ConnectorTest, CanBeCancelledInEveryStateAndUsedAgain) {
  server.on_question = [](const auto&) {};
  connector().cancel();
  EXPECT_FALSE(connector().start("origin.test", port(), settings, AddressFilter(), done()));
  EXPECT_EQ(connector().state(), ConnectState::Resolving);
  connector().cancel();
  EXPECT_FALSE(connector().start("127.0.0.2", port(), settings, AddressFilter(), done()));
  EXPECT_EQ(connector().state(), ConnectState::Connecting);
  connector().cancel();
  EXPECT_EQ(connector().state(), ConnectState::Idle);
  EXPECT_FALSE(connector().start("127.0.0.2", port(), settings, AddressFilter(), done()));
  made_connector.reset();
  for (int i = 0; i < 5; ++i) loop.run_once(1ms);
  EXPECT_FALSE(outcome);
  ASSERT_TRUE(connect("127.0.0.1", port(), settings, AddressFilter(), done()));
  EXPECT_TRUE(*outcome);
}

TEST_F(ConnectorTest, MayBeDestroyedFromItsCallback) {
  server.on_question = [&](const auto& q) { server.answer(q, {"127.0.0.1"}); };
  bool called = false;
  auto destroy = [&](ConnectResult) {
    called = true;
    made_connector.reset();
  };
  EXPECT_FALSE(connector().start("origin.test", port(), settings, AddressFilter(), Connector::Done::ref(destroy)));
  ASSERT_TRUE(run_until(loop, [&] { return called; }));
}

TEST(ConnectEdges, EveryStateIsReachableAndLeavable) {
  for (const ConnectState state : {ConnectState::Idle, ConnectState::Resolving, ConnectState::Connecting,
                                   ConnectState::Connected, ConnectState::Failed}) {
    bool in = state == ConnectState::Idle, out = false;
    for (const auto& edge : kConnectEdges) {
      in = in || edge.to == state;
      out = out || edge.from == state;
    }
    EXPECT_TRUE(in && out);
  }
}

}  // namespace
}  // namespace tributary::net
