// The server's side of SOCKS4, 4a and 5 (RFC 1928, RFC 1929), sans-I/O: bytes in, replies and one
// request out.
//
//   Handshake handshake(settings);
//   for (;;) {
//     Step step = handshake.advance(input);
//     input.remove_prefix(step.consumed);                        // drop exactly these bytes
//     switch (step.outcome) {
//       case Outcome::NeedMore: read more behind `input`, come again; …
//       case Outcome::Send:     send step.reply, go on; …
//       case Outcome::Login:    handshake.login(ok) gives the reply; …
//       case Outcome::Ask:      connect to step.request; then handshake.established(…) or
//       .failed(…) gives the reply case Outcome::Refuse:   send step.reply (may be empty), close; …
//     }
//   }
//
// It keeps no bytes itself: a message that is not complete is left in the caller's input, of which
// at most kMaxMessage bytes are ever needed, so an idle handshake costs 24 bytes and nothing is
// allocated. What follows the request (a client that pipelines its TLS hello) is never consumed: it
// belongs to the tunnel. Splitting the input in any way gives the same outcomes. The states and
// edges are drawn in docs/state-machines/socks_handshake.md. Loop-affine.
#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <span>
#include <string>
#include <string_view>

#include "core/error.h"
#include "core/fsm.h"

namespace tributary::socks {

enum class Version : uint8_t { V4 = 4, V5 = 5 };
enum class Command : uint8_t { Connect = 1, Bind = 2, UdpAssociate = 3 };
enum class HostKind : uint8_t { IPv4, IPv6, Name };

// No message is longer: SOCKS4a with a user id and a name of 255 bytes each.
inline constexpr size_t kMaxMessage = 8 + 256 + 256;

struct HandshakeSettings {
  bool allow_v4 = true;
  bool allow_v5 = true;
  bool require_login = false;  // RFC 1929 for SOCKS5; SOCKS4 has no password and is refused then
};

// What the client asks for. The views point into the bytes given to advance() and live as long as
// those.
struct Request {
  Version version = Version::V5;
  Command command = Command::Connect;
  HostKind kind = HostKind::Name;
  uint16_t port = 0;             // host byte order, never 0
  std::array<uint8_t, 16> ip{};  // network order, the first 4 or 16 bytes, unless kind is Name
  std::string_view name;  // 1 to 255 bytes without control characters, space or NUL; kind Name only
  std::string_view user;  // SOCKS4 user id; unverified, for the log only

  std::span<const uint8_t> address() const {
    return {ip.data(), kind == HostKind::Name   ? size_t{0}
                       : kind == HostKind::IPv4 ? size_t{4}
                                                : size_t{16}};
  }
  // The host as the resolver takes it: the name, or the address as text ("192.0.2.1",
  // "2001:db8::1").
  std::string host() const;
};

enum class Outcome : uint8_t { NeedMore, Send, Login, Ask, Refuse };

// Why a handshake was refused; for the log and the metrics.
enum class Refusal : uint8_t {
  None,
  UnknownVersion,
  VersionNotAllowed,
  NoAcceptableMethod,
  LoginRefused,
  Malformed,  // a length, a reserved or a version byte that no client sends
  UnsupportedCommand,
  UnsupportedAddress,  // ATYP
  InvalidName,
  InvalidPort,
  TooLong,  // a SOCKS4 string without its NUL
  Failed,   // asked for and not obtained: failed() was called
};
std::string_view refusal_name(Refusal refusal);

struct Step {
  Outcome outcome = Outcome::NeedMore;
  Refusal refusal = Refusal::None;
  size_t consumed = 0;
  std::string_view reply;           // lives for ever; for Send and Refuse
  Request request;                  // for Ask
  std::string_view user, password;  // for Login; point into the input
};

// A final reply, at most 22 bytes.
struct Reply {
  std::array<char, 22> bytes{};
  uint8_t size = 0;
  std::string_view view() const { return {bytes.data(), size}; }
};

enum class State : uint8_t {
  Start,      // nothing read; the first byte tells the version
  Greeted,    // SOCKS5, a method was agreed that asks nothing more: the request comes
  LoginDue,   // SOCKS5, the RFC 1929 message comes
  Verifying,  // the caller checks the login
  Asked,      // the caller connects
  Done,       // the bytes that follow are the tunnel's
  Refused,
};
inline constexpr core::Edge<State> kEdges[] = {
    {State::Start, State::Greeted},      {State::Start, State::LoginDue},
    {State::Start, State::Asked},        {State::Start, State::Refused},
    {State::LoginDue, State::Verifying}, {State::LoginDue, State::Refused},
    {State::Verifying, State::Greeted},  {State::Verifying, State::Refused},
    {State::Greeted, State::Asked},      {State::Greeted, State::Refused},
    {State::Asked, State::Done},         {State::Asked, State::Refused},
};

class Handshake {
 public:
  explicit Handshake(HandshakeSettings settings = {}) : settings_(settings) {}

  // Takes at most one message from the front of `input`. With NeedMore nothing is consumed and the
  // same bytes, with more behind them, must come again. Not to be called in Verifying, Asked, Done
  // or Refused: answers NeedMore there.
  Step advance(std::string_view input);

  // After Outcome::Login. The reply is for sending; after a refusal (RFC 1929 2) the connection
  // must be closed.
  Reply login(bool accepted);

  // After Outcome::Ask: the reply that opens the tunnel. `ip` (4 or 16 bytes, or none) and `port`
  // are the local end of the connection that was made; SOCKS5 clients are told it.
  Reply established(std::span<const uint8_t> ip, uint16_t port);
  // After Outcome::Ask: the reply that says what went wrong; then close.
  Reply failed(const core::Error& error);

  State state() const { return state_.get(); }
  Version version() const { return version_; }  // meaningful once bytes were consumed

 private:
  Step greeting(std::string_view input);
  Step credentials(std::string_view input);
  Step request4(std::string_view input);
  Step request5(std::string_view input);
  Step refuse(Refusal refusal, std::string_view reply, size_t consumed);
  Step ask(const Request& request, size_t consumed);

  core::Machine<State> state_{State::Start, kEdges};
  HandshakeSettings settings_;
  Version version_ = Version::V5;
};
static_assert(sizeof(Handshake) <= 24);

// REP (RFC 1928 6) and CD (SOCKS4) for an error of ours.
uint8_t socks5_reply_code(const core::Error& error);
uint8_t socks4_reply_code(const core::Error& error);

}  // namespace tributary::socks
