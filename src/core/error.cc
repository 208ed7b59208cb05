#include "core/error.h"

#include <cerrno>
#include <cstring>

namespace tributary::core {

std::string_view error_name(ErrorCode code) {
  switch (code) {
    case ErrorCode::ConnectionRefused: return "connection_refused";
    case ErrorCode::ConnectionReset: return "connection_reset";
    case ErrorCode::HostUnreachable: return "host_unreachable";
    case ErrorCode::NetworkIo: return "network_io";
    case ErrorCode::DescriptorsExhausted: return "descriptors_exhausted";
    case ErrorCode::DnsTimeout: return "dns_timeout";
    case ErrorCode::ConnectTimeout: return "connect_timeout";
    case ErrorCode::TlsTimeout: return "tls_timeout";
    case ErrorCode::FirstByteTimeout: return "first_byte_timeout";
    case ErrorCode::ReadTimeout: return "read_timeout";
    case ErrorCode::WriteTimeout: return "write_timeout";
    case ErrorCode::RequestTimeout: return "request_timeout";
    case ErrorCode::AcquireTimeout: return "acquire_timeout";
    case ErrorCode::NameNotFound: return "name_not_found";
    case ErrorCode::DnsFailure: return "dns_failure";
    case ErrorCode::TlsProtocol: return "tls_protocol";
    case ErrorCode::TlsCertificate: return "tls_certificate";
    case ErrorCode::MalformedMessage: return "malformed_message";
    case ErrorCode::MessageTooLarge: return "message_too_large";
    case ErrorCode::IncompleteMessage: return "incomplete_message";
    case ErrorCode::UnsupportedProtocol: return "unsupported_protocol";
    case ErrorCode::ContentMismatch: return "content_mismatch";
    case ErrorCode::ParentCredentials: return "parent_credentials";
    case ErrorCode::ParentRefused: return "parent_refused";
    case ErrorCode::DestinationProhibited: return "destination_prohibited";
    case ErrorCode::Forbidden: return "forbidden";
    case ErrorCode::LimitReached: return "limit_reached";
    case ErrorCode::LoopDetected: return "loop_detected";
    case ErrorCode::StorageIo: return "storage_io";
    case ErrorCode::StorageFull: return "storage_full";
    case ErrorCode::StorageCorrupt: return "storage_corrupt";
    case ErrorCode::InvalidArgument: return "invalid_argument";
    case ErrorCode::Cancelled: return "cancelled";
    case ErrorCode::ShuttingDown: return "shutting_down";
    case ErrorCode::Internal: return "internal";
  }
  return "unknown";
}

std::string_view side_name(Side side) {
  switch (side) {
    case Side::Client: return "client";
    case Side::Origin: return "origin";
    case Side::Parent: return "parent";
    case Side::Us: return "us";
  }
  return "unknown";
}

std::string describe(const Error& error) {
  std::string text(error_name(error.code));
  text += " (";
  text += side_name(error.side);
  text += ')';
  if (error.sys != 0) {
    char buffer[128];
    text += ": ";
    text += strerror_r(error.sys, buffer, sizeof buffer);  // the GNU variant: returns the text
  }
  return text;
}

Error error_from_errno(int sys, Side side, Retry retry) {
  ErrorCode code = ErrorCode::NetworkIo;
  switch (sys) {
    case ECONNREFUSED: code = ErrorCode::ConnectionRefused; break;
    case ECONNRESET:
    case EPIPE:
    case ENOTCONN:
    case ECONNABORTED: code = ErrorCode::ConnectionReset; break;
    case EHOSTUNREACH:
    case ENETUNREACH:
    case EHOSTDOWN:
    case ENETDOWN:
    case EADDRNOTAVAIL: code = ErrorCode::HostUnreachable; break;
    case ETIMEDOUT: code = ErrorCode::ConnectTimeout; break;
    case EMFILE:
    case ENFILE:
    case ENOBUFS:
    case ENOMEM: code = ErrorCode::DescriptorsExhausted; break;
    case ENOSPC:
    case EDQUOT: code = ErrorCode::StorageFull; break;
    default: break;
  }
  return Error{.code = code, .side = side, .retry = retry, .sys = sys};
}

}  // namespace tributary::core
