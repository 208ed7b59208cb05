// Exchanges with https origins: reuse, resumption, deadlines. S0-1.14, S1-6.
#include <unistd.h>

#include <filesystem>

#include "unit/net/certificates.h"
#include "unit/upstream/fixture.h"

namespace tributary::upstream::test {
namespace {

// Answers every request on a TLS connection with the same bytes.
class TlsOrigin {
 public:
  TlsOrigin(core::Loop& loop, const net::TlsServerContext& context)
      : loop_(loop), context_(context), accept_(loop), listener_(listen()) {
    accept_.start(listener_.get(), core::Interest::Read,
                  core::Callback<void(core::Interest)>::to<&TlsOrigin::on_accept>(this));
  }
  uint16_t port() const { return port_; }
  void close_all(bool properly) {
    for (auto& connection : connections_) {
      if (properly) connection->stream->shutdown_write();
    }
    connections_.clear();
  }

  std::string answer = response("secret");
  size_t accepted = 0, requests = 0;
  bool silent = false;  // never answers the handshake

 private:
  struct Connection {
    TlsOrigin& origin;
    std::unique_ptr<net::TlsStream> stream;
    std::string in, out;
    void on_handshake(core::Result<void> result) {
      if (result) {
        stream->watch(core::Interest::Read, core::Callback<void(core::Interest)>::to<&Connection::on_ready>(this));
      }
    }
    void on_ready(core::Interest) {
      char buffer[4096];
      const net::IoResult got = stream->read(buffer, sizeof buffer);
      if (got.is_end() || got.is_failed()) return stream->set_interest(core::Interest::None);
      if (got.is_bytes()) in.append(buffer, got.n);
      if (in.ends_with("\r\n\r\n")) {
        in.clear();
        ++origin.requests;
        out += origin.answer;
      }
      while (!out.empty()) {
        const net::IoResult put = stream->write(out);
        if (!put.is_bytes()) break;
        out.erase(0, put.n);
      }
      stream->set_interest(out.empty() ? core::Interest::Read : core::Interest::Both);
    }
  };

  core::Fd listen() {
    core::Fd fd(::socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0));
    sockaddr_in address{};
    address.sin_family = AF_INET;
    address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    ::bind(fd.get(), reinterpret_cast<sockaddr*>(&address), sizeof address);
    ::listen(fd.get(), 64);
    port_ = net::local_address(fd.get()).port();
    return fd;
  }
  void on_accept(core::Interest) {
    core::Fd fd(::accept4(listener_.get(), nullptr, nullptr, SOCK_NONBLOCK | SOCK_CLOEXEC));
    if (!fd) return;
    ++accepted;
    const net::SocketAddress peer = net::peer_address(fd.get());
    auto transport = std::make_unique<net::TcpStream>(loop_, std::move(fd), peer, core::Side::Client);
    connections_.push_back(std::make_unique<Connection>(
        Connection{*this, net::TlsStream::server(loop_, std::move(transport), context_, core::Side::Client), {}, {}}));
    Connection& connection = *connections_.back();
    if (!silent) {
      connection.stream->handshake(
          core::Callback<void(core::Result<void>)>::to<&Connection::on_handshake>(&connection));
    }
  }

  core::Loop& loop_;
  const net::TlsServerContext& context_;
  uint16_t port_ = 0;
  core::IoWatcher accept_;
  core::Fd listener_;
  std::vector<std::unique_ptr<Connection>> connections_;
};

class TlsExchangeTest : public UpstreamTest {
 protected:
  TlsExchangeTest() : folder_(std::filesystem::temp_directory_path() / ("tributary-tls-" + std::to_string(::getpid()))) {
    std::filesystem::create_directory(folder_);
    net::test::Authority authority(folder_, "authority");
    const net::test::Leaf leaf = authority.issue("IP:127.0.0.1");
    std::string why;
    server_context_ = *net::TlsServerContext::create({.certificate = leaf.certificate, .key = leaf.key}, &why);
    client_context_ = *net::TlsClientContext::create({.ca_file = authority.file}, &why);
    strict_context_ = *net::TlsClientContext::create({}, &why);  // the system's roots do not know the authority
    std::filesystem::remove_all(folder_);
    origin_ = std::make_unique<TlsOrigin>(loop_, *server_context_);
  }
  void make_client(const net::TlsClientContext& context) {
    shared_ = std::make_unique<Shared>(settings_, accelerate_);
    client_ = std::make_unique<Client>(loop_, resolver_, &context, *shared_, settings_, registry_);
  }
  Origin there() const { return {http::Scheme::Https, origin_->port(), "127.0.0.1", 0}; }

  std::string folder_;
  std::unique_ptr<net::TlsServerContext> server_context_;
  std::unique_ptr<net::TlsClientContext> client_context_, strict_context_;
  std::unique_ptr<TlsOrigin> origin_;
};

TEST_F(TlsExchangeTest, AConnectionIsUsedAgainAlthoughItReceivesSessionTickets) {
  make_client(*client_context_);
  for (int i = 0; i < 5; ++i) {
    Call call;
    run(call, there());
    EXPECT_EQ(call.body, "secret");
    settle();
    EXPECT_EQ(client().idle(), 1u);
  }
  EXPECT_EQ(origin_->accepted, 1u);
  EXPECT_EQ(origin_->requests, 5u);
  EXPECT_EQ(counter("tributary_upstream_connects_total", {"https", "ok"}), 1u);
  client_.reset();
}

TEST_F(TlsExchangeTest, BulkContentComesWholeOverTls) {
  make_client(*client_context_);
  const std::string content(5'000'000, 't');
  origin_->answer = response(content);
  Call call;
  run(call, there());
  EXPECT_TRUE(call.body == content);
  EXPECT_EQ(client().idle(), 1u);
  call.exchange.reset();
  client_.reset();
}

TEST_F(TlsExchangeTest, ADeadConnectionIsReplacedByAResumedOne) {
  make_client(*client_context_);
  Call first;
  run(first, there());
  settle();
  origin_->close_all(true);
  until([&] { return client().idle() == 0; });
  Call second;
  run(second, there());
  EXPECT_EQ(second.body, "secret");
  EXPECT_EQ(counter("tributary_tls_handshakes_total", {"origin", "TLSv1.3", "true"}), 1u);
  first.exchange.reset();
  second.exchange.reset();
  client_.reset();
}

// A truncation attack must not look like a short answer.
TEST_F(TlsExchangeTest, AnEndWithoutCloseNotifyIsNoEndOfContent) {
  make_client(*client_context_);
  origin_->answer = "HTTP/1.1 200 OK\r\n\r\nuntil";
  Call call;
  start(call, there(), get());
  until([&] { return call.body == "until"; });
  origin_->close_all(false);
  until([&] { return call.is_over(); });
  EXPECT_TRUE(call.failed);
  call.exchange.reset();
  client_.reset();
}

TEST_F(TlsExchangeTest, AnUnknownAuthorityIsRefusedAndTheHandshakeHasADeadline) {
  settings_.timeouts.tls = std::chrono::milliseconds(30);
  make_client(*strict_context_);
  Call call;
  ::testing::internal::CaptureStderr();
  run(call, there());
  const std::string logged = ::testing::internal::GetCapturedStderr();
  EXPECT_EQ(call.error.code, core::ErrorCode::TlsCertificate);
  EXPECT_NE(logged.find("certificate"), std::string::npos) << "the log says why: " << logged;
  origin_->silent = true;
  Call silent;
  run(silent, there());
  EXPECT_EQ(silent.error.code, core::ErrorCode::TlsTimeout);
  EXPECT_EQ(shared().quota.in_use(), 0u);
  call.exchange.reset();
  silent.exchange.reset();
  client_.reset();
}

}  // namespace
}  // namespace tributary::upstream::test
