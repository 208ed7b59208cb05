#include "proxy/http_session.h"

#include "unit/proxy/http_fixture.h"

namespace tributary::proxy::test {
namespace {

class HttpSession : public HttpTest {
 protected:
  static constexpr std::string_view kStored = "Cache-Control: max-age=60\r\n";
  static constexpr std::string_view kPrivate = "Cache-Control: private\r\n";
};

// --- requests on one connection ---

TEST_F(HttpSession, AnswersPipelinedHitsAndMissesInTheirOrder) {
  origin.on_request = [&](Peer& peer, const std::string& head) {
    const std::string target = head.substr(4, head.find(' ', 4) - 4);
    peer.send(response(target, target.starts_with("/hit") ? kStored : kPrivate));
  };
  fetch(request("/hit"));
  Client one = client();
  std::string pipeline;
  for (int i = 0; i < 50; ++i) pipeline += request(i % 3 == 0 ? "/miss" + std::to_string(i) : "/hit");
  one->send(pipeline);
  for (int i = 0; i < 50; ++i) {
    const Answer answer = one.answer();
    EXPECT_EQ(answer.body, i % 3 == 0 ? "/miss" + std::to_string(i) : "/hit");
    EXPECT_EQ(answer.is_hit(), i % 3 != 0);
  }
}

TEST_F(HttpSession, TakesAHeadByteByByte) {
  answer_with(response("yes"));
  Client one = client();
  for (const char c : request()) {
    one->send({&c, 1});
    loop.run_once();
  }
  EXPECT_EQ(one.answer().body, "yes");
}

TEST_F(HttpSession, FindsARequestBehindAnUploadInTheSameBytes) {
  origin.on_data = [](Peer& peer) {
    if (!peer.received.ends_with("abc")) return;
    peer.received.clear();
    peer.send(response("posted", kPrivate));
  };
  origin.on_request = [&](Peer& peer, const std::string& head) {
    if (head.starts_with("GET")) peer.send(response("got", kPrivate));
  };
  Client one = client();
  one->send(request("/", "Content-Length: 3\r\n", "POST") + "abc" + request("/next"));
  EXPECT_EQ(one.answer().body, "posted");
  EXPECT_EQ(one.answer().body, "got");
}

// RFC 9112 9.3: a proxy does not keep an HTTP/1.0 client's connection, whatever that says.
TEST_F(HttpSession, EndsAnHttp10ConnectionAfterItsAnswer) {
  answer_with(response("yes", kStored));
  Client one = client();
  one->send("GET " + url() + " HTTP/1.0\r\nConnection: keep-alive\r\n\r\n");
  const Answer answer = one.answer();
  EXPECT_EQ(answer["Connection"], "close");
  EXPECT_EQ(answer.body, "yes");
  EXPECT_TRUE(one.ends());
}

TEST_F(HttpSession, EndsAtTheLimitOfRequestsAndSaysSo) {
  settings.limit.requests_per_connection = 2;
  answer_with(response("yes", kStored));
  Client one = client();
  one->send(request() + request() + request());
  EXPECT_FALSE(one.answer().has("Connection"));
  EXPECT_EQ(one.answer()["Connection"], "close");
  EXPECT_TRUE(one.ends());
}

TEST_F(HttpSession, AnswersAllThatWasAskedBeforeTheClientEndedItsSide) {
  answer_with(response("yes", kPrivate));
  Client one = client();
  one->send(request("/1") + request("/2") + request("/3"));
  one->end();
  for (int i = 0; i < 3; ++i) EXPECT_EQ(one.answer().body, "yes") << i;
  EXPECT_TRUE(one.ends());
}

TEST_F(HttpSession, EndsAnIdleConnectionAfterItsTime) {
  settings.timeout.idle = 30ms;
  answer_with(response("yes", kPrivate));
  Client one = client();
  one->send(request());
  EXPECT_EQ(one.answer().body, "yes");
  EXPECT_TRUE(one.ends());
}

// So that an idle connection holds no memory of its last request, it wakes up once in between.
TEST_F(HttpSession, ServesAConnectionThatWasIdleForLong) {
  answer_with(response("yes", kStored));
  Client one = client();
  for (int i = 0; i < 2; ++i) {
    one->send(request());
    EXPECT_EQ(one.answer().body, "yes");
    let_pass(i == 0 ? 1100ms : 0ms);
  }
}

TEST_F(HttpSession, EndsWithAClientThatEndsInsideAHead) {
  Client one = client();
  one->send("GET http://");
  one->end();
  EXPECT_TRUE(one.ends());
}

// S0-4.5
TEST_F(HttpSession, DrainsIdleConnectionsAtOnceAndBusyOnesAfterTheirAnswer) {
  Client idle = client();
  answer_with(response("yes", kPrivate));
  idle->send(request());
  EXPECT_EQ(idle.answer().status, 200);
  Peer* asked = nullptr;
  origin.on_request = [&](Peer& peer, const std::string&) { asked = &peer; };
  Client busy = client();
  busy->send(request());
  ASSERT_TRUE(until([&] { return asked != nullptr; }));
  worker().drain();
  EXPECT_TRUE(idle.ends());
  asked->send(response("late", kPrivate));
  const Answer answer = busy.answer();
  EXPECT_EQ(answer.body, "late");
  EXPECT_EQ(answer["Connection"], "close");
  EXPECT_TRUE(busy.ends());
}

// S3-3.6: who does not read is not read from.
TEST_F(HttpSession, HoldsBackAClientThatPipelinesWithoutReading) {
  answer_with(response(std::string(60'000, 'x'), kStored));
  fetch(request());
  Client one = client();
  one->reads = false;
  std::string many;
  while (many.size() < (16u << 20)) many += request();
  size_t taken = 0;
  for (int idle = 0; idle < 20 && taken < many.size(); ++idle) {
    ssize_t n;
    while ((n = ::send(one->fd(), many.data() + taken, many.size() - taken, MSG_NOSIGNAL | MSG_DONTWAIT)) > 0) {
      taken += static_cast<size_t>(n);
      idle = 0;
    }
    loop.run_once();
  }
  EXPECT_LT(taken, many.size());  // what the kernel's buffers hold, and one read of ours
  one->reset();
}

// --- refusals ---

TEST_F(HttpSession, AnswersAMalformedHeadAndEnds) {
  Client whole = client();
  whole->send("GET " + url() + " HTTP/1.1\r\nHost: x\r\nBad : y\r\n\r\n");
  EXPECT_EQ(whole.answer().status, 400);
  whole->end();
  EXPECT_TRUE(whole.ends());
  Client parts = client();
  parts->send("GET " + url() + " HTT");
  loop.run_once(5ms);
  parts->send("P/1.1\r\nContent-Length: 1\r\nContent-Length: 2\r\n\r\n");
  EXPECT_EQ(parts.answer().status, 400);
  Client behind = client();
  answer_with(response("yes"));
  behind->send(request() + "nonsense\r\n\r\n");
  EXPECT_EQ(behind.answer().body, "yes");
  EXPECT_EQ(behind.answer().status, 400);
  EXPECT_EQ(metric("tributary_rejected_total", {"malformed"}), 3);
}

// S3-3.10, RFC 9110 15.5.9
TEST_F(HttpSession, TellsAClientThatDoesNotFinishItsHead) {
  settings.timeout.header = 30ms;
  Client one = client();
  one->send("GET http://");
  EXPECT_EQ(one.answer().status, 408);
  one->end();
  EXPECT_TRUE(one.ends());
}

// RFC 9112 9.6: closing with unread input would throw the answer away before the client sees it.
TEST_F(HttpSession, LetsAClientFinishSendingBeforeItReadsARefusal) {
  settings.limit.body_size = 1000;
  Client one = client();
  const std::string content(8 << 20, 'x');
  one->send(request("/", "Content-Length: " + std::to_string(content.size()) + "\r\n", "POST"));
  one->reads = false;
  EXPECT_EQ(one->send_all(content), content.size());
  one->reads = true;
  EXPECT_EQ(one.answer().status, 413);
  one->end();
  EXPECT_TRUE(one.ends());
}

// --- content of requests ---

// S3-3.1
TEST_F(HttpSession, UploadsNoFasterThanTheOriginTakes) {
  const std::string content(24 << 20, 'u');
  origin.on_request = [](Peer& peer, const std::string&) { peer.pause_reading(); };
  Client one = client();
  one->send(request("/", "Content-Length: " + std::to_string(content.size()) + "\r\n", "PUT"));
  size_t taken = 0;
  for (int idle = 0; idle < 30 && taken < content.size(); ++idle) {
    ssize_t n;
    while ((n = ::send(one->fd(), content.data(), std::min<size_t>(content.size() - taken, 65536), MSG_NOSIGNAL | MSG_DONTWAIT)) > 0) {
      taken += static_cast<size_t>(n);
      idle = 0;
    }
    loop.run_once(1ms);
  }
  EXPECT_LT(taken, content.size());
  origin.on_data = [&](Peer& peer) {
    if (peer.received.size() == content.size()) peer.send(response("all", kPrivate));
  };
  origin.last_peer().resume_reading();
  EXPECT_EQ(one->send_all(std::string_view(content).substr(taken)), content.size() - taken);
  const Answer answer = one.answer();
  EXPECT_EQ(answer.body, "all");
  EXPECT_FALSE(answer.has("Connection"));
}

// S3-2.11: the clock runs against a client that owes something, not against the one whose origin is slow.
TEST_F(HttpSession, GivesASlowOriginItsTimeForAnUpload) {
  settings.timeout.read = 60ms;
  const std::string content(24 << 20, 'u');
  origin.on_request = [](Peer& peer, const std::string&) { peer.pause_reading(); };
  Client one = client();
  one->send(request("/", "Content-Length: " + std::to_string(content.size()) + "\r\n", "PUT"));
  ASSERT_TRUE(until([&] { return origin.requests == 1; }));  // by now the content is waited for
  size_t taken = 0;
  for (int idle = 0; idle < 10; ++idle) {
    ssize_t n;
    while ((n = ::send(one->fd(), content.data(), std::min<size_t>(content.size() - taken, 65536), MSG_NOSIGNAL | MSG_DONTWAIT)) > 0) {
      taken += static_cast<size_t>(n);
      idle = 0;
    }
    loop.run_once(1ms);
  }
  let_pass(200ms);
  origin.on_data = [&](Peer& peer) {
    if (peer.received.size() == content.size()) peer.send(response("all", kPrivate));
  };
  origin.last_peer().resume_reading();
  EXPECT_EQ(one->send_all(std::string_view(content).substr(taken)), content.size() - taken);
  EXPECT_EQ(one.answer().body, "all");
}

TEST_F(HttpSession, GivesASlowOriginItsTimeForAnAnswer) {
  settings.timeout.read = settings.timeout.header = 30ms;
  Client one = client();
  one->send(request());
  ASSERT_TRUE(until([&] { return origin.requests == 1; }));
  let_pass(100ms);
  origin.last_peer().send("HTTP/1.1 200 OK\r\nContent-Length: 2\r\nCache-Control: private\r\n\r\na");
  one->receive(1);
  let_pass(100ms);
  origin.last_peer().send("b");
  EXPECT_EQ(one.answer().body, "ab");
}

// S3-3.10
TEST_F(HttpSession, GivesUpAClientThatStopsSendingItsContent) {
  settings.timeout.read = 30ms;
  Client one = client();
  one->send(request("/", "Content-Length: 10\r\n", "POST") + "12345");
  one->receive_to_end();
  EXPECT_TRUE(one->was_reset());
  EXPECT_EQ(metric("tributary_rejected_total", {"timeout"}), 1);
  EXPECT_TRUE(until([&] { return is_quiet(); }));
}

TEST_F(HttpSession, GivesUpAClientThatDoesNotTakeItsAnswer) {
  settings.timeout.read = 30ms;
  answer_with(response(std::string(16 << 20, 'x'), kPrivate));
  Client one = client();
  one->reads = false;
  one->send(request());
  EXPECT_TRUE(until([&] { return origin.requests == 1 && is_quiet(); }));
  EXPECT_EQ(metric("tributary_rejected_total", {"timeout"}), 1);
}

// The end of the content must not stop the clock that runs against a client which takes nothing.
TEST_F(HttpSession, GivesUpAClientThatSendsAllAndTakesNothing) {
  settings.timeout.read = 1500ms;
  answer_with(response(std::string(16 << 20, 'x'), kPrivate));
  Client one = client();
  one->reads = false;
  one->send(request("/", "Content-Length: 10\r\n", "POST"));
  ASSERT_TRUE(until([&] { return origin.requests == 1; }));
  for (int i = 0; i < 20; ++i) loop.run_once(1ms);
  one->send("0123456789");
  EXPECT_TRUE(until([&] { return is_quiet(); }));
}

TEST_F(HttpSession, SendsAnAnswerThatComesBeforeTheContentIsThereAndGoesOnSending) {
  Client one = client();
  one->send(request("/", "Content-Length: 6\r\n", "POST") + "123");
  origin.on_request = [&](Peer& peer, const std::string&) {
    peer.send("HTTP/1.1 200 OK\r\nContent-Length: 4\r\n\r\nea");
  };
  one->receive(1);
  one->send("456");
  ASSERT_TRUE(until([&] { return origin.last_peer().received == "123456"; }));
  origin.last_peer().send("ly");
  const Answer answer = one.answer();
  EXPECT_EQ(answer.body, "ealy");
  EXPECT_EQ(answer["Connection"], "close");  // decided before the content was read
  one->end();
  EXPECT_TRUE(one.ends());
}

TEST_F(HttpSession, PassesChunkedContentWithItsTrailerOn) {
  origin.on_request = [](Peer& peer, const std::string&) { peer.wants_head = false; };
  origin.on_data = [](Peer& peer) {
    if (peer.received.find("\r\n\r\n") != std::string::npos) peer.send(response("ok"));
  };
  Client one = client();
  one->send(request("/", "Transfer-Encoding: chunked\r\nTrailer: X-End\r\n", "POST") + "3\r\nabc\r\n");
  loop.run_once(5ms);
  one->send("2\r\nde\r\n0\r\nX-End: z\r\n\r\n");
  EXPECT_EQ(one.answer().body, "ok");
  EXPECT_TRUE(origin.last_peer().received.ends_with("0\r\nX-End: z\r\n\r\n"));
}

TEST_F(HttpSession, RefusesChunkedContentThatTurnsOutTooLarge) {
  settings.limit.body_size = 1000;
  Client one = client();
  one->send(request("/", "Transfer-Encoding: chunked\r\n", "POST") + "800\r\n" + std::string(2048, 'x') + "\r\n0\r\n\r\n");
  EXPECT_EQ(one.answer().status, 413);
}

TEST_F(HttpSession, RefusesMalformedChunks) {
  Client one = client();
  one->send(request("/", "Transfer-Encoding: chunked\r\n", "POST") + "0x5\r\nhello\r\n0\r\n\r\n");
  EXPECT_EQ(one.answer().status, 400);
}

// RFC 9110 10.1.1
TEST_F(HttpSession, RelaysTheExpectationAndThe100ThatMeetsIt) {
  origin.on_request = [](Peer& peer, const std::string&) { peer.send("HTTP/1.1 100 Continue\r\n\r\n"); };
  origin.on_data = [](Peer& peer) {
    if (peer.received == "abc") peer.send(response("ok"));
  };
  Client one = client();
  one->send(request("/", "Content-Length: 3\r\nExpect: 100-continue\r\n", "PUT"));
  one->receive(1);
  EXPECT_EQ(field(origin.last_peer().last_head, "Expect"), "100-continue");
  one->send("abc");
  const Answer answer = one.answer();
  EXPECT_EQ(answer.interim, std::vector<int>{100});
  EXPECT_EQ(answer.body, "ok");
  EXPECT_FALSE(answer.has("Connection"));
}

// RFC 9110 10.1.1: the origin does not know the expectation, and the client waits for ever.
TEST_F(HttpSession, MeetsTheExpectationItselfWhereTheOriginDoesNot) {
  upstream_settings.timeouts.expect = 10ms;
  origin.on_request = [](Peer&, const std::string&) {};
  origin.on_data = [](Peer& peer) {
    if (peer.received == "abc") peer.send(response("ok"));
  };
  Client one = client();
  one->send(request("/", "Content-Length: 3\r\nExpect: 100-continue\r\n", "PUT"));
  EXPECT_EQ(one->receive(1), "HTTP/1.1 100 Continue\r\n\r\n");
  one->send("abc");
  const Answer answer = one.answer();
  EXPECT_EQ(answer.interim, std::vector<int>{100}) << "once";
  EXPECT_EQ(answer.body, "ok");
}

TEST_F(HttpSession, TellsNobodyToContinueWhoSendsAlready) {
  upstream_settings.timeouts.expect = 10ms;
  origin.on_request = [](Peer&, const std::string&) {};
  origin.on_data = [](Peer& peer) {
    if (peer.received == "abc") peer.send(response("ok"));
  };
  Client one = client();
  one->send(request("/", "Content-Length: 3\r\nExpect: 100-continue\r\n", "PUT") + "abc");
  EXPECT_TRUE(one.answer().interim.empty());
}

TEST_F(HttpSession, IgnoresTheExpectationOfHttp10) {
  answer_with(response("ok"));
  Client one = client();
  one->send("PUT " + url() + " HTTP/1.0\r\nContent-Length: 3\r\nExpect: 100-continue\r\n\r\nabc");
  const Answer answer = one.answer();
  EXPECT_EQ(field(origin.last_peer().last_head, "Expect"), "");
  EXPECT_TRUE(answer.interim.empty());
  EXPECT_EQ(answer.body, "ok");
}

// --- interim responses ---

TEST_F(HttpSession, RelaysInterimResponsesButNotToHttp10) {
  answer_with("HTTP/1.1 103 Early Hints\r\nLink: </a>\r\n\r\n" + response("ok", kPrivate));
  EXPECT_EQ(fetch(request()).interim, std::vector<int>{103});
  Client old = client();
  old->send("GET " + url() + " HTTP/1.0\r\n\r\n");
  EXPECT_TRUE(old.answer().interim.empty());
}

// --- clients that go away ---

// S3-2.6: although the origin has nothing to say, and so nothing is written to the client.
TEST_F(HttpSession, NoticesAClientThatClosesWhileTheOriginIsSilent) {
  settings.timeout.read = upstream_settings.timeouts.first_byte = 1h;
  origin.on_request = [](Peer&, const std::string&) {};
  Client one = client();
  one->send(request());
  ASSERT_TRUE(until([&] { return origin.requests == 1; }));
  one->close();
  EXPECT_TRUE(until([&] { return is_quiet() && !origin.last_peer().is_open(); })) << "the origin is told, too";
}

TEST_F(HttpSession, AnswersAClientThatOnlyEndedItsSide) {
  origin.on_request = [](Peer&, const std::string&) {};
  Client one = client();
  one->send(request());
  one->end();
  ASSERT_TRUE(until([&] { return origin.requests == 1; }));
  EXPECT_EQ(one->receive(1), "HTTP/1.1 100 Continue\r\n\r\n");
  let_pass(400ms);
  EXPECT_EQ(worker().active(), 1u);
  origin.last_peer().send(response("late"));
  EXPECT_EQ(one.answer().body, "late");
  EXPECT_TRUE(one.ends());
}

// S3-2.6: whatever a request is doing, nothing of it is left.
TEST_F(HttpSession, LeavesNothingBehindWhenTheClientVanishes) {
  struct Case {
    const char* when;
    std::string request;
    std::string from_origin;
  };
  const Case cases[] = {
      {"between requests", "", ""},
      {"inside a head", "GET http://", ""},
      {"before the origin answers", request("/none"), ""},
      {"inside the origin's head", request("/head"), "HTTP/1.1 200 O"},
      {"inside content that is not stored", request("/private"),
       "HTTP/1.1 200 OK\r\nContent-Length: 99\r\nCache-Control: private\r\n\r\nabc"},
      {"inside chunked content", request("/chunked"),
       "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\nCache-Control: private\r\n\r\n3\r\nabc\r\n"},
      {"while it sends its content", request("/up", "Content-Length: 99\r\n", "POST") + "abc", ""},
      {"while it sends and gets content", request("/both", "Content-Length: 99\r\n", "POST") + "abc",
       "HTTP/1.1 200 OK\r\nContent-Length: 99\r\n\r\nabc"},
      {"behind an interim response", request("/hint"), "HTTP/1.1 103 Early Hints\r\n\r\n"},
      {"with another request behind", request("/1") + request("/2"), ""},
  };
  for (const Case& one : cases) {
    SCOPED_TRACE(one.when);
    answer_with(one.from_origin);
    const size_t before = origin.requests;
    Client leaving = client();
    leaving->send(one.request);
    if (one.request.size() > 20) {
      ASSERT_TRUE(until([&] { return origin.requests > before; }));
    }
    for (int i = 0; i < 10; ++i) loop.run_once(1ms);
    leaving->reset();
    EXPECT_TRUE(until([&] { return is_quiet(); }));
  }
}

// The client's end is found, and what the origin said comes in the same turn of the loop: whoever is told first, nothing
// of the other may be heard of by a request that is gone.
TEST_F(HttpSession, HearsNothingOfTheOriginOnceTheClientIsGone) {
  for (const char* answer : {"HTTP/1.1 101 Switching Protocols\r\nConnection: upgrade\r\nUpgrade: x\r\n\r\n",
                             "HTTP/1.1 200 OK\r\nContent-Length: 2\r\nCache-Control: max-age=9\r\n\r\nok"}) {
    for (int order = 0; order < 2; ++order) {
      Peer* asked = nullptr;
      origin.on_request = [&](Peer& peer, const std::string&) { asked = &peer; };
      Client one = client();
      one->send(request("/", "Connection: upgrade\r\nUpgrade: x\r\n"));
      ASSERT_TRUE(until([&] { return asked != nullptr; }));
      if (order == 0) asked->send(answer);
      one->reset();
      if (order == 1) asked->send(answer);
      for (int i = 0; i < 5; ++i) loop.run_once(2ms);
      asked->reset();
      EXPECT_TRUE(until([&] { return is_quiet(); }));
    }
  }
}

TEST_F(HttpSession, EndsWithTheWorkerInAnyState) {
  answer_with("HTTP/1.1 200 OK\r\nContent-Length: 99\r\nCache-Control: private\r\n\r\nabc");
  Client idle = client(), head = client(), content = client(), both = client();
  head->send("GET ");
  content->send(request("/content"));
  both->send(request("/both", "Content-Length: 99\r\n", "POST") + "abc");
  ASSERT_TRUE(until([&] { return origin.requests == 2; }));
  content->receive(1);
  both->receive(1);
  end_worker();
  EXPECT_TRUE(both->receive_to_end().find("abc") != std::string::npos);
}

// --- other protocols ---

// RFC 9110 7.8
TEST_F(HttpSession, BecomesATunnelWhenTheOriginSwitchesProtocols) {
  origin.on_request = [](Peer& peer, const std::string& head) {
    EXPECT_EQ(field(head, "Upgrade"), "echo");
    peer.send("HTTP/1.1 101 Switching Protocols\r\nConnection: upgrade\r\nUpgrade: echo\r\n\r\nhello ");
    peer.wants_head = false;
  };
  origin.on_data = [](Peer& peer) {
    if (!peer.wants_head) peer.send(std::exchange(peer.received, {}));
  };
  Client one = client();
  one->send(request("/", "Connection: upgrade\r\nUpgrade: echo\r\n") + "early ");
  one->turn([&] { return one->received().ends_with("early "); });
  one->send("late");
  one->turn([&] { return one->received().ends_with("hello early late"); });
  EXPECT_TRUE(one->received().starts_with("HTTP/1.1 101 "));
  one->end();
}

TEST_F(HttpSession, RefusesASwitchThatNobodyAskedFor) {
  answer_with("HTTP/1.1 101 Switching Protocols\r\nConnection: upgrade\r\nUpgrade: echo\r\n\r\nhello");
  EXPECT_EQ(fetch(request()).status, 502);
}

TEST_F(HttpSession, BecomesATunnelForConnect) {
  answer_with("HTTP/1.1 200 OK\r\n\r\n");
  Client one = client();
  const std::string authority = "127.0.0.1:" + std::to_string(origin.port());
  one->send("CONNECT " + authority + " HTTP/1.1\r\nHost: " + authority + "\r\n\r\nGET / HTTP/1.1\r\n\r\n");
  one->turn([&] { return origin.requests == 1; });
  EXPECT_TRUE(one->received().starts_with("HTTP/1.1 200 "));
  one->reset();
}

TEST_F(HttpSession, IsCountedOnceAsAConnection) {
  Client one = client();
  answer_with(response("yes"));
  one->send(request());
  one.answer();
  EXPECT_EQ(metric("tributary_client_connections", {"http"}), 1);
  EXPECT_EQ(metric("tributary_client_connections", {"unknown"}), 0);
  EXPECT_EQ(metric("tributary_client_connections_total", {"http"}), 1);
  one->send(request());
  one.answer();
  EXPECT_EQ(metric("tributary_client_connections_total", {"http"}), 1);
}

}  // namespace
}  // namespace tributary::proxy::test
