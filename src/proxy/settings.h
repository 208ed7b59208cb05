// What the operator can set about the client's side. A plain struct: main fills it from the configuration, everybody
// else reads it. Immutable after start, any thread.
#pragma once

#include <chrono>
#include <cstdint>
#include <string>

#include "core/time.h"

namespace tributary::proxy {

// Which protocols a listener speaks; they are told apart by the first bytes.
struct Protocols {
  bool http = true;
  bool socks4 = true;
  bool socks5 = true;
  friend bool operator==(const Protocols&, const Protocols&) = default;
};

struct Timeouts {
  core::Duration header = std::chrono::seconds(30);       // from the first byte due to the end of a request's head
  core::Duration idle = std::chrono::seconds(90);         // between two requests of a connection
  core::Duration connect = std::chrono::seconds(10);      // TCP connect of a tunnel, all addresses together
  core::Duration dns = std::chrono::seconds(10);          // look-up for a tunnel
  core::Duration first_byte = std::chrono::seconds(60);   // from the request being sent to the response's head
  core::Duration read = std::chrono::seconds(60);         // a client that neither sends due content nor takes the response
  core::Duration tunnel_idle = std::chrono::hours(1);     // a tunnel in which nothing moves; zero: never
  core::Duration request = core::Duration::zero();        // a request as a whole; zero: no limit
  core::Duration socks = std::chrono::seconds(10);        // the SOCKS handshake as a whole
};

// Zero means no limit where it says so.
struct Limits {
  uint32_t header_size = 64 * 1024;     // bytes of a request's head
  uint32_t header_count = 128;          // fields of a request's head
  uint64_t body_size = 0;               // bytes of a request's content; 0: no limit
  uint64_t requests_per_connection = 0; // 0: no limit
};

struct Settings {
  Timeouts timeout;
  Limits limit;
  uint64_t max_connections = 50'000;  // client connections of the whole process; more are closed at once
  // Our name in Via: another one for every process, so that two proxies in a row are no loop.
  std::string pseudonym = "tributary";
};

}  // namespace tributary::proxy
