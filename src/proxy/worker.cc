#include "proxy/worker.h"

#include <utility>

#include "net/socket.h"
#include "proxy/detection.h"
#include "proxy/fetch_table.h"
#include "proxy/refresh.h"

namespace tributary::proxy {

struct Worker::Entrance {
  Entrance(Worker& of, ListenSocket socket)
      : worker(of), protocols(socket.protocols), listener(of.loop_, std::move(socket.fd)) {
    listener.start(net::Listener::OnAccept::to<&Entrance::on_accept>(this));
  }

  void on_accept(core::Fd fd, const net::SocketAddress& peer) {
    Metrics& metrics = worker.metrics();
    if (!worker.access().allows_client(peer)) return metrics.rejected(RejectReason::Client);
    // The place is kept until the session, which counts itself, is there.
    if (!worker.shared_.clients.try_add()) return metrics.rejected(RejectReason::Connections);
    Detection::begin(worker, std::make_unique<net::TcpStream>(worker.loop_, std::move(fd), peer, core::Side::Client),
                     protocols);
    worker.shared_.clients.remove();
  }

  Worker& worker;
  Protocols protocols;
  net::Listener listener;
};

Worker::Worker(core::Loop& loop, const Shared& shared)
    : loop_(loop),
      shared_(shared),
      resolver_(loop, shared.offload, shared.registry, shared.resolver),
      cache_(shared.store, loop),
      upstream_(loop, resolver_, &shared.tls, shared.upstream, shared.upstream_settings, shared.registry),
      fetches_(std::make_unique<FetchTable>(loop, upstream_, cache_, shared.accelerate)),
      refreshes_(std::make_unique<RefreshTable>(*this)),
      reaper_(loop) {}

Worker::~Worker() {
  draining_ = true;
  drained_ = {};
  entrances_.clear();
  while (sessions_) {
    if (!sessions_->finished_) finished(*sessions_);
    unlink(*sessions_);
  }
}

void Worker::start(std::vector<ListenSocket> listeners) {
  for (ListenSocket& listener : listeners) {
    entrances_.push_back(std::make_unique<Entrance>(*this, std::move(listener)));
  }
}

void Worker::serve(core::Fd fd) {
  if (draining_) return;
  const net::SocketAddress peer = net::peer_address(fd.get());
  Detection::begin(*this, std::make_unique<net::TcpStream>(loop_, std::move(fd), peer, core::Side::Client),
                   {.http = true, .socks4 = false, .socks5 = false});
}

void Worker::drain(core::Callback<void()> drained) {
  drained_ = drained;
  if (!draining_) {
    draining_ = true;
    entrances_.clear();
    upstream_.close_idle();
    // A session that ends here stays linked until it is reaped, so the list does not change under us.
    for (Session* session = sessions_; session; session = session->next_) {
      if (!session->finished_) session->drain();
    }
  }
  reaper_.schedule(core::Callback<void()>::to<&Worker::reap>(this));
}

void Worker::link(std::unique_ptr<Session> session) {
  Session* const added = session.release();
  added->next_ = sessions_;
  if (sessions_) sessions_->previous_ = added;
  sessions_ = added;
  ++active_;
  shared_.clients.add();
  metrics().connections(added->protocol()).add();
}

void Worker::finished(Session& session) {
  if (session.finished_) return;
  session.finished_ = true;
  --active_;
  shared_.clients.remove();
  metrics().connections(session.protocol()).sub();
  dead_.push_back(&session);
  reaper_.schedule(core::Callback<void()>::to<&Worker::reap>(this));
}

// Destroys a session.
void Worker::unlink(Session& session) {
  (session.previous_ ? session.previous_->next_ : sessions_) = session.next_;
  if (session.next_) session.next_->previous_ = session.previous_;
  delete &session;
}

void Worker::reap() {
  // Destroying one may finish another (a request that read along), never destroy it.
  for (size_t i = 0; i < dead_.size(); ++i) unlink(*dead_[i]);
  dead_.clear();
  if (draining_ && active_ == 0 && drained_) std::exchange(drained_, {})();
}

}  // namespace tributary::proxy
