#include "proxy/server.h"

#include <fcntl.h>
#include <pthread.h>
#include <signal.h>

#include <cerrno>
#include <future>
#include <optional>
#include <string>
#include <thread>
#include <utility>

#include "core/log.h"
#include "net/listener.h"
#include "net/socket.h"

namespace tributary::proxy {
namespace {

core::Result<core::Fd> duplicate(int fd) {
  const int copy = ::fcntl(fd, F_DUPFD_CLOEXEC, 0);
  if (copy < 0) return core::error_from_errno(errno, core::Side::Us);
  return core::Fd(copy);
}

// The main thread takes the signals.
void block_signals() {
  sigset_t all;
  ::sigfillset(&all);
  ::pthread_sigmask(SIG_BLOCK, &all, nullptr);
}

}  // namespace

core::Result<Listeners> open_listeners(const std::vector<ListenSpec>& specs, unsigned workers, std::string* why) {
  Listeners listeners;
  listeners.workers.resize(workers);
  for (const ListenSpec& spec : specs) {
    const auto fail = [&](const core::Error& error) {
      if (why) *why = spec.address.to_string() + ": " + core::describe(error);
      return error;
    };
    net::ListenAddress address = spec.address;
    for (unsigned i = 0; i < workers; ++i) {
      // A Unix socket's path can be bound once; its queue is shared then.
      const bool share = address.address.is_unix() && i > 0;
      core::Result<core::Fd> fd = share ? duplicate(listeners.workers[0].back().fd.get()) : net::Listener::open(address);
      if (!fd) return fail(fd.error());
      if (i == 0) {
        const net::SocketAddress bound = net::local_address(fd->get());
        listeners.addresses.push_back(bound);
        if (bound.is_ip()) address.address = net::SocketAddress(address.address.ip(), bound.port());  // port 0
      }
      listeners.workers[i].push_back({*std::move(fd), spec.protocols});
    }
  }
  return listeners;
}

// A worker's thread. The loop outlives the thread, so that a message that comes too late finds it; everything else
// is made, used and destroyed on the thread.
struct Server::Thread {
  explicit Thread(std::vector<ListenSocket> sockets) : listeners(std::move(sockets)) {}

  void run(Server& server, int number, std::promise<void> accepting);
  void drain(core::Duration timeout);
  void on_over() { loop.stop(); }

  core::Loop loop;
  std::vector<ListenSocket> listeners;
  Worker* worker = nullptr;         // while it runs
  core::Timer* deadline = nullptr;  // the same
  std::thread thread;
};

void Server::Thread::run(Server& server, int number, std::promise<void> accepting) {
  block_signals();
  core::bind_metric_thread(number + 1);
  ::pthread_setname_np(::pthread_self(), ("worker-" + std::to_string(number)).c_str());
  loop.set_lag_histogram(&server.shared_.registry
                              .histograms("tributary_loop_lag_seconds",
                                          "From waking up to going back to sleep, of each iteration", {"worker"})
                              .with({std::to_string(number)}));
  {
    // What the constructors arm is armed on this thread.
    loop.run_once();
    Worker own(loop, server.shared_);
    core::Timer timer(loop);
    worker = &own;
    deadline = &timer;
    own.start(std::move(listeners));
    accepting.set_value();
    loop.run();
    worker = nullptr;
    deadline = nullptr;
  }
  server.thread_ended();
}

void Server::Thread::drain(core::Duration timeout) {
  if (!worker) return;
  const auto over = core::Callback<void()>::to<&Thread::on_over>(this);
  deadline->start(timeout, over);
  worker->drain(over);
}

Server::Server(const Shared& shared, Listeners listeners, std::function<void()> ended)
    : shared_(shared), ended_(std::move(ended)) {
  for (std::vector<ListenSocket>& sockets : listeners.workers) {
    threads_.push_back(std::make_unique<Thread>(std::move(sockets)));
  }
}

Server::~Server() {
  stop();
  join();
}

void Server::start() {
  running_ = threads_.size();
  std::vector<std::future<void>> accepting;
  int number = 0;
  for (const std::unique_ptr<Thread>& thread : threads_) {
    std::promise<void> promise;
    accepting.push_back(promise.get_future());
    thread->thread = std::thread(
        [this, each = thread.get(), number, ready = std::move(promise)]() mutable {
          each->run(*this, number, std::move(ready));
        });
    ++number;
  }
  for (std::future<void>& each : accepting) each.wait();
}

core::Result<core::Fd> Server::connect() {
  core::Result<std::pair<core::Fd, core::Fd>> pair = net::make_socket_pair();
  if (!pair) return pair.error();
  Thread* thread = threads_[next_++ % threads_.size()].get();
  thread->loop.post_call([thread, fd = std::move(pair->second)]() mutable {
    if (thread->worker) thread->worker->serve(std::move(fd));
  });
  return std::move(pair->first);
}

void Server::drain(core::Duration timeout) {
  for (const std::unique_ptr<Thread>& thread : threads_) {
    thread->loop.post_call([each = thread.get(), timeout] { each->drain(timeout); });
  }
}

void Server::stop() {
  for (const std::unique_ptr<Thread>& thread : threads_) thread->loop.stop();
}

void Server::join() {
  for (const std::unique_ptr<Thread>& thread : threads_) {
    if (thread->thread.joinable()) thread->thread.join();
  }
}

void Server::thread_ended() {
  if (running_.fetch_sub(1) == 1 && ended_) ended_();
}

}  // namespace tributary::proxy
