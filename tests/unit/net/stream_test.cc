// One conformance test over every implementation of Stream (S4-3.1), and what TCP does by itself.
#include "net/stream.h"

#include <fcntl.h>
#include <poll.h>

#include <functional>

#include "net/tls.h"
#include "unit/net/certificates.h"
#include "unit/net/support.h"

namespace tributary::net {
namespace {

using namespace test;

struct Certificates {
  TemporaryFolder folder;
  Authority authority{folder.path, "authority"};
  Leaf leaf = authority.issue("DNS:good.test,IP:127.0.0.1");
};

Certificates& certificates() {
  static Certificates made;
  return made;
}

StreamPair trickling(StreamPair pair) {
  return {std::make_unique<TrickleStream>(std::move(pair.first)), std::make_unique<TrickleStream>(std::move(pair.second))};
}

StreamPair unix_streams(core::Loop& loop) {
  auto pair = *make_socket_pair();
  return {tcp_stream(loop, std::move(pair.first)), tcp_stream(loop, std::move(pair.second))};
}

StreamPair over_tls(core::Loop& loop, StreamPair transport, TlsVersion version) {
  static const auto client = *TlsClientContext::create({.ca_file = certificates().authority.file}, nullptr);
  static const auto server12 = *TlsServerContext::create(
      {.certificate = certificates().leaf.certificate, .key = certificates().leaf.key}, nullptr);
  static const auto client13 =
      *TlsClientContext::create({.ca_file = certificates().authority.file, .min_version = TlsVersion::Tls13}, nullptr);
  auto a = TlsStream::client(loop, std::move(transport.first), version == TlsVersion::Tls13 ? *client13 : *client,
                             {"good.test", 443}, nullptr, core::Side::Origin);
  auto b = TlsStream::server(loop, std::move(transport.second), *server12, core::Side::Client);
  int done = 0;
  auto on_done = [&](core::Result<void> result) {
    EXPECT_TRUE(result) << a->reason() << b->reason();
    ++done;
  };
  a->handshake(core::Callback<void(core::Result<void>)>::ref(on_done));
  b->handshake(core::Callback<void(core::Result<void>)>::ref(on_done));
  // The client takes the server's tickets while the server finishes: a transport that trickles has no room for them.
  auto take_tickets = [&](Interest) { EXPECT_TRUE(a->probe().is_would_block()); };
  a->watch(Interest::Read, core::Callback<void(Interest)>::ref(take_tickets));
  EXPECT_TRUE(run_until(loop, [&] { return done == 2; }));
  a->watch(Interest::None, {});
  return {std::move(a), std::move(b)};
}

struct Kind {
  const char* name;
  std::function<StreamPair(core::Loop&)> make;
  size_t bulk;  // bytes worth sending
};

const Kind kKinds[] = {
    {"Tcp", tcp_streams, 8 << 20},
    {"Unix", unix_streams, 8 << 20},
    {"TrickledUnix", [](core::Loop& loop) { return trickling(unix_streams(loop)); }, 20'000},
    {"Tls", [](core::Loop& loop) { return over_tls(loop, tcp_streams(loop), TlsVersion::Tls13); }, 8 << 20},
    {"TlsOverTrickle",
     [](core::Loop& loop) { return over_tls(loop, trickling(unix_streams(loop)), TlsVersion::Tls13); }, 20'000},
    {"TlsInTls",
     [](core::Loop& loop) {
       return over_tls(loop, over_tls(loop, tcp_streams(loop), TlsVersion::Tls13), TlsVersion::Tls13);
     },
     4 << 20},
};

class StreamConformance : public ::testing::TestWithParam<Kind> {
 protected:
  void SetUp() override {
    ignore_sigpipe();
    std::tie(a, b) = GetParam().make(loop);
  }
  core::Loop loop;
  std::unique_ptr<Stream> a, b;
};

TEST_P(StreamConformance, CarriesBulkBothWaysAtOnceAndEndsCleanly) {
  const std::string there = pattern(GetParam().bulk, 1), back = pattern(GetParam().bulk / 2, 2);
  Peer left(*a, there), right(*b, back);
  ASSERT_TRUE(run_until(loop, [&] { return (left.ended && right.ended) || left.failed || right.failed; }));
  EXPECT_FALSE(left.failed || right.failed);
  EXPECT_TRUE(left.got == back);
  EXPECT_TRUE(right.got == there);
}

TEST_P(StreamConformance, KeepsAHalfClosedDirectionOpen) {
  Peer left(*a, "request"), right(*b, "", false);
  ASSERT_TRUE(run_until(loop, [&] { return right.ended && left.finished; }));
  EXPECT_FALSE(left.ended);
  right.say("answer");
  right.end();
  ASSERT_TRUE(run_until(loop, [&] { return left.ended; }));
  EXPECT_EQ(right.got, "request");
  EXPECT_EQ(left.got, "answer");
}

TEST_P(StreamConformance, GathersManyParts) {
  std::string expected;
  const std::string big = pattern(GetParam().bulk > 100'000 ? 70'000 : 3'000);
  std::vector<std::string> parts = {"head", "", big, "x", "", big, "tail"};
  for (const std::string& part : parts) expected += part;
  Peer right(*b, "", false);
  size_t sent = 0;
  auto send_rest = [&](Interest) {
    std::vector<iovec> list;
    size_t skip = sent;
    for (std::string& part : parts) {
      const size_t cut = std::min(skip, part.size());
      skip -= cut;
      list.push_back({part.data() + cut, part.size() - cut});
    }
    const IoResult result = a->write(list.data(), static_cast<int>(list.size()));
    ASSERT_FALSE(result.is_failed());
    sent += result.n;
    if (sent == expected.size()) a->set_interest(Interest::None);
  };
  a->watch(Interest::Write, core::Callback<void(Interest)>::ref(send_rest));
  ASSERT_TRUE(run_until(loop, [&] { return right.got.size() == expected.size(); }));
  EXPECT_TRUE(right.got == expected);
}

TEST_P(StreamConformance, SendsAFileFromAnOffset) {
  const TemporaryFolder folder;
  const std::string path = folder.path + "/file";
  const std::string content = pattern(GetParam().bulk > 100'000 ? 1'000'000 : 5'000);
  core::Fd file(::open(path.c_str(), O_RDWR | O_CREAT | O_CLOEXEC, 0600));
  ASSERT_EQ(::write(file.get(), content.data(), content.size()), static_cast<ssize_t>(content.size()));
  Peer right(*b, "", false);
  size_t at = 100;
  bool ended = false;
  auto send_rest = [&](Interest) {
    const IoResult result = a->send_file(file.get(), at, content.size());  // more than there is
    ASSERT_FALSE(result.is_failed());
    ASSERT_NE(result.kind, IoResult::Kind::Cold);
    at += result.n;
    if (result.is_end()) {
      ended = true;
      a->set_interest(Interest::None);
    }
  };
  a->watch(Interest::Write, core::Callback<void(Interest)>::ref(send_rest));
  ASSERT_TRUE(run_until(loop, [&] { return ended && right.got.size() == content.size() - 100; }));
  EXPECT_TRUE(right.got == content.substr(100));
}

TEST_P(StreamConformance, SaysWouldBlockWhenNothingIsThereAndWhenFull) {
  char byte;
  EXPECT_TRUE(b->read(&byte, 1).is_would_block());
  EXPECT_TRUE(b->probe().is_would_block());
  const std::string chunk = pattern(100'000);
  int blocked = 0;
  for (int i = 0; i < 100'000 && blocked < 5; ++i) blocked = a->write(chunk).is_would_block() ? blocked + 1 : 0;
  EXPECT_EQ(blocked, 5);
}

TEST_P(StreamConformance, ProbeSeesBytesAndTheEndWithoutTakingThem) {
  Peer left(*a, "x");
  char byte;
  ASSERT_TRUE(run_until(loop, [&] { return left.finished && b->probe().is_bytes(); }));
  EXPECT_TRUE(b->probe().is_bytes());
  IoResult got = b->read(&byte, 1);
  while (got.is_would_block()) got = b->read(&byte, 1);
  EXPECT_EQ(got.n, 1u);
  ASSERT_TRUE(run_until(loop, [&] { return b->probe().is_end(); }));
}

TEST_P(StreamConformance, ReadinessIsLevelTriggered) {
  // One byte per callback: it must come again for what is left, also for what TLS has decrypted already.
  const std::string bytes = pattern(1000);
  Peer left(*a, bytes);
  std::string got;
  bool ended = false;
  auto read_one = [&](Interest) {
    char byte;
    const IoResult result = b->read(&byte, 1);
    if (result.is_bytes()) got += byte;
    if (result.is_end()) {
      ended = true;
      b->set_interest(Interest::None);
    }
  };
  b->watch(Interest::Read, core::Callback<void(Interest)>::ref(read_one));
  ASSERT_TRUE(run_until(loop, [&] { return ended; }));
  EXPECT_TRUE(got == bytes);
}

TEST_P(StreamConformance, NothingIsCalledWithoutInterestAndBufferedBytesWaitForIt) {
  const std::string bytes = pattern(GetParam().bulk > 100'000 ? 5000 : 16);  // must fit unread, a buffer head a byte
  Peer left(*a, bytes);
  int calls = 0;
  std::string got;
  auto on_ready = [&](Interest) {
    ++calls;
    char buffer[300];
    const IoResult result = b->read(buffer, bytes.size() > 1000 ? sizeof(buffer) : 7);
    if (result.is_bytes()) got.append(buffer, result.n);
    b->set_interest(Interest::None);
  };
  b->watch(Interest::None, core::Callback<void(Interest)>::ref(on_ready));
  ASSERT_TRUE(run_until(loop, [&] { return left.finished; }));
  for (int i = 0; i < 5; ++i) loop.run_once();
  EXPECT_EQ(calls, 0);
  while (got.size() < bytes.size()) {
    const int before = calls;
    b->set_interest(Interest::Read);
    ASSERT_TRUE(run_until(loop, [&] { return calls > before; }));
  }
  EXPECT_TRUE(got == bytes);
}

TEST_P(StreamConformance, MayBeDestroyedFromItsCallback) {
  Peer left(*a, "bytes", false);
  auto destroy = [&](Interest) { b.reset(); };
  b->watch(Interest::Read, core::Callback<void(Interest)>::ref(destroy));
  ASSERT_TRUE(run_until(loop, [&] { return !b; }));
}

TEST_P(StreamConformance, APeerThatAbortsIsNotAnEnd) {
  Peer right(*b, "", false);
  ASSERT_FALSE(a->write("some").is_failed());
  loop.run_once(1ms);
  a->abort();
  if (a->fd() < 0 && !b->is_tls() && b->peer().is_unix()) return;  // a Unix socket pair knows no reset
  ASSERT_TRUE(run_until(loop, [&] { return right.failed || right.ended; }));
  EXPECT_TRUE(right.failed);
  EXPECT_EQ(right.error.code, core::ErrorCode::ConnectionReset);
}

TEST_P(StreamConformance, CloseIsIdempotent) {
  a->close();
  a->close();
  b->abort();
  b->close();
}

TEST_P(StreamConformance, WritingToAClosedPeerFailsWithoutASignal) {
  b->abort();
  b.reset();
  bool failed = false;
  ASSERT_TRUE(run_until(loop, [&] { return failed = failed || a->write("x").is_failed(); }));
}

INSTANTIATE_TEST_SUITE_P(Streams, StreamConformance, ::testing::ValuesIn(kKinds),
                         [](const auto& tested) { return std::string(tested.param.name); });

TEST(TcpStream, KeepsAPartialSegmentBackWhenMoreFollows) {
  core::Loop loop;
  auto [a, b] = tcp_streams(loop);
  ASSERT_TRUE(a->write("head", More::Yes).is_bytes());
  EXPECT_TRUE(b->probe().is_would_block());
  ASSERT_TRUE(a->write("body").is_bytes());
  char buffer[16];
  pollfd wait{b->fd(), POLLIN, 0};
  ASSERT_EQ(::poll(&wait, 1, 10'000), 1);
  EXPECT_EQ(b->read(buffer, sizeof(buffer)).n, 8u);
}

TEST(TcpStream, ErrorsBearTheSideItWasMadeFor) {
  core::Loop loop;
  auto [a, b] = tcp_pair();
  TcpStream stream(loop, std::move(a), loopback(), core::Side::Parent);
  set_abort_on_close(b.get());
  b.reset();
  char byte;
  IoResult got = stream.read(&byte, 1);
  while (got.is_would_block()) got = stream.read(&byte, 1);
  EXPECT_EQ(got.error.side, core::Side::Parent);
  EXPECT_EQ(got.error.code, core::ErrorCode::ConnectionReset);
  EXPECT_EQ(got.error.sys, ECONNRESET);
}

}  // namespace
}  // namespace tributary::net
