#include "admin/server.h"

#include "admin/connection.h"

namespace tributary::admin {

Server::Server(core::Loop& loop, Settings settings, Sources sources)
    : loop_(loop),
      settings_(std::move(settings)),
      sources_(std::move(sources)),
      context_(std::make_unique<Context>(Context{settings_, sources_, loop.unix_now()})) {}

Server::~Server() = default;

core::Result<void> Server::start(const net::ListenAddress& address) {
  net::ListenSettings settings;
  settings.backlog = 128;
  settings.reuse_port = false;
  core::Result<core::Fd> fd = net::Listener::open(address, settings);
  if (!fd) return fd.error();
  listener_ = std::make_unique<net::Listener>(loop_, std::move(*fd));
  listener_->start(net::Listener::OnAccept::to<&Server::on_accept>(this));
  return {};
}

void Server::on_accept(core::Fd fd, const net::SocketAddress& peer) {
  if (connections_.size() >= kMaxConnections) return;  // fd closes
  if (settings_.clients && peer.is_ip() && !settings_.clients->contains(peer.ip())) return;
  connections_.push_back(std::make_unique<Connection>(
      loop_, std::move(fd), peer, *context_, core::Callback<void()>::to<&Server::finished>(this)));
}

void Server::finished() {
  reap_.schedule(core::Callback<void()>::to<&Server::reap>(this));
}

void Server::reap() {
  std::erase_if(connections_, [](const std::unique_ptr<Connection>& connection) {
    return connection->is_done();
  });
}

}  // namespace tributary::admin
