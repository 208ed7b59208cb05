#include "fetch/exit_status.h"

#include <cstring>

#include "upstream/route.h"

namespace tributary::fetch {
namespace {

using core::ErrorCode;

struct Meaning {
  ExitStatus status;
  const char* words;
};

Meaning meaning(ErrorCode code) {
  switch (code) {
    case ErrorCode::ConnectionRefused: return {ExitStatus::Network, "the connection was refused"};
    case ErrorCode::ConnectionReset: return {ExitStatus::Network, "the connection was closed by the other side"};
    case ErrorCode::HostUnreachable: return {ExitStatus::Network, "the host cannot be reached"};
    case ErrorCode::NetworkIo: return {ExitStatus::Network, "the network failed"};
    case ErrorCode::DescriptorsExhausted: return {ExitStatus::Generic, "too many files are open"};
    case ErrorCode::DnsTimeout: return {ExitStatus::Network, "no name server answered in time"};
    case ErrorCode::ConnectTimeout: return {ExitStatus::Network, "no connection within the time limit"};
    case ErrorCode::TlsTimeout: return {ExitStatus::Tls, "the TLS handshake took too long"};
    case ErrorCode::FirstByteTimeout: return {ExitStatus::Network, "the server did not answer in time"};
    case ErrorCode::ReadTimeout: return {ExitStatus::Network, "the server fell silent"};
    case ErrorCode::WriteTimeout: return {ExitStatus::Network, "the server does not take the request"};
    case ErrorCode::RequestTimeout: return {ExitStatus::Network, "the request took too long"};
    case ErrorCode::AcquireTimeout: return {ExitStatus::Network, "no connection became free in time"};
    case ErrorCode::NameNotFound: return {ExitStatus::Network, "there is no such host"};
    case ErrorCode::DnsFailure: return {ExitStatus::Network, "the host's name cannot be looked up"};
    case ErrorCode::TlsProtocol: return {ExitStatus::Tls, "no TLS could be agreed on"};
    case ErrorCode::TlsCertificate: return {ExitStatus::Tls, "the server's certificate cannot be trusted"};
    case ErrorCode::MalformedMessage: return {ExitStatus::Protocol, "the answer is not valid HTTP"};
    case ErrorCode::MessageTooLarge: return {ExitStatus::Protocol, "the head of the answer is too large"};
    case ErrorCode::IncompleteMessage: return {ExitStatus::Network, "the content ended too early"};
    case ErrorCode::UnsupportedProtocol: return {ExitStatus::Protocol, "this protocol is not spoken here"};
    case ErrorCode::ContentMismatch: return {ExitStatus::Protocol, "the server's parts do not belong to one file"};
    case ErrorCode::ParentCredentials: return {ExitStatus::Credentials, "it wants credentials, or others (user:password@ in its URL)"};
    case ErrorCode::ParentRefused: return {ExitStatus::Network, "it does not connect us"};
    case ErrorCode::DestinationProhibited:
    case ErrorCode::Forbidden: return {ExitStatus::Server, "refused"};
    case ErrorCode::LimitReached: return {ExitStatus::Server, "the server refuses further requests"};
    case ErrorCode::LoopDetected: return {ExitStatus::Protocol, "the redirects lead around in a circle"};
    case ErrorCode::StorageIo: return {ExitStatus::File, "the file cannot be written"};
    case ErrorCode::StorageFull: return {ExitStatus::File, "the disk is full"};
    case ErrorCode::StorageCorrupt: return {ExitStatus::File, "the file was damaged"};
    case ErrorCode::InvalidArgument: return {ExitStatus::Usage, "not valid"};
    case ErrorCode::Cancelled:
    case ErrorCode::ShuttingDown: return {ExitStatus::Generic, "interrupted"};
    case ErrorCode::Internal: return {ExitStatus::Generic, "an internal error"};
  }
  return {ExitStatus::Generic, "an unknown error"};
}

}  // namespace

ExitStatus exit_status(const core::Error& error) { return meaning(error.code).status; }

ExitStatus exit_status_of_response(uint16_t status) {
  return status == 401 || status == 407 ? ExitStatus::Credentials : ExitStatus::Server;
}

std::string explain(const core::Error& error) {
  std::string text = meaning(error.code).words;
  if (const auto status = upstream::parent_status(error)) text += " (" + std::to_string(*status) + ")";
  // The system's word says more where ours is general: a file, a route.
  const bool is_general = error.code == ErrorCode::StorageIo || error.code == ErrorCode::NetworkIo ||
                          error.code == ErrorCode::HostUnreachable;
  if (is_general && error.sys != 0) {
    char buffer[128];
    text += ": ";
    text += strerror_r(error.sys, buffer, sizeof buffer);  // the GNU variant: returns the text
  }
  return text;
}

}  // namespace tributary::fetch
