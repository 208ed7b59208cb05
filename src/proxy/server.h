// Server: the worker threads of the proxy. Made, started and ended on the main thread.
//
//   auto listeners = open_listeners({{*net::ListenAddress::parse("127.0.0.1:3128"), {}}}, workers, &why);
//   Access access(access_settings, own addresses: listeners->addresses and the admin's);
//   Server server(shared, std::move(*listeners), [&] { main_loop.stop(); });
//   server.start();
//   main_loop.run();                 // server.drain(30s) from a signal handler's callback; server.stop() on the second
//   server.join();
#pragma once

#include <atomic>
#include <cstddef>
#include <functional>
#include <memory>
#include <string>
#include <vector>

#include "core/fd.h"
#include "core/result.h"
#include "core/time.h"
#include "net/address.h"
#include "proxy/settings.h"
#include "proxy/worker.h"

namespace tributary::proxy {

struct ListenSpec {
  net::ListenAddress address;
  Protocols protocols;
};

// Bound, listening sockets: a set for each worker, on the same addresses.
struct Listeners {
  std::vector<std::vector<ListenSocket>> workers;  // [worker][address]
  std::vector<net::SocketAddress> addresses;       // as bound: port 0 was replaced by the kernel's choice
};

// Start-up. The error is of the call that failed; `why` names the address ("127.0.0.1:3128: Address already in use").
core::Result<Listeners> open_listeners(const std::vector<ListenSpec>& specs, unsigned workers, std::string* why);

class Server {
 public:
  // As many workers as `listeners` has sets. Everything in `shared` outlives the server. `ended` is called once, when the
  // last worker has ended, from that worker's thread.
  Server(const Shared& shared, Listeners listeners, std::function<void()> ended);
  ~Server();  // stop() and join()
  Server(const Server&) = delete;
  Server& operator=(const Server&) = delete;

  // Returns when every worker accepts connections.
  void start();
  // A client's connection to one of the workers, from inside the process: what is asked for through it takes the same way
  // as what anybody asks for. Non-blocking; it ends at once when the workers are ending. One thread at a time.
  core::Result<core::Fd> connect();
  // Any thread; returns at once. No new connections; a worker ends when its sessions have, at the latest after `timeout`.
  void drain(core::Duration timeout);
  // Any thread; returns at once. Closes everything.
  void stop();
  // Blocks until every worker has ended.
  void join();

  size_t workers() const { return threads_.size(); }

 private:
  struct Thread;
  void thread_ended();

  const Shared shared_;
  std::function<void()> ended_;
  std::atomic<size_t> running_{0};
  size_t next_ = 0;  // worker, for connect()
  std::vector<std::unique_ptr<Thread>> threads_;
};

}  // namespace tributary::proxy
