#include "proxy/server.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <sys/socket.h>
#include <sys/time.h>

#include <filesystem>
#include <future>

namespace tributary::proxy {
namespace {

using namespace std::chrono_literals;
using testing::HasSubstr;
using testing::StartsWith;

// A client with a blocking socket: the workers run on their own threads here.
class BlockingClient {
 public:
  explicit BlockingClient(const net::SocketAddress& address) {
    sockaddr_storage storage;
    const socklen_t length = address.to_sockaddr(storage);
    fd_ = core::Fd(::socket(address.is_unix() ? AF_UNIX : AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0));
    const timeval limit{.tv_sec = 20, .tv_usec = 0};  // for a broken test
    ::setsockopt(fd_.get(), SOL_SOCKET, SO_RCVTIMEO, &limit, sizeof(limit));
    connected_ = ::connect(fd_.get(), reinterpret_cast<sockaddr*>(&storage), length) == 0;
  }
  bool connected() const { return connected_; }
  void send(std::string_view bytes) { ::send(fd_.get(), bytes.data(), bytes.size(), MSG_NOSIGNAL); }
  std::string receive_to_end() {
    std::string all;
    char buffer[4096];
    for (ssize_t n; (n = ::recv(fd_.get(), buffer, sizeof(buffer), 0)) > 0;) all.append(buffer, static_cast<size_t>(n));
    return all;
  }

 private:
  core::Fd fd_;
  bool connected_ = false;
};

class ServerTest : public testing::Test {
 protected:
  ServerTest() {
    net::ignore_sigpipe();
    AccessSettings access;
    access.allow_clients = {*net::Cidr::parse("127.0.0.0/8")};
    access_ = std::make_unique<Access>(access);
    store_ = cache::Store::open({.enabled = false}, offload_, registry_, why_);
    tls_ = *net::TlsClientContext::create({.verify = false}, &why_);
    log_ = *AccessLog::open({}, &why_);
  }

  void open(const std::vector<ListenSpec>& specs, unsigned workers) {
    auto opened = open_listeners(specs, workers, &why_);
    ASSERT_TRUE(opened.ok()) << why_;
    addresses_ = opened->addresses;
    server_ = std::make_unique<Server>(
        Shared{settings_, *access_, *store_, policy_, upstream_, upstream_settings_, accelerate_, resolver_, *tls_, offload_,
               registry_, metrics_, *log_, clients_},
        *std::move(opened), [this] { ended_.set_value(); });
    server_->start();
  }

  static ListenSpec loopback() { return {{net::SocketAddress(net::IpAddress::v4(0x7f000001), 0), false}, {}}; }

  core::Registry registry_;
  core::OffloadPool offload_{{.threads = 1}};
  Settings settings_;
  cache::PolicySettings policy_;
  upstream::UpstreamSettings upstream_settings_;
  upstream::AccelerateSettings accelerate_;
  upstream::Shared upstream_{upstream_settings_, accelerate_};
  net::ResolverSettings resolver_;
  Metrics metrics_{registry_, "test"};
  ClientCount clients_{100};
  std::string why_;
  std::unique_ptr<Access> access_;
  std::unique_ptr<cache::Store> store_;
  std::unique_ptr<net::TlsClientContext> tls_;
  std::unique_ptr<AccessLog> log_;
  std::promise<void> ended_;
  std::vector<net::SocketAddress> addresses_;
  std::unique_ptr<Server> server_;
};

constexpr std::string_view kLanding = "GET / HTTP/1.1\r\nHost: here:1\r\nConnection: close\r\n\r\n";

TEST_F(ServerTest, WorkersShareThePortThatTheKernelChose) {  // S3-16.1
  open({loopback()}, 2);
  ASSERT_EQ(addresses_.size(), 1u);
  EXPECT_NE(addresses_[0].port(), 0);
  for (int i = 0; i < 16; ++i) {
    BlockingClient client(addresses_[0]);
    client.send(kLanding);
    EXPECT_THAT(client.receive_to_end(), StartsWith("HTTP/1.1 200 "));
  }
}

TEST_F(ServerTest, ListensOnUnixSocketsToo) {  // S4-4.4
  const std::string path = "/tmp/tributary-server-" + std::to_string(::getpid()) + ".sock";
  open({{*net::ListenAddress::parse("unix:" + path), {}}}, 2);
  BlockingClient client(net::SocketAddress::unix_path(path));
  ASSERT_TRUE(client.connected());
  client.send(kLanding);
  EXPECT_THAT(client.receive_to_end(), StartsWith("HTTP/1.1 200 "));
  server_.reset();
  std::filesystem::remove(path);
}

TEST_F(ServerTest, DrainLetsRequestsFinishAndEndsOnce) {  // P-16
  open({loopback()}, 2);
  BlockingClient idle(addresses_[0]), busy(addresses_[0]);
  busy.send(kLanding.substr(0, 20));
  BlockingClient probe(addresses_[0]);
  probe.send(kLanding);
  probe.receive_to_end();  // by now the workers run
  server_->drain(20s);
  EXPECT_EQ(idle.receive_to_end(), "");
  busy.send(kLanding.substr(20));
  busy.receive_to_end();
  ended_.get_future().wait();
  server_->join();
  EXPECT_EQ(clients_.open(), 0u);
  EXPECT_FALSE(BlockingClient(addresses_[0]).connected());
}

TEST_F(ServerTest, DrainEndsWhenItsTimeIsUp) {
  open({loopback()}, 1);
  BlockingClient stuck(addresses_[0]);
  stuck.send("GET http://");
  BlockingClient probe(addresses_[0]);
  probe.send(kLanding);
  probe.receive_to_end();
  server_->drain(10ms);
  ended_.get_future().wait();
  stuck.receive_to_end();
}

TEST_F(ServerTest, StopClosesEverythingAtOnce) {
  open({loopback()}, 2);
  BlockingClient one(addresses_[0]), two(addresses_[0]);
  server_->stop();
  server_->join();
  one.receive_to_end();
  two.receive_to_end();
  server_->stop();  // and nothing happens
}

TEST_F(ServerTest, AnAddressThatCannotBeBoundIsNamed) {
  auto opened = open_listeners({{*net::ListenAddress::parse("192.0.2.1:1"), {}}}, 1, &why_);
  ASSERT_FALSE(opened.ok());
  EXPECT_THAT(why_, HasSubstr("192.0.2.1:1"));
}

}  // namespace
}  // namespace tributary::proxy
