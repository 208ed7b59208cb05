#include "socks/client_handshake.h"

#include "net/address.h"

namespace tributary::socks {
namespace {

using core::ErrorCode;

constexpr char kVersion = 5, kLoginVersion = 1, kNoLogin = 0, kUserPassword = 2, kConnect = 1;
constexpr char kIPv4 = 1, kName = 3, kIPv6 = 4;

core::Error parent_error(ErrorCode code) {
  return {.code = code, .side = core::Side::Parent, .retry = core::Retry::Safe};
}

// RFC 1928, 6. What the proxy says of the host is the host's; the rest is its own.
core::Error error_of_reply(uint8_t reply) {
  core::Error error{.side = core::Side::Origin, .retry = core::Retry::Safe};
  switch (reply) {
    case 2: return parent_error(ErrorCode::Forbidden);
    case 3:
    case 4:
    case 6: error.code = ErrorCode::HostUnreachable; return error;
    case 5: error.code = ErrorCode::ConnectionRefused; return error;
    case 7:
    case 8: return parent_error(ErrorCode::UnsupportedProtocol);
    default: return parent_error(ErrorCode::ParentRefused);
  }
}

void append_sized(std::string_view text, std::string& out) {
  out += static_cast<char>(text.size());
  out += text;
}

}  // namespace

void ClientHandshake::start(std::string& out) {
  state_.become(ClientState::Greeted);
  out += kVersion;
  out += login_.is_given ? char{2} : char{1};
  out += kNoLogin;
  if (login_.is_given) out += kUserPassword;
}

ClientHandshake::Step ClientHandshake::advance(std::string_view input, std::string& out) {
  const auto malformed = [this] { return fail(parent_error(ErrorCode::MalformedMessage)); };
  // Every message begins with its version: another protocol is told by its first byte.
  const char version = state_.is(ClientState::LoggingIn) ? kLoginVersion : kVersion;
  if (!input.empty() && input[0] != version) return malformed();
  if (state_.is(ClientState::Asked)) return replied(input);
  if (input.size() < 2) return {};
  const char answer = input[1];
  if (state_.is(ClientState::LoggingIn)) {
    return answer == 0 ? ask(2, out) : fail(parent_error(ErrorCode::ParentCredentials));
  }
  if (answer == kNoLogin) return ask(2, out);
  if (answer == kUserPassword && login_.is_given) {
    state_.become(ClientState::LoggingIn);
    out += kLoginVersion;
    append_sized(login_.user, out);
    append_sized(login_.password, out);
    return {Outcome::Send, 2, {}};
  }
  // 0xff: none of the offered methods, which is to say that credentials are lacking, or not taken.
  return answer == '\xff' ? fail(parent_error(ErrorCode::ParentCredentials)) : malformed();
}

ClientHandshake::Step ClientHandshake::ask(size_t consumed, std::string& out) {
  const auto literal = net::IpAddress::parse(host_);
  if (!literal && (host_.empty() || host_.size() > 255)) return fail({.code = ErrorCode::InvalidArgument, .side = core::Side::Us});
  state_.become(ClientState::Asked);
  out += kVersion;
  out += kConnect;
  out += '\0';
  if (literal) {
    out += literal->is_v4() ? kIPv4 : kIPv6;
    const auto& bytes = literal->bytes();
    for (size_t i = 0; i < (literal->is_v4() ? 4u : 16u); ++i) out += static_cast<char>(bytes[i]);
  } else {
    out += kName;
    append_sized(host_, out);
  }
  out += static_cast<char>(port_ >> 8);
  out += static_cast<char>(port_ & 0xff);
  return {Outcome::Send, consumed, {}};
}

// VER REP RSV ATYP BND.ADDR BND.PORT; the address is of no use to us, but its length is.
ClientHandshake::Step ClientHandshake::replied(std::string_view input) {
  if (input.size() < 2) return {};
  // A refusal is one whatever follows, and some proxies close before they have sent it all.
  if (input[1] != 0) return fail(error_of_reply(static_cast<uint8_t>(input[1])));
  if (input.size() < 5) return {};
  size_t size = 4 + 2;
  switch (input[3]) {
    case kIPv4: size += 4; break;
    case kIPv6: size += 16; break;
    case kName: size += 1 + static_cast<uint8_t>(input[4]); break;
    default: return fail(parent_error(ErrorCode::MalformedMessage));
  }
  if (input.size() < size) return {};
  state_.become(ClientState::Done);
  return {Outcome::Done, size, {}};
}

ClientHandshake::Step ClientHandshake::fail(core::Error error) {
  state_.become(ClientState::Failed);
  return {Outcome::Failed, 0, error};
}

}  // namespace tributary::socks
