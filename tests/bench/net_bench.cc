// What the relay costs: 1 GiB through a tunnel on loopback, and the memory of an idle one. Prints GB/s and the CPU seconds
// a GB of the relay's own thread; the peers run on threads of their own. Argument: GiB (default 1; anything else proves only that it runs).
#include <sys/resource.h>
#include <sys/socket.h>
#include <poll.h>

#include <chrono>
#include <cstdio>
#include <cstdlib>
#include <thread>
#include <vector>

#include "net/listener.h"
#include "net/relay.h"
#include "net/socket.h"

using namespace tributary;

namespace {

std::pair<core::Fd, core::Fd> tcp_pair() {
  core::Fd listener = *net::Listener::open({net::SocketAddress(net::IpAddress::v4(0x7f000001), 0), false});
  sockaddr_storage storage;
  const net::SocketAddress address = net::local_address(listener.get());
  const socklen_t length = address.to_sockaddr(storage);
  core::Fd client(::socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0));  // the peers block, the relay's ends do not
  if (::connect(client.get(), reinterpret_cast<sockaddr*>(&storage), length) != 0) std::abort();
  core::Fd server;
  while (!server) server = core::Fd(::accept4(listener.get(), nullptr, nullptr, SOCK_NONBLOCK | SOCK_CLOEXEC));
  return {std::move(client), std::move(server)};
}

double thread_cpu() {
  rusage usage;
  ::getrusage(RUSAGE_THREAD, &usage);
  const auto seconds = [](const timeval& t) { return static_cast<double>(t.tv_sec) + static_cast<double>(t.tv_usec) / 1e6; };
  return seconds(usage.ru_utime) + seconds(usage.ru_stime);
}

void run(const char* label, size_t total, size_t pipe_limit) {
  core::Loop loop;
  net::PipePool pipes(pipe_limit);
  auto [client, near] = tcp_pair();
  auto [origin, far] = tcp_pair();
  net::TcpStream near_stream(loop, std::move(near), {}, core::Side::Client);
  net::TcpStream far_stream(loop, std::move(far), {}, core::Side::Origin);
  std::thread sender([fd = origin.get(), total] {
    std::vector<char> block(256 * 1024, 'x');
    for (size_t sent = 0; sent < total;) {
      const ssize_t n = ::send(fd, block.data(), std::min(block.size(), total - sent), MSG_NOSIGNAL);
      if (n <= 0) break;
      sent += static_cast<size_t>(n);
    }
    ::shutdown(fd, SHUT_WR);
  });
  std::thread receiver([fd = client.get()] {
    std::vector<char> block(1024 * 1024);
    while (::recv(fd, block.data(), block.size(), MSG_TRUNC) > 0) {
    }
    ::shutdown(fd, SHUT_WR);
  });
  bool over = false;
  auto finished = [&](const net::RelayEnd&) { over = true; };
  const double cpu = thread_cpu();
  const auto began = std::chrono::steady_clock::now();
  net::Relay relay(loop, pipes, near_stream, far_stream);
  relay.start(std::chrono::seconds(10), core::Callback<void(const net::RelayEnd&)>::ref(finished));
  while (!over) loop.run_once(std::chrono::milliseconds(100));
  const double seconds = std::chrono::duration<double>(std::chrono::steady_clock::now() - began).count();
  const double gigabytes = static_cast<double>(relay.origin_to_client()) / 1e9;
  std::printf("%-7s %.2f GB/s  %.3f CPU s/GB\n", label, gigabytes / seconds, (thread_cpu() - cpu) / gigabytes);
  sender.join();
  receiver.join();
}

}  // namespace

int main(int count, char** arguments) {
  net::ignore_sigpipe();
  size_t total = (count > 1 ? std::strtoul(arguments[1], nullptr, 10) : 1) << 30;
  if (total == 0) total = 16 << 20;
  std::printf("sizeof: TcpStream %zu, Relay %zu\n", sizeof(net::TcpStream), sizeof(net::Relay));
  for (int i = 0; i < 3; ++i) {
    run("copy", total, 0);
    run("splice", total, 16);
  }
}
