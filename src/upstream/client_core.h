// What a worker's exchanges share: the members of Client, known to this folder only. Loop-affine.
#pragma once

#include <chrono>
#include <list>
#include <memory>
#include <random>
#include <string>
#include <unordered_map>

#include "core/loop.h"
#include "core/slice.h"
#include "net/resolver.h"
#include "net/tls.h"
#include "upstream/client.h"
#include "upstream/metrics.h"
#include "upstream/pool.h"
#include "upstream/settings.h"

namespace tributary::upstream {

struct ClientCore {
  ClientCore(core::Loop& its_loop, net::Resolver& its_resolver, const net::TlsClientContext* its_tls,
             Shared& its_shared, const UpstreamSettings& its_settings, core::Registry& its_registry)
      : loop(its_loop),
        resolver(its_resolver),
        tls(its_tls),
        shared(its_shared),
        settings(its_settings),
        registry(its_registry),
        metrics(its_registry),
        pool(its_loop, its_shared.quota, settings) {}

  core::Loop& loop;
  net::Resolver& resolver;
  const net::TlsClientContext* tls;
  Shared& shared;
  const UpstreamSettings settings;
  core::Registry& registry;
  UpstreamMetrics metrics;
  net::TlsSessionCache sessions;  // outlives the pool's streams
  Pool pool;

  // The block that the next read of any exchange goes into. What is read is either copied out, when it is little, or the
  // whole block is given away: so a slow origin does not pin 256 KiB for each few bytes.
  core::BlockRef& read_block() {
    if (!spare_block) spare_block = shared.blocks.take();
    return spare_block;
  }
  // `size` bytes from `offset` on of what was just read into read_block().
  core::Slice keep_read(size_t offset, size_t size);
  static constexpr size_t kWorthGiving = 64 * 1024;

  // A timer's time for a limit in which zero means none.
  static core::Duration limit(core::Duration timeout) {
    return timeout > core::Duration::zero() ? timeout : core::Duration(std::chrono::hours(24));
  }

  core::BlockRef spare_block;
  std::string spare_wire;  // memory for the next request head
  size_t exchanges = 0;
  std::minstd_rand random{std::random_device{}()};  // spreads delays; no secret depends on it

  struct Memory {
    Origin origin;
    std::shared_ptr<OriginMemory> memory;  // a download keeps what it writes to past its eviction here
  };
  std::list<Memory> memories;  // most recently used first
  std::unordered_map<Origin, std::list<Memory>::iterator, OriginHash> memory_index;
};

}  // namespace tributary::upstream
