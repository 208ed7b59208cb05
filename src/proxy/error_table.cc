#include "proxy/error_table.h"

#include <array>

#include "http/message.h"

namespace tributary::proxy {
namespace {

using core::ErrorCode;

// clang-format off
constexpr ErrorRow kRows[] = {
    {ErrorCode::ConnectionRefused, 502, 400, "connection_refused", "The server refused the connection",
     "Check the port, and whether the server runs."},
    {ErrorCode::ConnectionReset, 502, 400, "connection_terminated", "The server closed the connection too early",
     "Try again; if it goes on, the server or a device before it cuts connections."},
    {ErrorCode::HostUnreachable, 502, 400, "destination_ip_unroutable", "There is no way to the server",
     "Check the address and the network of this machine."},
    {ErrorCode::NetworkIo, 502, 400, "connection_terminated", "The connection failed",
     "Try again; the detail says what the system reported."},
    {ErrorCode::DescriptorsExhausted, 503, 503, "proxy_internal_error", "The proxy has no free descriptors",
     "Try again soon; the operator should raise the limit of open files."},
    {ErrorCode::DnsTimeout, 504, 504, "dns_timeout", "No name server answered in time",
     "Try again; if it goes on, check the name servers this machine uses."},
    {ErrorCode::ConnectTimeout, 504, 504, "connection_timeout", "The server did not accept the connection in time",
     "Check the address; a firewall may be dropping the packets."},
    {ErrorCode::TlsTimeout, 504, 504, "connection_timeout", "The server did not finish the TLS handshake in time",
     "Try again later."},
    {ErrorCode::FirstByteTimeout, 504, 504, "http_response_timeout", "The server did not answer in time",
     "Try again later; the server is overloaded or the request takes it long."},
    {ErrorCode::ReadTimeout, 504, 408, "connection_read_timeout", "The sender fell silent",
     "Try again."},
    {ErrorCode::WriteTimeout, 504, 408, "connection_write_timeout", "The receiver took no more bytes",
     "Try again."},
    {ErrorCode::RequestTimeout, 504, 408, "http_response_timeout", "The request took longer than it may",
     "Try again later, or ask for less at once."},
    {ErrorCode::AcquireTimeout, 503, 503, "connection_limit_reached", "No connection to the server became free in time",
     "Try again soon; many requests for this server are waiting."},
    {ErrorCode::NameNotFound, 502, 502, "dns_error", "There is no such host",
     "Check the spelling of the name."},
    {ErrorCode::DnsFailure, 502, 502, "dns_error", "The name could not be looked up",
     "Try again; if it goes on, check the name servers this machine uses."},
    {ErrorCode::TlsProtocol, 502, 400, "tls_protocol_error", "The TLS handshake failed",
     "Check that this port speaks TLS, in a version that is not obsolete."},
    {ErrorCode::TlsCertificate, 502, 400, "tls_certificate_error", "The server's certificate was not accepted",
     "Do not go on unless you know why; the proxy's log says what is wrong with it."},
    {ErrorCode::MalformedMessage, 502, 400, "http_protocol_error", "The message is malformed",
     "The sender breaks the HTTP protocol; nothing was passed on."},
    {ErrorCode::MessageTooLarge, 502, 431, "http_response_header_section_size", "The message's head is too large",
     "Send fewer or smaller fields (cookies, most often)."},
    {ErrorCode::IncompleteMessage, 502, 400, "http_response_incomplete", "The message ended before its end",
     "Try again."},
    {ErrorCode::UnsupportedProtocol, 502, 501, "http_upgrade_failed", "This protocol is not supported",
     "Use http or https."},
    {ErrorCode::ContentMismatch, 502, 502, "http_response_incomplete", "The content changed while it was fetched",
     "Try again; the new version will be fetched from its beginning."},
    {ErrorCode::ParentCredentials, 502, 502, "proxy_configuration_error", "The next proxy does not accept our credentials",
     "The operator should look at the user and the password of that proxy."},
    {ErrorCode::ParentRefused, 502, 502, "destination_unavailable", "The next proxy could not connect to the server",
     "Check the name and the port; the next proxy's log says more."},
    {ErrorCode::DestinationProhibited, 403, 403, "destination_ip_prohibited", "This address may not be reached through the proxy",
     "The operator can allow private addresses with access.allow_private."},
    {ErrorCode::Forbidden, 403, 403, "http_request_denied", "The proxy's rules do not allow this request",
     "Ask the operator if you need this destination."},
    {ErrorCode::LimitReached, 503, 413, "connection_limit_reached", "A limit of the proxy is reached",
     "Try again soon, or ask for less."},
    {ErrorCode::LoopDetected, 508, 508, "proxy_loop_detected", "The request came back to this proxy",
     "Check which proxy this name or address leads to."},
    {ErrorCode::StorageIo, 500, 500, "proxy_internal_error", "The proxy could not read what it had stored",
     "Try again; the operator finds more in the log."},
    {ErrorCode::StorageFull, 500, 500, "proxy_internal_error", "The proxy's disk is full",
     "The operator should make room or lower cache.size."},
    {ErrorCode::StorageCorrupt, 500, 500, "proxy_internal_error", "What the proxy had stored was damaged",
     "Try again; it is fetched anew."},
    {ErrorCode::InvalidArgument, 500, 400, "proxy_internal_error", "The request makes no sense",
     "Check the URL."},
    {ErrorCode::Cancelled, 500, 500, "proxy_internal_error", "The request was cancelled",
     "Try again."},
    {ErrorCode::ShuttingDown, 503, 503, "proxy_internal_error", "The proxy is shutting down",
     "Try again soon."},
    {ErrorCode::Internal, 500, 500, "proxy_internal_error", "The proxy failed",
     "This is a fault of the proxy; the operator finds more in the log."},
};
// clang-format on

constexpr bool in_order() {
  for (size_t i = 0; i < std::size(kRows); ++i) {
    if (static_cast<size_t>(kRows[i].code) != i) return false;
  }
  return std::size(kRows) == static_cast<size_t>(ErrorCode::Internal) + 1;
}
static_assert(in_order(), "a row for every code, in the order of core::ErrorCode");

}  // namespace

std::span<const ErrorRow> error_table() { return kRows; }

const ErrorRow& error_row(core::ErrorCode code) { return kRows[static_cast<size_t>(code)]; }

uint16_t error_status(const core::Error& error) {
  const ErrorRow& row = error_row(error.code);
  if (error.side != core::Side::Client) return row.status;
  // What exactly the client got wrong is in the detail (http::MessageFault).
  const bool has_fault = error.detail != 0 && (error.code == ErrorCode::MalformedMessage ||
                                               error.code == ErrorCode::MessageTooLarge ||
                                               error.code == ErrorCode::IncompleteMessage ||
                                               error.code == ErrorCode::UnsupportedProtocol);
  return has_fault ? http::suggested_status(error) : row.client_status;
}

std::string_view proxy_status_type(const core::Error& error) {
  if (error.side == core::Side::Client) {
    switch (error.code) {
      case ErrorCode::ConnectionReset:
      case ErrorCode::ReadTimeout:
      case ErrorCode::WriteTimeout:
      case ErrorCode::RequestTimeout:
      case ErrorCode::MalformedMessage:
      case ErrorCode::MessageTooLarge:
      case ErrorCode::IncompleteMessage:
      case ErrorCode::UnsupportedProtocol:
      case ErrorCode::InvalidArgument:
        return "http_request_error";
      case ErrorCode::LimitReached:
        return "http_request_denied";
      default:
        break;
    }
  }
  return error_row(error.code).proxy_status;
}

}  // namespace tributary::proxy
