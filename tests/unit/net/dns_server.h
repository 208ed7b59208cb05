// A scripted DNS server on loopback, UDP and TCP on one port, on the test's own loop.
#pragma once

#include <cstring>
#include <functional>
#include <list>
#include <string>
#include <vector>

#include "unit/net/support.h"

namespace tributary::net::test {

class DnsServer {
 public:
  struct Question {
    std::string name;     // lower case, no trailing dot
    bool wants_v6 = false;
    bool over_tcp = false;
    std::string wire;     // the request
    size_t question_end = 0;
    SocketAddress from;
    int tcp = -1;
  };
  struct Reply {
    int code = 0;  // 2 SERVFAIL, 3 NXDOMAIN
    std::vector<std::string> addresses;
    uint32_t ttl = 300;
    bool truncated = false;
  };

  explicit DnsServer(core::Loop& loop) : loop_(loop), udp_watcher_(loop) {
    udp_ = core::Fd(::socket(AF_INET, SOCK_DGRAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0));
    for (;;) {
      // A port that is free for TCP too.
      auto tcp = Listener::open({loopback(), false}, {.reuse_port = false});
      sockaddr_storage storage;
      const socklen_t length = local_address(tcp->get()).to_sockaddr(storage);
      if (::bind(udp_.get(), reinterpret_cast<sockaddr*>(&storage), length) != 0) continue;
      tcp_ = std::make_unique<Listener>(loop, *std::move(tcp));
      break;
    }
    const int size = 4 << 20;
    ::setsockopt(udp_.get(), SOL_SOCKET, SO_RCVBUF, &size, sizeof(size));
    udp_watcher_.start(udp_.get(), Interest::Read, core::Callback<void(Interest)>::to<&DnsServer::on_udp>(this));
    tcp_->start(Listener::OnAccept::to<&DnsServer::on_accept>(this));
  }

  std::string address() const { return tcp_->address().to_string(); }
  // Called for each question; unset: NXDOMAIN. May reply later or never.
  std::function<void(const Question&)> on_question;
  std::vector<Question> asked;

  void reply(const Question& question, const Reply& reply) {
    std::string wire = question.wire.substr(0, question.question_end);
    wire[2] = static_cast<char>(0x81 | (reply.truncated ? 0x02 : 0));  // response, recursion desired
    wire[3] = static_cast<char>(0x80 | reply.code);
    wire[6] = 0;
    wire[7] = static_cast<char>(reply.addresses.size());
    wire[8] = wire[9] = wire[10] = wire[11] = 0;
    for (const std::string& text : reply.addresses) {
      const IpAddress ip = *IpAddress::parse(text);
      const size_t size = ip.is_v4() ? 4 : 16;
      wire += std::string("\xc0\x0c\x00", 3) + static_cast<char>(ip.is_v4() ? 1 : 28) + std::string("\x00\x01", 2);
      for (int shift = 24; shift >= 0; shift -= 8) wire += static_cast<char>(reply.ttl >> shift);
      wire += std::string(1, '\0') + static_cast<char>(size);
      wire.append(reinterpret_cast<const char*>(ip.bytes().data()), size);
    }
    if (question.tcp >= 0) {
      const std::string framed = std::string{static_cast<char>(wire.size() >> 8), static_cast<char>(wire.size())} + wire;
      EXPECT_EQ(::send(question.tcp, framed.data(), framed.size(), MSG_NOSIGNAL), static_cast<ssize_t>(framed.size()));
      return;
    }
    sockaddr_storage storage;
    const socklen_t length = question.from.to_sockaddr(storage);
    ::sendto(udp_.get(), wire.data(), wire.size(), 0, reinterpret_cast<sockaddr*>(&storage), length);
  }

  // The usual answers for one family each.
  void answer(const Question& question, std::vector<std::string> v4, std::vector<std::string> v6 = {}, uint32_t ttl = 300) {
    reply(question, {.code = 0, .addresses = question.wants_v6 ? v6 : v4, .ttl = ttl});
  }

 private:
  struct Connection {
    Connection(core::Loop& loop, core::Fd socket) : fd(std::move(socket)), watcher(loop) {}
    core::Fd fd;
    std::string buffer;
    core::IoWatcher watcher;
    DnsServer* server = nullptr;
    void on_ready(Interest) { server->on_tcp(*this); }
  };

  void on_udp(Interest) {
    for (;;) {
      char buffer[2048];
      sockaddr_storage storage;
      socklen_t length = sizeof(storage);
      const ssize_t n = ::recvfrom(udp_.get(), buffer, sizeof(buffer), 0, reinterpret_cast<sockaddr*>(&storage), &length);
      if (n <= 0) return;
      handle({buffer, static_cast<size_t>(n)}, SocketAddress::from(storage, length), -1);
    }
  }
  void on_accept(core::Fd fd, const SocketAddress&) {
    Connection& connection = connections_.emplace_back(loop_, std::move(fd));
    connection.server = this;
    connection.watcher.start(connection.fd.get(), Interest::Read,
                             core::Callback<void(Interest)>::to<&Connection::on_ready>(&connection));
  }
  void on_tcp(Connection& connection) {
    char buffer[2048];
    const ssize_t n = ::recv(connection.fd.get(), buffer, sizeof(buffer), 0);
    if (n <= 0) return connection.watcher.stop();
    connection.buffer.append(buffer, static_cast<size_t>(n));
    while (connection.buffer.size() >= 2) {
      const auto size = static_cast<size_t>(static_cast<unsigned char>(connection.buffer[0]) << 8 |
                                            static_cast<unsigned char>(connection.buffer[1]));
      if (connection.buffer.size() < 2 + size) return;
      const std::string wire = connection.buffer.substr(2, size);
      connection.buffer.erase(0, 2 + size);
      handle(wire, {}, connection.fd.get());
    }
  }
  void handle(std::string_view wire, const SocketAddress& from, int tcp) {
    Question question;
    size_t at = 12;
    while (wire[at] != 0) {
      const auto size = static_cast<size_t>(wire[at]);
      if (!question.name.empty()) question.name += '.';
      question.name += wire.substr(at + 1, size);
      at += 1 + size;
    }
    question.wants_v6 = wire[at + 2] == 28;
    question.question_end = at + 5;
    question.wire = wire;
    question.from = from;
    question.tcp = tcp;
    question.over_tcp = tcp >= 0;
    asked.push_back(question);
    if (on_question) {
      on_question(question);
    } else {
      reply(question, {.code = 3, .addresses = {}});
    }
  }

  core::Loop& loop_;
  core::Fd udp_;
  std::unique_ptr<Listener> tcp_;
  std::list<Connection> connections_;
  core::IoWatcher udp_watcher_;
};

}  // namespace tributary::net::test
