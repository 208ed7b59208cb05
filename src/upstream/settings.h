// What the configuration says to this layer: [upstream], [accelerate] and the upstream part of [timeout] and [limit].
// Plain values, immutable after start.
#pragma once

#include <chrono>
#include <cstddef>
#include <cstdint>

#include "core/time.h"
#include "http/h1.h"
#include "net/socket.h"

namespace tributary::upstream {

// Each bounds one wait; a phase that makes progress starts its own anew. Zero: no limit.
struct Timeouts {
  core::Duration dns = std::chrono::seconds(10);
  core::Duration connect = std::chrono::seconds(10);     // TCP, all addresses together
  core::Duration tls = std::chrono::seconds(10);         // the handshake
  core::Duration first_byte = std::chrono::seconds(60);  // from the request sent to the end of the response head
  core::Duration read = std::chrono::seconds(60);        // between two reads of content, while somebody wants them
  core::Duration write = std::chrono::seconds(60);       // while the origin takes nothing of the request
  core::Duration acquire = std::chrono::seconds(30);     // waiting for a connection that the limits allow
  core::Duration request = core::Duration::zero();       // all of it, from start to the end of the response
  core::Duration expect = std::chrono::seconds(1);       // for 100 (Continue), before the content is sent without it
};

struct UpstreamSettings {
  unsigned max_connections = 4096;          // of the process
  unsigned max_connections_per_host = 64;   // of the process, to one origin
  unsigned max_idle_per_host = 64;          // of a worker, to one origin
  core::Duration idle_timeout = std::chrono::seconds(60);
  core::Duration max_age = core::Duration::zero();  // of a connection, then it is not used again; zero: no limit
  unsigned retries = 2;                     // of a connection attempt that certainly did not reach the origin
  core::Duration retry_delay = std::chrono::milliseconds(50);  // before the first such retry; doubles
  Timeouts timeouts;
  http::H1Limits head_limits;               // of response heads and trailers
  net::SocketOptions socket;
};

struct AccelerateSettings {
  bool enabled = true;
  uint64_t min_size = uint64_t{8} << 20;     // bytes; smaller objects are never split
  unsigned max_connections = 16;             // of one download
  unsigned max_connections_per_host = 16;    // of all downloads of the process to one origin together
  uint64_t piece_size = 0;                   // bytes; 0: the planner chooses from the rate
  unsigned max_downloads = 16;               // that are split at a time, in the process; further ones run unsplit
};

}  // namespace tributary::upstream
