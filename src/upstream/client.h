// Client: a worker's way to origins. Owns its pool of connections and starts exchanges on them. Loop-affine.
//
//   exchange_ = client.start({.origin = origin, .head = head, .filter = filter}, *this);
//   void on_head() override { … exchange_->head() …; exchange_->set_ready(…); }
#pragma once

#include <cstddef>
#include <memory>
#include <string>
#include <vector>

#include "core/loop.h"
#include "core/metrics.h"
#include "core/slice.h"
#include "net/resolver.h"
#include "net/tls.h"
#include "upstream/exchange.h"
#include "upstream/origin_book.h"
#include "upstream/planner.h"
#include "upstream/quota.h"
#include "upstream/settings.h"

namespace tributary::upstream {

struct ClientCore;
struct UpstreamMetrics;

// What all workers share. Made once, before them; outlives them and every Slice of content that they produced.
struct Shared {
  static constexpr uint32_t kBlockSize = 256 * 1024;

  Shared(const UpstreamSettings& upstream, const AccelerateSettings& accelerate)
      : quota({upstream.max_connections, upstream.max_connections_per_host}),
        downloads(accelerate.max_downloads, accelerate.max_connections_per_host) {}

  Quota quota;
  DownloadLimits downloads;
  OriginBook origins;
  core::BlockPool blocks{kBlockSize, 64};
};

class Client {
 public:
  // `tls` may be null: https origins fail with UnsupportedProtocol then. Everything given outlives the client; the client
  // outlives its exchanges and downloads.
  Client(core::Loop& loop, net::Resolver& resolver, const net::TlsClientContext* tls, Shared& shared,
         const UpstreamSettings& settings, core::Registry& metrics);
  ~Client();
  Client(const Client&) = delete;
  Client& operator=(const Client&) = delete;

  // Never null; failures come through the handler. On a kept connection the request is on its way when this returns.
  [[nodiscard]] std::unique_ptr<Exchange> start(const ExchangeRequest& request, ExchangeHandler& handler);

  // Idle connections are closed, none is kept from now on (draining).
  void close_idle();

  // What splitting learnt about an origin, here or, as the shared book says, elsewhere and earlier; at most kMemories are kept, the longest unused is forgotten. The reference is
  // valid as long as the handle.
  static constexpr size_t kMemories = 4096;
  std::shared_ptr<OriginMemory> memory(const Origin& origin);

  // For the admin page and tests.
  struct Snapshot {
    struct Host {
      std::string origin;
      size_t idle = 0, active = 0;
    };
    std::vector<Host> hosts;
  };
  Snapshot snapshot() const;
  size_t idle() const;
  size_t active() const;  // exchanges that have not ended

  core::Loop& loop() const;
  Shared& shared() const;
  UpstreamMetrics& metrics() const;

 private:
  std::unique_ptr<ClientCore> core_;
};

}  // namespace tributary::upstream
