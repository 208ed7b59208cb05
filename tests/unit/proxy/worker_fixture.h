// A worker on a loop that the test turns, a client's end of a connection to it, and an origin on loopback.
#pragma once

#include <gtest/gtest.h>
#include <sys/socket.h>

#include <chrono>
#include <memory>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "net/socket.h"
#include "net/stream.h"
#include "proxy/server.h"
#include "proxy/worker.h"

namespace tributary::proxy::test {

using namespace std::chrono_literals;

// Speaks to the worker over a plain descriptor; turns the loop while it waits.
class TestClient {
 public:
  TestClient(core::Loop& loop, core::Fd fd) : loop_(loop), fd_(std::move(fd)) {}

  void send(std::string_view bytes) { ASSERT_EQ(::send(fd_.get(), bytes.data(), bytes.size(), MSG_NOSIGNAL), ssize_t(bytes.size())); }
  // Any amount, as fast as the worker takes it; until it has taken all or ended the connection. How much it took.
  size_t send_all(std::string_view bytes) {
    const size_t size = bytes.size();
    bool broken = false;
    turn([&] {
      while (!bytes.empty() && !broken) {
        const ssize_t n = ::send(fd_.get(), bytes.data(), bytes.size(), MSG_NOSIGNAL | MSG_DONTWAIT);
        if (n < 0 && errno == EAGAIN) break;
        if (n < 0) broken = true;
        if (n > 0) bytes.remove_prefix(static_cast<size_t>(n));
      }
      return bytes.empty() || broken;
    });
    return size - bytes.size();
  }
  void end() { ::shutdown(fd_.get(), SHUT_WR); }
  void close() { fd_.reset(); }
  void reset() {
    net::set_abort_on_close(fd_.get());
    fd_.reset();
  }

  // What came until `size` bytes are there, the peer ended, or it takes for ever (a broken test).
  const std::string& receive(size_t size) {
    turn([&] { return received_.size() >= size || ended_; });
    return received_;
  }
  const std::string& receive_to_end() {
    turn([&] { return ended_; });
    EXPECT_TRUE(ended_);
    return received_;
  }
  std::string take() { return std::exchange(received_, {}); }
  bool was_reset() const { return reset_; }
  bool is_ended() const { return ended_; }
  const std::string& received() const { return received_; }
  int fd() const { return fd_.get(); }

  bool reads = true;  // false: what comes stays in the kernel

  template <class Done>
  void turn(Done done) {
    const auto limit = std::chrono::steady_clock::now() + 20s;
    while (!done() && std::chrono::steady_clock::now() < limit) {
      loop_.run_once(5ms);
      pull();
    }
    EXPECT_TRUE(done()) << "never came true";
  }

 private:
  void pull() {
    char buffer[65536];
    while (fd_ && reads && !ended_) {
      const ssize_t n = ::recv(fd_.get(), buffer, sizeof(buffer), MSG_DONTWAIT);
      if (n > 0) {
        received_.append(buffer, static_cast<size_t>(n));
        continue;
      }
      if (n < 0 && errno == EAGAIN) return;
      ended_ = true;
      reset_ = n < 0;
    }
  }

  core::Loop& loop_;
  core::Fd fd_;
  std::string received_;
  bool ended_ = false, reset_ = false;
};

// Accepts on loopback. Echoes what it gets; when the client's direction ends it says "<end>" and ends too.
class EchoOrigin {
 public:
  explicit EchoOrigin(core::Loop& loop)
      : loop_(loop), listener_(loop, *net::Listener::open({net::SocketAddress(net::IpAddress::v4(0x7f000001), 0), false})) {
    listener_.start(net::Listener::OnAccept::to<&EchoOrigin::on_accept>(this));
  }
  uint16_t port() const { return listener_.address().port(); }
  std::string greeting;          // sent at once to everybody
  size_t accepted = 0, ended = 0;
  bool is_silent = false;        // reads nothing, answers nothing

  void reset_all() {
    for (auto& each : connections_) each->stream.abort();
  }

 private:
  struct Connection {
    Connection(EchoOrigin& of, core::Fd fd)
        : origin(of), stream(of.loop_, std::move(fd), {}, core::Side::Client) {
      stream.watch(core::Interest::Read, core::Callback<void(core::Interest)>::to<&Connection::on_ready>(this));
    }
    void on_ready(core::Interest) {
      char buffer[4096];
      const net::IoResult got = stream.read(buffer, sizeof(buffer));
      if (got.is_bytes()) {
        (void)stream.write(std::string_view(buffer, got.n));
      } else if (!got.is_would_block()) {
        if (got.is_end()) (void)stream.write(std::string_view("<end>"));
        ++origin.ended;
        stream.close();
      }
    }
    EchoOrigin& origin;
    net::TcpStream stream;
  };

  void on_accept(core::Fd fd, const net::SocketAddress&) {
    ++accepted;
    connections_.push_back(std::make_unique<Connection>(*this, std::move(fd)));
    if (!greeting.empty()) (void)connections_.back()->stream.write(greeting);
    if (is_silent) connections_.back()->stream.set_interest(core::Interest::None);
  }

  core::Loop& loop_;
  net::Listener listener_;
  std::vector<std::unique_ptr<Connection>> connections_;
};

class WorkerTest : public testing::Test {
 protected:
  WorkerTest() {
    net::ignore_sigpipe();
    access_settings.allow_private = true;
    access_settings.allow_ports = access_settings.connect_ports = {{1, 65535}};
    access_settings.allow_clients = {*net::Cidr::parse("127.0.0.0/8")};
    resolver.hosts_file.clear();
    resolver.servers = {"127.0.0.1:9"};  // nobody answers there: names cannot be looked up
  }
  ~WorkerTest() override {
    worker_.reset();
    EXPECT_EQ(clients_->open(), 0u);
    for (const core::FamilySnapshot& family : registry.snapshot()) {
      if (family.name != "tributary_tunnels" && family.name != "tributary_client_connections") continue;
      for (const core::Sample& sample : family.samples) EXPECT_EQ(sample.value, 0) << family.name;
    }
    EXPECT_EQ(core::illegal_transitions(), 0u);
  }

  // Built when it is first asked for, from the settings as they are then.
  Worker& worker() {
    if (worker_) return *worker_;
    std::string why;
    access_ = std::make_unique<Access>(access_settings, own_addresses);
    store_ = cache::Store::open(store_settings, offload_, registry, why);
    EXPECT_TRUE(store_) << why;
    tls_ = *net::TlsClientContext::create({.verify = false}, &why);
    upstream_ = std::make_unique<upstream::Shared>(upstream_settings, accelerate);
    metrics_ = std::make_unique<Metrics>(registry, "test");
    access_log_ = *AccessLog::open(access_log_settings, &why);
    clients_ = std::make_unique<ClientCount>(settings.max_connections);
    worker_ = std::make_unique<Worker>(
        loop, Shared{settings, *access_, *store_, policy, *upstream_, upstream_settings, accelerate, resolver, *tls_,
                     offload_, registry, *metrics_, *access_log_, *clients_});
    return *worker_;
  }

  void end_worker() { worker_.reset(); }
  bool has_worker() const { return worker_ != nullptr; }

  // A connection that the worker holds as `stream`, the test as the client.
  std::pair<std::unique_ptr<net::Stream>, std::unique_ptr<TestClient>> connection() {
    auto pair = *net::make_socket_pair();
    return {std::make_unique<net::TcpStream>(loop, std::move(pair.first), net::SocketAddress::unix_path(""), core::Side::Client),
            std::make_unique<TestClient>(loop, std::move(pair.second))};
  }

  // A connection over TCP through a listener of the worker's.
  std::unique_ptr<TestClient> dial(Protocols protocols = {}) {
    if (listener_.is_none()) {
      std::string why;
      Listeners listeners =
          *open_listeners({{{net::SocketAddress(net::IpAddress::v4(0x7f000001), 0), false}, protocols}}, 1, &why);
      listener_ = listeners.addresses[0];
      worker().start(std::move(listeners.workers[0]));
    }
    core::Fd fd = *net::make_stream_socket(listener_);
    sockaddr_storage storage;
    const socklen_t length = listener_.to_sockaddr(storage);
    EXPECT_TRUE(::connect(fd.get(), reinterpret_cast<sockaddr*>(&storage), length) == 0 || errno == EINPROGRESS);
    loop.run_once(5ms);
    return std::make_unique<TestClient>(loop, std::move(fd));
  }

  double metric(std::string_view name, const std::vector<std::string>& labels) const {
    for (const core::FamilySnapshot& family : registry.snapshot()) {
      if (family.name != name) continue;
      for (const core::Sample& sample : family.samples) {
        if (sample.label_values == labels) return sample.value;
      }
    }
    return 0;
  }

  core::Loop loop;
  core::Registry registry;
  Settings settings;
  AccessSettings access_settings;
  AccessLogSettings access_log_settings;
  std::vector<net::SocketAddress> own_addresses;
  net::ResolverSettings resolver;
  cache::StoreSettings store_settings{.enabled = false};
  cache::PolicySettings policy;
  upstream::UpstreamSettings upstream_settings;
  upstream::AccelerateSettings accelerate;

 private:
  core::OffloadPool offload_{{.threads = 1}};
  std::unique_ptr<Access> access_;
  std::unique_ptr<cache::Store> store_;
  std::unique_ptr<net::TlsClientContext> tls_;
  std::unique_ptr<upstream::Shared> upstream_;
  std::unique_ptr<Metrics> metrics_;
  std::unique_ptr<AccessLog> access_log_;
  std::unique_ptr<ClientCount> clients_;
  std::unique_ptr<Worker> worker_;
  net::SocketAddress listener_;
};

}  // namespace tributary::proxy::test
