#include "core/fsm.h"

#include <atomic>

namespace tributary::core {
namespace {
std::atomic<uint64_t> g_illegal{0};
}

void count_illegal_transition() { g_illegal.fetch_add(1, std::memory_order_relaxed); }
uint64_t illegal_transitions() { return g_illegal.load(std::memory_order_relaxed); }

}  // namespace tributary::core
