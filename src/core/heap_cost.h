// What the heap takes for what is asked of it, for accounts that have a limit: a header of 8 bytes, in steps of 16, at least
// 32. That is glibc's; others are within a few per cent of it.
#pragma once

#include <algorithm>
#include <cstddef>
#include <string>

namespace tributary::core {

constexpr size_t kSharedCost = 16;  // the counts beside what std::make_shared makes

constexpr size_t heap_cost(size_t bytes) { return std::max<size_t>(32, (bytes + 8 + 15) / 16 * 16); }
inline size_t heap_cost(const std::string& text) { return text.size() <= 15 ? 0 : heap_cost(text.size() + 1); }

}  // namespace tributary::core
