// An origin for the tests: a scripted HTTP/1.1 server on a loopback socket, on the same core::Loop as what is tested. So
// everything runs on one thread, in an order that the loop decides, and no test sleeps.
#pragma once

#include <netinet/in.h>
#include <linux/sockios.h>
#include <sys/ioctl.h>
#include <sys/socket.h>

#include <cerrno>
#include <cstdint>
#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "core/fd.h"
#include "core/loop.h"

namespace tributary::upstream::test {

class TestOrigin {
 public:
  class Peer {
   public:
    Peer(TestOrigin& origin, core::Fd fd, int its_number)
        : number(its_number), origin_(origin), fd_(std::move(fd)), watcher_(origin.loop_) {
      watch();
    }
    void send(std::string_view bytes) {
      out_ += bytes;
      flush();
    }
    // Ends the connection once everything was sent.
    void close() {
      closing_ = true;
      flush();
    }
    void reset() {
      const linger hard{1, 0};
      ::setsockopt(fd_.get(), SOL_SOCKET, SO_LINGER, &hard, sizeof hard);
      out_.clear();
      shut();
    }
    void pause_reading() {
      paused_ = true;
      watch();
    }
    void resume_reading() {
      paused_ = false;
      watch();
    }
    bool is_open() const { return static_cast<bool>(fd_); }
    // The other end's kernel has all that was sent.
    bool has_arrived() const {
      int unacknowledged = 0;
      return out_.empty() && ::ioctl(fd_.get(), SIOCOUTQ, &unacknowledged) == 0 && unacknowledged == 0;
    }
    size_t unsent() const { return out_.size(); }

    int number;            // of the connection, from 1
    int requests = 0;      // heads seen
    std::string received;  // what follows the last head
    std::string last_head;

   private:
    friend class TestOrigin;
    void watch() {
      core::Interest interest = paused_ ? core::Interest::None : core::Interest::Read;
      if (!out_.empty()) interest = interest | core::Interest::Write;
      watcher_.start(fd_.get(), interest, core::Callback<void(core::Interest)>::to<&Peer::on_io>(this));
    }
    void shut() {
      if (!fd_) return;
      watcher_.stop();
      fd_.reset();
      --origin_.open;
    }
    void flush() {
      while (fd_ && !out_.empty()) {
        const ssize_t n = ::send(fd_.get(), out_.data(), out_.size(), MSG_NOSIGNAL);
        if (n < 0 && errno == EAGAIN) return watch();
        if (n < 0) return shut();
        out_.erase(0, static_cast<size_t>(n));
      }
      if (fd_ && closing_) shut();
      if (fd_) watch();
    }
    void on_io(core::Interest ready) {
      if (core::has(ready, core::Interest::Write)) flush();
      if (!fd_ || !core::has(ready, core::Interest::Read)) return;
      char buffer[65536];
      const ssize_t n = ::recv(fd_.get(), buffer, sizeof buffer, 0);
      if (n < 0 && errno == EAGAIN) return;
      if (n <= 0) return shut();
      received.append(buffer, static_cast<size_t>(n));
      origin_.bytes_received += static_cast<size_t>(n);
      for (size_t end; fd_ && wants_head && (end = received.find("\r\n\r\n")) != std::string::npos;) {
        last_head = received.substr(0, end + 4);
        received.erase(0, end + 4);
        ++requests;
        ++origin_.requests;
        if (origin_.on_request) origin_.on_request(*this, last_head);
      }
      if (fd_ && origin_.on_data) origin_.on_data(*this);
    }

   public:
    bool wants_head = true;  // false: what comes is content

   private:
    TestOrigin& origin_;
    core::Fd fd_;
    std::string out_;
    bool closing_ = false, paused_ = false;
    core::IoWatcher watcher_;
  };

  explicit TestOrigin(core::Loop& loop) : loop_(loop), watcher_(loop) {
    listener_ = core::Fd(::socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0));
    sockaddr_in address{};
    address.sin_family = AF_INET;
    address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    ::bind(listener_.get(), reinterpret_cast<sockaddr*>(&address), sizeof address);
    ::listen(listener_.get(), 1024);
    socklen_t size = sizeof address;
    ::getsockname(listener_.get(), reinterpret_cast<sockaddr*>(&address), &size);
    port_ = ntohs(address.sin_port);
    watcher_.start(listener_.get(), core::Interest::Read,
                   core::Callback<void(core::Interest)>::to<&TestOrigin::on_accept>(this));
  }

  uint16_t port() const { return port_; }
  Peer& peer(size_t index) { return *peers_[index]; }
  Peer& last_peer() { return *peers_.back(); }
  // No more connections: connecting is refused.
  void stop_listening() {
    watcher_.stop();
    listener_.reset();
  }

  std::function<void(Peer&, const std::string& head)> on_request;
  std::function<void(Peer&)> on_data;
  std::function<void(Peer&)> on_open;
  size_t accepted = 0, open = 0, most_open = 0, requests = 0, bytes_received = 0;

 private:
  friend class Peer;
  void on_accept(core::Interest) {
    for (;;) {
      core::Fd fd(::accept4(listener_.get(), nullptr, nullptr, SOCK_NONBLOCK | SOCK_CLOEXEC));
      if (!fd) return;
      ++accepted;
      most_open = std::max(most_open, ++open);
      peers_.push_back(std::make_unique<Peer>(*this, std::move(fd), static_cast<int>(accepted)));
      if (on_open) on_open(*peers_.back());
    }
  }

  core::Loop& loop_;
  core::Fd listener_;
  core::IoWatcher watcher_;
  uint16_t port_ = 0;
  std::vector<std::unique_ptr<Peer>> peers_;
};

// The value of a field in a head, as text; empty: absent.
inline std::string field(const std::string& head, std::string_view name) {
  const size_t at = head.find("\r\n" + std::string(name) + ": ");
  if (at == std::string::npos) return {};
  const size_t begin = at + name.size() + 4;
  return head.substr(begin, head.find("\r\n", begin) - begin);
}

inline std::string response(std::string_view body, std::string_view fields = {}, std::string_view status = "200 OK") {
  return "HTTP/1.1 " + std::string(status) + "\r\nContent-Length: " + std::to_string(body.size()) + "\r\n" +
         std::string(fields) + "\r\n" + std::string(body);
}

}  // namespace tributary::upstream::test
