// One request and its response: framing, back-pressure, deadlines, cancelling. S1-4, S0-4.3, S3-2.6, S3-2.11, S3-2.12.
#include "upstream/client_core.h"
#include "upstream/h1_exchange.h"

#include "unit/upstream/fixture.h"

namespace tributary::upstream::test {
namespace {

using http::BodyKind;
using http::Method;
using std::chrono::milliseconds;

class ExchangeTest : public UpstreamTest {
 protected:
  // Answers every request with these bytes.
  void answer(std::string bytes, bool then_close = false) {
    origin_.on_request = [=](TestOrigin::Peer& peer, const std::string&) {
      peer.send(bytes);
      if (then_close) peer.close();
    };
  }
  TestOrigin origin_{loop_};
};

// A source that the test fills by hand.
class ManualBody final : public http::BodySource {
 public:
  http::BodyRead read(http::BodyPart& part, uint64_t at_most) override {
    ++reads;
    if (!bytes.empty()) {
      const size_t n = std::min<size_t>(bytes.size(), at_most);
      part = {};
      part.bytes = core::Slice::copy(std::string_view(bytes).substr(0, n));
      bytes.erase(0, n);
      taken += n;
      return http::BodyRead::Part;
    }
    if (failure) return http::BodyRead::Failed;
    return ended ? http::BodyRead::End : http::BodyRead::Wait;
  }
  void set_ready(core::Callback<void()> callback) override { ready = callback; }
  std::optional<uint64_t> remaining() const override { return length; }
  const http::FieldSection* trailers() const override { return trailer_section.empty() ? nullptr : &trailer_section; }
  core::Error error() const override { return *failure; }
  void give(std::string more) {
    bytes += more;
    if (ready) ready();
  }
  void end() {
    ended = true;
    if (ready) ready();
  }

  std::string bytes;
  std::optional<uint64_t> length;
  std::optional<core::Error> failure;
  http::FieldSection trailer_section;
  core::Callback<void()> ready;
  bool ended = false;
  size_t reads = 0, taken = 0;
};

TEST_F(ExchangeTest, BringsAResponseOfDeclaredLength) {
  answer(response("hello", "X-Test: 1\r\n"));
  Call call;
  run(call, at(origin_), get("/a?b"));
  EXPECT_EQ(call.status(), 200);
  EXPECT_EQ(call.body, "hello");
  EXPECT_TRUE(call.ended);
  EXPECT_EQ(call.exchange->head().fields.find("X-Test"), "1");
  EXPECT_EQ(origin_.peer(0).last_head, "GET /a?b HTTP/1.1\r\nHost: origin.test\r\n\r\n");
}

TEST_F(ExchangeTest, NeverCallsBackFromInsideStart) {
  origin_.stop_listening();
  settings_.retries = 0;
  Call call;
  start(call, at(origin_), get());
  EXPECT_FALSE(call.failed);
  until([&] { return call.failed; });
  EXPECT_EQ(call.error.code, core::ErrorCode::ConnectionRefused);
  EXPECT_EQ(call.error.retry, core::Retry::Safe);
}

TEST_F(ExchangeTest, BringsResponsesWithoutContent) {
  for (const auto& [method, text] : std::vector<std::pair<Method, std::string>>{
           {Method::Head, "HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\n"},
           {Method::Get, "HTTP/1.1 204 No Content\r\n\r\n"},
           {Method::Get, "HTTP/1.1 304 Not Modified\r\nContent-Length: 5\r\nETag: \"a\"\r\n\r\n"},
           {Method::Get, "HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n"}}) {
    answer(text);
    Call call;
    run(call, at(origin_), get("/", method));
    EXPECT_TRUE(call.ended) << text;
    EXPECT_EQ(call.body, "");
    EXPECT_EQ(client().idle(), 1u) << text;
  }
  EXPECT_EQ(origin_.accepted, 1u);
}

TEST_F(ExchangeTest, BringsChunkedContentWithItsTrailers) {
  answer("HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nhello\r\n6;x=y\r\n world\r\n0\r\nX-Sum: 42\r\n\r\n");
  Call call;
  run(call, at(origin_));
  EXPECT_EQ(call.body, "hello world");
  ASSERT_NE(call.exchange->trailers(), nullptr);
  EXPECT_EQ(call.exchange->trailers()->find("X-Sum"), "42");
  EXPECT_EQ(client().idle(), 1u);
}

TEST_F(ExchangeTest, BringsContentThatEndsWithTheConnection) {
  answer("HTTP/1.1 200 OK\r\n\r\nuntil the end", true);
  Call call;
  run(call, at(origin_));
  EXPECT_EQ(call.body, "until the end");
  EXPECT_TRUE(call.ended);
  EXPECT_EQ(client().idle(), 0u);
}

TEST_F(ExchangeTest, AcceptsAResponseByteByByte) {
  const std::string text =
      "HTTP/1.1 103 Early Hints\r\nLink: </a>\r\n\r\nHTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nabc\r\n0\r\n\r\n";
  Call call;
  start(call, at(origin_), get());
  until([&] { return origin_.requests == 1; });
  for (char c : text) {
    origin_.peer(0).send({&c, 1});
    settle();
  }
  until([&] { return call.is_over(); });
  EXPECT_EQ(call.interim, std::vector<int>{103});
  EXPECT_EQ(call.body, "abc");
}

// S0-4.3
TEST_F(ExchangeTest, ShortContentIsAFailureAndNeverACleanEnd) {
  for (const std::string head : {"Content-Length: 10\r\n", "Transfer-Encoding: chunked\r\n"}) {
    answer("HTTP/1.1 200 OK\r\n" + head + "\r\n" + "5\r\nab", true);
    Call call;
    run(call, at(origin_));
    EXPECT_TRUE(call.failed) << head;
    EXPECT_FALSE(call.ended);
    EXPECT_EQ(call.error.code, core::ErrorCode::IncompleteMessage);
    EXPECT_EQ(client().idle(), 0u);
    http::BodyPart part;
    EXPECT_EQ(call.exchange->read(part, 1), http::BodyRead::Failed) << "and stays one";
  }
}

TEST_F(ExchangeTest, BytesBeyondTheEndAreDiscardedAndTheConnectionClosed) {
  answer(response("12345") + "HTTP/1.1 200 OK\r\nContent-Length: 4\r\n\r\nevil");
  Call call;
  run(call, at(origin_));
  EXPECT_EQ(call.body, "12345");
  EXPECT_TRUE(call.ended);
  EXPECT_EQ(client().idle(), 0u);
  until([&] { return origin_.open == 0; });
}

TEST_F(ExchangeTest, MalformedResponsesFail) {
  for (const std::string text :
       {"HTTP/1.1 200 OK\r\nContent-Length: 1\r\nContent-Length: 2\r\n\r\nab", "nonsense\r\n\r\n",
        "HTTP/1.1 200 OK\r\nContent-Length: 3\r\nTransfer-Encoding: chunked\r\n\r\nabc"}) {
    answer(text);
    Call call;
    run(call, at(origin_));
    EXPECT_TRUE(call.failed) << text;
    EXPECT_FALSE(call.has_head);
    EXPECT_EQ(call.error.code, core::ErrorCode::MalformedMessage) << text;
  }
}

TEST_F(ExchangeTest, AHeadOverTheLimitFails) {
  settings_.head_limits.header_size = 1000;
  answer(response("x", "X: " + std::string(2000, 'a') + "\r\n"));
  Call call;
  run(call, at(origin_));
  EXPECT_EQ(call.error.code, core::ErrorCode::MessageTooLarge);
}

TEST_F(ExchangeTest, ASwitchedConnectionIsHandedOverWithWhatCameAlong) {
  answer("HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n\r\nframe");
  http::RequestHead head = get();
  head.fields.add(http::FieldName::Connection, "Upgrade");
  head.fields.add(http::FieldName::Upgrade, "websocket");
  Call call;
  start(call, at(origin_), head);
  until([&] { return call.has_head; });
  EXPECT_EQ(call.status(), 101);
  EXPECT_EQ(call.exchange->framing().kind, BodyKind::Tunnel);
  SwitchedStream switched = call.exchange->take_stream();
  call.exchange.reset();
  EXPECT_EQ(switched.initial.view(), "frame");
  EXPECT_EQ(shared().quota.in_use(), 1u) << "a tunnel still counts";
  origin_.peer(0).wants_head = false;
  ASSERT_TRUE(switched.stream->write("ping").is_bytes());
  until([&] { return origin_.peer(0).received == "ping"; });
  switched = {};
  EXPECT_EQ(shared().quota.in_use(), 0u);
}

TEST_F(ExchangeTest, EmptyBlocksAreNotPinnedBySmallContent) {
  answer(response(std::string(1024, 'x')));
  Call call;
  run(call, at(origin_));
  EXPECT_EQ(call.parts, 1u);
  EXPECT_LE(shared().blocks.in_use(), 1u) << "only the client's own block for reading";
}

TEST_F(ExchangeTest, BulkContentComesInLargeParts) {
  const std::string content(8 << 20, 'b');
  answer(response(content));
  Call call;
  run(call, at(origin_));
  EXPECT_TRUE(call.body == content);
  EXPECT_GT(call.largest_part, ClientCore::kWorthGiving);
}

TEST_F(ExchangeTest, RemainingCountsDownAndPartsRespectTheLimit) {
  answer(response(std::string(1000, 'r')));
  Call call;
  call.reads = false;
  start(call, at(origin_), get());
  until([&] { return call.has_head; });
  EXPECT_EQ(call.exchange->remaining(), 1000u);
  http::BodyPart part;
  ASSERT_EQ(call.exchange->read(part, 300), http::BodyRead::Part);
  EXPECT_EQ(part.bytes.size(), 300u);
  EXPECT_EQ(call.exchange->remaining(), 700u);
  call.read_all();
  EXPECT_TRUE(call.ended);
  EXPECT_EQ(call.exchange->remaining(), 0u);
}

TEST_F(ExchangeTest, WhoDoesNotReadHoldsTheOriginBack) {
  const std::string content(64 << 20, 'p');
  answer(response(content));
  Call call;
  call.reads = false;
  start(call, at(origin_), get());
  until([&] { return call.has_head; });
  size_t unsent = 0;
  until([&] {
    settle();
    return std::exchange(unsent, origin_.peer(0).unsent()) == origin_.peer(0).unsent();
  });
  EXPECT_GT(unsent, content.size() / 2) << "the rest stays at the origin";
  EXPECT_LE(shared().blocks.in_use(), 2u);
  call.read_all();
  until([&] { return call.is_over(); });
  EXPECT_TRUE(call.body == content);
}

// --- requests with content ---

TEST_F(ExchangeTest, SendsContentOfKnownLength) {
  ManualBody body;
  body.length = 11;
  body.bytes = "hello world";
  body.ended = true;
  http::RequestHead head = get("/up", Method::Post);
  head.fields.add(http::FieldName::TransferEncoding, "chunked");  // the caller's framing does not count
  answer(response("ok"));
  origin_.on_request = {};
  Call call;
  start(call, at(origin_), head, &body);
  until([&] { return origin_.accepted == 1 && origin_.peer(0).received == "hello world"; });
  EXPECT_EQ(field(origin_.peer(0).last_head, "Content-Length"), "11");
  EXPECT_EQ(field(origin_.peer(0).last_head, "Transfer-Encoding"), "");
  origin_.peer(0).send(response("ok"));
  until([&] { return call.is_over(); });
  EXPECT_EQ(call.body, "ok");
  EXPECT_EQ(client().idle(), 1u);
}

TEST_F(ExchangeTest, SendsContentOfUnknownLengthInChunksWithTrailers) {
  ManualBody body;
  body.trailer_section.add("X-Sum", "7");
  Call call;
  start(call, at(origin_), get("/up", Method::Put), &body);
  until([&] { return origin_.requests == 1; });
  body.give("abc");
  settle();
  body.give(std::string(20, 'x'));
  settle();
  body.end();
  const std::string expected = "3\r\nabc\r\n14\r\n" + std::string(20, 'x') + "\r\n0\r\nX-Sum: 7\r\n\r\n";
  // The scripted origin takes the empty line at the end for the end of a head.
  until([&] { return origin_.peer(0).requests == 2; });
  EXPECT_EQ(origin_.peer(0).last_head, expected);
  origin_.peer(0).send(response("ok"));
  until([&] { return call.is_over(); });
  EXPECT_EQ(call.status(), 200);
  EXPECT_EQ(client().idle(), 1u);
}

TEST_F(ExchangeTest, AMethodThatAnticipatesContentSaysThatItHasNone) {
  answer(response("ok"));
  Call call;
  run(call, at(origin_), get("/", Method::Post));
  EXPECT_EQ(field(origin_.peer(0).last_head, "Content-Length"), "0");
}

TEST_F(ExchangeTest, AnUploadIsReadOnlyAsFastAsTheOriginTakesIt) {
  ManualBody body;
  body.length = 64 << 20;
  body.bytes = std::string(64 << 20, 'u');
  body.ended = true;
  origin_.on_request = [](TestOrigin::Peer& peer, const std::string&) {
    peer.wants_head = false;
    peer.pause_reading();
  };
  Call call;
  start(call, at(origin_), get("/up", Method::Post), &body);
  size_t taken = 1;
  until([&] {
    settle();
    return std::exchange(taken, body.taken) == body.taken && taken > 0;
  });
  EXPECT_LT(body.taken, size_t{48} << 20) << "the rest stays with its source";
  origin_.on_data = [&](TestOrigin::Peer& peer) {
    if (origin_.bytes_received > (64u << 20)) peer.send(response("done"));
  };
  origin_.peer(0).resume_reading();
  until([&] { return call.is_over(); });
  EXPECT_EQ(call.body, "done");
}

TEST_F(ExchangeTest, ContentWaitsForContinue) {
  ManualBody body;
  body.length = 4;
  body.bytes = "data";
  body.ended = true;
  settings_.timeouts.expect = std::chrono::seconds(60);
  http::RequestHead head = get("/", Method::Post);
  head.fields.add(http::FieldName::Expect, "100-continue");
  Call call;
  start(call, at(origin_), head, &body);
  until([&] { return origin_.requests == 1; });
  settle();
  EXPECT_EQ(body.reads, 0u);
  EXPECT_EQ(origin_.peer(0).received, "");
  origin_.peer(0).send("HTTP/1.1 100 Continue\r\n\r\n");
  until([&] { return origin_.peer(0).received == "data"; });
  EXPECT_EQ(call.interim, std::vector<int>{100});
  origin_.peer(0).send(response("ok"));
  until([&] { return call.is_over(); });
  EXPECT_EQ(client().idle(), 1u);
}

TEST_F(ExchangeTest, AnExpectationThatIsIgnoredIsNotWaitedForLong) {
  ManualBody body;
  body.length = 4;
  body.bytes = "data";
  body.ended = true;
  settings_.timeouts.expect = milliseconds(10);
  http::RequestHead head = get("/", Method::Post);
  head.fields.add(http::FieldName::Expect, "100-continue");
  Call call;
  start(call, at(origin_), head, &body);
  until([&] { return origin_.requests == 1 && origin_.peer(0).received == "data"; });
}

TEST_F(ExchangeTest, AFinalAnswerToAnExpectationKeepsTheContentBack) {
  ManualBody body;
  body.length = 4;
  body.bytes = "data";
  settings_.timeouts.expect = std::chrono::seconds(60);
  http::RequestHead head = get("/", Method::Post);
  head.fields.add(http::FieldName::Expect, "100-continue");
  answer(response("no", "", "417 Expectation Failed"));
  Call call;
  start(call, at(origin_), head, &body);
  until([&] { return call.is_over(); });
  EXPECT_EQ(call.status(), 417);
  EXPECT_EQ(body.reads, 0u);
  EXPECT_EQ(client().idle(), 0u) << "the origin still waits for content on it";
}

TEST_F(ExchangeTest, AnEarlyResponseIsPassedOnAndTheConnectionClosed) {
  ManualBody body;
  answer(response("too large", "", "413 Content Too Large"));
  Call call;
  start(call, at(origin_), get("/", Method::Post), &body);
  until([&] { return call.is_over(); });
  EXPECT_EQ(call.status(), 413);
  EXPECT_EQ(call.body, "too large");
  EXPECT_FALSE(body.ready) << "the rest of the content is nobody's business any more";
  EXPECT_EQ(client().idle(), 0u);
}

TEST_F(ExchangeTest, AResponseIsReadEvenWhenTheOriginStoppedListening) {
  ManualBody body;
  origin_.on_request = [](TestOrigin::Peer& peer, const std::string&) {
    peer.send(response("no", "Connection: close\r\n", "400 Bad Request"));
    peer.close();
  };
  Call call;
  start(call, at(origin_), get("/", Method::Post), &body);
  until([&] { return origin_.requests == 1 && origin_.open == 0; });
  body.give(std::string(1000, 'a'));
  until([&] { return call.is_over(); });
  EXPECT_EQ(call.status(), 400);
}

TEST_F(ExchangeTest, ContentThatFailsAbortsTheRequest) {
  ManualBody body;
  Call call;
  start(call, at(origin_), get("/", Method::Post), &body);
  until([&] { return origin_.requests == 1; });
  body.failure = core::Error{.code = core::ErrorCode::ConnectionReset, .side = core::Side::Client};
  body.ready();
  until([&] { return call.failed; });
  EXPECT_EQ(call.error.side, core::Side::Client);
  until([&] { return origin_.open == 0; });
  EXPECT_EQ(origin_.peer(0).received.find("0\r\n"), std::string::npos) << "no last chunk: it must not look complete";
}

TEST_F(ExchangeTest, ContentShorterThanDeclaredIsNeverPassedOffAsWhole) {
  ManualBody body;
  body.length = 10;
  body.bytes = "short";
  body.ended = true;
  Call call;
  start(call, at(origin_), get("/", Method::Post), &body);
  until([&] { return call.failed; });
  EXPECT_EQ(call.error.code, core::ErrorCode::IncompleteMessage);
}

// --- deadlines ---

TEST_F(ExchangeTest, TheHeadHasADeadline) {
  settings_.timeouts.first_byte = milliseconds(20);
  Call call;
  run(call, at(origin_));
  EXPECT_EQ(call.error.code, core::ErrorCode::FirstByteTimeout);
  EXPECT_EQ(call.error.retry, core::Retry::IfIdempotent);
  until([&] { return origin_.open == 0; });
}

TEST_F(ExchangeTest, AGapInTheContentHasADeadline) {
  settings_.timeouts.read = milliseconds(20);
  answer("HTTP/1.1 200 OK\r\nContent-Length: 100\r\n\r\nabc");
  Call call;
  run(call, at(origin_));
  EXPECT_EQ(call.body, "abc");
  EXPECT_EQ(call.error.code, core::ErrorCode::ReadTimeout);
}

// S3-2.11: a gap, not the whole, has the deadline; and only while somebody wants to read.
TEST_F(ExchangeTest, AReaderThatPausesIsNotTimedOut) {
  settings_.timeouts.read = milliseconds(10);
  answer(response("abcdef"));
  Call call;
  call.reads = false;
  start(call, at(origin_), get());
  until([&] { return call.has_head; });
  const core::TimePoint later = core::Clock::now() + milliseconds(40);
  until([&] { return core::Clock::now() > later; });
  call.read_all();
  EXPECT_EQ(call.body, "abcdef");
  EXPECT_TRUE(call.ended);
}

// S3-2.4
TEST_F(ExchangeTest, TheWholeRequestHasADeadlineInEveryPhase) {
  settings_.timeouts.request = milliseconds(30);
  Call silent;
  run(silent, at(origin_));
  EXPECT_EQ(silent.error.code, core::ErrorCode::RequestTimeout);
  answer("HTTP/1.1 200 OK\r\nContent-Length: 100\r\n\r\nabc");
  Call stalled;
  run(stalled, at(origin_));
  EXPECT_TRUE(stalled.has_head);
  EXPECT_EQ(stalled.error.code, core::ErrorCode::RequestTimeout);
}

// --- cancelling ---

// S3-2.6
TEST_F(ExchangeTest, CancellingAtAnyStageLeavesNothing) {
  answer("HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 200 OK\r\nContent-Length: 100\r\n\r\nabc");
  for (int stage = 0; stage < 5; ++stage) {
    Call call;
    if (stage == 3) call.on_head_hook = [&] { call.exchange.reset(); };
    start(call, at(origin_), get());
    if (stage == 1) settle();
    if (stage == 2 || stage == 3) until([&] { return call.has_head; });
    if (stage == 4) until([&] { return call.body == "abc"; });
    call.exchange.reset();
    EXPECT_EQ(client().active(), 0u) << stage;
    EXPECT_EQ(shared().quota.in_use(), 0u) << stage;
    until([&] { return origin_.open == 0; });
  }
  EXPECT_EQ(counter("tributary_upstream_connections", {"active"}), 0u);
  EXPECT_EQ(counter("tributary_upstream_connections", {"connecting"}), 0u);
  EXPECT_EQ(counter("tributary_upstream_connections", {"idle"}), 0u);
}

TEST_F(ExchangeTest, AnOriginThatSendsInterimResponsesOnlyIsGivenUp) {
  std::string flood;
  while (flood.size() < 512 * 1024) flood += "HTTP/1.1 102 Processing\r\n\r\n";
  answer(flood + response("never"));
  Call call;
  run(call, at(origin_));
  EXPECT_TRUE(call.failed);
  EXPECT_LE(call.interim.size(), 32u);
}

TEST_F(ExchangeTest, AnExchangeMayBeDestroyedFromItsInterimCallback) {
  struct Destroying final : ExchangeHandler {
    std::unique_ptr<Exchange> exchange;
    bool called = false;
    void on_interim(const http::ResponseHead&) override {
      called = true;
      exchange.reset();
    }
    void on_head() override { FAIL(); }
    void on_failed(core::Error) override { FAIL(); }
  } handler;
  answer("HTTP/1.1 103 Early Hints\r\n\r\n" + response("x"));
  handler.exchange = client().start({.origin = at(origin_), .head = get()}, handler);
  until([&] { return handler.called; });
  settle();
  EXPECT_EQ(client().active(), 0u);
}

TEST_F(ExchangeTest, ProhibitedAddressesAreNotConnectedTo) {
  auto no = [](const net::SocketAddress&) { return false; };
  Call call;
  call.exchange = client().start(
      {.origin = at(origin_), .head = get(), .filter = net::AddressFilter::ref(no)}, call);
  until([&] { return call.failed; });
  EXPECT_EQ(call.error.code, core::ErrorCode::DestinationProhibited);
  EXPECT_EQ(origin_.accepted, 0u);
}

TEST_F(ExchangeTest, ARefusedConnectionIsTriedAgainAFewTimes) {
  settings_.retries = 2;
  settings_.retry_delay = milliseconds(4);
  origin_.stop_listening();
  Call call;
  run(call, at(origin_));
  EXPECT_EQ(call.error.code, core::ErrorCode::ConnectionRefused);
  EXPECT_EQ(counter("tributary_upstream_retries_total", {"connect"}), 2u);
  EXPECT_EQ(counter("tributary_upstream_connects_total", {"http", "connection_refused"}), 1u);
  EXPECT_EQ(shared().quota.in_use(), 0u);
}

// S0-4.4: a crowd that finds an origin dead does not come back several times over.
TEST_F(ExchangeTest, RetriesOfAllRequestsToAnOriginHaveOneBudget) {
  settings_.retries = 5;
  settings_.retry_delay = milliseconds(4);
  origin_.stop_listening();
  std::vector<std::unique_ptr<Call>> calls;
  for (int i = 0; i < 30; ++i) {
    calls.push_back(std::make_unique<Call>());
    start(*calls.back(), at(origin_), get());
  }
  for (const auto& call : calls) until([&] { return call->is_over(); });
  for (const auto& call : calls) EXPECT_EQ(call->error.code, core::ErrorCode::ConnectionRefused);
  EXPECT_EQ(counter("tributary_upstream_retries_total", {"connect"}), RetryBudget::kRetries);
}

TEST(RetryBudget, IsEarnedBackByWhatSucceeds) {
  RetryBudget budget;
  for (unsigned i = 0; i < RetryBudget::kRetries; ++i) EXPECT_TRUE(budget.spend());
  EXPECT_FALSE(budget.spend());
  for (unsigned i = 0; i + 1 < RetryBudget::kEarnedBy; ++i) budget.earn();
  EXPECT_FALSE(budget.spend());
  budget.earn();
  EXPECT_TRUE(budget.spend());
  for (unsigned i = 0; i < 1000; ++i) budget.earn();
  unsigned allowed = 0;
  while (budget.spend()) ++allowed;
  EXPECT_EQ(allowed, RetryBudget::kRetries);
}

TEST_F(ExchangeTest, HttpsWithoutTlsSettingsFails) {
  Call call;
  run(call, {http::Scheme::Https, origin_.port(), "127.0.0.1", 0});
  EXPECT_EQ(call.error.code, core::ErrorCode::UnsupportedProtocol);
}

TEST_F(ExchangeTest, EveryStateCanBeLeftAndReachedByTheTable) {
  for (const auto& edge : kExchangeEdges) {
    EXPECT_NE(edge.from, edge.to);
    EXPECT_NE(edge.from, ExchangeState::Failed);
    EXPECT_NE(edge.from, ExchangeState::Complete);
  }
  EXPECT_EQ(core::illegal_transitions(), 0u);
}

}  // namespace
}  // namespace tributary::upstream::test
