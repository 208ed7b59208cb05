// RFC 9111 as clients and origins see it: what the table of tests/unit/cache/rfc9111_reuse_test.cc cannot show, because it
// is about messages on the wire. Each row is a requirement of the section it names, played through with the real parts: the
// steps are requests, one after the other, and what the origin, if it is to be asked, answers. P-8.
#include "unit/proxy/http_fixture.h"

namespace tributary::proxy::test {
namespace {

struct Step {
  std::string fields;      // of the request
  std::string origin;      // its answer, and then "<" if it closes the connection; empty: it is not to be asked
  int status = 200;
  std::string body;
  std::string has = "";    // lines of the answer's head, each ended by CRLF; "-Name" for a field that is not there
  std::string asked = "";  // the same of the head that the origin sees
  std::string method = "GET";
  bool is_complete = true;
};

struct Row {
  const char* section;
  const char* requirement;
  std::vector<Step> steps;
};

const std::string kFresh = "Cache-Control: max-age=60\r\nETag: \"a\"\r\n";
const std::string kStale = "Cache-Control: max-age=10\r\nAge: 20\r\nETag: \"a\"\r\n";
const std::string kPutDone = "HTTP/1.1 204 No Content\r\n";
std::string not_modified(const std::string& fields) { return "HTTP/1.1 304 Not Modified\r\n" + fields + "\r\n"; }

// clang-format off
const std::vector<Row> kRows{
    // 3.1 storing fields
    {"3.1", "what Connection names MUST NOT be stored, unknown fields MUST be",
     {{"", response("x", kFresh + "Connection: X-Hop\r\nX-Hop: 1\r\nX-New: 2\r\n"), 200, "x", "-X-Hop\r\nX-New: 2\r\n"},
      {"", "", 200, "x", "-X-Hop\r\nX-New: 2\r\nETag: \"a\"\r\n"}}},
    {"3.1", "what a proxy says of itself is not stored",
     {{"", response("x", kFresh + "Proxy-Authenticate: Basic\r\nKeep-Alive: timeout=5\r\n"), 200, "x"},
      {"", "", 200, "x", "-Proxy-Authenticate\r\n-Keep-Alive\r\n"}}},
    // 3.2 updating fields
    {"3.2", "every field of a 304 replaces the stored one, but for Content-Length",
     {{"", response("old", kStale + "X-A: 1\r\nX-B: 1\r\n"), 200, "old"},
      {"", not_modified(kFresh + "X-A: 2\r\nX-C: 3\r\nContent-Length: 999\r\n"), 200, "old", "X-A: 2\r\nX-B: 1\r\nX-C: 3\r\nContent-Length: 3\r\n"},
      {"", "", 200, "old", "X-A: 2\r\nX-B: 1\r\nX-C: 3\r\nContent-Length: 3\r\nCache-Control: max-age=60\r\n"}}},
    // 3.3 incomplete responses
    {"3.3", "one that broke off MUST NOT be used as a whole one",
     {{"", "HTTP/1.1 200 OK\r\nCache-Control: max-age=60\r\nContent-Length: 9\r\n\r\nshort<", 200, "short", "", "", "GET", false},
      {"", response("whole", kFresh), 200, "whole"}}},
    {"3.3", "a chunked one without its last chunk is not whole",
     {{"", "HTTP/1.1 200 OK\r\nCache-Control: max-age=60\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nshort\r\n<", 200, "short", "", "", "GET", false},
      {"", response("whole", kFresh), 200, "whole"}}},
    {"3.3", "a part MUST NOT be sent as a 200",
     {{"Range: bytes=0-1\r\n", "HTTP/1.1 206 Partial Content\r\n" + kFresh + "Content-Range: bytes 0-1/4\r\nContent-Length: 2\r\n\r\nwh", 206, "wh"},
      {"", response("whol", kFresh), 200, "whol"}}},
    // 3.5 authenticated requests
    {"3.5", "MUST NOT be shared without leave", {{"Authorization: A\r\n", response("of A", kFresh), 200, "of A"},
      {"Authorization: B\r\n", response("of B", kFresh), 200, "of B", "", "Authorization: B\r\n"}}},
    {"3.5", "s-maxage is leave", {{"Authorization: A\r\n", response("x", "Cache-Control: s-maxage=60\r\n"), 200, "x"}, {"Authorization: B\r\n", "", 200, "x"}}},
    // 4 constructing responses
    {"4", "what is reused without validation MUST bear its Age, in place of any that came",
     {{"", response("x", kFresh + "Age: 30\r\n"), 200, "x"}, {"", "", 200, "x", "Age: 30\r\n"}}},
    {"4", "unsafe methods MUST be written through", {{"", response("x", kFresh), 200, "x"},
      {"Content-Length: 0\r\n", response("done"), 200, "done", "", "", "POST"}}},
    {"4", "MUST NOT reuse what no-cache marks without asking", {{"", response("x", "Cache-Control: no-cache\r\nETag: \"a\"\r\n"), 200, "x"},
      {"", not_modified("ETag: \"a\"\r\n"), 200, "x", "", "If-None-Match: \"a\"\r\n"}}},
    {"4", "the most recent of several that fit", {
      {"X-A: 1\r\n", response("first", kFresh + "Vary: X-A\r\n"), 200, "first"}, {"X-A: 2\r\n", response("second", kFresh), 200, "second"},
      {"X-A: 1\r\n", "", 200, "second"}}},
    // 4.1 Vary
    {"4.1", "MUST NOT be used for other values of what it names", {
      {"X-A: 1\r\n", response("one", kFresh + "Vary: X-A\r\n"), 200, "one"}, {"X-A: 2\r\n", response("two", kFresh + "Vary: X-A\r\n"), 200, "two"},
      {"X-A: 1\r\n", "", 200, "one"}, {"X-A: 2\r\n", "", 200, "two"}, {"", response("none", kFresh + "Vary: X-A\r\n"), 200, "none"}}},
    {"4.1", "Vary: * always fails to match", {{"", response("x", kFresh + "Vary: *\r\n"), 200, "x"}, {"", response("y", kFresh + "Vary: *\r\n"), 200, "y"}}},
    // 4.2.4 serving stale
    {"4.2.4", "MUST NOT when the response forbids it, an error is generated",
     {{"", response("x", "Cache-Control: max-age=10, must-revalidate\r\nAge: 20\r\nETag: \"a\"\r\n"), 200, "x"}, {"", "<", 502, "*"}}},
    {"4.2.4", "SHOULD bear its Age", {{"", response("x", kStale), 200, "x"}, {"Cache-Control: max-stale\r\n", "", 200, "x", "Age: 20\r\n"}}},
    // 4.3.1 validation requests
    {"4.3.1", "MUST send the stored ETag, SHOULD Last-Modified",
     {{"", response("x", kStale + "Last-Modified: Sun, 06 Nov 1994 08:49:37 GMT\r\n"), 200, "x"},
      {"If-None-Match: \"z\"\r\n", not_modified(kFresh), 200, "x", "", "If-None-Match: \"a\"\r\nIf-Modified-Since: Sun, 06 Nov 1994 08:49:37 GMT\r\n"}}},
    // 4.3.2 received conditions
    {"4.3.2", "a match of If-None-Match is answered with 304 from the store",
     {{"", response("x", kFresh + "X-A: 1\r\n"), 200, "x"}, {"If-None-Match: W/\"a\"\r\n", "", 304, "", "ETag: \"a\"\r\nCache-Control: max-age=60\r\n"}}},
    {"4.3.2", "If-Modified-Since MUST be ignored beside If-None-Match",
     {{"", response("x", kFresh + "Last-Modified: Sun, 06 Nov 1994 08:49:37 GMT\r\n"), 200, "x"},
      {"If-None-Match: \"z\"\r\nIf-Modified-Since: Sun, 06 Nov 1994 08:49:37 GMT\r\n", "", 200, "x"},
      {"If-Modified-Since: Sun, 06 Nov 1994 08:49:37 GMT\r\n", "", 304, ""}}},
    {"4.3.2", "If-Match is the origin's to judge", {{"", response("x", kFresh), 200, "x"},
      {"If-Match: \"a\"\r\n", response("y", kFresh), 200, "y", "", "If-Match: \"a\"\r\n"}}},
    {"4.3.2", "If-Range that holds selects a part, one that does not the whole",
     {{"", response("0123456789", kFresh), 200, "0123456789"}, {"Range: bytes=2-3\r\nIf-Range: \"a\"\r\n", "", 206, "23"},
      {"Range: bytes=2-3\r\nIf-Range: \"b\"\r\n", "", 200, "0123456789"}, {"Range: bytes=2-3\r\nIf-Range: W/\"a\"\r\n", "", 200, "0123456789"}}},
    // 4.3.3 validation responses
    {"4.3.3", "a full response MUST be used, and takes the place of the stored one",
     {{"", response("old", kStale), 200, "old"}, {"", response("new", kFresh), 200, "new"}, {"", "", 200, "new"}}},
    {"4.3.3", "a server error MAY be passed on", {{"", response("old", "Cache-Control: max-age=10\r\nAge: 5000\r\nETag: \"a\"\r\n"), 200, "old"},
      {"", response("broken", {}, "500 Oops"), 500, "broken"}}},
    // 4.3.4 freshening
    {"4.3.4", "a 304 with another strong validator MUST NOT update what is stored",
     {{"", response("old", kStale + "X-A: 1\r\n"), 200, "old"},
      {"", not_modified("ETag: \"b\"\r\nX-A: 2\r\n") + ">" + response("new", "Cache-Control: max-age=60\r\nETag: \"b\"\r\n"), 200, "new", "-X-A\r\n"}}},
    // 4.3.5 HEAD
    {"4.3.5", "one that agrees updates the stored response", {{"", response("old", kStale + "X-A: 1\r\n"), 200, "old"},
      {"", "HTTP/1.1 200 OK\r\n" + kFresh + "X-A: 2\r\nContent-Length: 3\r\n\r\n", 200, "", "X-A: 2\r\n", "", "HEAD"}, {"", "", 200, "old", "X-A: 2\r\n"}}},
    {"4.3.5", "one that does not makes it stale", {{"", response("old", kStale), 200, "old"},
      {"", "HTTP/1.1 200 OK\r\n" + kFresh + "Content-Length: 4\r\n\r\n", 200, "", "", "", "HEAD"}, {"", response("newer", kFresh), 200, "newer"}}},
    // 4.4 invalidation
    {"4.4", "MUST, by an unsafe method that succeeds", {{"", response("old", kFresh), 200, "old"},
      {"Content-Length: 0\r\n", kPutDone + "\r\n", 204, "", "", "", "PUT"}, {"", response("new", kFresh), 200, "new"}}},
    {"4.4", "MUST, by a method whose safety is unknown", {{"", response("old", kFresh), 200, "old"},
      {"Content-Length: 0\r\n", kPutDone + "\r\n", 204, "", "", "", "FROB"}, {"", response("new", kFresh), 200, "new"}}},
    {"4.4", "not by one that fails", {{"", response("old", kFresh), 200, "old"},
      {"Content-Length: 0\r\n", response("no", {}, "403 Forbidden"), 403, "no", "", "", "PUT"}, {"", "", 200, "old"}}},
    {"4.4", "not by one that is safe", {{"", response("old", kFresh), 200, "old"},
      {"", response("allowed"), 200, "allowed", "", "", "OPTIONS"}, {"", "", 200, "old"}}},
    // 5.1 Age
    {"5.1", "the first of a list counts, once", {{"", response("x", kFresh + "Age: 7, 0\r\n"), 200, "x"}, {"", "", 200, "x", "Age: 7\r\n"}}},
    // 5.2 Cache-Control
    {"5.2", "directives MUST be passed on, known or not, in both directions",
     {{"Cache-Control: max-age=5, x-mine=1\r\n", response("x", "Cache-Control: max-age=60, x-yours=\"a, b\"\r\n"), 200, "x",
       "Cache-Control: max-age=60, x-yours=\"a, b\"\r\n", "Cache-Control: max-age=5, x-mine=1\r\n"},
      {"", "", 200, "x", "Cache-Control: max-age=60, x-yours=\"a, b\"\r\n"}}},
    {"5.2.1.5", "no-store: what it brings is not stored", {{"Cache-Control: no-store\r\n", response("x", kFresh), 200, "x"}, {"", response("y", kFresh), 200, "y"}}},
    {"5.2.1.7", "only-if-cached: what is stored, or 504", {{"Cache-Control: only-if-cached\r\n", "", 504, "*"}, {"", response("x", kFresh), 200, "x"},
      {"Cache-Control: only-if-cached\r\n", "", 200, "x"}}},
    {"5.2.2.4", "a field that no-cache names MUST NOT be sent without validation",
     {{"", response("x", "Cache-Control: max-age=60, no-cache=\"X-A\"\r\nX-A: 1\r\n"), 200, "x", "X-A: 1\r\n"}, {"", "", 200, "x", "-X-A\r\n"}}},
    {"5.2.2.5", "no-store", {{"", response("x", "Cache-Control: no-store, max-age=60\r\n"), 200, "x"}, {"", response("y"), 200, "y"}}},
    {"5.2.2.6", "no-transform: the content stays as it came",
     {{"Accept-Encoding: identity\r\n", response("coded", "Cache-Control: max-age=60, no-transform\r\nContent-Encoding: gzip\r\n"), 200, "coded"},
      {"Accept-Encoding: identity\r\n", "", 200, "coded", "Content-Encoding: gzip\r\n"}}},
    {"5.2.2.7", "a field that private names is for the one who asked",
     {{"", response("x", "Cache-Control: max-age=60, private=\"X-A\"\r\nX-A: 1\r\n"), 200, "x", "X-A: 1\r\n"}, {"", "", 200, "x", "-X-A\r\n"}}},
    {"5.2.2.8", "proxy-revalidate: not stale without asking", {{"", response("x", "Cache-Control: max-age=10, proxy-revalidate\r\nAge: 20\r\nETag: \"a\"\r\n"), 200, "x"},
      {"Cache-Control: max-stale\r\n", not_modified(kFresh), 200, "x", "", "If-None-Match: \"a\"\r\n"}}},
    {"5.4", "Pragma: no-cache means that where Cache-Control is silent", {{"", response("x", kFresh), 200, "x"},
      {"Pragma: no-cache\r\n", not_modified("ETag: \"a\"\r\n"), 200, "x", "", "If-None-Match: \"a\"\r\n"},
      {"Pragma: no-cache\r\nCache-Control: max-age=50\r\n", "", 200, "x"}}},
};
// clang-format on

class OnTheWire : public HttpTest, public testing::WithParamInterface<Row> {
 protected:
  template <class Find>
  static void expect_lines(std::string_view lines, Find find, const std::string& what) {
    while (!lines.empty()) {
      const std::string line(lines.substr(0, lines.find("\r\n")));
      lines.remove_prefix(line.size() + 2);
      if (line.front() == '-') {
        EXPECT_EQ(find(line.substr(1)), "") << what;
        continue;
      }
      const size_t colon = line.find(": ");
      EXPECT_EQ(find(line.substr(0, colon)), line.substr(colon + 2)) << what << line.substr(0, colon);
    }
  }

  // ">": what follows answers the next request, the last all others; "<": the connection ends.
  void script(std::string text) {
    origin.on_request = [text = std::move(text)](Peer& peer, const std::string&) mutable {
      const size_t end = text.find('>');
      std::string now = text.substr(0, end);
      if (end != std::string::npos) text.erase(0, end + 1);
      const bool closes = now.ends_with('<');
      if (closes) now.pop_back();
      if (!now.empty()) peer.send(now);
      if (closes) peer.reset();
    };
  }

  void play(const Step& step, const std::string& what) {
    script(step.origin);
    const size_t before = origin.requests;
    const http::Method method = http::method_from(step.method);
    const Answer answer = fetch(request("/", step.fields, step.method), method);
    EXPECT_EQ(origin.requests > before, !step.origin.empty()) << what << "the origin is asked";
    EXPECT_EQ(answer.status, step.status) << what;
    if (step.body != "*") {
      EXPECT_EQ(answer.body, step.body) << what;
    }
    EXPECT_EQ(answer.is_complete, step.is_complete) << what;
    expect_lines(step.has, [&](const std::string& name) { return answer[name]; }, what);
    if (origin.requests > before) {
      expect_lines(step.asked, [&](const std::string& name) { return field(origin.last_peer().last_head, name); }, what);
    }
    ASSERT_TRUE(until([&] { return is_quiet(); })) << what;
  }
};

TEST_P(OnTheWire, IsMet) {
  const Row& row = GetParam();
  for (size_t i = 0; i < row.steps.size(); ++i) {
    play(row.steps[i], std::string(row.section) + ", " + row.requirement + ", step " + std::to_string(i + 1) + ": ");
  }
}

std::string name_of(const testing::TestParamInfo<Row>& info) {
  std::string name = "Section_";
  for (const char c : std::string_view(info.param.section)) name += c == '.' ? '_' : c;
  return name + "_row_" + std::to_string(info.index);
}

INSTANTIATE_TEST_SUITE_P(Rfc9111, OnTheWire, testing::ValuesIn(kRows), name_of);

void PrintTo(const Row& row, std::ostream* out) { *out << row.section << " " << row.requirement; }

}  // namespace
}  // namespace tributary::proxy::test
