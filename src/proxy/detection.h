// Which protocol a new connection speaks, by its first byte: 0x05 and 0x04 are SOCKS, 0x16 would be a TLS hello, everything
// else is HTTP's to judge. Loop-affine.
//
// Most clients speak at once, so the first read is tried right after accept: then no object, no timer and no epoll round trip is
// spent on waiting. Only a silent connection becomes a Detection, which holds no buffer.
#pragma once

#include <memory>
#include <string_view>

#include "core/loop.h"
#include "net/stream.h"
#include "proxy/session.h"
#include "proxy/settings.h"

namespace tributary::proxy {

class Detection final : public Session {
 public:
  // Reads what is there and hands the stream to its session; waits in a Detection where nothing is.
  static void begin(Worker& worker, std::unique_ptr<net::Stream> stream, Protocols allowed);

  Detection(Worker& worker, std::unique_ptr<net::Stream> stream, Protocols allowed);
  void drain() override;

 private:
  void on_ready(core::Interest ready);
  void on_deadline();
  void close();

  std::unique_ptr<net::Stream> stream_;
  Protocols allowed_;
  core::Timer deadline_;
};

// What the first bytes say. At least one byte. Pure.
enum class FirstBytes : uint8_t { Http, Socks4, Socks5, Tls, ProxyProtocol };
FirstBytes detect(std::string_view bytes);

}  // namespace tributary::proxy
