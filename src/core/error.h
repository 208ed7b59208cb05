// What went wrong, in eight trivially copyable bytes: no text is built until somebody logs it.
//
// "Would block", "end of stream" and "need more bytes" are outcomes, not errors; they live in the success types.
// docs/errors.md and proxy/error_table.h map every code to a status code, a Proxy-Status type and a metric.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <type_traits>

namespace tributary::core {

enum class ErrorCode : uint8_t {
  // network
  ConnectionRefused,
  ConnectionReset,       // the peer closed or reset where more was due
  HostUnreachable,
  NetworkIo,             // any other errno of a socket; see Error::sys
  DescriptorsExhausted,  // EMFILE, ENFILE
  // time
  DnsTimeout,
  ConnectTimeout,
  TlsTimeout,
  FirstByteTimeout,
  ReadTimeout,
  WriteTimeout,
  RequestTimeout,
  AcquireTimeout,  // no connection became free within timeout.acquire
  // dns
  NameNotFound,   // NXDOMAIN or no address
  DnsFailure,     // SERVFAIL, malformed answer, no server
  // tls
  TlsProtocol,
  TlsCertificate,
  // protocol
  MalformedMessage,    // framing or syntax a peer got wrong
  MessageTooLarge,     // header or line over its limit
  IncompleteMessage,   // ended before the declared length
  UnsupportedProtocol,
  ContentMismatch,     // other validator, other Content-Range, other length than promised
  // a proxy on the way (a parent)
  ParentCredentials,   // it asks for credentials, or refuses ours
  ParentRefused,       // it does not connect us; Error::detail: upstream::parent_status
  // policy
  DestinationProhibited,
  Forbidden,
  LimitReached,
  LoopDetected,
  // storage
  StorageIo,
  StorageFull,
  StorageCorrupt,
  // application
  InvalidArgument,
  Cancelled,
  ShuttingDown,
  Internal,
};

// Whose fault or whose link it was.
enum class Side : uint8_t { Client, Origin, Parent, Us };

// May the operation be tried again, decided once where the knowledge is.
enum class Retry : uint8_t {
  Never,
  IfIdempotent,  // the request may have reached the peer
  Safe,          // the request certainly did not reach the peer
};

struct Error {
  ErrorCode code = ErrorCode::Internal;
  Side side = Side::Us;
  Retry retry = Retry::Never;
  uint8_t detail = 0;  // free for the module that made it (a TLS alert, an ares status)
  int32_t sys = 0;     // errno where there was one, else 0

  friend bool operator==(const Error&, const Error&) = default;
};
static_assert(sizeof(Error) == 8 && std::is_trivially_copyable_v<Error>);

// The stable snake_case name of a code, for logs and metrics ("connection_refused").
std::string_view error_name(ErrorCode code);
std::string_view side_name(Side side);

// One line for a log: "connection_refused (origin): Connection refused".
std::string describe(const Error& error);

// The Error for an errno of a socket call towards `side`.
Error error_from_errno(int sys, Side side, Retry retry = Retry::Never);

}  // namespace tributary::core
