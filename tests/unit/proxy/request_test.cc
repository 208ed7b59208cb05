#include "proxy/request.h"

#include "unit/proxy/http_fixture.h"

namespace tributary::proxy::test {
namespace {

class RequestTest : public HttpTest {
 protected:
  static constexpr std::string_view kFresh = "Cache-Control: max-age=60\r\nETag: \"1\"\r\n";
  static constexpr std::string_view kStale = "Cache-Control: max-age=10\r\nAge: 20\r\nETag: \"1\"\r\n";
  static constexpr std::string_view kPrivate = "Cache-Control: private\r\n";

  std::string last_head() { return origin.last_peer().last_head; }
  static std::string status_of(const Answer& answer) { return answer["Cache-Status"]; }

  // Asks and waits until the origin has the request.
  Client ask(const std::string& text) {
    const size_t before = origin.requests;
    Client one = client();
    one->send(text);
    EXPECT_TRUE(until([&] { return origin.requests > before; }));
    return one;
  }
  // Asks for what somebody else is fetching already.
  Client join(const std::string& text) {
    Client one = client();
    one->send(text);
    for (int i = 0; i < 10; ++i) loop.run_once(1ms);
    return one;
  }
};

// --- hits and misses ---

TEST_F(RequestTest, StoresWhatItMayAndServesItFromThenOn) {
  answer_with(response("stored", kFresh));
  const Answer miss = fetch(request());
  EXPECT_EQ(miss.body, "stored");
  EXPECT_NE(status_of(miss).find("fwd=uri-miss"), std::string::npos);
  EXPECT_NE(status_of(miss).find("stored"), std::string::npos);
  EXPECT_FALSE(miss.has("Age"));
  const Answer hit = fetch(request());
  EXPECT_TRUE(hit.is_hit());
  EXPECT_TRUE(hit.has("Age"));
  EXPECT_EQ(hit.body, "stored");
  EXPECT_EQ(hit["ETag"], "\"1\"");
  EXPECT_EQ(origin.requests, 1u);
}

TEST_F(RequestTest, DoesNotStoreWhatItMayNot) {
  answer_with(response("mine", kPrivate));
  fetch(request());
  EXPECT_EQ(status_of(fetch(request())).find("stored"), std::string::npos);
  EXPECT_EQ(origin.requests, 2u);
}

TEST_F(RequestTest, ServesHeadFromWhatAGetStored) {
  answer_with(response("stored", kFresh));
  fetch(request());
  const Answer head = fetch(request("/", {}, "HEAD"), http::Method::Head);
  EXPECT_TRUE(head.is_hit());
  EXPECT_EQ(head["Content-Length"], "6");
  EXPECT_TRUE(head.body.empty());
}

// What HEAD brings cannot be stored, and says nothing about whether a GET's answer can.
TEST_F(RequestTest, HeadThatMissesKeepsNobodyFromSharingAFetch) {
  origin.on_request = [](Peer& peer, const std::string& head) {
    if (head.starts_with("HEAD")) peer.send("HTTP/1.1 200 OK\r\nContent-Length: 6\r\nCache-Control: max-age=60\r\n\r\n");
  };
  EXPECT_EQ(fetch(request("/", {}, "HEAD"), http::Method::Head)["Content-Length"], "6");
  Client first = ask(request());
  Client second = join(request());
  EXPECT_EQ(origin.requests, 2u);
  origin.last_peer().send(response("shared", kFresh));
  EXPECT_EQ(first.answer().body, "shared");
  EXPECT_EQ(second.answer().body, "shared");
}

// RFC 9110 8.6
TEST_F(RequestTest, StoredNoContentHasNoContentLength) {
  answer_with("HTTP/1.1 204 No Content\r\nCache-Control: max-age=60\r\n\r\n");
  Client one = client();
  for (int i = 0; i < 2; ++i) {
    one->send(request());
    const Answer answer = one.answer();
    EXPECT_EQ(answer.status, 204);
    EXPECT_EQ(answer.is_hit(), i == 1);
    EXPECT_FALSE(answer.has("Content-Length"));
    EXPECT_FALSE(answer.has("Transfer-Encoding"));
  }
}

TEST_F(RequestTest, EmptyContentIsStoredAndServed) {
  answer_with(response("", kFresh));
  EXPECT_EQ(fetch(request())["Content-Length"], "0");
  const Answer hit = fetch(request());
  EXPECT_TRUE(hit.is_hit());
  EXPECT_EQ(hit["Content-Length"], "0");
}

TEST_F(RequestTest, ContentOfUnknownLengthIsStoredWhole) {
  answer_with("HTTP/1.1 200 OK\r\nCache-Control: max-age=60\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nabc\r\n2\r\nde\r\n0\r\n\r\n");
  EXPECT_EQ(fetch(request()).body, "abcde");
  const Answer hit = fetch(request());
  EXPECT_TRUE(hit.is_hit());
  EXPECT_EQ(hit["Content-Length"], "5");
  EXPECT_EQ(hit.body, "abcde");
}

TEST_F(RequestTest, ContentOfUnknownLengthStreamsToHttp10UntilTheEnd) {
  answer_with("HTTP/1.1 200 OK\r\nCache-Control: private\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nabc\r\n0\r\n\r\n");
  Client one = client();
  one->send("GET " + url() + " HTTP/1.0\r\n\r\n");
  const Answer answer = one.answer();
  EXPECT_EQ(answer.body, "abc");
  EXPECT_TRUE(answer.is_complete);
  EXPECT_FALSE(answer.has("Transfer-Encoding"));
}

TEST_F(RequestTest, TrailersArePassedOnAndKeepAResponseFromBeingStored) {
  answer_with("HTTP/1.1 200 OK\r\nCache-Control: max-age=60\r\nTrailer: X-End\r\nTransfer-Encoding: chunked\r\n\r\n"
              "3\r\nabc\r\n0\r\nX-End: z\r\n\r\n");
  EXPECT_EQ(fetch(request()).trailer, "z");
  EXPECT_EQ(fetch(request()).trailer, "z");
  EXPECT_EQ(origin.requests, 2u);
}

TEST_F(RequestTest, VariantsAreKeptApart) {
  origin.on_request = [](Peer& peer, const std::string& head) {
    peer.send(response(field(head, "Accept-Language"), "Cache-Control: max-age=60\r\nVary: Accept-Language\r\n"));
  };
  for (int round = 0; round < 2; ++round) {
    for (const std::string language : {"de", "en"}) {
      const Answer answer = fetch(request("/", "Accept-Language: " + language + "\r\n"));
      EXPECT_EQ(answer.body, language);
      EXPECT_EQ(answer.is_hit(), round == 1);
    }
  }
}

// RFC 9111 4.4
TEST_F(RequestTest, UnsafeMethodInvalidates) {
  answer_with(response("x", kFresh));
  fetch(request());
  EXPECT_TRUE(fetch(request()).is_hit());
  EXPECT_EQ(fetch(request("/", "Content-Length: 0\r\n", "POST")).status, 200);
  EXPECT_FALSE(fetch(request()).is_hit());
}

// RFC 9111 5.2.1.7
TEST_F(RequestTest, OnlyIfCachedIsAnsweredWithoutTheOrigin) {
  EXPECT_EQ(fetch(request("/", "Cache-Control: only-if-cached\r\n")).status, 504);
  EXPECT_EQ(origin.accepted, 0u);
}

TEST_F(RequestTest, ObjectsAreFoundOnDiskAgain) {
  store_settings.memory = 1;
  const std::string content(300'000, 'd');
  answer_with(response(content, kFresh));
  for (int i = 0; i < 20; ++i) fetch(request("/" + std::to_string(i)));
  for (int i = 0; i < 20; ++i) {
    const Answer hit = fetch(request("/" + std::to_string(i)));
    EXPECT_TRUE(hit.is_hit());
    EXPECT_EQ(hit.body, content);
  }
}

// --- validation ---

TEST_F(RequestTest, NotModifiedFreshensWhatIsStored) {
  answer_with(response("body", std::string(kStale) + "X-Version: 1\r\n"));
  fetch(request());
  answer_with("HTTP/1.1 304 Not Modified\r\nETag: \"1\"\r\nCache-Control: max-age=60\r\nX-Version: 2\r\n\r\n");
  const Answer validated = fetch(request());
  EXPECT_EQ(field(last_head(), "If-None-Match"), "\"1\"");
  EXPECT_EQ(validated.status, 200);
  EXPECT_EQ(validated.body, "body");
  EXPECT_EQ(validated["X-Version"], "2");
  EXPECT_NE(status_of(validated).find("fwd=stale; fwd-status=304"), std::string::npos);
  EXPECT_TRUE(fetch(request()).is_hit());
  EXPECT_EQ(origin.requests, 2u);
}

// RFC 9111 4.3.4: a 304 about another version than ours.
TEST_F(RequestTest, NotModifiedOfAnotherVersionIsNotBelieved) {
  answer_with(response("old", kStale));
  fetch(request());
  origin.on_request = [](Peer& peer, const std::string& head) {
    peer.send(field(head, "If-None-Match").empty() ? response("new", kFresh)
                                                   : "HTTP/1.1 304 Not Modified\r\nETag: \"2\"\r\n\r\n");
  };
  EXPECT_EQ(fetch(request()).body, "new");
}

TEST_F(RequestTest, AChangedResponseReplacesTheStoredOne) {
  answer_with(response("old", kStale));
  fetch(request());
  answer_with(response("new", kFresh));
  EXPECT_EQ(fetch(request()).body, "new");
  EXPECT_TRUE(fetch(request()).is_hit());
}

TEST_F(RequestTest, ClientsConditionIsAnsweredFromTheStore) {
  answer_with(response("body", kFresh));
  fetch(request());
  const Answer same = fetch(request("/", "If-None-Match: \"1\"\r\n"));
  EXPECT_EQ(same.status, 304);
  EXPECT_TRUE(same.is_hit());
  EXPECT_EQ(fetch(request("/", "If-None-Match: \"0\"\r\n")).body, "body");
  EXPECT_EQ(origin.requests, 1u);
}

TEST_F(RequestTest, ClientsConditionOnAMissIsTheOriginsToJudge) {
  answer_with("HTTP/1.1 304 Not Modified\r\nETag: \"1\"\r\n\r\n");
  EXPECT_EQ(fetch(request("/", "If-None-Match: \"1\"\r\n")).status, 304);
}

// RFC 5861 4
TEST_F(RequestTest, StaleIsServedWhenTheOriginFailsAndOnlyIfThatIsAllowed) {
  for (const bool allowed : {true, false}) {
    const std::string path = allowed ? "/allowed" : "/not";
    answer_with(response("old", "Cache-Control: max-age=10" + std::string(allowed ? ", stale-if-error=600" : ", must-revalidate") +
                                    "\r\nAge: 20\r\nETag: \"1\"\r\n"));
    fetch(request(path));
    answer_with(response("broken", {}, "503 Service Unavailable"));
    EXPECT_EQ(fetch(request(path)).status, allowed ? 200 : 503);
    origin.on_request = [](Peer& peer, const std::string&) { peer.reset(); };
    const Answer answer = fetch(request(path));
    EXPECT_EQ(answer.status, allowed ? 200 : 502);
    if (allowed) {
      EXPECT_EQ(answer.body, "old");
    }
  }
}

// RFC 9110 9.3.3: also when the content comes after the head, which is the network's affair.
TEST_F(RequestTest, WhatAPostSaysOfItsTargetIsStoredWhenAllOfItHasCome) {
  const auto post = [&](const std::string& path, const std::string& content, const std::string& rest, bool breaks) {
    Client one = client();
    const size_t before = origin.requests;
    one->send(request(path, "Content-Length: 5\r\n", "POST") + "input");
    EXPECT_TRUE(until([&] { return origin.requests > before; }));
    origin.last_peer().send("HTTP/1.1 200 OK\r\nCache-Control: max-age=60\r\nContent-Location: " + path + "\r\n" +
                            "Transfer-Encoding: chunked\r\n\r\n" + content);
    one->turn([&] { return one->received().find("Location") != std::string::npos; });
    rest.empty() ? origin.last_peer().reset() : origin.last_peer().send(rest);
    EXPECT_EQ(one.answer(http::Method::Post).is_complete, !breaks);
  };
  const std::string large(100'000, 'x');
  post("/whole", "4\r\nmade\r\n", "2\r\n!!\r\n0\r\n\r\n", false);
  post("/broken", "4\r\nmade\r\n", "", true);
  post("/large", "186a0\r\n" + large + "\r\n", "1\r\ny\r\n0\r\n\r\n", false);
  answer_with(response("of a GET"));
  const Answer hit = fetch(request("/whole"));
  EXPECT_TRUE(hit.is_hit());
  EXPECT_EQ(hit.body, "made!!");
  EXPECT_EQ(hit["Content-Length"], "6");
  EXPECT_EQ(fetch(request("/broken")).body, "of a GET");
  EXPECT_EQ(fetch(request("/large")).body, "of a GET") << "too large to be kept beside the client";
}

// --- shared fetches ---

// P-9
TEST_F(RequestTest, TwoRequestsShareOneFetch) {
  Client first = ask(request());
  Client second = join(request());
  EXPECT_EQ(origin.requests, 1u);
  origin.last_peer().send(response("both", kFresh));
  EXPECT_EQ(first.answer().body, "both");
  const Answer answer = second.answer();
  EXPECT_EQ(answer.body, "both");
  EXPECT_NE(status_of(answer).find("collapsed"), std::string::npos);
}

TEST_F(RequestTest, FollowersReadAlongWhileContentArrives) {
  const std::string half(200'000, 'h');
  Client first = ask(request());
  Client second = join(request());
  origin.last_peer().send("HTTP/1.1 200 OK\r\nCache-Control: max-age=60\r\nContent-Length: 400000\r\n\r\n" + half);
  first->turn([&] { return first->received().size() >= half.size(); });
  second->turn([&] { return second->received().size() >= half.size(); });
  origin.last_peer().send(half);
  EXPECT_EQ(first.answer().body.size(), 400'000u);
  EXPECT_EQ(second.answer().body.size(), 400'000u);
  EXPECT_EQ(origin.requests, 1u);
}

TEST_F(RequestTest, FollowersFetchForThemselvesWhatCannotBeShared) {
  Client first = ask(request());
  Client second = join(request());
  answer_with(response("second", kPrivate));
  origin.last_peer().send(response("first", kPrivate));
  EXPECT_EQ(first.answer().body, "first");
  EXPECT_EQ(second.answer().body, "second");
  EXPECT_EQ(origin.requests, 2u);
}

TEST_F(RequestTest, AFollowerTakesOverWhenTheLeaderVanishes) {
  Client first = ask(request());
  Client second = join(request());
  Client third = join(request());
  first->reset();
  ASSERT_TRUE(until([&] { return origin.requests == 2; }));
  origin.last_peer().send(response("shared", kFresh));
  EXPECT_EQ(second.answer().body, "shared");
  EXPECT_EQ(third.answer().body, "shared");
  EXPECT_EQ(origin.requests, 2u);
}

// P-9: who waits for a fetch that fails does not wait for the next to fail as well; stale-if-error is for them, too.
TEST_F(RequestTest, FollowersOfAFetchThatFailsAskAllAtOnce) {
  for (const bool has_stale : {false, true}) {
    const std::string path = has_stale ? "/stale" : "/absent";
    if (has_stale) {
      answer_with(response("old", std::string(kStale) + "Cache-Control: stale-if-error=600\r\n"));
      fetch(request(path));
    }
    std::vector<Peer*> asked;
    bool holds = true;
    origin.on_request = [&](Peer& peer, const std::string&) { holds ? asked.push_back(&peer) : peer.reset(); };
    Client first = ask(request(path));
    std::vector<Client> others;
    for (int i = 0; i < 3; ++i) others.push_back(join(request(path)));
    ASSERT_EQ(asked.size(), 1u);
    asked[0]->send("HTTP/1.1 nonsense\r\n\r\n");
    ASSERT_TRUE(until([&] { return asked.size() == 4; })) << "one after the other";
    holds = false;
    for (size_t i = 1; i < asked.size(); ++i) asked[i]->send("HTTP/1.1 nonsense\r\n\r\n");
    EXPECT_EQ(first.answer().status, has_stale ? 200 : 502);
    for (Client& other : others) EXPECT_EQ(other.answer().status, has_stale ? 200 : 502);
    origin.on_request = nullptr;
  }
}

TEST_F(RequestTest, AFollowerMayVanish) {
  Client first = ask(request());
  Client second = join(request());
  second->reset();
  for (int i = 0; i < 5; ++i) loop.run_once(1ms);
  EXPECT_EQ(worker().active(), 1u);
  origin.last_peer().send(response("alone", kFresh));
  EXPECT_EQ(first.answer().body, "alone");
}

TEST_F(RequestTest, AVariantThatIsNotOursSendsTheFollowerOn) {
  Client first = ask(request("/", "Accept-Language: de\r\n"));
  Client second = join(request("/", "Accept-Language: en\r\n"));
  origin.on_request = [](Peer& peer, const std::string& head) {
    peer.send(response(field(head, "Accept-Language"), "Cache-Control: max-age=60\r\nVary: Accept-Language\r\n"));
  };
  origin.on_request(origin.last_peer(), last_head());
  EXPECT_EQ(first.answer().body, "de");
  EXPECT_EQ(second.answer().body, "en");
}

// RFC 9111 4, 5.2.2.4; V-3: what no later request may be given without validation, those who waited are not given either.
// Each asks for itself then, and none waits for another.
TEST_F(RequestTest, FollowersValidateWhatIsNotFresh) {
  for (const char* control : {"no-cache", "max-age=0, must-revalidate", "max-age=10\r\nAge: 20"}) {
    const std::string path = "/" + std::to_string(origin.requests);
    const std::string fields = "Cache-Control: " + std::string(control) + "\r\nETag: ";
    std::vector<Peer*> asked;
    origin.on_request = [&](Peer& peer, const std::string& head) {
      EXPECT_EQ(field(head, "If-None-Match"), asked.empty() ? "" : "\"a\"");
      asked.push_back(&peer);
    };
    Client first = ask(request(path, "Cookie: a\r\n"));
    std::vector<Client> others;
    for (int i = 0; i < 3; ++i) others.push_back(join(request(path, "Cookie: b\r\n")));
    asked[0]->send(response("of a", fields + "\"a\"\r\n"));
    EXPECT_EQ(first.answer().body, "of a");
    ASSERT_TRUE(until([&] { return asked.size() == 4; })) << control << ": one after the other";
    for (size_t i = 1; i < asked.size(); ++i) asked[i]->send(response("of b", fields + "\"b\"\r\n"));
    for (Client& other : others) EXPECT_EQ(other.answer().body, "of b") << control;
    origin.on_request = nullptr;
  }
}

// P-9: each answer is of one variant; who wants another waits for two of them at most.
TEST_F(RequestTest, FollowersDoNotWaitForOneVariantAfterTheOther) {
  Client first = ask(request("/", "X-A: 0\r\n"));
  std::vector<Client> others;
  for (int i = 1; i <= 5; ++i) others.push_back(join(request("/", "X-A: " + std::to_string(i) + "\r\n")));
  const auto answer = [](Peer& peer, const std::string& head) {
    peer.send(response(field(head, "X-A"), "Cache-Control: max-age=60\r\nVary: X-A\r\n"));
  };
  std::vector<Peer*> asked;
  origin.on_request = [&](Peer& peer, const std::string&) { asked.push_back(&peer); };
  answer(origin.last_peer(), last_head());
  EXPECT_EQ(first.answer().body, "0");
  ASSERT_TRUE(until([&] { return asked.size() == 1; }));
  answer(*asked[0], asked[0]->last_head);
  ASSERT_TRUE(until([&] { return asked.size() == others.size(); })) << "one after the other";
  for (size_t i = 1; i < asked.size(); ++i) answer(*asked[i], asked[i]->last_head);
  for (size_t i = 0; i < others.size(); ++i) EXPECT_EQ(others[i].answer().body, std::to_string(i + 1));
}

// S0-4.3, P-9: none of those who read along takes a part for the whole.
TEST_F(RequestTest, WhenSharedContentBreaksOffEverybodySeesIt) {
  for (const char* framing : {"Content-Length: 400000\r\n", "Transfer-Encoding: chunked\r\n"}) {
    Client first = ask(request());
    Client second = join(request());
    origin.last_peer().send("HTTP/1.1 200 OK\r\nCache-Control: max-age=60\r\n" + std::string(framing) + "\r\n30d40\r\n" +
                            std::string(100'000, 'x'));
    first->turn([&] { return first->received().size() > 90'000; });
    origin.last_peer().reset();
    EXPECT_FALSE(first.answer().is_complete);
    EXPECT_FALSE(second.answer().is_complete);
    EXPECT_TRUE(until([&] { return is_quiet(); }));
  }
}

TEST_F(RequestTest, AFetchOutlivesTheClientThatCausedIt) {
  Client leaving = ask(request());
  origin.last_peer().send("HTTP/1.1 200 OK\r\nCache-Control: max-age=60\r\nContent-Length: 400000\r\n\r\n" +
                          std::string(100'000, 'x'));
  leaving->turn([&] { return leaving->received().size() > 50'000; });
  leaving->reset();
  ASSERT_TRUE(until([&] { return worker().active() == 0; }));
  origin.last_peer().send(std::string(300'000, 'x'));
  ASSERT_TRUE(until([&] { return is_quiet(); }));
  EXPECT_EQ(fetch(request()).body, std::string(400'000, 'x'));
  EXPECT_EQ(origin.requests, 1u);
}

// --- ranges ---

TEST_F(RequestTest, RangesAreCutFromWhatIsStored) {
  answer_with(response("0123456789", std::string(kFresh) + "Accept-Ranges: bytes\r\n"));
  fetch(request());
  struct Case {
    const char* fields;
    int status;
    const char* body;
    const char* content_range;
  };
  for (const Case& one : {Case{"Range: bytes=2-4\r\n", 206, "234", "bytes 2-4/10"},
                          Case{"Range: bytes=-3\r\n", 206, "789", "bytes 7-9/10"},
                          Case{"Range: bytes=8-\r\n", 206, "89", "bytes 8-9/10"},
                          Case{"Range: bytes=10-\r\n", 416, "", "bytes */10"},
                          Case{"Range: lines=1-2\r\n", 200, "0123456789", ""},
                          Case{"Range: bytes=2-4\r\nIf-Range: \"1\"\r\n", 206, "234", "bytes 2-4/10"},
                          Case{"Range: bytes=2-4\r\nIf-Range: \"0\"\r\n", 200, "0123456789", ""},
                          Case{"Range: bytes=2-4\r\nIf-None-Match: \"1\"\r\n", 304, "", ""}}) {
    SCOPED_TRACE(one.fields);
    const Answer answer = fetch(request("/", one.fields));
    EXPECT_EQ(answer.status, one.status);
    EXPECT_EQ(answer.body, one.body);
    EXPECT_EQ(answer["Content-Range"], one.content_range);
    EXPECT_TRUE(answer.is_complete);
  }
  EXPECT_EQ(origin.requests, 1u);
}

TEST_F(RequestTest, ARangeOfWhatIsNotStoredIsAskedForWithWhatIsAroundItAndCutOut) {
  answer_with("HTTP/1.1 206 Partial Content\r\nContent-Range: bytes 0-9/10\r\nContent-Length: 10\r\n" + std::string(kFresh) +
              "\r\n0123456789");
  const Answer answer = fetch(request("/", "Range: bytes=2-4\r\n"));
  EXPECT_EQ(field(last_head(), "Range"), "bytes=0-1048575");
  EXPECT_EQ(answer.status, 206);
  EXPECT_EQ(answer["Content-Range"], "bytes 2-4/10");
  EXPECT_EQ(answer.body, "234");
}

TEST_F(RequestTest, SeveralRangesOfWhatIsNotToBeStoredAreAskedForAsTheClientWroteThem) {
  answer_with("HTTP/1.1 206 Partial Content\r\nContent-Range: bytes 0-9/10\r\nContent-Length: 10\r\n"
              "Cache-Control: no-store\r\n\r\n0123456789");
  fetch(request("/", "Range: bytes=2-4, 6-7\r\n"));
  EXPECT_EQ(origin.requests, 2u);
  EXPECT_EQ(field(last_head(), "Range"), "bytes=2-4, 6-7");
}

TEST_F(RequestTest, ARangeOfWhatTheOriginSendsWholeIsCutAndTheWholeStored) {
  answer_with(response("0123456789", kFresh));
  EXPECT_EQ(fetch(request("/", "Range: bytes=2-4\r\n")).body, "234");
  EXPECT_TRUE(fetch(request()).is_hit());
}

// P-10: what a broken download left is completed, and only with its own version.
class PartialObject : public RequestTest {
 protected:
  static constexpr size_t kSize = 2 << 20;

  void SetUp() override {
    accelerate.enabled = false;
    for (size_t i = 0; i < kSize; ++i) content_ += static_cast<char>('a' + i * i / 7 % 26);
    const std::string begin = head() + content_.substr(0, kSize * 6 / 10);
    origin.on_request = [begin](Peer& peer, const std::string&) {
      peer.send(begin);
      peer.close();
    };
    EXPECT_FALSE(fetch(request()).is_complete);
    EXPECT_TRUE(until([&] { return is_quiet(); }));
  }
  static std::string head(std::string_view etag = "\"1\"", size_t size = kSize) {
    return "HTTP/1.1 200 OK\r\nCache-Control: max-age=60\r\nETag: " + std::string(etag) +
           "\r\nContent-Length: " + std::to_string(size) + "\r\n\r\n";
  }
  // The rest from where the request asks for it.
  void send_rest(Peer& peer, const std::string& asked, std::string_view etag = "\"1\"") {
    const std::string range = field(asked, "Range");
    asked_from_ = std::strtoull(range.c_str() + 6, nullptr, 10);
    peer.send("HTTP/1.1 206 Partial Content\r\nCache-Control: max-age=60\r\nETag: " + std::string(etag) +
              "\r\nContent-Range: bytes " + std::to_string(asked_from_) + "-" + std::to_string(kSize - 1) + "/" +
              std::to_string(kSize) + "\r\nContent-Length: " + std::to_string(kSize - asked_from_) + "\r\n\r\n" +
              content_.substr(asked_from_));
  }
  std::string content_;
  uint64_t asked_from_ = 0;
};

TEST_F(PartialObject, IsCompletedUnderIfRange) {
  origin.on_request = [&](Peer& peer, const std::string& asked) {
    EXPECT_EQ(field(asked, "If-Range"), "\"1\"");
    send_rest(peer, asked);
  };
  EXPECT_EQ(fetch(request()).body, content_);
  EXPECT_GE(asked_from_, kSize * 4 / 10);
  const Answer hit = fetch(request());
  EXPECT_TRUE(hit.is_hit());
  EXPECT_EQ(hit.body, content_);
}

TEST_F(PartialObject, ServesRangesThatAreThereWithoutTheOrigin) {
  const size_t before = origin.requests;
  const Answer answer = fetch(request("/", "Range: bytes=100-199\r\n"));
  EXPECT_EQ(answer.body, content_.substr(100, 100));
  EXPECT_TRUE(answer.is_hit());
  EXPECT_EQ(origin.requests, before);
}

TEST_F(PartialObject, IsCompletedForARangeThatIsNotThere) {
  origin.on_request = [&](Peer& peer, const std::string& asked) { send_rest(peer, asked); };
  const Answer answer = fetch(request("/", "Range: bytes=-1000\r\n"));
  EXPECT_EQ(answer.status, 206);
  EXPECT_EQ(answer.body, content_.substr(kSize - 1000));
}

TEST_F(PartialObject, IsReplacedByAnotherVersion) {
  origin.on_request = [&](Peer& peer, const std::string&) {
    std::string other(kSize, 'z');
    peer.send(head("\"2\"") + other);
  };
  EXPECT_EQ(fetch(request()).body, std::string(kSize, 'z'));
  EXPECT_TRUE(fetch(request()).is_hit());
}

TEST_F(PartialObject, IsNotMixedWithThePartOfAnotherVersion) {
  origin.on_request = [&](Peer& peer, const std::string& asked) {
    if (!field(asked, "Range").empty()) return send_rest(peer, asked, "\"2\"");
    peer.send(head("\"2\"") + std::string(kSize, 'z'));
  };
  const Answer answer = fetch(request());
  EXPECT_EQ(answer.status, 200);
  EXPECT_EQ(answer.body, std::string(kSize, 'z'));
}

TEST_F(PartialObject, IsForgottenWhenTheOriginHasNoSuchRange) {
  origin.on_request = [&](Peer& peer, const std::string& asked) {
    peer.send(field(asked, "Range").empty() ? response("short", kFresh)
                                            : response("", "Content-Range: bytes */5\r\n", "416 Range Not Satisfiable"));
  };
  const Answer answer = fetch(request());
  EXPECT_EQ(answer.status, 200);
  EXPECT_EQ(answer.body, "short");
}

TEST_F(PartialObject, SurvivesAnOriginThatFailsAgain) {
  origin.on_request = [](Peer& peer, const std::string&) { peer.reset(); };
  EXPECT_EQ(fetch(request()).status, 502);
  origin.on_request = [&](Peer& peer, const std::string& asked) { send_rest(peer, asked); };
  EXPECT_EQ(fetch(request()).body, content_);
  EXPECT_GE(asked_from_, kSize * 4 / 10);
}

// --- failures of the origin ---

// S0-4.3: an answer that tells, or an end that cannot be taken for one; never a part as the whole, and nothing is stored.
TEST_F(RequestTest, TellsTheClientWhereverTheOriginFails) {
  struct Case {
    const char* sent;
    int status;
  };
  for (const Case& one :
       {Case{"", 502}, Case{"HTTP/1.1 200 O", 502}, Case{"HTTP/1.1 200 OK\r\nContent-Length: 5\r\n", 502},
        Case{"nonsense\r\n\r\n", 502}, Case{"HTTP/1.1 200 OK\r\nContent-Length: 1\r\nContent-Length: 2\r\n\r\nab", 502},
        Case{"HTTP/1.1 103 Early Hints\r\n\r\n", 502},
        Case{"HTTP/1.1 200 OK\r\nCache-Control: max-age=9\r\nContent-Length: 5\r\n\r\nab", 0},
        Case{"HTTP/1.1 200 OK\r\nCache-Control: private\r\nContent-Length: 5\r\n\r\nab", 0},
        Case{"HTTP/1.1 200 OK\r\nCache-Control: max-age=9\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nab", 0},
        Case{"HTTP/1.1 200 OK\r\nCache-Control: private\r\nTransfer-Encoding: chunked\r\n\r\n2\r\nab\r\n", 0},
        Case{"HTTP/1.1 200 OK\r\nCache-Control: max-age=9\r\nTransfer-Encoding: chunked\r\n\r\n-2\r\nab\r\n", 0}}) {
    SCOPED_TRACE(one.sent);
    origin.on_request = [&](Peer& peer, const std::string&) {
      peer.send(one.sent);
      peer.close();
    };
    const Answer answer = fetch(request());
    if (one.status != 0) {
      EXPECT_EQ(answer.status, one.status);
      EXPECT_TRUE(answer.has("Proxy-Status"));
    } else {
      EXPECT_FALSE(answer.is_complete && answer.status == 200);
    }
    EXPECT_TRUE(until([&] { return is_quiet(); }));
  }
  answer_with(response("whole", kFresh));
  const Answer after = fetch(request());
  EXPECT_FALSE(after.is_hit());
  EXPECT_EQ(after.body, "whole");
}

TEST_F(RequestTest, ErrorsAreToldInTheFormThatTheClientAsksFor) {
  origin.stop_listening();
  EXPECT_TRUE(fetch(request())["Content-Type"].starts_with("text/plain"));
  EXPECT_TRUE(fetch(request("/", "Accept: text/html\r\n"))["Content-Type"].starts_with("text/html"));
  EXPECT_TRUE(fetch(request("/", "Accept: application/problem+json\r\n"))["Content-Type"].starts_with("application/problem+json"));
  const Answer head = fetch(request("/", {}, "HEAD"), http::Method::Head);
  EXPECT_EQ(head.status, 502);
  EXPECT_TRUE(head.body.empty());
}

TEST_F(RequestTest, AnErrorKeepsTheConnectionWhenNothingIsUnread) {
  origin.stop_listening();
  Client one = client();
  one->send(request() + request());
  EXPECT_EQ(one.answer().status, 502);
  EXPECT_EQ(one.answer().status, 502);
}

// --- answered without an origin ---

TEST_F(RequestTest, JudgesTheTargetBeforeAnybodyIsAsked) {
  const std::string end = " HTTP/1.1\r\nHost: x\r\n";
  const std::pair<std::string, int> cases[] = {
      {"GET /" + end + "\r\n", 200},
      {"GET ftp://a/" + end + "\r\n", 501},
      {"GET http://a b/" + end + "\r\n", 400},
      {"GET " + url() + end + "Via: 1.1 tributary\r\n\r\n", 508},
      {"OPTIONS " + url() + end + "Max-Forwards: 0\r\n\r\n", 200},
      {"TRACE " + url() + end + "Max-Forwards: 0\r\n\r\n", 200},
      {"CONNECT nowhere" + end + "\r\n", 400},
  };
  for (const auto& [text, status] : cases) {
    SCOPED_TRACE(text);
    EXPECT_EQ(fetch(text).status, status);
  }
  EXPECT_EQ(origin.accepted, 0u);
}

TEST_F(RequestTest, PrivateDestinationsAreRefusedUnlessAllowed) {
  access_settings.allow_private = false;
  EXPECT_EQ(fetch(request()).status, 403);
  EXPECT_EQ(origin.accepted, 0u);
}

// --- accounts ---

TEST_F(RequestTest, AnAbortedRequestIsCountedOnceAndNotWithTheBytesOfTheOneBefore) {
  answer_with(response("yes", kFresh));
  Client one = client();
  one->send(request());
  one.answer();
  const double sent = metric("tributary_client_bytes_total", {"sent"});
  origin.on_request = nullptr;
  one->send(request("/other"));
  ASSERT_TRUE(until([&] { return origin.requests == 2; }));
  one->reset();
  ASSERT_TRUE(until([&] { return is_quiet(); }));
  EXPECT_EQ(metric("tributary_client_bytes_total", {"sent"}), sent);
  double requests = 0;
  for (const core::FamilySnapshot& family : registry.snapshot()) {
    if (family.name != "tributary_requests_total") continue;
    for (const core::Sample& sample : family.samples) requests += sample.value;
  }
  EXPECT_EQ(requests, 2);
}

}  // namespace
}  // namespace tributary::proxy::test
