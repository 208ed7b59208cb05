// Shared by the tests of net: a loop that is turned until something holds, streams over loopback, a stream that trickles.
#pragma once

#include <gtest/gtest.h>
#include <netinet/in.h>
#include <sys/socket.h>
#include <unistd.h>

#include <chrono>
#include <filesystem>
#include <memory>
#include <string>
#include <utility>

#include "core/loop.h"
#include "net/listener.h"
#include "net/socket.h"
#include "net/stream.h"

namespace tributary::net::test {

using namespace std::chrono_literals;
using core::Interest;

// Turns the loop until `done` holds. The limit is for a broken test, not a timing assertion.
template <class Done>
::testing::AssertionResult run_until(core::Loop& loop, Done done) {
  const auto limit = std::chrono::steady_clock::now() + 20s;
  while (!done()) {
    if (std::chrono::steady_clock::now() > limit) return ::testing::AssertionFailure() << "never came true";
    loop.run_once(20ms);
  }
  return ::testing::AssertionSuccess();
}

struct TemporaryFolder {
  TemporaryFolder() {
    char name[] = "/tmp/tributary-net-XXXXXX";
    path = ::mkdtemp(name);
  }
  ~TemporaryFolder() { std::filesystem::remove_all(path); }
  std::string path;
};

inline SocketAddress loopback(uint16_t port = 0) { return {IpAddress::v4(0x7f000001), port}; }

// Two ends of one TCP connection on loopback.
inline std::pair<core::Fd, core::Fd> tcp_pair(const SocketOptions& options = {}) {
  core::Fd listener = *Listener::open({loopback(), false}, {.socket = options});
  const SocketAddress address = local_address(listener.get());
  core::Fd client = *make_stream_socket(address, options);
  sockaddr_storage storage;
  const socklen_t length = address.to_sockaddr(storage);
  if (::connect(client.get(), reinterpret_cast<sockaddr*>(&storage), length) != 0 && errno != EINPROGRESS) return {};
  core::Fd server;
  while (!server) server = core::Fd(::accept4(listener.get(), nullptr, nullptr, SOCK_NONBLOCK | SOCK_CLOEXEC));
  return {std::move(client), std::move(server)};
}

using StreamPair = std::pair<std::unique_ptr<Stream>, std::unique_ptr<Stream>>;

inline std::unique_ptr<TcpStream> tcp_stream(core::Loop& loop, core::Fd fd, core::Side side = core::Side::Origin) {
  const SocketAddress peer = peer_address(fd.get());
  return std::make_unique<TcpStream>(loop, std::move(fd), peer, side);
}

inline StreamPair tcp_streams(core::Loop& loop) {
  auto [client, server] = tcp_pair();
  return {tcp_stream(loop, std::move(client)), tcp_stream(loop, std::move(server), core::Side::Client)};
}

// One byte at a time, and every other call would block: every partial read and write there is (S0-1.3).
class TrickleStream final : public Stream {
 public:
  explicit TrickleStream(std::unique_ptr<Stream> inner) : inner_(std::move(inner)) {}
  using Stream::write;
  IoResult read(char* buffer, size_t size) override {
    if ((hiccup_ = !hiccup_)) return IoResult::would_block();
    return inner_->read(buffer, std::min<size_t>(size, 1));
  }
  IoResult write(const iovec* parts, int count, More more) override {
    if ((hiccup_ = !hiccup_)) return IoResult::would_block();
    for (int i = 0; i < count; ++i) {
      if (parts[i].iov_len > 0) return inner_->write({static_cast<const char*>(parts[i].iov_base), 1}, more);
    }
    return IoResult::bytes(0);
  }
  IoResult send_file(int file, uint64_t offset, size_t length, More more) override {
    return inner_->send_file(file, offset, std::min<size_t>(length, 1), more);
  }
  IoResult shutdown_write() override { return inner_->shutdown_write(); }
  void close() override { inner_->close(); }
  void abort() override { inner_->abort(); }
  void watch(Interest interest, core::Callback<void(Interest)> callback) override { inner_->watch(interest, callback); }
  void set_interest(Interest interest) override { inner_->set_interest(interest); }
  Interest interest() const override { return inner_->interest(); }
  IoResult probe() override { return inner_->probe(); }
  int fd() const override { return inner_->fd(); }
  const SocketAddress& peer() const override { return inner_->peer(); }

 private:
  std::unique_ptr<Stream> inner_;
  bool hiccup_ = false;
};

// Writes all of `bytes` (then ends its direction), and reads until the end. Plays one end of a conversation.
class Peer {
 public:
  Peer(Stream& stream, std::string bytes, bool end_after = true)
      : stream_(stream), bytes_(std::move(bytes)), end_after_(end_after) {
    stream_.watch(Interest::Both, core::Callback<void(Interest)>::to<&Peer::on_ready>(this));
  }
  void say(std::string_view more) {
    bytes_ += more;
    stream_.set_interest(stream_.interest() | Interest::Write);
  }
  void end() {
    end_after_ = true;
    stream_.set_interest(stream_.interest() | Interest::Write);
  }
  void pause_reading() {
    paused_ = true;
    stream_.set_interest(core::without(stream_.interest(), Interest::Read));
  }
  void resume_reading() {
    paused_ = false;
    stream_.set_interest(stream_.interest() | Interest::Read);
  }

  std::string got;
  bool ended = false;       // the peer's direction
  bool failed = false;
  bool finished = false;    // ours
  core::Error error;

 private:
  void on_ready(Interest ready) {
    if (core::has(ready, Interest::Read)) {
      char buffer[64 * 1024];
      const IoResult result = stream_.read(buffer, sizeof(buffer));
      if (result.is_bytes()) got.append(buffer, result.n);
      ended = ended || result.is_end();
      if (result.is_failed()) fail(result);
    }
    if (core::has(ready, Interest::Write) && !failed) {
      if (sent_ < bytes_.size()) {
        const IoResult result = stream_.write(std::string_view(bytes_).substr(sent_));
        if (result.is_bytes()) sent_ += result.n;
        if (result.is_failed()) fail(result);
      }
      if (sent_ == bytes_.size() && end_after_ && !failed && !finished) finished = !stream_.shutdown_write().is_would_block();
    }
    Interest interest = Interest::None;
    if (!ended && !failed && !paused_) interest = interest | Interest::Read;
    if (!failed && (sent_ < bytes_.size() || (end_after_ && !finished))) interest = interest | Interest::Write;
    stream_.set_interest(interest);
  }
  void fail(const IoResult& result) {
    failed = true;
    error = result.error;
  }

  Stream& stream_;
  std::string bytes_;
  size_t sent_ = 0;
  bool end_after_;
  bool paused_ = false;
};

inline std::string pattern(size_t size, unsigned seed = 1) {
  std::string bytes(size, '\0');
  for (char& c : bytes) {
    seed = seed * 1664525u + 1013904223u;
    c = static_cast<char>(seed >> 24);
  }
  return bytes;
}

}  // namespace tributary::net::test
