#include "http/h1.h"

#include <gtest/gtest.h>

#include <string>

#include "unit/http/h1_driver.h"

namespace tributary::http {
namespace {

using testing::every_byte;
using testing::transcript;
using Event = H1Parser::Event;
using Kind = H1Parser::Kind;

// The transcript, after checking that it is the same whole, byte by byte and for every single cut.
std::string settled(Kind kind, const std::string& bytes,
                    const std::vector<Method>& methods = {Method::Get}, H1Limits limits = {}) {
  const std::string whole = transcript(kind, bytes, {}, true, methods, limits);
  EXPECT_EQ(transcript(kind, bytes, every_byte(bytes), true, methods, limits), whole) << bytes;
  for (size_t cut = 1; cut < bytes.size(); ++cut) {
    const std::string split = transcript(kind, bytes, {cut}, true, methods, limits);
    EXPECT_EQ(split, whole) << bytes << " cut at " << cut;
    if (split != whole) break;
  }
  return whole;
}

std::string ask(const std::string& bytes, H1Limits limits = {}) {
  return settled(Kind::Request, bytes, {Method::Get}, limits);
}
std::string answer(const std::string& bytes, const std::vector<Method>& methods = {Method::Get}) {
  return settled(Kind::Response, bytes, methods);
}

TEST(H1Request, IsReadWithItsFieldsInOrder) {
  EXPECT_EQ(
      ask("GET http://h/a?b HTTP/1.1\r\nHost: h\r\nX-A:1\r\nx-a: \t 2 \t \r\nX-Empty:\r\n\r\n"),
      "head GET http://h/a?b 1 [Host=h;X-A=1;x-a=2;X-Empty=;] framing 0 0 68\ncomplete\nclean "
      "end\n");
}

TEST(H1Request, MayBePipelinedWithContent) {
  EXPECT_EQ(
      ask("POST /1 HTTP/1.1\r\nHost: h\r\nContent-Length: 5\r\n\r\nhello"
          "\r\nPUT /2 HTTP/1.1\r\nHost: h\r\nTransfer-Encoding: chunked\r\n\r\n"
          "5\r\nhello\r\n1;x=y\r\n!\r\n0\r\n\r\n"
          "DELETE /3 HTTP/1.0\r\n\r\n"),
      "head POST /1 1 [Host=h;Content-Length=5;] framing 1 5 48\nbody hello\ncomplete\n"
      "head PUT /2 1 [Host=h;Transfer-Encoding=chunked;] framing 2 0 56\nbody hello!\ncomplete\n"
      "head DELETE /3 0 [] framing 0 0 22\ncomplete\nclean end\n");
}

TEST(H1Request, MayHaveAnyMethodThatIsAToken) {
  EXPECT_EQ(ask("BREW /pot HTTP/1.1\r\nHost: h\r\n\r\n"),
            "head BREW /pot 1 [Host=h;] framing 0 0 31\ncomplete\nclean end\n");
  EXPECT_EQ(ask("get / HTTP/1.1\r\nHost: h\r\n\r\n"),
            "head get / 1 [Host=h;] framing 0 0 27\ncomplete\nclean end\n");
}

TEST(H1Request, LeavesWhatFollowsConnectAlone) {
  H1Parser parser(Kind::Request);
  std::string_view input = "CONNECT h:443 HTTP/1.1\r\nHost: h:443\r\n\r\n\x16\x03\x01";
  ASSERT_EQ(parser.next(input), Event::Head);
  EXPECT_EQ(parser.request().method, Method::Connect);
  ASSERT_EQ(parser.next(input), Event::Complete);
  EXPECT_EQ(input, "\x16\x03\x01");
}

TEST(H1Request, SkipsTwoEmptyLinesInFrontOfIt) {  // RFC 9112, 2.2
  EXPECT_EQ(ask("\r\n\r\nGET / HTTP/1.1\r\nHost: h\r\n\r\n"),
            "head GET / 1 [Host=h;] framing 0 0 27\ncomplete\nclean end\n");
  EXPECT_EQ(ask("\r\n\r\n\r\nGET / HTTP/1.1\r\nHost: h\r\n\r\n"), "error 1\n");
  EXPECT_EQ(ask("\r\n"), "clean end\n");
}

TEST(H1Request, GivesTrailersWithoutWhatMustNotBeThere) {
  EXPECT_EQ(ask("POST / HTTP/1.1\r\nHost: h\r\nTransfer-Encoding: chunked\r\n\r\n"
                "0\r\nX-Sum: 1\r\nContent-Length: 5\r\nHost: evil\r\nAuthorization: x\r\n\r\n"),
            "head POST / 1 [Host=h;Transfer-Encoding=chunked;] framing 2 0 56\ntrailers "
            "[X-Sum=1;]\ncomplete\nclean end\n");
  EXPECT_EQ(
      ask("POST / HTTP/1.1\r\nHost: h\r\nTransfer-Encoding: chunked\r\n\r\n0\r\nX Y: 1\r\n\r\n"),
      "head POST / 1 [Host=h;Transfer-Encoding=chunked;] framing 2 0 56\nerror 1\n");
}

struct Bad {
  const char* what;
  std::string bytes;
  MessageFault fault;
};

std::string with_fields(const std::string& fields) {
  return "POST / HTTP/1.1\r\nHost: h\r\n" + fields + "\r\n";
}

TEST(H1Request, IsRefusedWhenAnotherParserCouldReadItDifferently) {  // V-1
  using F = MessageFault;
  const std::string nul(1, '\0');
  const Bad cases[] = {
      // start line
      {"0.9", "GET /\r\n", F::Syntax},
      {"0.9 with host", "GET /\r\nHost: h\r\n\r\n", F::Syntax},
      {"1.2", "GET / HTTP/1.2\r\nHost: h\r\n\r\n", F::UnsupportedVersion},
      {"2.0", "PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n", F::UnsupportedVersion},
      {"0.9 stated", "GET / HTTP/0.9\r\n\r\n", F::UnsupportedVersion},
      {"1.10", "GET / HTTP/1.10\r\nHost: h\r\n\r\n", F::Syntax},
      {"01.1", "GET / HTTP/01.1\r\nHost: h\r\n\r\n", F::Syntax},
      {"lower-case http", "GET / http/1.1\r\nHost: h\r\n\r\n", F::Syntax},
      {"HTTP /1.1", "GET / HTTP /1.1\r\nHost: h\r\n\r\n", F::Syntax},
      {"icy", "GET / ICE/1.1\r\nHost: h\r\n\r\n", F::Syntax},
      {"leading space", " GET / HTTP/1.1\r\nHost: h\r\n\r\n", F::Syntax},
      {"leading tab", "\tGET / HTTP/1.1\r\nHost: h\r\n\r\n", F::Syntax},
      {"leading lf", "\nGET / HTTP/1.1\r\nHost: h\r\n\r\n", F::Syntax},
      {"leading cr", "\rGET / HTTP/1.1\r\nHost: h\r\n\r\n", F::Syntax},
      {"leading nul", nul + "GET / HTTP/1.1\r\nHost: h\r\n\r\n", F::Syntax},
      {"two spaces", "GET  / HTTP/1.1\r\nHost: h\r\n\r\n", F::Syntax},
      {"two spaces behind", "GET /  HTTP/1.1\r\nHost: h\r\n\r\n", F::Syntax},
      {"tab", "GET\t/ HTTP/1.1\r\nHost: h\r\n\r\n", F::Syntax},
      {"space in target", "GET /a b HTTP/1.1\r\nHost: h\r\n\r\n", F::Syntax},
      {"tab in target", "GET /a\tb HTTP/1.1\r\nHost: h\r\n\r\n", F::Syntax},
      {"cr in target", "GET /a\rb HTTP/1.1\r\nHost: h\r\n\r\n", F::Syntax},
      {"nul in target", "GET /a" + nul + "b HTTP/1.1\r\nHost: h\r\n\r\n", F::Syntax},
      {"del in target", "GET /a\x7f HTTP/1.1\r\nHost: h\r\n\r\n", F::Syntax},
      {"no target", "GET HTTP/1.1\r\nHost: h\r\n\r\n", F::Syntax},
      {"empty target", "GET  HTTP/1.1\r\nHost: h\r\n\r\n", F::Syntax},
      {"method only", "GET\r\n\r\n", F::Syntax},
      {"odd method", "G(T / HTTP/1.1\r\nHost: h\r\n\r\n", F::Syntax},
      {"colon method", "GET: / HTTP/1.1\r\nHost: h\r\n\r\n", F::Syntax},
      {"trailing space", "GET / HTTP/1.1 \r\nHost: h\r\n\r\n", F::Syntax},
      {"trailing junk", "GET / HTTP/1.1x\r\nHost: h\r\n\r\n", F::Syntax},
      {"lf after line", "GET / HTTP/1.1\nHost: h\r\n\r\n", F::Syntax},
      {"cr cr lf", "GET / HTTP/1.1\r\r\nHost: h\r\n\r\n", F::Syntax},
      {"cr before anything", "\rX", F::Syntax},
      {"cr in a cut line", "GET / HTTP/1.1\r\nHost: h\r\nX: a\rb", F::Syntax},
      {"tls", "\x16\x03\x01\x02\x00\n", F::Syntax},
      // host
      {"no host", "GET / HTTP/1.1\r\n\r\n", F::Host},
      {"no host but others", "GET / HTTP/1.1\r\nX: y\r\n\r\n", F::Host},
      {"two hosts", "GET / HTTP/1.1\r\nHost: h\r\nHost: h\r\n\r\n", F::Host},
      {"two hosts in 1.0", "GET / HTTP/1.0\r\nHost: h\r\nhost: g\r\n\r\n", F::Host},
      {"host list", "GET / HTTP/1.1\r\nHost: h, g:1:2\r\n\r\n", F::Host},
      {"host with userinfo", "GET / HTTP/1.1\r\nHost: u@h\r\n\r\n", F::Host},
      {"host with path", "GET / HTTP/1.1\r\nHost: h/x\r\n\r\n", F::Host},
      {"host with space", "GET / HTTP/1.1\r\nHost: h g\r\n\r\n", F::Host},
      {"host with bad port", "GET / HTTP/1.1\r\nHost: h:99999\r\n\r\n", F::Host},
      // line ends and field syntax
      {"lf only", "GET / HTTP/1.1\r\nHost: h\n\r\n", F::Syntax},
      {"lf lf", "GET / HTTP/1.1\nHost: h\n\n", F::Syntax},
      {"lf at the end", "GET / HTTP/1.1\r\nHost: h\r\n\n", F::Syntax},
      {"bare cr ends a line", with_fields("X: a\rY: b\r\n"), F::Syntax},
      {"cr cr lf in field", with_fields("X: a\r\r\n"), F::Syntax},
      {"cr before the end", with_fields("\r\r\n"), F::Syntax},
      {"nul in value", with_fields("X: a" + nul + "b\r\n"), F::Syntax},
      {"nul in name", with_fields("X" + nul + ": a\r\n"), F::Syntax},
      {"control in value",
       with_fields("X: a\x01"
                   "b\r\n"),
       F::Syntax},
      {"del in value", with_fields("X: a\x7f\r\n"), F::Syntax},
      {"obs-fold", with_fields("X: a\r\n b\r\n"), F::Syntax},
      {"obs-fold tab", with_fields("X: a\r\n\tb\r\n"), F::Syntax},
      {"fold of nothing", with_fields("X: a\r\n \r\n"), F::Syntax},
      {"first field folded", "GET / HTTP/1.1\r\n Host: h\r\n\r\n", F::Syntax},
      {"space before colon", with_fields("X : a\r\n"), F::Syntax},
      {"tab before colon", with_fields("X\t: a\r\n"), F::Syntax},
      {"space in name", with_fields("X Y: a\r\n"), F::Syntax},
      {"empty name", with_fields(": a\r\n"), F::Syntax},
      {"no colon", with_fields("X\r\n"), F::Syntax},
      {"name in brackets", with_fields("X[a]: a\r\n"), F::Syntax},
      {"obs-text in name", with_fields("X\xc3\xa9: a\r\n"), F::Syntax},
      {"te with space before colon", with_fields("Transfer-Encoding : chunked\r\n"), F::Syntax},
      {"cl with tab before colon", with_fields("Content-Length\t: 5\r\n"), F::Syntax},
      // framing
      {"cl and te", with_fields("Content-Length: 5\r\nTransfer-Encoding: chunked\r\n"), F::Framing},
      {"te and cl", with_fields("Transfer-Encoding: chunked\r\nContent-Length: 5\r\n"), F::Framing},
      {"cl twice", with_fields("Content-Length: 5\r\nContent-Length: 5\r\n"), F::Framing},
      {"cl differs", with_fields("Content-Length: 5\r\ncontent-length: 6\r\n"), F::Framing},
      {"cl list", with_fields("Content-Length: 5, 5\r\n"), F::Framing},
      {"cl sign", with_fields("Content-Length: +5\r\n"), F::Framing},
      {"cl minus", with_fields("Content-Length: -5\r\n"), F::Framing},
      {"cl hex", with_fields("Content-Length: 0x5\r\n"), F::Framing},
      {"cl with inner space", with_fields("Content-Length: 1 5\r\n"), F::Framing},
      {"cl with junk", with_fields("Content-Length: 5a\r\n"), F::Framing},
      {"cl empty", with_fields("Content-Length:\r\n"), F::Framing},
      {"cl quoted", with_fields("Content-Length: \"5\"\r\n"), F::Framing},
      {"cl wraps", with_fields("Content-Length: 18446744073709551621\r\n"), F::Framing},
      {"te in 1.0", "POST / HTTP/1.0\r\nTransfer-Encoding: chunked\r\n\r\n", F::Framing},
      {"te twice", with_fields("Transfer-Encoding: chunked\r\nTransfer-Encoding: chunked\r\n"),
       F::Framing},
      {"te chunked identity", with_fields("Transfer-Encoding: chunked, identity\r\n"), F::Framing},
      {"te identity, then chunked",
       with_fields("Transfer-Encoding: identity\r\nTransfer-Encoding: chunked\r\n"), F::Framing},
      {"te chunked chunked", with_fields("Transfer-Encoding: chunked, chunked\r\n"), F::Framing},
      {"te comma", with_fields("Transfer-Encoding: chunked,\r\n"), F::Framing},
      {"te quoted", with_fields("Transfer-Encoding: \"chunked\"\r\n"), F::Framing},
      {"te vertical tab",
       with_fields("Transfer-Encoding: \x0b"
                   "chunked\r\n"),
       F::Syntax},
      {"te empty", with_fields("Transfer-Encoding:\r\n"), F::Framing},
      {"te gzip", with_fields("Transfer-Encoding: gzip\r\n"), F::UnsupportedCoding},
      {"te gzip chunked", with_fields("Transfer-Encoding: gzip, chunked\r\n"),
       F::UnsupportedCoding},
      {"te xchunked", with_fields("Transfer-Encoding: xchunked\r\n"), F::UnsupportedCoding},
      {"te chunkedx", with_fields("Transfer-Encoding: chunkedx\r\n"), F::UnsupportedCoding},
      {"te chunk", with_fields("Transfer-Encoding: chunk\r\n"), F::UnsupportedCoding},
      {"connect with content", "CONNECT h:1 HTTP/1.1\r\nHost: h\r\nContent-Length: 5\r\n\r\n",
       F::Framing},
  };
  for (const Bad& c : cases) {
    EXPECT_EQ(ask(c.bytes), "error " + std::to_string(static_cast<int>(c.fault)) + "\n") << c.what;
  }
}

TEST(H1Request, RefusesDoubtfulChunks) {  // V-1
  const std::string head = "POST / HTTP/1.1\r\nHost: h\r\nTransfer-Encoding: chunked\r\n\r\n";
  const std::string nul(1, '\0');
  const std::string bad[] = {
      "\r\n",
      "+5\r\nhello\r\n0\r\n\r\n",
      "-5\r\nhello\r\n0\r\n\r\n",
      "0x5\r\nhello\r\n0\r\n\r\n",
      " 5\r\nhello\r\n0\r\n\r\n",
      "5 \r\nhello\r\n0\r\n\r\n",
      "5\t\r\nhello\r\n0\r\n\r\n",
      "5g\r\nhello\r\n0\r\n\r\n",
      "5 5\r\nhello\r\n0\r\n\r\n",
      "g\r\nhello\r\n0\r\n\r\n",
      "5_0\r\nhello\r\n0\r\n\r\n",
      "5\nhello\r\n0\r\n\r\n",
      "5\rhello\r\n0\r\n\r\n",
      "5;a\nb\r\nhello\r\n0\r\n\r\n",
      "5;a\rb\r\nhello\r\n0\r\n\r\n",
      "5;a" + nul + "\r\nhello\r\n0\r\n\r\n",
      "5;\n\r\nhello\r\n0\r\n\r\n",
      "10000000000000005\r\nhello\r\n0\r\n\r\n",
      "00000000000000005\r\nhello\r\n0\r\n\r\n",
      "8000000000000000\r\nhello\r\n0\r\n\r\n",
      "ffffffffffffffff\r\nhello\r\n0\r\n\r\n",
      "5;" + std::string(5000, 'x') + "\r\nhello\r\n0\r\n\r\n",
      "5, 5\r\nhello\r\n0\r\n\r\n",
  };
  for (const std::string& chunks : bad) {
    const std::string out = transcript(Kind::Request, head + chunks);
    EXPECT_TRUE(out.find("\nerror ") != std::string::npos && out.find("body") == std::string::npos)
        << chunks << out;
    EXPECT_EQ(transcript(Kind::Request, head + chunks, every_byte(head + chunks)), out) << chunks;
  }
  const std::string after_data[] = {
      "5\r\nhello0\r\n\r\n",
      "5\r\nhello\n0\r\n\r\n",
      "5\r\nhello\r0\r\n\r\n",
      "5\r\nhellox\r\n0\r\n\r\n",
      "5\r\nhello\r\n\r\n0\r\n\r\n",
      "5\r\nhello \r\n0\r\n\r\n",
      "4\r\nhello\r\n0\r\n\r\n",
      "5\r\nhello\r\n0\r\n\n",
      "5\r\nhello\r\n0\n\r\n",
      "5\r\nhello\r\n0\r\n x: y\r\n\r\n",
      "5\r\nhello\r\n0\r\nx : y\r\n\r\n",
      "5\r\nhello\r\n-0\r\n\r\n",
  };
  for (const std::string& chunks : after_data) {
    const std::string out = ask(head + chunks);
    EXPECT_TRUE(out.find("body hell") != std::string::npos &&
                out.find("\nerror ") != std::string::npos)
        << chunks << out;
  }
}

TEST(H1Request, TakesWhatChunkedAllows) {
  const std::string head = "POST / HTTP/1.1\r\nHost: h\r\nTransfer-Encoding: chunked\r\n\r\n";
  EXPECT_EQ(
      ask(head + "0005\r\nhello\r\n5 ; a = \"b\" ;c\r\nworld\r\nA\r\n0123456789\r\n000\r\n\r\n"),
      "head POST / 1 [Host=h;Transfer-Encoding=chunked;] framing 2 0 56\nbody "
      "helloworld0123456789\ncomplete\nclean end\n");
}

TEST(H1Request, BoundsChunkExtensionsOverTheMessage) {  // V-10
  std::string bytes = "POST / HTTP/1.1\r\nHost: h\r\nTransfer-Encoding: chunked\r\n\r\n";
  for (int i = 0; i < 10; ++i) bytes += "1;" + std::string(2000, 'x') + "\r\na\r\n";
  EXPECT_NE(transcript(Kind::Request, bytes).find("error 2"), std::string::npos);
}

TEST(H1Request, TellsTooLongATargetFromTooLargeAHead) {
  const H1Limits limits{200, 3};
  const std::string x(300, 'x');
  EXPECT_EQ(ask("GET /" + x + " HTTP/1.1\r\nHost: h\r\n\r\n", limits), "error 4\n");
  EXPECT_EQ(ask("GET / HTTP/1.1\r\nHost: h\r\nX: " + x + "\r\n\r\n", limits), "error 5\n");
  EXPECT_EQ(ask("GET / HTTP/1.1\r\nHost: h\r\nA: 1\r\nB: 2\r\nC: 3\r\n\r\n", limits), "error 5\n");
  EXPECT_EQ(ask("GET / HTTP/1.1\r\nHost: h\r\nA: 1\r\nB: 2\r\n\r\n", limits),
            "head GET / 1 [Host=h;A=1;B=2;] framing 0 0 39\ncomplete\nclean end\n");
  // Exactly at the limit.
  const std::string start = "GET / HTTP/1.1\r\nHost: h\r\nX: ";
  const std::string full = start + std::string(200 - start.size() - 4, 'x') + "\r\n\r\n";
  EXPECT_EQ(ask(full, limits).substr(0, 4), "head");
  EXPECT_EQ(ask(start + std::string(201 - start.size() - 4, 'x') + "\r\n\r\n", limits),
            "error 5\n");
  core::Error error;
  const std::pair<MessageFault, int> statuses[] = {{MessageFault::Syntax, 400},
                                                   {MessageFault::Framing, 400},
                                                   {MessageFault::Host, 400},
                                                   {MessageFault::TargetTooLong, 414},
                                                   {MessageFault::HeadTooLarge, 431},
                                                   {MessageFault::UnsupportedCoding, 501},
                                                   {MessageFault::UnsupportedVersion, 505},
                                                   {MessageFault::Incomplete, 400}};
  for (const auto& [fault, status] : statuses) {
    error.detail = static_cast<uint8_t>(fault);
    EXPECT_EQ(suggested_status(error), status);
  }
}

TEST(H1Request, TakesEveryFieldNameAndValueByteThatTheRfcAllows) {
  for (int c = 0; c < 256; ++c) {
    const std::string byte(1, static_cast<char>(c));
    const bool name_ok = is_token(byte);
    const std::string with_name = with_fields("X" + byte + "X: 1\r\n");
    // A colon ends the name; everything else is either part of it or refused.
    if (c != ':') {
      EXPECT_EQ(transcript(Kind::Request, with_name).find("error") == std::string::npos, name_ok)
          << c;
    }
    const bool value_ok = is_field_value(byte);
    const std::string with_value = with_fields("X: a" + byte + "b\r\n");
    const std::string out = transcript(Kind::Request, with_value);
    EXPECT_EQ(out.find("error") == std::string::npos, value_ok) << c;
    if (value_ok) {
      EXPECT_NE(out.find("X=a" + byte + "b;"), std::string::npos) << c;
    }
  }
}

TEST(H1Response, IsReadToItsDeclaredEnd) {
  EXPECT_EQ(
      answer("HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nhelloHTTP/1.1 204 No Content\r\n\r\n"),
      "head 200  1 [Content-Length=5;] framing 1 5 38\nbody hello\ncomplete\n"
      "head 204  1 [] framing 0 0 27\ncomplete\nclean end\n");
  EXPECT_EQ(
      answer("HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nabc\r\n0\r\nX: y\r\n\r\n"),
      "head 200  1 [Transfer-Encoding=chunked;] framing 2 0 47\nbody abc\ntrailers "
      "[X=y;]\ncomplete\nclean end\n");
}

TEST(H1Response, WithoutLengthIsReadUntilTheEnd) {
  EXPECT_EQ(answer("HTTP/1.0 200 Fine\r\n\r\nabc\r\n\r\n"),
            "head 200 Fine 0 [] framing 3 0 21\nbody abc\r\n\r\n\ncomplete at end\n");
  EXPECT_EQ(answer("HTTP/1.0 200 OK\r\n\r\n"), "head 200  0 [] framing 3 0 19\ncomplete at end\n");
}

TEST(H1Response, IsIncompleteWhenItEndsTooEarly) {
  const std::string head = "HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\n";
  EXPECT_EQ(answer(head + "hell"),
            "head 200  1 [Content-Length=5;] framing 1 5 38\nbody hell\nerror 8 at end\n");
  EXPECT_EQ(answer(head), "head 200  1 [Content-Length=5;] framing 1 5 38\nerror 8 at end\n");
  EXPECT_EQ(answer("HTTP/1.1 200 OK\r\nContent-"), "error 8 at end\n");
  EXPECT_EQ(answer("HTTP/1.1 200 OK\r\n"), "error 8 at end\n");
  EXPECT_EQ(answer("HT"), "error 8 at end\n");
  EXPECT_EQ(answer("HTTP/1.1 100 Continue\r\n\r\n"),
            "head 100  1 [] framing 0 0 25\nerror 8 at end\n");
  const std::string chunked = "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n";
  for (const char* cut : {"", "3", "3\r\n", "3\r\nab", "3\r\nabc", "3\r\nabc\r\n",
                          "3\r\nabc\r\n0\r\n", "3\r\nabc\r\n0\r\n\r"}) {
    EXPECT_NE(answer(chunked + cut).find("error 8 at end"), std::string::npos) << cut;
  }
}

TEST(H1Response, FollowsInterimOnes) {
  EXPECT_EQ(answer("HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 103 Early Hints\r\nLink: </x>\r\n\r\n"
                   "HTTP/1.1 200 OK\r\nContent-Length: 1\r\n\r\nx"),
            "head 100  1 [] framing 0 0 25\nhead 103  1 [Link=</x>;] framing 0 0 40\n"
            "head 200  1 [Content-Length=1;] framing 1 1 38\nbody x\ncomplete\nclean end\n");
}

TEST(H1Response, ToHeadHasNoContentAndToConnectOpensATunnel) {
  EXPECT_EQ(answer("HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nHTTP/1.1 200 OK\r\nContent-Length: "
                   "1\r\n\r\nx",
                   {Method::Head, Method::Get}),
            "head 200  1 [Content-Length=5;] framing 0 0 38\ncomplete\n"
            "head 200  1 [Content-Length=1;] framing 1 1 38\nbody x\ncomplete\nclean end\n");
  EXPECT_EQ(answer("HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\n",
                   {Method::Head}),
            "head 100  1 [] framing 0 0 25\nhead 200  1 [Content-Length=5;] framing 0 0 "
            "38\ncomplete\nclean end\n");
  H1Parser parser(Kind::Response);
  parser.expect_response_to(Method::Connect);
  std::string_view input =
      "HTTP/1.1 200 Connection established\r\n\r\nHTTP/1.1 bytes of the tunnel";
  ASSERT_EQ(parser.next(input), Event::Head);
  EXPECT_FALSE(parser.switched());
  ASSERT_EQ(parser.next(input), Event::Complete);
  EXPECT_TRUE(parser.switched());
  EXPECT_EQ(input, "HTTP/1.1 bytes of the tunnel");
}

TEST(H1Response, With101SwitchesAndLeavesTheRest) {
  H1Parser parser(Kind::Response);
  std::string_view input =
      "HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: "
      "Upgrade\r\n\r\n\x81\x01x";
  ASSERT_EQ(parser.next(input), Event::Head);
  ASSERT_EQ(parser.next(input), Event::Complete);
  EXPECT_TRUE(parser.switched());
  EXPECT_EQ(input, "\x81\x01x");
}

TEST(H1Response, MayLeaveOutTheReason) {
  EXPECT_EQ(answer("HTTP/1.1 204\r\n\r\n"), "head 204  1 [] framing 0 0 16\ncomplete\nclean end\n");
  EXPECT_EQ(answer("HTTP/1.1 204 \r\n\r\n"),
            "head 204  1 [] framing 0 0 17\ncomplete\nclean end\n");
  EXPECT_EQ(answer("HTTP/1.1 204 \xe9 b\r\n\r\n"),
            "head 204 \xe9 b 1 [] framing 0 0 20\ncomplete\nclean end\n");
}

TEST(H1Response, IsRefusedWhenMalformed) {  // V-1
  using F = MessageFault;
  const Bad cases[] = {
      {"0.9", "<html>\r\n", F::Syntax},
      {"icy", "ICY 200 OK\r\n\r\n", F::Syntax},
      {"2", "HTTP/2.0 200 OK\r\n\r\n", F::UnsupportedVersion},
      {"no status", "HTTP/1.1\r\n\r\n", F::Syntax},
      {"short status", "HTTP/1.1 20\r\n\r\n", F::Syntax},
      {"long status", "HTTP/1.1 2000 OK\r\n\r\n", F::Syntax},
      {"status sign", "HTTP/1.1 +20 OK\r\n\r\n", F::Syntax},
      {"status below 100", "HTTP/1.1 099 OK\r\n\r\n", F::Syntax},
      {"two spaces", "HTTP/1.1  200 OK\r\n\r\n", F::Syntax},
      {"tab", "HTTP/1.1\t200 OK\r\n\r\n", F::Syntax},
      {"empty line first", "\r\nHTTP/1.1 200 OK\r\n\r\n", F::Syntax},
      {"bare lf", "HTTP/1.1 200 OK\nX: y\n\n", F::Syntax},
      {"bare cr in reason", "HTTP/1.1 200 O\rK\r\n\r\n", F::Syntax},
      {"obs-fold", "HTTP/1.1 200 OK\r\nX: a\r\n b\r\n\r\n", F::Syntax},
      {"space before colon", "HTTP/1.1 200 OK\r\nX : a\r\n\r\n", F::Syntax},
      {"cl and te", "HTTP/1.1 200 OK\r\nContent-Length: 1\r\nTransfer-Encoding: chunked\r\n\r\n",
       F::Framing},
      {"cl differs", "HTTP/1.1 200 OK\r\nContent-Length: 1\r\nContent-Length: 2\r\n\r\n",
       F::Framing},
      {"te in 1.0", "HTTP/1.0 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n", F::Framing},
      {"te gzip", "HTTP/1.1 200 OK\r\nTransfer-Encoding: gzip\r\n\r\n", F::UnsupportedCoding},
  };
  for (const Bad& c : cases) {
    EXPECT_EQ(answer(c.bytes), "error " + std::to_string(static_cast<int>(c.fault)) + "\n")
        << c.what;
  }
  H1Parser parser(Kind::Response);
  std::string_view input = "x\r\n";
  EXPECT_EQ(parser.next(input), Event::Error);
  EXPECT_EQ(parser.error().side, core::Side::Origin);
  EXPECT_EQ(parser.next(input), Event::Error);
  EXPECT_EQ(parser.finish(), Event::Error);
}

TEST(H1Parser, IsSmallAndHoldsNothingWhenReleased) {
  static_assert(sizeof(H1Parser) <= 400);
  H1Parser parser(Kind::Request);
  std::string_view input = "GET / HTTP/1.1\r\nHost: ";
  EXPECT_TRUE(parser.idle());
  EXPECT_EQ(parser.next(input), Event::NeedMore);
  EXPECT_FALSE(parser.idle());
  parser.release();
  EXPECT_TRUE(parser.idle());
  input = "GET /x HTTP/1.1\r\nHost: h\r\n\r\n";
  EXPECT_EQ(parser.next(input), Event::Head);
  EXPECT_EQ(parser.request().target, "/x");
}

TEST(H1Parser, ToleratesItsHeadBeingMovedOut) {
  H1Parser parser(Kind::Request);
  std::string_view input = "POST / HTTP/1.1\r\nHost: h\r\nContent-Length: 2\r\n\r\nab";
  ASSERT_EQ(parser.next(input), Event::Head);
  const RequestHead head = std::move(parser.request());
  EXPECT_EQ(head.fields.find(FieldName::Host), "h");
  ASSERT_EQ(parser.next(input), Event::Body);
  EXPECT_EQ(parser.body(), "ab");
  ASSERT_EQ(parser.next(input), Event::Complete);
  parser.reset();
  input = "GET / HTTP/1.1\r\nHost: g\r\n\r\n";
  ASSERT_EQ(parser.next(input), Event::Head);
  EXPECT_EQ(parser.request().fields.find(FieldName::Host), "g");
}

TEST(ChunkedEncoder, WritesWhatTheParserReads) {
  std::string bytes = "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n";
  std::string content;
  for (size_t size : {size_t{1}, size_t{15}, size_t{16}, size_t{255}, size_t{70000}}) {
    char header[kChunkHeaderMax];
    bytes.append(header, write_chunk_header(header, size)).append(size, 'x').append(kChunkEnd);
    content.append(size, 'x');
  }
  FieldSection trailers;
  trailers.add("X-Sum", "1");
  append_last_chunk(&trailers, bytes);
  EXPECT_EQ(transcript(Kind::Response, bytes),
            "head 200  1 [Transfer-Encoding=chunked;] framing 2 0 47\nbody " + content +
                "\ntrailers [X-Sum=1;]\ncomplete\nclean end\n");
  char header[kChunkHeaderMax];
  EXPECT_EQ(write_chunk_header(header, UINT64_MAX), kChunkHeaderMax);
  std::string last;
  append_last_chunk(nullptr, last);
  EXPECT_EQ(last, kLastChunk);
}

}  // namespace
}  // namespace tributary::http
