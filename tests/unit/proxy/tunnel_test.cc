#include "proxy/tunnel.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <fstream>
#include <sstream>

#include "worker_fixture.h"

namespace tributary::proxy {
namespace {

using namespace test;
using testing::HasSubstr;
using testing::Not;
using testing::StartsWith;

const std::string kEstablished = "HTTP/1.1 200 Connection established\r\nVia: 1.1 tributary\r\n\r\n";
const std::string kSocks4Granted("\0\x5a\0\0\0\0\0\0", 8);
const std::string kSocks5Granted("\5\0\0\1\0\0\0\0\0\0", 10);

class TunnelTest : public WorkerTest {
 protected:
  // Starts a tunnel for CONNECT to `host`:`port`, with `early` behind the request.
  Tunnel& open(uint16_t port, std::string_view early = "", std::string host = "127.0.0.1") {
    auto [stream, other] = connection();
    client = std::move(other);
    TunnelRequest request;
    request.host = std::move(host);
    request.port = port;
    Tunnel& tunnel = worker().adopt(std::make_unique<Tunnel>(worker(), std::move(stream), std::move(request)));
    tunnel.connect(early);
    return tunnel;
  }

  EchoOrigin origin{loop};
  std::unique_ptr<TestClient> client;
};

TEST_F(TunnelTest, AnswersThenRelaysBothWays) {  // P-3
  open(origin.port());
  EXPECT_EQ(client->receive(kEstablished.size()), kEstablished);
  client->send("ping");
  EXPECT_EQ(client->receive(kEstablished.size() + 4), kEstablished + "ping");
  EXPECT_EQ(metric("tributary_tunnels", {"connect"}), 1);
  EXPECT_EQ(metric("tributary_requests_total", {"connect", "CONNECT", "200", "bypass"}), 1);
  client->end();
  EXPECT_EQ(client->receive_to_end(), kEstablished + "ping<end>");
  client->turn([&] { return worker().active() == 0; });
  EXPECT_EQ(metric("tributary_tunnels", {"connect"}), 0);
  EXPECT_EQ(metric("tributary_client_bytes_total", {"received"}), 4);
  EXPECT_EQ(metric("tributary_client_bytes_total", {"sent"}), static_cast<double>(kEstablished.size() + 9));
}

TEST_F(TunnelTest, BytesBehindTheRequestArriveFirstAndInOrder) {  // P-3
  open(origin.port(), "early ");
  client->send("late");
  EXPECT_EQ(client->receive(kEstablished.size() + 10), kEstablished + "early late");
}

TEST_F(TunnelTest, ManyEarlyBytesAreNotLost) {
  std::string early;
  for (int i = 0; i < 30000; ++i) early += std::to_string(i) + ",";
  open(origin.port(), early);
  EXPECT_EQ(client->receive(kEstablished.size() + early.size()), kEstablished + early);
}

TEST_F(TunnelTest, AnOriginThatSpeaksFirstComesBehindTheAnswer) {
  origin.greeting = "220 hello";
  open(origin.port());
  EXPECT_EQ(client->receive(kEstablished.size() + 9), kEstablished + "220 hello");
}

TEST_F(TunnelTest, HalfCloseOfTheClientReachesTheOriginAndItsAnswerStillComes) {  // RFC 9110 9.3.6
  open(origin.port(), "request");
  client->end();
  EXPECT_EQ(client->receive_to_end(), kEstablished + "request<end>");
}

TEST_F(TunnelTest, RefusedConnectionsAreToldWithAReadablePage) {
  uint16_t port;
  {
    EchoOrigin gone(loop);
    port = gone.port();
  }
  open(port);
  const std::string& answer = client->receive_to_end();
  EXPECT_THAT(answer, StartsWith("HTTP/1.1 502 Bad Gateway\r\n"));
  EXPECT_THAT(answer, HasSubstr("Proxy-Status: tributary; error=connection_refused;"));
  EXPECT_THAT(answer, HasSubstr("Connection: close\r\n"));
  EXPECT_FALSE(client->was_reset());
  client->close();
  client->turn([&] { return worker().active() == 0; });
  EXPECT_EQ(metric("tributary_requests_total", {"connect", "CONNECT", "502", "bypass"}), 1);
}

TEST_F(TunnelTest, TheAnswerToARefusalSurvivesInputThatNobodyReads) {  // RFC 9112 9.6
  access_settings.connect_ports = {{443, 443}};
  open(origin.port());
  client->send(std::string(100'000, 'x'));
  EXPECT_THAT(client->receive_to_end(), StartsWith("HTTP/1.1 403 Forbidden\r\n"));
  EXPECT_FALSE(client->was_reset());
}

TEST_F(TunnelTest, ProhibitedAddressesAreNotConnectedTo) {  // V-5
  access_settings.allow_private = false;
  open(origin.port());
  const std::string& answer = client->receive_to_end();
  EXPECT_THAT(answer, StartsWith("HTTP/1.1 403 Forbidden\r\n"));
  EXPECT_THAT(answer, HasSubstr("error=destination_ip_prohibited"));
  EXPECT_EQ(metric("tributary_rejected_total", {"address"}), 1);
  EXPECT_EQ(origin.accepted, 0u);
}

TEST_F(TunnelTest, ANameIsProhibitedByWhatItResolvesTo) {  // V-5
  access_settings.allow_private = false;
  open(origin.port(), "", "localhost");
  EXPECT_THAT(client->receive_to_end(), HasSubstr("error=destination_ip_prohibited"));
  EXPECT_EQ(origin.accepted, 0u);
}

TEST_F(TunnelTest, OwnListenersAreNotReachedByAnyName) {  // V-6
  own_addresses = {net::SocketAddress(net::IpAddress::v4(0x7f000001), origin.port())};
  open(origin.port(), "", "localhost");
  // 403, or 502 where ::1, which is another address, was tried.
  EXPECT_THAT(client->receive_to_end(), Not(StartsWith("HTTP/1.1 200")));
  EXPECT_EQ(origin.accepted, 0u);
}

TEST_F(TunnelTest, PortsThatRulesForbidAreRefused) {
  access_settings.connect_ports = {{443, 443}};
  open(origin.port());
  EXPECT_THAT(client->receive_to_end(), HasSubstr("port not allowed for CONNECT"));
  EXPECT_EQ(metric("tributary_rejected_total", {"target"}), 1);
}

TEST_F(TunnelTest, AnUnknownNameIsTold) {
  open(443, "", "nowhere.invalid");
  const std::string& answer = client->receive_to_end();
  EXPECT_THAT(answer, StartsWith("HTTP/1.1 502 "));
  EXPECT_THAT(answer, HasSubstr("error=dns_error"));
  EXPECT_THAT(answer, HasSubstr("nowhere.invalid:443"));
  EXPECT_THAT(answer, HasSubstr("looking up the name"));
}

TEST_F(TunnelTest, ALookUpThatNobodyAnswersTimesOut) {
  settings.timeout.dns = 20ms;
  open(443, "", "slow.example");
  EXPECT_THAT(client->receive_to_end(), StartsWith("HTTP/1.1 50"));
}

TEST_F(TunnelTest, ResetOfTheOriginResetsTheClient) {
  open(origin.port());
  client->receive(kEstablished.size());
  client->turn([&] { return origin.accepted == 1; });
  origin.reset_all();
  client->receive_to_end();
  EXPECT_TRUE(worker().active() == 0 || client->was_reset());
  client->turn([&] { return worker().active() == 0; });
}

TEST_F(TunnelTest, AClientThatVanishesWhileRelayingEndsTheOriginsConnection) {
  open(origin.port());
  client->receive(kEstablished.size());
  client->turn([&] { return origin.accepted == 1; });
  client->close();
  client->turn([&] { return worker().active() == 0 && origin.ended == 1; });
}

TEST_F(TunnelTest, AClientThatVanishesWhileTheNameIsLookedUpCancels) {
  Tunnel& tunnel = open(443, "", "slow.example");
  ASSERT_EQ(tunnel.state(), TunnelState::Connecting);
  client->close();
  client->turn([&] { return worker().active() == 0; });
}

TEST_F(TunnelTest, AClientThatVanishesRightAfterAskingLeavesNothingBehind) {
  open(origin.port());
  client->close();
  client->turn([&] { return worker().active() == 0; });
}

TEST_F(TunnelTest, AClientThatVanishesBeforeItsRefusalIsRead) {
  access_settings.connect_ports = {{443, 443}};
  open(origin.port());
  client->close();
  client->turn([&] { return worker().active() == 0; });
}

TEST_F(TunnelTest, AClientThatSpeaksWhileConnectingIsHeardLater) {
  Tunnel& tunnel = open(443, "", "slow.example");
  client->send("too early");
  for (int i = 0; i < 5; ++i) loop.run_once(1ms);
  EXPECT_EQ(tunnel.state(), TunnelState::Connecting);
}

TEST_F(TunnelTest, AnIdleTunnelEnds) {
  settings.timeout.tunnel_idle = 20ms;
  open(origin.port());
  EXPECT_EQ(client->receive_to_end(), kEstablished);
  client->turn([&] { return worker().active() == 0; });
}

TEST_F(TunnelTest, TheWorkersEndClosesWhatStillRuns) {
  open(origin.port());
  client->receive(kEstablished.size());
  bool drained = false;
  auto on_drained = [&drained] { drained = true; };
  worker().drain(core::Callback<void()>::ref(on_drained));
  client->send("still here");
  EXPECT_EQ(client->receive(kEstablished.size() + 10), kEstablished + "still here");
  EXPECT_FALSE(drained);
  client->end();
  client->turn([&] { return drained; });
}

TEST_F(TunnelTest, DestroyedInEveryStateItLeavesNothingBehind) {
  open(443, "", "slow.example");           // connecting
  auto first = std::move(client);
  open(origin.port());                     // relaying
  client->receive(kEstablished.size());
  auto second = std::move(client);
  access_settings.connect_ports = {};
}  // ~WorkerTest looks at the gauges

TEST_F(TunnelTest, RelaysASwitchedConnectionWithBothLeftovers) {  // P-2, 101
  auto [stream, other] = connection();
  auto [origin_stream, origin_end] = connection();
  TunnelRequest request;
  request.protocol = Protocol::Http;
  request.host = "ws.example";
  request.port = 80;
  Tunnel& tunnel = worker().adopt(std::make_unique<Tunnel>(worker(), std::move(stream), std::move(request)));
  tunnel.relay(std::move(origin_stream), "frame ", "HTTP/1.1 101 x\r\n\r\nhello ", {});
  other->send("up");
  origin_end->send("down");
  EXPECT_EQ(other->receive(26), "HTTP/1.1 101 x\r\n\r\nhello down");
  EXPECT_EQ(origin_end->receive(8), "frame up");
  EXPECT_EQ(metric("tributary_tunnels", {"http"}), 1);
}

TEST_F(TunnelTest, ALineIsLoggedWhenItEnds) {
  access_log_settings.file = "/tmp/tributary-tunnel-" + std::to_string(::getpid()) + ".log";
  access_log_settings.format = AccessFormat::Squid;
  open(origin.port(), "ping");
  client->receive(kEstablished.size() + 4);
  client->end();
  client->receive_to_end();
  client->turn([&] { return worker().active() == 0; });
  worker().access_log().flush();
  std::stringstream text;
  text << std::ifstream(access_log_settings.file).rdbuf();
  std::remove(access_log_settings.file.c_str());
  EXPECT_THAT(text.str(), HasSubstr(" TCP_TUNNEL/200 9 CONNECT 127.0.0.1:" + std::to_string(origin.port()) +
                                    " - HIER_DIRECT/127.0.0.1 -\n"));
}

// What our heap holds for an idle tunnel; with malloc's overhead and the kernel's own it must stay below 2 KiB.
static_assert(sizeof(Tunnel) + 2 * sizeof(net::TcpStream) <= 1024);

// --- SOCKS, through the listener ---

class SocksTest : public WorkerTest {
 protected:
  static std::string socks5_request(std::string_view host, uint16_t port) {
    std::string request("\5\1\0\3", 4);
    request += static_cast<char>(host.size());
    request += host;
    request += static_cast<char>(port >> 8);
    request += static_cast<char>(port & 255);
    return request;
  }
  static std::string socks4_request(uint16_t port) {
    std::string request("\4\1", 2);
    request += static_cast<char>(port >> 8);
    request += static_cast<char>(port & 255);
    return request + std::string("\x7f\0\0\1user\0", 9);
  }
  EchoOrigin origin{loop};
};

const std::string kGreeting("\5\1\0", 3);
const std::string kNoLogin("\5\0", 2);

TEST_F(SocksTest, Socks5ResolvesNamesHere) {  // P-4
  auto client = dial();
  client->send(kGreeting);
  EXPECT_EQ(client->receive(2), kNoLogin);
  client->send(socks5_request("localhost", origin.port()));
  EXPECT_EQ(client->receive(12), kNoLogin + kSocks5Granted);
  client->send("ping");
  EXPECT_EQ(client->receive(16), kNoLogin + kSocks5Granted + "ping");
  EXPECT_EQ(metric("tributary_tunnels", {"socks5"}), 1);
  EXPECT_EQ(metric("tributary_client_connections_total", {"socks5"}), 1);
}

TEST_F(SocksTest, EverythingAtOnceIsTakenInOrder) {  // V-7: pipelined data belongs to the tunnel
  auto client = dial();
  client->send(kGreeting + socks5_request("127.0.0.1", origin.port()) + "hello");
  EXPECT_EQ(client->receive(17), kNoLogin + kSocks5Granted + "hello");
}

TEST_F(SocksTest, ByteByByteIsTheSame) {
  auto client = dial();
  for (const char c : kGreeting + socks5_request("127.0.0.1", origin.port()) + "hi") {
    client->send({&c, 1});
    for (int i = 0; i < 3; ++i) loop.run_once();
  }
  EXPECT_EQ(client->receive(14), kNoLogin + kSocks5Granted + "hi");
}

TEST_F(SocksTest, Socks4IsSpokenToo) {
  auto client = dial();
  client->send(socks4_request(origin.port()) + "hey");
  EXPECT_EQ(client->receive(11), kSocks4Granted + "hey");
}

TEST_F(SocksTest, FailuresAreToldInTheProtocolsWords) {
  uint16_t port;
  {
    EchoOrigin gone(loop);
    port = gone.port();
  }
  auto client = dial();
  client->send(kGreeting + socks5_request("127.0.0.1", port));
  const std::string& answer = client->receive_to_end();
  ASSERT_EQ(answer.size(), 12u);
  EXPECT_EQ(answer[3], 5);  // connection refused
  EXPECT_EQ(metric("tributary_requests_total", {"socks5", "CONNECT", "502", "bypass"}), 1);
}

TEST_F(SocksTest, ProhibitedDestinationsAreNotAllowedByRuleset) {
  access_settings.allow_private = false;
  auto client = dial();
  client->send(kGreeting + socks5_request("localhost", origin.port()));
  const std::string& answer = client->receive_to_end();
  ASSERT_EQ(answer.size(), 12u);
  EXPECT_EQ(answer[3], 2);
  EXPECT_EQ(origin.accepted, 0u);
}

TEST_F(SocksTest, BindAndUdpAreRefusedAsUnsupported) {
  auto client = dial();
  std::string request = socks5_request("127.0.0.1", 80);
  request[1] = 2;
  client->send(kGreeting + request);
  const std::string& answer = client->receive_to_end();
  ASSERT_GE(answer.size(), 4u);
  EXPECT_EQ(answer[3], 7);
}

TEST_F(SocksTest, ASilentClientIsClosedInTime) {  // S3-10.9
  settings.timeout.socks = 20ms;
  auto client = dial();
  client->send("\5");
  EXPECT_EQ(client->receive_to_end(), "");
  EXPECT_EQ(metric("tributary_rejected_total", {"timeout"}), 1);
}

TEST_F(SocksTest, AClientThatVanishesAtAnyByteLeavesNothingBehind) {
  const std::string whole = kGreeting + socks5_request("slow.example", 80);
  for (size_t cut = 1; cut <= whole.size(); ++cut) {
    auto client = dial();
    client->send(std::string_view(whole).substr(0, cut));
    loop.run_once(1ms);
    client->close();
    client->turn([&] { return worker().active() == 0; });
  }
}

// --- detection, limits ---

class EntranceTest : public WorkerTest {
 protected:
  EchoOrigin origin{loop};
};

TEST_F(EntranceTest, ConnectOverTheListenerKeepsEarlyBytes) {  // P-1, P-3
  auto client = dial();
  client->send("CONNECT 127.0.0.1:" + std::to_string(origin.port()) + " HTTP/1.1\r\nHost: x\r\n\r\nearly");
  EXPECT_EQ(client->receive(kEstablished.size() + 5), kEstablished + "early");
  EXPECT_EQ(metric("tributary_client_connections_total", {"connect"}), 1);
  EXPECT_EQ(metric("tributary_client_connections_total", {"http"}), 0);
  client->end();
  EXPECT_EQ(client->receive_to_end(), kEstablished + "early<end>");
}

TEST_F(EntranceTest, AClientThatSpeaksLateIsServedAllTheSame) {
  auto client = dial();
  for (int i = 0; i < 5; ++i) loop.run_once(1ms);
  EXPECT_EQ(worker().active(), 1u);
  EXPECT_EQ(metric("tributary_client_connections", {"unknown"}), 1);
  client->send("CONNECT 127.0.0.1:" + std::to_string(origin.port()) + " HTTP/1.1\r\nHost: x\r\n\r\n");
  EXPECT_EQ(client->receive(kEstablished.size()), kEstablished);
}

TEST_F(EntranceTest, ASilentClientIsClosedInTime) {
  settings.timeout.header = 20ms;
  auto client = dial();
  EXPECT_EQ(client->receive_to_end(), "");
}

TEST_F(EntranceTest, TlsAndProxyHeadersAreClosed) {
  for (const char* hello : {"\x16\x03\x01\x02", "PROXY TCP4 1.2.3.4 5.6.7.8 1 2\r\n"}) {
    auto client = dial();
    client->send(hello);
    EXPECT_EQ(client->receive_to_end(), "");
  }
  EXPECT_EQ(metric("tributary_rejected_total", {"protocol"}), 2);
}

TEST_F(EntranceTest, OnlyTheProtocolsOfTheListenerAreSpoken) {
  auto http = dial({.http = false, .socks4 = false, .socks5 = true});
  http->send("GET http://example.com/ HTTP/1.1\r\n\r\n");
  EXPECT_THAT(http->receive_to_end(), HasSubstr("this port speaks SOCKS only"));
  auto socks4 = dial();
  socks4->send("\4\1");
  EXPECT_EQ(socks4->receive_to_end(), "");
  auto socks5 = dial();
  socks5->send(kGreeting);
  EXPECT_EQ(socks5->receive(2), kNoLogin);
}

TEST_F(EntranceTest, ClientsThatTheRulesDoNotAdmitAreClosed) {
  access_settings.allow_clients = {*net::Cidr::parse("192.0.2.0/24")};
  auto client = dial();
  client->receive_to_end();
  EXPECT_EQ(metric("tributary_rejected_total", {"client"}), 1);
}

TEST_F(EntranceTest, ConnectionsBeyondTheLimitAreClosedAndPlacesComeBack) {
  settings.max_connections = 2;
  auto first = dial(), second = dial();
  first->turn([&] { return worker().active() == 2; });
  auto third = dial();
  third->receive_to_end();
  EXPECT_EQ(metric("tributary_rejected_total", {"connections"}), 1);
  first->close();
  second->turn([&] { return worker().active() == 1; });
  auto fourth = dial();
  fourth->turn([&] { return worker().active() == 2; });
  EXPECT_EQ(metric("tributary_rejected_total", {"connections"}), 1);
}

TEST_F(EntranceTest, DrainClosesWhoSaidNothingAndTakesNobodyIn) {
  auto silent = dial();
  silent->turn([&] { return worker().active() == 1; });
  bool drained = false;
  auto on_drained = [&drained] { drained = true; };
  worker().drain(core::Callback<void()>::ref(on_drained));
  EXPECT_EQ(silent->receive_to_end(), "");
  silent->turn([&] { return drained; });
}

}  // namespace
}  // namespace tributary::proxy
