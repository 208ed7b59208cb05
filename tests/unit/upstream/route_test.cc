// The way through a proxy: how it is written, what it is told, what it may answer (P-14, S3-4.8).
#include "upstream/route.h"

#include "unit/upstream/fixture.h"

namespace tributary::upstream::test {
namespace {

using core::ErrorCode;
using core::Side;

std::string read(std::string_view text) {
  std::string why;
  const RoutePtr route = parse_route(text, why);
  if (!route) {
    EXPECT_EQ(why.find("secret"), std::string::npos) << why;
    return why;
  }
  EXPECT_EQ(route->to_string().find("s:@t"), std::string::npos);
  return route->to_string() + (route->has_credentials ? " " + route->user + "/" + std::string(route->password.view()) : "");
}

TEST(RouteText, IsReadWithTheDefaultsOfItsScheme) {
  const std::pair<std::string_view, std::string_view> rows[] = {
      {"proxy", "http://proxy:80"},
      {"proxy:3128", "http://proxy:3128"},
      {" http://Proxy:3128/ ", "http://proxy:3128"},
      {"HTTPS://proxy", "https://proxy:443"},
      {"socks5://p:9050", "socks5://p:9050"},
      {"socks5h://p", "socks5://p:1080"},
      {"socks://p", "socks5://p:1080"},
      {"[::1]:3128", "http://[::1]:3128"},
      {"user:secret@proxy:1", "http://proxy:1 user/secret"},
      {"http://us%65r:s%3a%40t@proxy", "http://proxy:80 user/s:@t"},
      {"user:p@ss@proxy", "http://proxy:80 user/p@ss"},
      {"user@proxy", "http://proxy:80 user/"},
      {"http://proxy/path@x", "http://proxy:80"},
  };
  for (const auto& [text, expected] : rows) EXPECT_EQ(read(text), expected) << text;
  for (const char* bad : {"", "http://", "user:secret@", "proxy:0", "proxy:99999", "pro xy", "http://[::1", ":3128"}) {
    EXPECT_NE(read(bad).find("is to be written"), std::string::npos) << bad;
  }
  EXPECT_NE(read("ftp://user:secret@proxy").find("none of http"), std::string::npos);
  EXPECT_NE(read("socks4://user:secret@proxy").find("none of http"), std::string::npos);
  EXPECT_NE(read("http://a%3ab:secret@proxy").find("colon"), std::string::npos);
  EXPECT_NE(read("socks5://:secret@proxy").find("1 to 255"), std::string::npos);
  EXPECT_NE(read("socks5://u:" + std::string(256, 's') + "@proxy").find("at most 255"), std::string::npos);
}

TEST(RouteText, KeepsTheStatusOfARefusal) {
  for (const uint16_t status : std::initializer_list<uint16_t>{400, 403, 503, 599}) EXPECT_EQ(parent_status(parent_refusal(status)), status);
  EXPECT_EQ(parent_status(parent_refusal(302)), std::nullopt);
  EXPECT_EQ(parent_status(parent_refusal(999)), std::nullopt);
}

class RouteTest : public UpstreamTest {
 protected:
  // The scripted peer is the proxy; the origin exists in its words only.
  Origin through(std::string_view scheme, uint16_t port = 80, http::Scheme of = http::Scheme::Http) {
    std::string why;
    Origin origin{of, port, "origin.test", 0};
    origin.route = parse_route(std::string(scheme) + "127.0.0.1:" + std::to_string(proxy_.port()), why);
    EXPECT_TRUE(origin.route) << why;
    return origin;
  }
  Client& secure_client() {
    if (!tls_) {
      std::string why;
      tls_ = std::move(*net::TlsClientContext::create({.verify = false}, &why));
      shared_ = std::make_unique<Shared>(settings_, accelerate_);
      client_ = std::make_unique<Client>(loop_, resolver_, tls_.get(), *shared_, settings_, registry_);
    }
    return *client_;
  }

  TestOrigin proxy_{loop_};
  std::unique_ptr<net::TlsClientContext> tls_;
};

TEST_F(RouteTest, AnHttpProxyGetsTheAbsoluteFormAndTheCredentials) {
  std::string head;
  proxy_.on_request = [&](TestOrigin::Peer& peer, const std::string& seen) {
    head = seen;
    peer.send(response("hello"));
  };
  Call call;
  run(call, through("http://user:pass@", 80), get("/a?b"));
  EXPECT_EQ(call.body, "hello");
  EXPECT_TRUE(head.starts_with("GET http://origin.test/a?b HTTP/1.1\r\n")) << head;
  EXPECT_EQ(field(head, "Proxy-Authorization"), "Basic dXNlcjpwYXNz");
  Call other;
  run(other, through("http://", 8080), get("*", http::Method::Options));
  EXPECT_TRUE(head.starts_with("OPTIONS http://origin.test:8080 HTTP/1.1\r\n")) << head;
  EXPECT_EQ(field(head, "Proxy-Authorization"), "");
}

TEST_F(RouteTest, ConnectionsOfDifferentRoutesAreNotMixed) {
  proxy_.on_request = [&](TestOrigin::Peer& peer, const std::string&) { peer.send(response("x")); };
  const Origin first = through("http://"), second = through("http://");
  for (const Origin* origin : {&first, &second, &first}) {
    Call call;
    run(call, *origin);
  }
  EXPECT_EQ(proxy_.accepted, 2u);
  EXPECT_EQ(counter("tributary_upstream_reuse_total"), 1u);
}

TEST_F(RouteTest, TheProxyLooksTheNameUpThroughSocks) {
  std::string seen;
  proxy_.on_open = [](TestOrigin::Peer& peer) { peer.wants_head = false; };
  proxy_.on_data = [&](TestOrigin::Peer& peer) {
    if (peer.received.starts_with("\5\1")) {
      seen = std::exchange(peer.received, {});
      if (seen.size() == 3) return peer.send(std::string("\5\0", 2));
      peer.send(std::string("\5\0\0\1\0\0\0\0\0\0", 10));
    } else if (peer.received.ends_with("\r\n\r\n")) {
      EXPECT_TRUE(peer.received.starts_with("GET / HTTP/1.1\r\n"));
      peer.received.clear();
      peer.send(response("through"));
    }
  };
  Call call;
  run(call, through("socks5://"));
  EXPECT_EQ(call.body, "through");
  EXPECT_EQ(seen, std::string("\5\1\0\3\x0borigin.test\0\x50", 18));
  EXPECT_EQ(counter("tributary_dns_queries_total", {"ok"}), 0u);
}

TEST_F(RouteTest, WhatAProxySaysToConnectIsTold) {
  struct Row {
    std::string_view answer;
    ErrorCode code;
  };
  const Row rows[] = {
      {"HTTP/1.1 407 Proxy Authentication Required\r\nContent-Length: 0\r\n\r\n", ErrorCode::ParentCredentials},
      {"HTTP/1.1 503 No\r\nContent-Length: 3\r\n\r\nabc", ErrorCode::ParentRefused},
      {"HTTP/1.1 302 Found\r\nLocation: http://evil/\r\n\r\n", ErrorCode::ParentRefused},
      {"HTTP/1.1 200 OK\r\n\r\n\x16\x03\x01", ErrorCode::MalformedMessage},
      {"\x15\x03\x01 what is this\r\n\r\n", ErrorCode::MalformedMessage},
  };
  secure_client();
  for (const Row& row : rows) {
    std::string head;
    proxy_.on_request = [&](TestOrigin::Peer& peer, const std::string& seen) {
      head = seen;
      peer.send("HTTP/1.1 103 Early\r\n\r\n");
      peer.send(row.answer);
    };
    Call call;
    run(call, through("user:pass@", 8443, http::Scheme::Https));
    EXPECT_TRUE(call.failed);
    EXPECT_EQ(call.error.code, row.code) << row.answer;
    EXPECT_EQ(call.error.side, Side::Parent);
    EXPECT_EQ(call.error.retry, core::Retry::Safe);
    EXPECT_TRUE(head.starts_with("CONNECT origin.test:8443 HTTP/1.1\r\nHost: origin.test:8443\r\n")) << head;
    EXPECT_EQ(field(head, "Proxy-Authorization"), "Basic dXNlcjpwYXNz");
  }
}

TEST_F(RouteTest, AProxyThatFallsSilentOrGoesIsNotWaitedFor) {
  settings_.timeouts.dns = settings_.timeouts.connect = std::chrono::milliseconds(30);
  secure_client();
  Call silent;
  run(silent, through("socks5://"));
  EXPECT_EQ(silent.error.code, ErrorCode::ConnectTimeout);
  EXPECT_EQ(silent.error.side, Side::Parent);
  proxy_.on_request = [](TestOrigin::Peer& peer, const std::string&) { peer.close(); };
  Call gone;
  run(gone, through("http://", 443, http::Scheme::Https));
  EXPECT_EQ(gone.error.code, ErrorCode::ConnectionReset);
  EXPECT_EQ(gone.error.side, Side::Parent);
  EXPECT_EQ(shared().quota.in_use(), 0u);
}

TEST_F(RouteTest, DestroyingAnExchangeWhileTheProxyIsAskedCancels) {
  secure_client();
  for (const std::string_view scheme : {"http://", "https://", "socks5://"}) {
    const size_t before = proxy_.accepted;
    {
      Call call;
      start(call, through(scheme, 443, http::Scheme::Https), get());
      until([&] { return proxy_.accepted > before; });
      settle();
    }
    EXPECT_EQ(shared().quota.in_use(), 0u);
    until([&] { return proxy_.open == 0; });
  }
}

TEST_F(RouteTest, AForbiddenAddressIsNotAskedOfAProxy) {
  struct Nobody {
    bool allows(const net::SocketAddress&) { return false; }
  } nobody;
  Origin origin = through("socks5://");
  origin.host = "127.0.0.1";
  Call call;
  call.exchange = client().start({.origin = origin, .head = get(), .filter = net::AddressFilter::to<&Nobody::allows>(&nobody)}, call);
  until([&] { return call.is_over(); });
  EXPECT_EQ(call.error.code, ErrorCode::DestinationProhibited);
  EXPECT_EQ(proxy_.accepted, 0u);
}

}  // namespace
}  // namespace tributary::upstream::test
