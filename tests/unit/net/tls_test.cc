// TLS: verification, resumption, ALPN, ends. S0-2.3.
#include "net/tls.h"

#include <functional>

#include "unit/net/certificates.h"
#include "unit/net/support.h"

namespace tributary::net {
namespace {

using namespace test;

class TlsTest : public ::testing::Test {
 protected:
  struct Outcome {
    core::Result<void> client, server;
    std::string why;
  };

  void SetUp() override { ignore_sigpipe(); }

  std::unique_ptr<TlsClientContext> client_context(TlsClientSettings settings = {}) {
    if (settings.ca_file.empty()) settings.ca_file = authority.file;
    std::string why;
    auto made = TlsClientContext::create(settings, &why);
    EXPECT_TRUE(made) << why;
    return *std::move(made);
  }
  std::unique_ptr<TlsServerContext> server_context(const Leaf& leaf, TlsServerSettings settings = {}) {
    settings.certificate = leaf.certificate;
    settings.key = leaf.key;
    std::string why;
    auto made = TlsServerContext::create(settings, &why);
    EXPECT_TRUE(made) << why;
    return *std::move(made);
  }

  // Makes a connection and runs both handshakes until each has said how it ended.
  Outcome connect(const TlsClientContext& client, const TlsServerContext& server, const HostPort& name = {"good.test", 443},
                  TlsSessionCache* sessions = nullptr) {
    auto [left, right] = tcp_streams(loop);
    a = TlsStream::client(loop, std::move(left), client, name, sessions, core::Side::Origin);
    b = TlsStream::server(loop, std::move(right), server, core::Side::Client);
    std::optional<core::Result<void>> first, second;
    auto on_first = [&](core::Result<void> result) { first = result; };
    auto on_second = [&](core::Result<void> result) {
      second = result;
      if (!result) b->close();
    };
    a->handshake(core::Callback<void(core::Result<void>)>::ref(on_first));
    b->handshake(core::Callback<void(core::Result<void>)>::ref(on_second));
    EXPECT_FALSE(first || second) << "called from inside handshake()";
    EXPECT_TRUE(run_until(loop, [&] {
      if (first && !*first) a->close();
      return first && second;
    }));
    return {first.value_or(core::Error{}), second.value_or(core::Error{}), a->reason()};
  }

  // Sends a byte both ways: what a client must do to receive TLS 1.3 tickets.
  void exchange() {
    Peer left(*a, "question"), right(*b, "answer");
    ASSERT_TRUE(run_until(loop, [&] { return left.ended && right.ended; }));
    EXPECT_EQ(left.got, "answer");
  }

  TemporaryFolder folder;
  Authority authority{folder.path, "authority"};
  Leaf good = authority.issue("DNS:good.test,DNS:*.wild.test,IP:127.0.0.1");
  core::Loop loop;
  std::unique_ptr<TlsStream> a, b;
};

TEST_F(TlsTest, AcceptsTheRightNameWildcardAndAddress) {
  const auto client = client_context();
  const auto server = server_context(good);
  for (const char* name : {"good.test", "x.wild.test", "127.0.0.1"}) {
    EXPECT_TRUE(connect(*client, *server, {name, 443}).client) << name << ": " << a->reason();
  }
  EXPECT_EQ(a->version(), "TLSv1.3");
}

TEST_F(TlsTest, RefusesAnotherHost) {
  const auto client = client_context();
  const auto server = server_context(good);
  for (const char* name : {"bad.test", "wild.test", "x.y.wild.test", "127.0.0.2", "leaf"}) {
    const Outcome outcome = connect(*client, *server, {name, 443});
    ASSERT_FALSE(outcome.client) << name;
    EXPECT_EQ(outcome.client.error().code, core::ErrorCode::TlsCertificate);
    EXPECT_EQ(outcome.client.error().side, core::Side::Origin);
    EXPECT_NE(outcome.why.find("mismatch"), std::string::npos) << outcome.why;
    EXPECT_FALSE(outcome.server);
  }
}

TEST_F(TlsTest, RefusesAnExpiredCertificate) {
  const auto server = server_context(authority.issue("DNS:good.test", -7200, -3600));
  const Outcome outcome = connect(*client_context(), *server);
  ASSERT_FALSE(outcome.client);
  EXPECT_EQ(outcome.client.error().code, core::ErrorCode::TlsCertificate);
  EXPECT_EQ(outcome.why, "certificate has expired");
}

TEST_F(TlsTest, RefusesAnUnknownAuthority) {
  Authority other(folder.path, "other");
  const Outcome outcome = connect(*client_context(), *server_context(other.issue("DNS:good.test")));
  ASSERT_FALSE(outcome.client);
  EXPECT_EQ(outcome.client.error().code, core::ErrorCode::TlsCertificate);
  ASSERT_FALSE(outcome.server);
  EXPECT_EQ(outcome.server.error().code, core::ErrorCode::TlsProtocol);
  EXPECT_EQ(outcome.server.error().detail, 48);  // RFC 8446 6: unknown_ca
  EXPECT_EQ(outcome.server.error().side, core::Side::Client);
}

TEST_F(TlsTest, VerifiesNothingWhenToldSo) {
  Authority other(folder.path, "other");
  EXPECT_TRUE(connect(*client_context({.verify = false}), *server_context(other.issue("DNS:x"))).client);
}

TEST_F(TlsTest, AgreesOnAProtocolOrFails) {
  const auto server = server_context(good);
  EXPECT_TRUE(connect(*client_context(), *server).client);
  EXPECT_EQ(a->alpn(), "http/1.1");
  EXPECT_EQ(b->alpn(), "http/1.1");
  const Outcome outcome = connect(*client_context({.alpn = {"smtp"}}), *server);
  EXPECT_FALSE(outcome.client);
  EXPECT_EQ(outcome.client.error().detail, 120);  // RFC 7301 3.2: no_application_protocol
  EXPECT_TRUE(connect(*client_context({.alpn = {}}), *server).client);
  EXPECT_EQ(a->alpn(), "");
}

TEST_F(TlsTest, ResumesASessionOfTheSameOriginAndSettingsOnly) {
  const auto client = client_context();
  const auto other_settings = client_context({.verify = false});
  const auto server = server_context(good);
  TlsSessionCache sessions;
  ASSERT_TRUE(connect(*client, *server, {"good.test", 443}, &sessions).client);
  EXPECT_FALSE(a->is_resumed());
  exchange();
  EXPECT_EQ(sessions.size(), 1u);
  ASSERT_TRUE(connect(*client, *server, {"good.test", 443}, &sessions).client);
  EXPECT_TRUE(a->is_resumed());
  EXPECT_TRUE(b->is_resumed());
  exchange();
  ASSERT_TRUE(connect(*client, *server, {"good.test", 444}, &sessions).client);
  EXPECT_FALSE(a->is_resumed());
  ASSERT_TRUE(connect(*client, *server, {"x.wild.test", 443}, &sessions).client);
  EXPECT_FALSE(a->is_resumed());
  ASSERT_TRUE(connect(*other_settings, *server, {"good.test", 443}, &sessions).client);
  EXPECT_FALSE(a->is_resumed());
  ASSERT_TRUE(connect(*client, *server, {"good.test", 443}, &sessions).client);
  EXPECT_TRUE(a->is_resumed());
}

TEST_F(TlsTest, SessionCacheIsBounded) {
  const auto client = client_context();
  const auto server = server_context(good);
  TlsSessionCache sessions(2);
  for (const uint16_t port : std::initializer_list<uint16_t>{1, 2, 3}) {
    ASSERT_TRUE(connect(*client, *server, {"good.test", port}, &sessions).client);
    exchange();
  }
  EXPECT_EQ(sessions.size(), 2u);
  ASSERT_TRUE(connect(*client, *server, {"good.test", 1}, &sessions).client);
  EXPECT_FALSE(a->is_resumed());
}

TEST_F(TlsTest, AnEndWithoutCloseNotifyIsAFailure) {
  ASSERT_TRUE(connect(*client_context(), *server_context(good)).client);
  Peer left(*a, "", false);
  ASSERT_TRUE(b->write("half of the ans").is_bytes());
  b->close();
  ASSERT_TRUE(run_until(loop, [&] { return left.failed || left.ended; }));
  EXPECT_TRUE(left.failed);
  EXPECT_EQ(left.got, "half of the ans");
  EXPECT_EQ(left.error.code, core::ErrorCode::ConnectionReset);
  EXPECT_EQ(a->reason(), "closed without close_notify");
}

TEST_F(TlsTest, GarbageInsteadOfAHandshakeIsAProtocolError) {
  auto [left, right] = tcp_streams(loop);
  a = TlsStream::client(loop, std::move(left), *client_context(), {"good.test", 443}, nullptr, core::Side::Origin);
  std::optional<core::Result<void>> outcome;
  auto on_done = [&](core::Result<void> result) { outcome = result; };
  a->handshake(core::Callback<void(core::Result<void>)>::ref(on_done));
  ASSERT_TRUE(right->write("HTTP/1.1 400 Bad Request\r\n\r\n").is_bytes());
  ASSERT_TRUE(run_until(loop, [&] { return outcome.has_value(); }));
  EXPECT_EQ(outcome->error().code, core::ErrorCode::TlsProtocol);
  EXPECT_FALSE(a->reason().empty());
}

TEST_F(TlsTest, APeerThatLeavesDuringTheHandshakeIsAReset) {
  auto [left, right] = tcp_streams(loop);
  a = TlsStream::client(loop, std::move(left), *client_context(), {"good.test", 443}, nullptr, core::Side::Origin);
  std::optional<core::Result<void>> outcome;
  auto on_done = [&](core::Result<void> result) {
    outcome = result;
    a.reset();  // from inside
  };
  a->handshake(core::Callback<void(core::Result<void>)>::ref(on_done));
  right->close();
  ASSERT_TRUE(run_until(loop, [&] { return outcome.has_value(); }));
  EXPECT_EQ(outcome->error().code, core::ErrorCode::ConnectionReset);
}

TEST_F(TlsTest, CanBeDestroyedAtEveryStepOfTheHandshake) {
  const auto client = client_context();
  const auto server = server_context(good);
  for (int steps = 0; steps < 8; ++steps) {
    auto [left, right] = tcp_streams(loop);
    auto never = [](core::Result<void>) {};
    a = TlsStream::client(loop, std::make_unique<TrickleStream>(std::move(left)), *client, {"good.test", 443}, nullptr,
                          core::Side::Origin);
    b = TlsStream::server(loop, std::move(right), *server, core::Side::Client);
    a->handshake(core::Callback<void(core::Result<void>)>::ref(never));
    b->handshake(core::Callback<void(core::Result<void>)>::ref(never));
    for (int i = 0; i < steps * 40; ++i) loop.run_once();
    a.reset();
    b.reset();
    loop.run_once();
  }
}

TEST_F(TlsTest, ServerTakesBytesThatWereReadBefore) {
  auto [left, right] = tcp_streams(loop);
  const auto client = client_context();
  const auto server = server_context(good);
  a = TlsStream::client(loop, std::move(left), *client, {"good.test", 443}, nullptr, core::Side::Origin);
  int done = 0;
  auto on_done = [&](core::Result<void> result) { done += result.ok(); };
  a->handshake(core::Callback<void(core::Result<void>)>::ref(on_done));
  char hello[5];
  IoResult got = IoResult::would_block();
  ASSERT_TRUE(run_until(loop, [&] {
    if (got.is_would_block()) got = right->read(hello, sizeof(hello));
    return got.is_bytes();
  }));
  EXPECT_EQ(hello[0], 0x16);
  b = TlsStream::server(loop, std::move(right), *server, core::Side::Client, {hello, got.n});
  b->handshake(core::Callback<void(core::Result<void>)>::ref(on_done));
  ASSERT_TRUE(run_until(loop, [&] { return done == 2; }));
  exchange();
}

TEST_F(TlsTest, AsksClientsForACertificateWhenTold) {
  const auto server = server_context(good, {.client_ca = authority.file});
  ASSERT_TRUE(connect(*client_context({.certificate = good.certificate, .key = good.key}), *server).server);
  EXPECT_FALSE(connect(*client_context(), *server).server);
}

TEST_F(TlsTest, ContextsSayWhatIsWrongWithTheirFiles) {
  std::string why;
  EXPECT_FALSE(TlsClientContext::create({.ca_file = folder.path + "/nothing"}, &why));
  EXPECT_NE(why.find(folder.path), std::string::npos) << why;
  EXPECT_FALSE(TlsServerContext::create({.certificate = good.certificate, .key = authority.issue("DNS:x").key}, &why));
  EXPECT_NE(why.find("mismatch"), std::string::npos) << why;
  EXPECT_TRUE(TlsClientContext::create({}, &why));  // the system's roots
}

TEST_F(TlsTest, MinimumVersionIsEnforced) {
  const auto server = server_context(good, {.min_version = TlsVersion::Tls13});
  EXPECT_TRUE(connect(*client_context(), *server).client);
  EXPECT_EQ(a->version(), "TLSv1.3");
}

}  // namespace
}  // namespace tributary::net
