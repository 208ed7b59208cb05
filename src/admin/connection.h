// One client of the admin listener: reads a request, writes its response, again until somebody
// closes.
//
//   Reading --request--> Writing --sent, kept alive--> Reading
//      |  |                 |  |--sent, to be closed--> Draining --peer ended--> Done
//      |  '--> Handling --answer                                                  ^
//      '--end, deadline--'--end-----'--------failed, deadline---------------------'
//
// Handling waits for the cache's service, as long as the client is there: an end of its direction
// counts as its leaving, and cancels.
//
// Draining takes what the client still sends, for a moment: closing a socket with unread bytes
// resets it, and the response would be lost on its way (RFC 9112 9.6). Loop-affine; owned by the
// Server, which reaps it when is_done().
#pragma once

#include <memory>
#include <string>
#include <string_view>

#include "admin/handlers.h"
#include "core/fsm.h"
#include "http/h1.h"
#include "net/stream.h"

namespace tributary::admin {

enum class ConnectionState : uint8_t { Reading, Handling, Writing, Draining, Done };
inline constexpr core::Edge<ConnectionState> kConnectionEdges[] = {
    {ConnectionState::Reading, ConnectionState::Writing},
    {ConnectionState::Reading, ConnectionState::Done},
    {ConnectionState::Reading, ConnectionState::Handling},
    {ConnectionState::Handling, ConnectionState::Writing},
    {ConnectionState::Handling, ConnectionState::Done},
    {ConnectionState::Writing, ConnectionState::Reading},
    {ConnectionState::Writing, ConnectionState::Draining},
    {ConnectionState::Writing, ConnectionState::Done},
    {ConnectionState::Draining, ConnectionState::Done},
};

class Connection {
 public:
  // `finished` is called once, when the connection is done; it must not destroy the connection on
  // the spot.
  Connection(core::Loop& loop, core::Fd fd, const net::SocketAddress& peer, const Context& context,
             core::Callback<void()> finished);
  bool is_done() const { return state_.is(ConnectionState::Done); }

 private:
  void on_ready(core::Interest ready);
  void on_deadline();
  void receive();
  void take(std::string_view input);
  bool parse(std::string_view& input);
  bool begin_content();
  void answer();
  void listen_while_handling();
  void respond(const Response& response, bool keep_alive, bool head_only);
  void send();
  void drain();
  void done();
  void wait_for(core::Interest interest) { stream_.set_interest(interest); }

  core::Loop& loop_;
  const Context& context_;
  core::Callback<void()> finished_;
  core::Machine<ConnectionState> state_{ConnectionState::Reading, kConnectionEdges};
  http::H1Parser parser_;
  std::string pending_;  // bytes behind the request being answered; less than one read
  std::string content_;  // of the request; at most kMaxContent
  std::unique_ptr<Operation> operation_;
  std::string output_;
  size_t sent_ = 0;
  size_t drained_ = 0;
  bool keep_alive_ = false;
  bool head_only_ = false;
  core::Timer deadline_{loop_};
  net::TcpStream stream_;
};

}  // namespace tributary::admin
