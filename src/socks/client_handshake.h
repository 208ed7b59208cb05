// The client's side of SOCKS5 (RFC 1928, RFC 1929): CONNECT to a host through a proxy. Sans-I/O: bytes in, bytes out.
//
//   ClientHandshake handshake(host, port, login);
//   handshake.start(out);                      // send out
//   step = handshake.advance(input, out);      // drop step.consumed bytes; send out if there is any
//
// Names go to the proxy as names: it looks them up (what curl calls socks5h). What follows the last reply is never
// consumed: it is the host's. The states are drawn in docs/state-machines/socks_client.md. Loop-affine.
#pragma once

#include <cstddef>
#include <cstdint>
#include <string>
#include <string_view>

#include "core/error.h"
#include "core/fsm.h"

namespace tributary::socks {

enum class ClientState : uint8_t {
  Start,
  Greeted,    // the methods were offered
  LoggingIn,  // RFC 1929 is under way
  Asked,      // the request was sent
  Done,       // the bytes that follow are the host's
  Failed,
};
inline constexpr core::Edge<ClientState> kClientEdges[] = {
    {ClientState::Start, ClientState::Greeted},     {ClientState::Start, ClientState::Failed},
    {ClientState::Greeted, ClientState::LoggingIn}, {ClientState::Greeted, ClientState::Asked},
    {ClientState::Greeted, ClientState::Failed},    {ClientState::LoggingIn, ClientState::Asked},
    {ClientState::LoggingIn, ClientState::Failed},  {ClientState::Asked, ClientState::Done},
    {ClientState::Asked, ClientState::Failed},
};

// RFC 1929 has a byte for each length.
inline constexpr size_t kMaxLogin = 255;

class ClientHandshake {
 public:
  struct Login {
    std::string_view user, password;  // 1 to 255 bytes, 0 to 255 bytes
    bool is_given = false;
  };
  // `host`: a name of 1 to 255 bytes, or an address in text without brackets. What the views show is used until it is over.
  ClientHandshake(std::string_view host, uint16_t port, Login login) : host_(host), port_(port), login_(login) {}

  enum class Outcome : uint8_t { NeedMore, Send, Done, Failed };
  struct Step {
    Outcome outcome = Outcome::NeedMore;
    size_t consumed = 0;
    core::Error error;  // of Failed. Side::Parent: the proxy's fault; Side::Origin: what it says of the host
  };
  // Appends the first message.
  void start(std::string& out);
  // Send: something was appended to `out`.
  Step advance(std::string_view input, std::string& out);

  ClientState state() const { return state_.get(); }

 private:
  Step fail(core::Error error);
  Step ask(size_t consumed, std::string& out);
  Step replied(std::string_view input);

  std::string_view host_;
  uint16_t port_;
  Login login_;
  core::Machine<ClientState> state_{ClientState::Start, kClientEdges};
};

}  // namespace tributary::socks
