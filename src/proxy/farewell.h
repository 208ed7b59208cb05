// Farewell: says the last words to a client and closes gently: sends what is left, ends our direction, and reads on for a
// moment, because closing with unread input would make the kernel reset the connection and with it what we just sent
// (RFC 9112, 9.6). Takes the place of the session that has nothing else to do. Loop-affine.
//
//   Sending ──all sent──> Lingering ──the client's end, or 5 s──> Ended
//      └────────────────the client failed or took too long───────────────┘
#pragma once

#include <memory>
#include <string>

#include "core/fsm.h"
#include "core/loop.h"
#include "net/stream.h"
#include "proxy/session.h"

namespace tributary::proxy {

enum class FarewellState : uint8_t { Sending, Lingering, Ended };
inline constexpr core::Edge<FarewellState> kFarewellEdges[] = {
    {FarewellState::Sending, FarewellState::Lingering},
    {FarewellState::Sending, FarewellState::Ended},
    {FarewellState::Lingering, FarewellState::Ended},
};

class Farewell final : public Session {
 public:
  Farewell(Worker& worker, Protocol protocol, std::unique_ptr<net::Stream> stream, std::string words);

  void start();
  void drain() override {}  // it is short, and its deadline stands

 private:
  static constexpr core::Duration kLonger = std::chrono::seconds(5);

  void on_ready(core::Interest ready);
  void on_deadline() { end(); }
  void send();
  void discard();
  void end();

  core::Machine<FarewellState> state_{FarewellState::Sending, kFarewellEdges};
  std::unique_ptr<net::Stream> stream_;
  std::string words_;
  size_t sent_ = 0;
  core::Timer deadline_;
};

}  // namespace tributary::proxy
