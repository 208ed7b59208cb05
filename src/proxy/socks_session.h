// SocksSession: a client's SOCKS handshake, until it becomes a Tunnel or is refused. Loop-affine.
//
// The codec keeps no bytes (socks/handshake.h): a message is read into the worker's scratch buffer and parsed in place; only one
// that came in pieces is kept, at most socks::kMaxMessage bytes of it. timeout.socks bounds the whole handshake.
#pragma once

#include <memory>
#include <string>
#include <string_view>

#include "core/loop.h"
#include "net/stream.h"
#include "proxy/session.h"
#include "proxy/settings.h"
#include "socks/handshake.h"

namespace tributary::proxy {

class SocksSession final : public Session {
 public:
  SocksSession(Worker& worker, std::unique_ptr<net::Stream> stream, Protocols allowed, Protocol protocol);

  // `first`: what was read already; may be empty.
  void start(std::string_view first);
  void drain() override {}  // a handshake is short, and its deadline stands

 private:
  static constexpr size_t kReadSize = 64 * 1024;  // what a client may send behind its request before it is answered

  void on_ready(core::Interest ready);
  void on_deadline();
  void consume(std::string_view input);
  void ask(const socks::Request& request, std::string_view early);
  void refuse(std::string_view reply, socks::Refusal refusal);
  bool send(std::string_view reply);
  void flush();
  void close();

  std::unique_ptr<net::Stream> stream_;
  core::Timer deadline_;
  socks::Handshake handshake_;
  std::string input_;   // the beginning of a message
  std::string unsent_;  // a reply that the socket did not take yet
};

}  // namespace tributary::proxy
