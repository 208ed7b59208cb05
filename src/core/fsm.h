// State machines as data: an enum of states, the legal edges in a table, every change through become().
//
//   inline constexpr Edge<ConnectState> kConnectEdges[] = {{ConnectState::Idle, ConnectState::Resolving}, …};
//   Machine<ConnectState> state_{ConnectState::Idle, kConnectEdges};
//   state_.become(ConnectState::Resolving);
//
// An edge that is not in the table is a bug of ours: it aborts in debug builds; in release builds it is counted
// (illegal_transitions()) and taken. Tests walk the table, docs/state-machines/ draws it, and a test compares the two.
#pragma once

#include <cassert>
#include <cstdint>
#include <span>

namespace tributary::core {

template <class State>
struct Edge {
  State from, to;
};

// Process-wide count of transitions that no table allows; exported and asserted to be zero by the tests.
void count_illegal_transition();
uint64_t illegal_transitions();

template <class State>
constexpr bool is_legal(std::span<const Edge<State>> edges, State from, State to) {
  for (const Edge<State>& edge : edges) {
    if (edge.from == from && edge.to == to) return true;
  }
  return false;
}

template <class State>
class Machine {
 public:
  constexpr Machine(State initial, std::span<const Edge<State>> edges)
      : edges_(edges.data()), count_(static_cast<uint16_t>(edges.size())), state_(initial) {}

  State get() const { return state_; }
  bool is(State state) const { return state_ == state; }
  void become(State next) {
    if (!is_legal<State>({edges_, count_}, state_, next)) {
      assert(false && "illegal state transition");
      count_illegal_transition();
    }
    state_ = next;
  }

 private:
  const Edge<State>* edges_;
  uint16_t count_;
  State state_;
};

}  // namespace tributary::core
