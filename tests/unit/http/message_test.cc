#include "http/message.h"

#include <gtest/gtest.h>

#include <string>

namespace tributary::http {
namespace {

RequestHead request(Method method, uint8_t minor,
                    std::initializer_list<std::pair<const char*, const char*>> fields) {
  RequestHead head;
  head.method = method;
  head.minor = minor;
  head.target = "/";
  for (const auto& [name, value] : fields) EXPECT_TRUE(head.fields.add(name, value));
  return head;
}

ResponseHead response(uint16_t status, uint8_t minor,
                      std::initializer_list<std::pair<const char*, const char*>> fields) {
  ResponseHead head;
  head.status = status;
  head.minor = minor;
  for (const auto& [name, value] : fields) EXPECT_TRUE(head.fields.add(name, value));
  return head;
}

MessageFault fault_of(const core::Result<BodyFraming>& result) {
  return result ? MessageFault::None : static_cast<MessageFault>(result.error().detail);
}

TEST(Methods, AreKnownByTheirExactText) {
  EXPECT_EQ(method_from("GET"), Method::Get);
  EXPECT_EQ(method_from("get"), Method::Other);
  EXPECT_EQ(method_from("VERSION-CONTROL"), Method::VersionControl);
  EXPECT_EQ(method_from("BREW"), Method::Other);
  EXPECT_EQ(method_from(""), Method::Other);
  EXPECT_EQ(method_text(Method::Delete), "DELETE");
#define TRIBUTARY_X(id, text, safe, idempotent) \
  EXPECT_EQ(method_from(text), Method::id);     \
  EXPECT_TRUE(!is_safe(Method::id) || is_idempotent(Method::id));
  TRIBUTARY_HTTP_METHODS(TRIBUTARY_X)
#undef TRIBUTARY_X
  EXPECT_TRUE(is_idempotent(Method::Put));
  EXPECT_FALSE(is_safe(Method::Put));
  EXPECT_FALSE(is_idempotent(Method::Post));
  EXPECT_FALSE(is_idempotent(Method::Other));
}

TEST(Heads, AreWrittenAsHttp11) {
  RequestHead ask = request(Method::Other, 0, {{"Host", "h"}, {"X", ""}});
  ask.other_method = "BREW";
  ask.target = "/pot?x";
  std::string out;
  append_head(ask, out);
  EXPECT_EQ(out, "BREW /pot?x HTTP/1.1\r\nHost: h\r\nX: \r\n\r\n");

  out.clear();
  append_head(response(404, 0, {{"Age", "1"}}), out);
  EXPECT_EQ(out, "HTTP/1.1 404 Not Found\r\nAge: 1\r\n\r\n");
  ResponseHead odd = response(299, 1, {});
  odd.reason = "Fine";
  out.clear();
  append_head(odd, out);
  EXPECT_EQ(out, "HTTP/1.1 299 Fine\r\n\r\n");
}

struct RequestCase {
  const char* what;
  RequestHead head;
  MessageFault fault;
  BodyFraming framing;
};

TEST(RequestFraming, FollowsRfc9112Section63AndRefusesTheRest) {  // V-1
  using M = Method;
  const BodyFraming none;
  const RequestCase cases[] = {
      {"nothing", request(M::Get, 1, {}), MessageFault::None, none},
      {"post without", request(M::Post, 1, {}), MessageFault::None, none},
      {"length",
       request(M::Post, 1, {{"Content-Length", "5"}}),
       MessageFault::None,
       {BodyKind::Length, 5}},
      {"zero",
       request(M::Post, 0, {{"Content-Length", "0"}}),
       MessageFault::None,
       {BodyKind::Length, 0}},
      {"get with content",
       request(M::Get, 1, {{"Content-Length", "5"}}),
       MessageFault::None,
       {BodyKind::Length, 5}},
      {"chunked",
       request(M::Post, 1, {{"Transfer-Encoding", "Chunked"}}),
       MessageFault::None,
       {BodyKind::Chunked, 0}},
      {"both", request(M::Post, 1, {{"Transfer-Encoding", "chunked"}, {"Content-Length", "5"}}),
       MessageFault::Framing, none},
      {"te in 1.0", request(M::Post, 0, {{"Transfer-Encoding", "chunked"}}), MessageFault::Framing,
       none},
      {"two te",
       request(M::Post, 1, {{"Transfer-Encoding", "chunked"}, {"Transfer-Encoding", "chunked"}}),
       MessageFault::Framing, none},
      {"chunked twice", request(M::Post, 1, {{"Transfer-Encoding", "chunked, chunked"}}),
       MessageFault::Framing, none},
      {"chunked not last", request(M::Post, 1, {{"Transfer-Encoding", "chunked, gzip"}}),
       MessageFault::Framing, none},
      {"gzip, chunked", request(M::Post, 1, {{"Transfer-Encoding", "gzip, chunked"}}),
       MessageFault::UnsupportedCoding, none},
      {"gzip", request(M::Post, 1, {{"Transfer-Encoding", "gzip"}}),
       MessageFault::UnsupportedCoding, none},
      {"identity", request(M::Post, 1, {{"Transfer-Encoding", "identity"}}),
       MessageFault::UnsupportedCoding, none},
      {"empty te", request(M::Post, 1, {{"Transfer-Encoding", ""}}), MessageFault::Framing, none},
      {"comma", request(M::Post, 1, {{"Transfer-Encoding", "chunked,"}}), MessageFault::Framing,
       none},
      {"leading comma", request(M::Post, 1, {{"Transfer-Encoding", ",chunked"}}),
       MessageFault::Framing, none},
      {"quoted", request(M::Post, 1, {{"Transfer-Encoding", "\"chunked\""}}), MessageFault::Framing,
       none},
      {"xchunked", request(M::Post, 1, {{"Transfer-Encoding", "xchunked"}}),
       MessageFault::UnsupportedCoding, none},
      {"junk", request(M::Post, 1, {{"Transfer-Encoding", "chunked x"}}),
       MessageFault::UnsupportedCoding, none},
      {"parameter", request(M::Post, 1, {{"Transfer-Encoding", "chunked;q=1"}}),
       MessageFault::UnsupportedCoding, none},
      {"twice same", request(M::Post, 1, {{"Content-Length", "5"}, {"Content-Length", "5"}}),
       MessageFault::Framing, none},
      {"twice other", request(M::Post, 1, {{"Content-Length", "5"}, {"Content-Length", "6"}}),
       MessageFault::Framing, none},
      {"list", request(M::Post, 1, {{"Content-Length", "5, 5"}}), MessageFault::Framing, none},
      {"sign", request(M::Post, 1, {{"Content-Length", "+5"}}), MessageFault::Framing, none},
      {"minus", request(M::Post, 1, {{"Content-Length", "-5"}}), MessageFault::Framing, none},
      {"hex", request(M::Post, 1, {{"Content-Length", "0x5"}}), MessageFault::Framing, none},
      {"empty", request(M::Post, 1, {{"Content-Length", ""}}), MessageFault::Framing, none},
      {"too big", request(M::Post, 1, {{"Content-Length", "9223372036854775808"}}),
       MessageFault::Framing, none},
      {"wraps", request(M::Post, 1, {{"Content-Length", "18446744073709551621"}}),
       MessageFault::Framing, none},
      {"connect", request(M::Connect, 1, {}), MessageFault::None, none},
      {"connect 0", request(M::Connect, 1, {{"Content-Length", "0"}}), MessageFault::None, none},
      {"connect 5", request(M::Connect, 1, {{"Content-Length", "5"}}), MessageFault::Framing, none},
      {"connect te", request(M::Connect, 1, {{"Transfer-Encoding", "chunked"}}),
       MessageFault::Framing, none},
  };
  for (const RequestCase& c : cases) {
    const auto framing = request_framing(c.head);
    EXPECT_EQ(fault_of(framing), c.fault) << c.what;
    if (framing) {
      EXPECT_EQ(*framing, c.framing) << c.what;
    } else {
      EXPECT_EQ(framing.error().side, core::Side::Client);
    }
  }
}

struct ResponseCase {
  const char* what;
  Method method;
  ResponseHead head;
  MessageFault fault;
  BodyFraming framing;
};

TEST(ResponseFraming, FollowsRfc9112Section63) {
  using M = Method;
  const BodyFraming none;
  const BodyFraming until_close{BodyKind::UntilClose, 0};
  const BodyFraming tunnel{BodyKind::Tunnel, 0};
  const ResponseCase cases[] = {
      {"length",
       M::Get,
       response(200, 1, {{"Content-Length", "5"}}),
       MessageFault::None,
       {BodyKind::Length, 5}},
      {"head", M::Head, response(200, 1, {{"Content-Length", "5"}}), MessageFault::None, none},
      {"head chunked", M::Head, response(200, 1, {{"Transfer-Encoding", "chunked"}}),
       MessageFault::None, none},
      {"204", M::Get, response(204, 1, {{"Content-Length", "5"}}), MessageFault::None, none},
      {"304", M::Get, response(304, 1, {{"Content-Length", "5"}}), MessageFault::None, none},
      {"100", M::Get, response(100, 1, {}), MessageFault::None, none},
      {"101", M::Get, response(101, 1, {}), MessageFault::None, tunnel},
      {"connect 200", M::Connect, response(200, 1, {{"Content-Length", "5"}}), MessageFault::None,
       tunnel},
      {"connect 407",
       M::Connect,
       response(407, 1, {{"Content-Length", "5"}}),
       MessageFault::None,
       {BodyKind::Length, 5}},
      {"close", M::Get, response(200, 1, {}), MessageFault::None, until_close},
      {"1.0 close", M::Get, response(200, 0, {}), MessageFault::None, until_close},
      {"chunked",
       M::Get,
       response(200, 1, {{"Transfer-Encoding", "chunked"}}),
       MessageFault::None,
       {BodyKind::Chunked, 0}},
      {"1.0 chunked", M::Get, response(200, 0, {{"Transfer-Encoding", "chunked"}}),
       MessageFault::Framing, none},
      {"both", M::Get,
       response(200, 1, {{"Transfer-Encoding", "chunked"}, {"Content-Length", "5"}}),
       MessageFault::Framing, none},
      {"both on head", M::Head,
       response(200, 1, {{"Transfer-Encoding", "chunked"}, {"Content-Length", "5"}}),
       MessageFault::Framing, none},
      {"two on 304", M::Get, response(304, 1, {{"Content-Length", "5"}, {"Content-Length", "6"}}),
       MessageFault::Framing, none},
      {"gzip", M::Get, response(200, 1, {{"Transfer-Encoding", "gzip"}}),
       MessageFault::UnsupportedCoding, none},
  };
  for (const ResponseCase& c : cases) {
    const auto framing = response_framing(c.method, c.head);
    EXPECT_EQ(fault_of(framing), c.fault) << c.what;
    if (framing) {
      EXPECT_EQ(*framing, c.framing) << c.what;
    } else {
      EXPECT_EQ(framing.error().side, core::Side::Origin);
    }
  }
}

TEST(KeepAlive, OfRequestsFollowsRfc9112Section93) {
  EXPECT_TRUE(keeps_alive(request(Method::Get, 1, {})));
  EXPECT_TRUE(keeps_alive(request(Method::Get, 1, {{"Connection", "upgrade"}})));
  EXPECT_FALSE(keeps_alive(request(Method::Get, 1, {{"Connection", "x, Close"}})));
  EXPECT_FALSE(keeps_alive(request(Method::Get, 0, {})));
  EXPECT_FALSE(keeps_alive(request(Method::Get, 0, {{"Connection", "keep-alive"}})));
}

TEST(KeepAlive, OfResponsesNeedsAKnownEnd) {
  const BodyFraming length{BodyKind::Length, 5};
  EXPECT_TRUE(keeps_alive(response(200, 1, {}), length));
  EXPECT_FALSE(keeps_alive(response(200, 1, {}), {BodyKind::UntilClose, 0}));
  EXPECT_FALSE(keeps_alive(response(101, 1, {}), {BodyKind::Tunnel, 0}));
  EXPECT_FALSE(keeps_alive(response(200, 1, {{"Connection", "close"}}), length));
  EXPECT_FALSE(keeps_alive(response(200, 0, {}), length));
  EXPECT_TRUE(keeps_alive(response(200, 0, {{"Connection", "Keep-Alive"}}), length));
  // Claimed content where there is none: what follows must not become the next response.  V-1
  EXPECT_TRUE(keeps_alive(response(204, 1, {}), {}));
  EXPECT_TRUE(keeps_alive(response(204, 1, {{"Content-Length", "0"}}), {}));
  EXPECT_FALSE(keeps_alive(response(204, 1, {{"Content-Length", "5"}}), {}));
  EXPECT_FALSE(keeps_alive(response(204, 1, {{"Transfer-Encoding", "chunked"}}), {}));
  EXPECT_TRUE(keeps_alive(response(304, 1, {{"Content-Length", "5"}}), {}));
}

}  // namespace
}  // namespace tributary::http
