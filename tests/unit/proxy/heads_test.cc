// P-2: what happens to heads on their way through.
#include "proxy/heads.h"

#include <gtest/gtest.h>

namespace tributary::proxy {
namespace {

using http::FieldName;

http::RequestHead request(http::Method method, std::string target,
                          std::initializer_list<std::pair<const char*, const char*>> fields) {
  http::RequestHead head;
  head.method = method;
  head.target = std::move(target);
  for (const auto& [name, value] : fields) head.fields.add(name, value);
  return head;
}

http::RequestHead forwarded(const http::RequestHead& head, bool keep_upgrade = false) {
  const auto url = http::parse_absolute(head.target);
  EXPECT_TRUE(url.ok());
  return request_for_origin(head, *url, keep_upgrade, "us");
}

TEST(RequestForOrigin, HasOriginFormAndTheHostOfItsUrlWhateverHostSaid) {
  const auto out = forwarded(request(http::Method::Get, "http://Example.COM:8080/a?b", {{"Host", "other.example"}}));
  EXPECT_EQ(out.target, "/a?b");
  EXPECT_EQ(out.fields.find_only(FieldName::Host), "example.com:8080");
}

TEST(RequestForOrigin, GivesAnEmptyPathItsSlashAndOptionsItsStar) {
  EXPECT_EQ(forwarded(request(http::Method::Get, "http://h", {})).target, "/");
  EXPECT_EQ(forwarded(request(http::Method::Get, "http://h?q", {})).target, "/?q");
  EXPECT_EQ(forwarded(request(http::Method::Options, "http://h", {})).target, "*");
}

TEST(RequestForOrigin, DropsWhatConcernsTheClientsConnectionOnly) {
  const auto out = forwarded(request(http::Method::Get, "http://h/",
                                     {{"Connection", "x-private, keep-alive"}, {"X-Private", "1"}, {"Keep-Alive", "5"},
                                      {"Proxy-Connection", "keep-alive"}, {"Proxy-Authorization", "Basic eA=="},
                                      {"TE", "trailers"}, {"Upgrade", "h2c"}, {"X-Kept", "yes"}}));
  EXPECT_FALSE(out.fields.has("X-Private"));
  EXPECT_FALSE(out.fields.has(FieldName::Connection));
  EXPECT_FALSE(out.fields.has("Proxy-Connection"));
  EXPECT_FALSE(out.fields.has(FieldName::ProxyAuthorization));
  EXPECT_FALSE(out.fields.has(FieldName::Upgrade));
  EXPECT_EQ(out.fields.find("X-Kept"), "yes");
}

TEST(RequestForOrigin, AppendsViaAndCountsMaxForwardsDown) {
  const auto out = forwarded(request(http::Method::Trace, "http://h/", {{"Via", "1.0 them"}, {"Max-Forwards", "3"}}));
  std::string via;
  out.fields.combined(FieldName::Via, via);
  EXPECT_EQ(via, "1.0 them, 1.1 us");
  EXPECT_EQ(out.fields.find(FieldName::MaxForwards), "2");
}

// RFC 9113 3.1: obsolete, and offered with every request by some clients, which are answered in HTTP/1.1.
TEST(RequestForOrigin, AnOfferOfHttp2IsNoUpgrade) {
  for (const auto& [upgrade, wants] : std::vector<std::pair<const char*, bool>>{
           {"h2c", false}, {"H2C", false}, {"h2c, websocket", true}, {"websocket", true}}) {
    const auto head = request(http::Method::Get, "http://h/",
                              {{"Connection", "Upgrade, HTTP2-Settings"}, {"Upgrade", upgrade}, {"HTTP2-Settings", "AAMAAABk"}});
    EXPECT_EQ(wants_upgrade(head, {}), wants) << upgrade;
    EXPECT_FALSE(head.fields.connection_hides_fields());
  }
}

TEST(RequestForOrigin, KeepsAnUpgradeThatIsToBePassedOn) {
  const auto head = request(http::Method::Get, "http://h/", {{"Connection", "Upgrade"}, {"Upgrade", "websocket"}});
  EXPECT_TRUE(wants_upgrade(head, {}));
  const auto out = forwarded(head, true);
  EXPECT_TRUE(out.fields.has_element(FieldName::Connection, "upgrade"));
  EXPECT_EQ(out.fields.find(FieldName::Upgrade), "websocket");
}

TEST(CleanResponse, DropsHopByHopAddsViaAndAMissingDate) {
  http::ResponseHead head;
  head.status = 200;
  head.fields.add("Connection", "close, x-hop");
  head.fields.add("X-Hop", "1");
  head.fields.add("Transfer-Encoding", "chunked");
  clean_response(head, "Sun, 06 Nov 1994 08:49:37 GMT", "us");
  EXPECT_FALSE(head.fields.has("X-Hop"));
  EXPECT_FALSE(head.fields.has(FieldName::TransferEncoding));
  EXPECT_EQ(head.fields.find(FieldName::Date), "Sun, 06 Nov 1994 08:49:37 GMT");
  EXPECT_EQ(head.fields.find(FieldName::Via), "1.1 us");
}

}  // namespace
}  // namespace tributary::proxy
