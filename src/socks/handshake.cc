#include "socks/handshake.h"

#include <arpa/inet.h>
#include <netinet/in.h>

#include <cerrno>
#include <cstring>

namespace tributary::socks {

using namespace std::string_view_literals;

namespace {

constexpr uint8_t kNoLogin = 0x00;  // RFC 1928 3
constexpr uint8_t kPassword = 0x02;
constexpr uint8_t kSucceeded = 0x00;  // RFC 1928 6
constexpr uint8_t kGeneralFailure = 0x01;
constexpr uint8_t kNotAllowed = 0x02;
constexpr uint8_t kNetworkUnreachable = 0x03;
constexpr uint8_t kHostUnreachable = 0x04;
constexpr uint8_t kRefused = 0x05;
constexpr uint8_t kTtlExpired = 0x06;
constexpr uint8_t kGranted4 = 0x5A;
constexpr uint8_t kRejected4 = 0x5B;
constexpr uint8_t kIpv4 = 0x01, kName = 0x03, kIpv6 = 0x04;  // ATYP

constexpr auto kAgreeNoLogin = "\x05\x00"sv;
constexpr auto kAgreePassword = "\x05\x02"sv;
constexpr auto kNoMethod = "\x05\xff"sv;
constexpr auto kLoginRefused = "\x01\x01"sv;
constexpr auto kReply5General = "\x05\x01\x00\x01\x00\x00\x00\x00\x00\x00"sv;
constexpr auto kReply5Command = "\x05\x07\x00\x01\x00\x00\x00\x00\x00\x00"sv;
constexpr auto kReply5Address = "\x05\x08\x00\x01\x00\x00\x00\x00\x00\x00"sv;
constexpr auto kReply4Rejected = "\x00\x5B\x00\x00\x00\x00\x00\x00"sv;

constexpr size_t kMaxString4 =
    255;  // bytes before the NUL; SOCKS4 sets no limit, names have this one anyway

uint8_t byte_at(std::string_view input, size_t index) {
  return static_cast<uint8_t>(input[index]);
}

uint16_t port_at(std::string_view input, size_t index) {
  return static_cast<uint16_t>(byte_at(input, index) << 8 | byte_at(input, index + 1));
}

// Visible ASCII only: a NUL, a space or a control character in a name is an attempt at something
// (V-7).
bool is_name(std::string_view name) {
  if (name.empty()) return false;
  for (const char c : name) {
    if (c <= 0x20 || c >= 0x7f) return false;
  }
  return true;
}

// A NUL-terminated string at `begin`.
enum class Find : uint8_t { Found, NeedMore, TooLong };
Find find_string4(std::string_view input, size_t begin, std::string_view& text) {
  const size_t end = input.find('\0', begin);
  if (end == std::string_view::npos) {
    return input.size() - begin > kMaxString4 ? Find::TooLong : Find::NeedMore;
  }
  text = input.substr(begin, end - begin);
  return text.size() > kMaxString4 ? Find::TooLong : Find::Found;
}

Reply reply5(uint8_t code, std::span<const uint8_t> ip, uint16_t port) {
  Reply reply;
  const bool is_ipv6 = ip.size() == 16;
  const size_t address_size = is_ipv6 ? 16 : 4;
  reply.bytes[0] = 5;
  reply.bytes[1] = static_cast<char>(code);
  reply.bytes[3] = is_ipv6 ? kIpv6 : kIpv4;
  if (ip.size() == address_size) std::memcpy(&reply.bytes[4], ip.data(), address_size);
  reply.bytes[4 + address_size] = static_cast<char>(port >> 8);
  reply.bytes[5 + address_size] = static_cast<char>(port & 0xff);
  reply.size = static_cast<uint8_t>(6 + address_size);
  return reply;
}

Reply reply4(uint8_t code, std::span<const uint8_t> ip, uint16_t port) {
  Reply reply;
  reply.bytes[1] = static_cast<char>(code);
  reply.bytes[2] = static_cast<char>(port >> 8);
  reply.bytes[3] = static_cast<char>(port & 0xff);
  if (ip.size() == 4) std::memcpy(&reply.bytes[4], ip.data(), 4);
  reply.size = 8;
  return reply;
}

}  // namespace

std::string Request::host() const {
  if (kind == HostKind::Name) return std::string(name);
  char text[INET6_ADDRSTRLEN];
  return ::inet_ntop(kind == HostKind::IPv4 ? AF_INET : AF_INET6, ip.data(), text, sizeof text);
}

std::string_view refusal_name(Refusal refusal) {
  switch (refusal) {
    case Refusal::None:
      return "none";
    case Refusal::UnknownVersion:
      return "unknown_version";
    case Refusal::VersionNotAllowed:
      return "version_not_allowed";
    case Refusal::NoAcceptableMethod:
      return "no_acceptable_method";
    case Refusal::LoginRefused:
      return "login_refused";
    case Refusal::Malformed:
      return "malformed";
    case Refusal::UnsupportedCommand:
      return "unsupported_command";
    case Refusal::UnsupportedAddress:
      return "unsupported_address";
    case Refusal::InvalidName:
      return "invalid_name";
    case Refusal::InvalidPort:
      return "invalid_port";
    case Refusal::TooLong:
      return "too_long";
    case Refusal::Failed:
      return "failed";
  }
  return "none";
}

Step Handshake::advance(std::string_view input) {
  if (input.empty()) return {};
  switch (state_.get()) {
    case State::Start:
      if (input[0] == 5) return greeting(input);
      if (input[0] == 4) return request4(input);
      return refuse(Refusal::UnknownVersion, {}, input.size());
    case State::LoginDue:
      return credentials(input);
    case State::Greeted:
      return request5(input);
    case State::Verifying:
    case State::Asked:
    case State::Done:
    case State::Refused:
      break;
  }
  return {};
}

// RFC 1928 3: VER NMETHODS METHODS.
Step Handshake::greeting(std::string_view input) {
  version_ = Version::V5;
  if (input.size() < 2) return {};
  const size_t size = size_t{2} + byte_at(input, 1);
  if (input.size() < size) return {};
  if (!settings_.allow_v5) return refuse(Refusal::VersionNotAllowed, kNoMethod, input.size());

  const uint8_t wanted = settings_.require_login ? kPassword : kNoLogin;
  if (input.substr(2, size - 2).find(static_cast<char>(wanted)) == std::string_view::npos) {
    return refuse(Refusal::NoAcceptableMethod, kNoMethod, input.size());
  }
  state_.become(settings_.require_login ? State::LoginDue : State::Greeted);
  Step step;
  step.outcome = Outcome::Send;
  step.consumed = size;
  step.reply = settings_.require_login ? kAgreePassword : kAgreeNoLogin;
  return step;
}

// RFC 1929 2: VER ULEN UNAME PLEN PASSWD. An empty password is passed on to be refused, or not,
// with the rest.
Step Handshake::credentials(std::string_view input) {
  if (input[0] != 1) return refuse(Refusal::Malformed, kLoginRefused, input.size());
  if (input.size() < 2) return {};
  const size_t user_size = byte_at(input, 1);
  if (user_size == 0) return refuse(Refusal::Malformed, kLoginRefused, input.size());
  if (input.size() < 3 + user_size) return {};
  const size_t size = 3 + user_size + byte_at(input, 2 + user_size);
  if (input.size() < size) return {};

  state_.become(State::Verifying);
  Step step;
  step.outcome = Outcome::Login;
  step.consumed = size;
  step.user = input.substr(2, user_size);
  step.password = input.substr(3 + user_size, size - 3 - user_size);
  return step;
}

// RFC 1928 4: VER CMD RSV ATYP DST.ADDR DST.PORT. What can be refused before the message is
// complete is judged in the order of its bytes, the rest when it is complete, so that splitting the
// input changes nothing.
Step Handshake::request5(std::string_view input) {
  if (input[0] != 5) return refuse(Refusal::Malformed, kReply5General, input.size());
  if (input.size() < 3) return {};
  if (input[2] != 0) return refuse(Refusal::Malformed, kReply5General, input.size());
  if (input.size() < 4) return {};

  const bool is_connect = byte_at(input, 1) == static_cast<uint8_t>(Command::Connect);
  const uint8_t type = byte_at(input, 3);
  size_t address = 4, address_size = 0;
  if (type == kIpv4) {
    address_size = 4;
  } else if (type == kIpv6) {
    address_size = 16;
  } else if (type == kName) {
    if (input.size() < 5) return {};
    address = 5;
    address_size = byte_at(input, 4);
  } else {
    return is_connect ? refuse(Refusal::UnsupportedAddress, kReply5Address, input.size())
                      : refuse(Refusal::UnsupportedCommand, kReply5Command, input.size());
  }
  const size_t size = address + address_size + 2;
  if (input.size() < size) return {};
  if (!is_connect) return refuse(Refusal::UnsupportedCommand, kReply5Command, input.size());

  Request request;
  request.port = port_at(input, size - 2);
  if (type == kName) {
    request.name = input.substr(address, address_size);
    if (!is_name(request.name)) return refuse(Refusal::InvalidName, kReply5General, input.size());
  } else {
    request.kind = type == kIpv4 ? HostKind::IPv4 : HostKind::IPv6;
    std::memcpy(request.ip.data(), input.data() + address, address_size);
  }
  if (request.port == 0) return refuse(Refusal::InvalidPort, kReply5General, input.size());
  return ask(request, size);
}

// SOCKS4: VN CD DSTPORT DSTIP USERID NUL; SOCKS4a, told by the address 0.0.0.x with x not 0: … NAME
// NUL.
Step Handshake::request4(std::string_view input) {
  version_ = Version::V4;
  if (input.size() < 8) return {};
  Request request;
  request.version = Version::V4;
  switch (find_string4(input, 8, request.user)) {
    case Find::NeedMore:
      return {};
    case Find::TooLong:
      return refuse(Refusal::TooLong, kReply4Rejected, input.size());
    case Find::Found:
      break;
  }
  size_t size = 8 + request.user.size() + 1;
  const bool is_4a = input.substr(4, 3) == "\0\0\0"sv && input[7] != 0;
  if (is_4a) {
    switch (find_string4(input, size, request.name)) {
      case Find::NeedMore:
        return {};
      case Find::TooLong:
        return refuse(Refusal::TooLong, kReply4Rejected, input.size());
      case Find::Found:
        break;
    }
    size += request.name.size() + 1;
  } else {
    request.kind = HostKind::IPv4;
    std::memcpy(request.ip.data(), input.data() + 4, 4);
  }

  if (!settings_.allow_v4) return refuse(Refusal::VersionNotAllowed, kReply4Rejected, input.size());
  if (settings_.require_login) {
    return refuse(Refusal::NoAcceptableMethod, kReply4Rejected, input.size());
  }
  if (byte_at(input, 1) != static_cast<uint8_t>(Command::Connect)) {
    return refuse(Refusal::UnsupportedCommand, kReply4Rejected, input.size());
  }
  if (is_4a && !is_name(request.name)) {
    return refuse(Refusal::InvalidName, kReply4Rejected, input.size());
  }
  request.port = port_at(input, 2);
  if (request.port == 0) return refuse(Refusal::InvalidPort, kReply4Rejected, input.size());
  return ask(request, size);
}

Step Handshake::refuse(Refusal refusal, std::string_view reply, size_t consumed) {
  state_.become(State::Refused);
  Step step;
  step.outcome = Outcome::Refuse;
  step.refusal = refusal;
  step.reply = reply;
  step.consumed = consumed;
  return step;
}

Step Handshake::ask(const Request& request, size_t consumed) {
  state_.become(State::Asked);
  Step step;
  step.outcome = Outcome::Ask;
  step.consumed = consumed;
  step.request = request;
  return step;
}

Reply Handshake::login(bool accepted) {
  state_.become(accepted ? State::Greeted : State::Refused);
  Reply reply;
  reply.bytes[0] = 1;
  reply.bytes[1] = accepted ? 0 : 1;
  reply.size = 2;
  return reply;
}

Reply Handshake::established(std::span<const uint8_t> ip, uint16_t port) {
  state_.become(State::Done);
  return version_ == Version::V5 ? reply5(kSucceeded, ip, port) : reply4(kGranted4, ip, port);
}

Reply Handshake::failed(const core::Error& error) {
  state_.become(State::Refused);
  return version_ == Version::V5 ? reply5(socks5_reply_code(error), {}, 0)
                                 : reply4(socks4_reply_code(error), {}, 0);
}

uint8_t socks5_reply_code(const core::Error& error) {
  using core::ErrorCode;
  switch (error.code) {
    case ErrorCode::ConnectionRefused:
      return kRefused;
    case ErrorCode::NameNotFound:
    case ErrorCode::DnsFailure:
    case ErrorCode::DnsTimeout:
      return kHostUnreachable;
    case ErrorCode::HostUnreachable:
      return error.sys == ENETUNREACH ? kNetworkUnreachable : kHostUnreachable;
    // The nearest that RFC 1928 has to "nobody answered in time".
    case ErrorCode::ConnectTimeout:
      return kTtlExpired;
    case ErrorCode::DestinationProhibited:
    case ErrorCode::Forbidden:
      return kNotAllowed;
    default:
      return kGeneralFailure;
  }
}

// SOCKS4 knows one reason only that we could have: "rejected or failed"; 5C and 5D are about
// identd.
uint8_t socks4_reply_code(const core::Error&) {
  return kRejected4;
}

}  // namespace tributary::socks
